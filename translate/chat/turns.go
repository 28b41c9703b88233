package chat

import (
	"bytes"
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// message is one of the request's messages.
type message struct {
	index   int
	content translate.Value
	// Of an assistant:
	refusal, calls, call        translate.Value
	thought, reasoning, details translate.Value
	audio                       translate.Value
	callID, name                translate.Text
	cache                       translate.Cache
}

func (r *requestReader) readMessages() *translate.Error {
	if !r.messages.IsArray() || r.messages.IsEmpty() {
		return invalid("messages", "must be an array with at least one message")
	}
	for e := r.messages.Elements(); e.Next(); {
		if e := r.message(e.Value, e.Index); e != nil {
			return e
		}
	}
	return nil
}

func (r *requestReader) message(v translate.Value, index int) *translate.Error {
	msg := message{index: index}
	var role translate.Text
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "role":
			role = m.Value.Text()
		case "content":
			msg.content = m.Value
		case "refusal":
			msg.refusal = m.Value
		case "tool_calls":
			msg.calls = m.Value
		case "function_call":
			msg.call = m.Value
		case "reasoning_content":
			msg.thought = m.Value
		case "reasoning":
			msg.reasoning = m.Value
		case "reasoning_details":
			msg.details = m.Value
		case "audio":
			msg.audio = m.Value
		case "tool_call_id":
			msg.callID = m.Value.Text()
		case "name":
			msg.name = m.Value.Text()
		case "cache_control":
			msg.cache = cacheOf(m.Value)
		}
	}
	switch string(role) {
	case "system", "developer":
		return r.system(&msg, string(role) == "developer")
	case "user":
		return r.user(&msg)
	case "assistant":
		return r.assistant(&msg)
	case "tool":
		return r.toolResult(&msg, r.resultID(&msg))
	case "function":
		return r.functionResult(&msg)
	}
	return invalid(r.c.At(index, -1)+".role", "must be system, developer, user, assistant or tool")
}

func (r *requestReader) system(msg *message, developer bool) *translate.Error {
	r.c.BeginTurn(translate.System, msg.index, false).Developer = developer
	return r.content(msg, func(b translate.Block, at int) *translate.Error {
		if b.Kind != translate.KindText {
			return invalid(r.c.At(msg.index, at), "the instructions of a system message must be text")
		}
		r.c.Add(b)
		return nil
	})
}

func (r *requestReader) user(msg *message) *translate.Error {
	r.c.BeginTurn(translate.User, msg.index, false)
	return r.content(msg, func(b translate.Block, _ int) *translate.Error {
		r.c.Add(b)
		return nil
	})
}

func (r *requestReader) assistant(msg *message) *translate.Error {
	r.c.BeginTurn(translate.Assistant, msg.index, false)
	if !msg.audio.IsNull() {
		return translate.Refuse(r.c.At(msg.index, -1)+".audio", "an earlier answer in audio is known only to its vendor")
	}
	r.thinking(msg)
	e := r.content(msg, func(b translate.Block, at int) *translate.Error {
		switch b.Kind {
		case translate.KindText, translate.KindRefusal, translate.KindThinking:
			r.c.Add(b)
			return nil
		}
		return invalid(r.c.At(msg.index, at), "an assistant's message must be text")
	})
	if e != nil {
		return e
	}
	if refusal := msg.refusal.Text(); len(refusal) > 0 {
		r.c.Add(translate.Block{Kind: translate.KindRefusal, Text: refusal})
	}
	return r.calls(msg)
}

// thinking reads reasoning that vendors put beside the content, under several
// names. Most is only text. What some vendor sealed is of use if it came through
// here, in an envelope.
func (r *requestReader) thinking(msg *message) {
	text := msg.thought.Text()
	if len(text) == 0 {
		text = msg.reasoning.Text()
	}
	for e := msg.details.Elements(); e.Next(); {
		b := translate.Block{Kind: translate.KindThinking}
		sealed := false
		for m := e.Value.Members(); m.Next(); {
			switch string(m.Name) {
			case "text", "summary":
				b.Text = m.Value.Text()
			case "data", "signature":
				if provider, seal, ok := r.c.OpenEnvelope(m.Value.Text()); ok {
					b.Sealer, b.Seal, sealed = provider, seal, true
				}
			}
		}
		if sealed || len(text) == 0 && len(b.Text) > 0 {
			r.c.Add(b)
		}
	}
	if len(text) > 0 {
		r.c.Add(translate.Block{Kind: translate.KindThinking, Text: text})
	}
}

