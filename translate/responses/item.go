package responses

import (
	"bytes"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// item is an item of a request's input or of an answer's output, with the
// members that any type of it may have.
type item struct {
	kind, role               translate.Text
	id, callID               translate.Text
	name, namespace, status  translate.Text
	arguments, input, output translate.Value
	content, summary         translate.Value
	encrypted                translate.Text
	tools, reasoning, text   translate.Value
}

// read replaces it by the item that raw is.
func (it *item) read(raw translate.Value) {
	*it = item{}
	for m := raw.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			it.kind = m.Value.Text()
		case "role":
			it.role = m.Value.Text()
		case "id":
			it.id = m.Value.Text()
		case "call_id":
			it.callID = m.Value.Text()
		case "name":
			it.name = m.Value.Text()
		case "namespace":
			it.namespace = m.Value.Text()
		case "status":
			it.status = m.Value.Text()
		case "arguments":
			it.arguments = m.Value
		case "input":
			it.input = m.Value
		case "output":
			it.output = m.Value
		case "content":
			it.content = m.Value
		case "summary":
			it.summary = m.Value
		case "encrypted_content":
			it.encrypted = m.Value.Text()
		case "tools":
			it.tools = m.Value
		case "reasoning":
			it.reasoning = m.Value
		case "text":
			it.text = m.Value
		}
	}
	if len(it.kind) == 0 && len(it.role) > 0 {
		it.kind = messageKind // clients may leave it out
	}
}

var messageKind = translate.Text("message")

// readItem adds an item of the input.
func (r *request) readItem(index int, raw translate.Value) *translate.Error {
	it := &r.item
	it.read(raw)
	kind := string(it.kind)
	results := r.results
	r.results = false
	switch kind {
	case "message":
		return r.readMessage(index, it)
	case "function_call":
		r.readCall(index, it, translate.Block{Input: inputOf(it.arguments)})
	case "custom_tool_call":
		r.readCall(index, it, translate.Block{Custom: true, Input: translate.Input{Text: it.input.Text()}})
	case "function_call_output", "custom_tool_call_output":
		r.results = true
		return r.readResult(index, it, results)
	case "reasoning":
		r.readThought(index, it)
	case "additional_tools":
		r.results = results
		return r.readTools(it.tools)
	case "tool_search_output":
		r.addHosted(index, it, raw)
		return r.readTools(it.tools)
	case "configuration_update":
		r.results = results
		return r.readConfiguration(it)
	default:
		if !hosted(kind) {
			return translate.Refuse(r.c.At(index, -1)+".type", foreign(kind))
		}
		r.addHosted(index, it, raw)
	}
	return nil
}

// hosted reports whether items of a type tell of what the vendor itself did.
func hosted(kind string) bool {
	switch kind {
	case "web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call",
		"mcp_list_tools", "tool_search_call", "tool_search_output":
		return true
	}
	return false
}

// foreign says why items of a type cannot go anywhere else.
func foreign(kind string) string {
	switch kind {
	case "":
		return "is missing"
	case "item_reference":
		return "refers to an item that is kept at OpenAI; send the item itself"
	case "compaction", "compaction_trigger", "context_compaction":
		return "only OpenAI can read a compacted conversation"
	}
	return "such an item only makes sense to a provider that speaks Responses"
}

func (r *request) addHosted(index int, it *item, raw translate.Value) {
	r.c.BeginTurn(translate.Assistant, index, true)
	r.c.Add(translate.Block{Kind: translate.KindHosted, Type: it.kind, Raw: raw})
}

func (r *request) readCall(index int, it *item, b translate.Block) {
	b.Kind, b.ID, b.Name, b.Namespace = translate.KindToolCall, it.callID, it.name, it.namespace
	if bytes.Equal(b.Namespace, b.Name) && r.tool(b.Namespace, b.Name) == nil {
		// So OpenAI tells the namespace of a deferred tool that is in none.
		b.Namespace = nil
	}
	r.c.BeginTurn(translate.Assistant, index, true)
	r.c.Add(b)
}

