package messages

import (
	"bytes"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// block is a content block with the members that any type of it may have. Where
// two types use a name for different things, the type tells which it is.
type block struct {
	kind translate.Text
	raw  translate.Value

	id, name, toolUseID, toolName translate.Text
	text, title, context          translate.Text
	thinking, signature, data     translate.Text
	content, source, input, tool  translate.Value
	cache, citations              translate.Value
	failed                        bool
}

// read replaces b by the block that raw is.
func (b *block) read(raw translate.Value) {
	*b = block{raw: raw}
	if text := raw.Text(); text != nil {
		// Not in the documentation, but nothing else can be meant.
		b.kind, b.text = textKind, text
		return
	}
	for m := raw.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			b.kind = m.Value.Text()
		case "id":
			b.id = m.Value.Text()
		case "name":
			b.name = m.Value.Text()
		case "tool_use_id":
			b.toolUseID = m.Value.Text()
		case "tool_name":
			b.toolName = m.Value.Text()
		case "text":
			b.text = m.Value.Text()
		case "title":
			b.title = m.Value.Text()
		case "context":
			b.context = m.Value.Text()
		case "thinking":
			b.thinking = m.Value.Text()
		case "signature":
			b.signature = m.Value.Text()
		case "data":
			b.data = m.Value.Text()
		case "content":
			b.content = m.Value
		case "source":
			b.source = m.Value
		case "input":
			b.input = m.Value
		case "tool":
			b.tool = m.Value
		case "is_error":
			b.failed = m.Value.IsTrue()
		case "cache_control":
			b.cache = m.Value
		case "citations":
			b.citations = m.Value
		}
	}
}

var textKind = translate.Text("text")

// adder adds a block to the conversation: to a turn, or to a tool result.
type adder func(c *translate.Conversation, b translate.Block)

func toTurn(c *translate.Conversation, b translate.Block)   { c.Add(b) }
func toResult(c *translate.Conversation, b translate.Block) { c.AddPart(b) }

// readContentBlock adds a block of a message.
func (r *request) readContentBlock(index, part int, raw translate.Value) *translate.Error {
	c, b := r.c, &r.block
	b.read(raw)
	switch string(b.kind) {
	case "tool_use":
		c.Add(translate.Block{
			Kind: translate.KindToolCall, ID: b.id, Name: b.name,
			Input: inputOf(b.input), Cache: cacheOf(b.cache),
		})
	case "tool_result":
		return r.readResult(index, part, b)
	case "thinking":
		r.readThought(b, b.signature)
	case "redacted_thinking":
		r.readThought(b, b.data)
	case "compaction":
		r.readCompaction(b)
	case "tool_addition", "tool_removal":
		return r.readToolChange(b)
	default:
		if !r.readShared(toTurn, b) {
			c.Add(b.foreign())
		}
	}
	return nil
}

// foreign is a block that only this protocol has.
func (b *block) foreign() translate.Block {
	kind := translate.KindForeign
	if hosted(b.kind) {
		kind = translate.KindHosted
	}
	return translate.Block{Kind: kind, Type: b.kind, Raw: b.raw}
}

// hosted reports whether blocks of a type tell of what the vendor itself did.
func hosted(kind translate.Text) bool {
	switch string(kind) {
	case "server_tool_use", "mcp_tool_use", "mcp_tool_listing", "fallback":
		return true
	}
	return bytes.HasSuffix(kind, []byte("_tool_result"))
}

// readShared adds a block that may stand both in a message and in a tool result.
// It returns false for any other.
func (r *request) readShared(add adder, b *block) bool {
	switch string(b.kind) {
	case "text":
		if len(b.text) > 0 {
			add(r.c, translate.Block{Kind: translate.KindText, Text: b.text, Cache: cacheOf(b.cache)})
		}
	case "image":
		source, ok := sourceOf(b.source)
		if !ok {
			return false
		}
		add(r.c, translate.Block{Kind: translate.KindImage, Source: source, Cache: cacheOf(b.cache)})
	case "document":
		return r.readDocument(add, b)
	case "search_result":
		r.readSearchResult(add, b)
	default:
		return false
	}
	return true
}

// inputOf reads what a tool is called with. Some clients return it as the text
// that they got.
func inputOf(v translate.Value) translate.Input {
	switch {
	case v.IsString():
		return translate.Input{Text: v.Text()}
	case v.IsObject():
		return translate.Input{JSON: v}
	}
	return translate.Input{JSON: translate.Value("{}")}
}

func (r *request) readResult(index, part int, b *block) *translate.Error {
	c := r.c
	c.Add(translate.Block{
		Kind: translate.KindToolResult, ID: b.toolUseID, Failed: b.failed, Cache: cacheOf(b.cache),
	})
	if text := b.content.Text(); text != nil {
		if len(text) > 0 {
			c.AddPart(translate.Block{Kind: translate.KindText, Text: text})
		}
		return nil
	}
	content := b.content
	for e := content.Elements(); e.Next(); {
		b.read(e.Value)
		switch string(b.kind) {
		case "tool_reference":
			c.AddPart(translate.Block{Kind: translate.KindToolReference, Name: b.toolName})
		default:
			if !r.readShared(toResult, b) {
				return translate.Refuse(c.At(index, part), b.kind.String()+" only makes sense to a provider that speaks Messages")
			}
		}
	}
	return nil
}

// readThought adds reasoning. What another vendor sealed is no use to anybody
// else, except for the text beside it.
func (r *request) readThought(b *block, seal translate.Text) {
	thought := translate.Block{Kind: translate.KindThinking, Text: b.thinking}
	if sealer, original, ok := r.c.OpenEnvelope(seal); ok {
		thought.Sealer, thought.Seal = sealer, original
	}
	if len(thought.Text) > 0 || thought.Sealer != "" {
		r.c.Add(thought)
	}
}

// readCompaction adds the summary of all messages that stood before, as far as
// it can be read. One that cannot leaves nothing to go on from.
func (r *request) readCompaction(b *block) {
	if text := b.content.Text(); len(text) > 0 {
		r.c.Losses.Add("messages.content.compaction", translate.Changed, "the summary is sent as text")
		r.c.Add(translate.Block{Kind: translate.KindText, Text: text, Cache: cacheOf(b.cache)})
		return
	}
	r.c.Add(translate.Block{Kind: translate.KindForeign, Type: b.kind, Raw: b.raw})
}