// calls reads the tool calls of an assistant's message.
func (r *requestReader) calls(msg *message) *translate.Error {
	r.unnamed = r.unnamed[:0]
	for e := msg.calls.Elements(); e.Next(); {
		b, ok := callOf(e.Value)
		if !ok {
			return invalid(r.c.At(msg.index, -1)+".tool_calls["+strconv.Itoa(e.Index)+"]", "must be the call of a function or custom tool, with its name")
		}
		if len(b.ID) == 0 {
			b.ID = r.c.OwnString("call_" + strconv.Itoa(msg.index) + "_" + strconv.Itoa(e.Index))
			r.unnamed = append(r.unnamed, len(r.c.Blocks))
		}
		r.c.Add(b)
	}
	if !msg.call.IsObject() || !msg.calls.IsEmpty() {
		return nil
	}
	b := translate.Block{Kind: translate.KindToolCall, ID: r.c.OwnString("call_" + strconv.Itoa(msg.index))}
	function(&b, msg.call)
	if len(b.Name) == 0 {
		return invalid(r.c.At(msg.index, -1)+".function_call.name", "is required")
	}
	r.legacy = append(r.legacy, len(r.c.Blocks))
	r.c.Add(b)
	return nil
}

// callOf reads one of an assistant's tool_calls.
func callOf(v translate.Value) (b translate.Block, ok bool) {
	b.Kind = translate.KindToolCall
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "id":
			b.ID = m.Value.Text()
		case "function":
			function(&b, m.Value)
		case "custom":
			if name := m.Value.Get("name").Text(); len(name) > 0 {
				b.Custom, b.Name = true, name
				b.Input = translate.Input{Text: m.Value.Get("input").Text()}
			}
		}
	}
	return b, len(b.Name) > 0
}

// function reads name and arguments of a call. Arguments are text; some clients
// send them as what the text means.
func function(b *translate.Block, v translate.Value) {
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "name":
			if name := m.Value.Text(); len(name) > 0 {
				b.Name = name
			}
		case "arguments":
			if m.Value.IsObject() {
				b.Input = translate.Input{JSON: m.Value}
			} else {
				b.Input = translate.Input{Text: m.Value.Text()}
			}
		}
	}
}

// resultID is the id of the call that a tool message answers. A call without one
// is answered by a message without one.
func (r *requestReader) resultID(msg *message) translate.Text {
	if len(msg.callID) > 0 || len(r.unnamed) == 0 {
		return msg.callID
	}
	call := r.unnamed[0]
	r.unnamed = r.unnamed[1:]
	return r.c.Blocks[call].ID
}

// functionResult reads a message of the role function: the result of the last
// open call of that name.
func (r *requestReader) functionResult(msg *message) *translate.Error {
	for i := len(r.legacy) - 1; i >= 0; i-- {
		if call := &r.c.Blocks[r.legacy[i]]; bytes.Equal(call.Name, msg.name) {
			// Earlier ones that are still open stay without a result anyway.
			r.legacy = r.legacy[:i]
			return r.toolResult(msg, call.ID)
		}
	}
	return invalid(r.c.At(msg.index, -1), "is the result of a function that was not called")
}

func (r *requestReader) toolResult(msg *message, id translate.Text) *translate.Error {
	r.c.BeginTurn(translate.User, msg.index, r.inResults())
	r.c.Add(translate.Block{Kind: translate.KindToolResult, ID: id, Cache: msg.cache})
	result := len(r.c.Blocks) - 1
	msg.cache = translate.CacheNone
	return r.content(msg, func(b translate.Block, _ int) *translate.Error {
		if b.Cache != translate.CacheNone {
			r.c.Blocks[result].Cache, b.Cache = b.Cache, translate.CacheNone
		}
		r.c.AddPart(b)
		return nil
	})
}

// inResults reports whether the last turn holds tool results and nothing else.
func (r *requestReader) inResults() bool {
	n := len(r.c.Turns)
	if n == 0 || r.c.Turns[n-1].Role != translate.User {
		return false
	}
	blocks := r.c.BlocksOf(r.c.Turns[n-1])
	// No message adds to a turn that does not begin with a result.
	return len(blocks) > 0 && blocks[0].Kind == translate.KindToolResult
}