// inputOf reads the arguments of a function. They are a string, but some clients
// send the object.
func inputOf(v translate.Value) translate.Input {
	if v.IsObject() {
		return translate.Input{JSON: v}
	}
	return translate.Input{Text: v.Text()}
}

// readResult adds the result of a tool call. Those that follow each other are one
// turn.
func (r *request) readResult(index int, it *item, join bool) *translate.Error {
	c := r.c
	c.BeginTurn(translate.User, index, join)
	c.Add(translate.Block{
		Kind: translate.KindToolResult, ID: it.callID, Name: it.name, Namespace: it.namespace,
		Custom: string(it.kind) == "custom_tool_call_output",
	})
	switch output := it.output; {
	case output.IsString():
		if text := output.Text(); len(text) > 0 {
			c.AddPart(translate.Block{Kind: translate.KindText, Text: text})
		}
	case output.IsArray():
		for e := output.Elements(); e.Next(); {
			part, err := r.readPart(index, e.Index, e.Value)
			if err != nil {
				return err
			}
			c.AddPart(part)
		}
	case !output.IsNull():
		c.AddPart(translate.Block{Kind: translate.KindText, Text: c.OwnString(string(output))})
	}
	return nil
}

// readThought adds reasoning. What another vendor sealed is no use to anybody
// else, except for the text beside it.
func (r *request) readThought(index int, it *item) {
	text := joinedParts(it.content)
	if len(text) == 0 {
		text = joinedParts(it.summary)
	}
	thought := translate.Block{Kind: translate.KindThinking, Text: text}
	if sealer, original, ok := r.c.OpenEnvelope(it.encrypted); ok {
		thought.Sealer, thought.Seal = sealer, original
	}
	if len(thought.Text) > 0 || thought.Sealer != "" {
		r.c.BeginTurn(translate.Assistant, index, true)
		r.c.Add(thought)
	}
}

// paragraph is what parts of reasoning are joined with.
var paragraph = translate.Text(`\n\n`)

// joinedParts returns the texts of parts as one.
func joinedParts(parts translate.Value) translate.Text {
	var text, own translate.Text
	for e := parts.Elements(); e.Next(); {
		more := e.Value.Get("text").Text()
		switch e.Index {
		case 0:
			text = more
			continue
		case 1:
			own = append(own, text...)
		}
		own = append(append(own, paragraph...), more...)
		text = own
	}
	return text
}

// readConfiguration merges settings that are made in the middle of the
// conversation: the last ones hold for the answer.
func (r *request) readConfiguration(it *item) *translate.Error {
	if !it.reasoning.IsNull() {
		if e := r.readReasoning(it.reasoning); e != nil {
			return e
		}
	}
	return r.readText(it.text)
}

// readMessage adds a message of any role.
func (r *request) readMessage(index int, it *item) *translate.Error {
	c := r.c
	switch string(it.role) {
	case "user":
		c.BeginTurn(translate.User, index, false)
	case "assistant":
		c.BeginTurn(translate.Assistant, index, true)
	case "system":
		c.BeginTurn(translate.System, index, false)
	case "developer":
		c.BeginTurn(translate.System, index, false).Developer = true
	default:
		return invalid(c.At(index, -1)+".role", "must be user, assistant, system or developer")
	}
	if it.content.IsString() {
		if text := it.content.Text(); len(text) > 0 {
			c.Add(translate.Block{Kind: translate.KindText, Text: text})
		}
		return nil
	}
	for e := it.content.Elements(); e.Next(); {
		part, err := r.readPart(index, e.Index, e.Value)
		if err != nil {
			return err
		}
		if part.Kind != translate.KindText || len(part.Text) > 0 {
			c.Add(part)
		}
	}
	return nil
}
