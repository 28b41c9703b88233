package translate

import (
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// AppendReplay appends a whole answer, which has passed [CheckAnswer] and
// [CheckFinished], as the event stream of its own protocol in which it could have
// come. Some upstreams do not heed "stream"; their clients do not read anything
// else. Nothing of the answer is lost: ids, signatures and what only its vendor
// understands stand in the events where the vendor would have them.
func AppendReplay(dst []byte, p Protocol, body []byte) []byte {
	// An event's data is one line.
	answer := rawjson.Parse(rawjson.AppendCompact(make([]byte, 0, len(body)), rawjson.Parse(body)))
	switch p {
	case Responses:
		r := responsesReplay{dst: dst}
		r.response(answer)
		return r.dst
	case Messages:
		return appendMessagesReplay(dst, answer)
	}
	return appendChatReplay(dst, answer)
}

// change is another value for a member of an object; an empty one takes the
// member out.
type change struct{ name, value string }

// appendChanged appends an object in which some members have other values.
func appendChanged(dst []byte, object Value, changes ...change) []byte {
	dst = append(dst, '{')
	for m := object.Members(); m.Next(); {
		value := m.Value
		for _, c := range changes {
			if string(m.Name) == c.name {
				value = Value(c.value)
			}
		}
		if len(value) > 0 {
			dst = appendName(dst, string(m.Name))
			dst = append(dst, value...)
		}
	}
	return append(dst, '}')
}

// appendName begins a member, with a comma where it is not the first. The name is
// the inside of a string.
func appendName(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	return append(dst, `":`...)
}

// appendChatReplay appends a chunk with all that the model said, and one that
// tells why it stopped. That one has the usage too, as at many vendors: clients
// that have not asked for usage do not expect a chunk without choices.
func appendChatReplay(dst []byte, answer Value) []byte {
	choices := answer.Get("choices")
	for _, last := range []bool{false, true} {
		dst = append(dst, "data: "...)
		usage := ""
		if last {
			usage = string(answer.Get("usage"))
		}
		dst = appendChanged(dst, answer, change{"object", `"chat.completion.chunk"`}, change{"choices", ""}, change{"usage", usage})
		dst = appendName(dst[:len(dst)-1], "choices")
		dst = append(dst, '[')
		for e := choices.Elements(); e.Next(); {
			if e.Index > 0 {
				dst = append(dst, ',')
			}
			dst = appendChatChoice(dst, e.Index, e.Value, last)
		}
		dst = append(dst, "]}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...)
}

// appendChatChoice appends what a chunk tells of a choice.
func appendChatChoice(dst []byte, index int, choice Value, last bool) []byte {
	if n, ok := choice.Get("index").Int(); ok {
		index = int(n)
	}
	dst = append(dst, `{"index":`...)
	dst = strconv.AppendInt(dst, int64(index), 10)
	dst = append(dst, `,"delta":`...)
	if last {
		dst = append(dst, `{},"finish_reason":`...)
		if finish := choice.Get("finish_reason"); !finish.IsNull() {
			dst = append(dst, finish...)
		} else {
			dst = append(dst, "null"...)
		}
		return append(dst, '}')
	}
	dst = appendChatDelta(dst, choice.Get("message"))
	for m := choice.Members(); m.Next(); {
		switch string(m.Name) {
		case "index", "message", "delta", "finish_reason":
		default:
			dst = appendName(dst, string(m.Name))
			dst = append(dst, m.Value...)
		}
	}
	return append(dst, `,"finish_reason":null}`...)
}

// appendChatDelta appends a message as one delta: its tool calls are numbered
// then.
func appendChatDelta(dst []byte, message Value) []byte {
	dst = append(dst, '{')
	for m := message.Members(); m.Next(); {
		dst = appendName(dst, string(m.Name))
		if string(m.Name) != "tool_calls" {
			dst = append(dst, m.Value...)
			continue
		}
		dst, _ = rawjson.AppendWithElements(dst, m.Value, numbered())
	}
	return append(dst, '}')
}

// numbered returns what gives each object of a list the index that it has there.
func numbered() func(dst []byte, object Value) ([]byte, bool) {
	n := int64(-1)
	return func(dst []byte, object Value) ([]byte, bool) {
		n++
		dst = append(dst, `{"index":`...)
		dst = strconv.AppendInt(dst, n, 10)
		for m := object.Members(); m.Next(); {
			if string(m.Name) != "index" {
				dst = appendName(dst, string(m.Name))
				dst = append(dst, m.Value...)
			}
		}
		return append(dst, '}'), true
	}
}

// appendMessagesReplay appends the message without its content, block after block,
// and why the model stopped.
func appendMessagesReplay(dst []byte, answer Value) []byte {
	dst = append(dst, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":"...)
	dst = appendChanged(dst, answer, change{"content", "[]"}, change{"stop_reason", "null"}, change{"stop_sequence", "null"})
	dst = append(dst, "}\n\n"...)
	n := 0
	for e := answer.Get("content").Elements(); e.Next(); {
		if e.Value.IsObject() {
			dst = appendMessagesBlock(dst, n, e.Value)
			n++
		}
	}
	dst = append(dst, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"...)
	for m := answer.Members(); m.Next(); {
		switch string(m.Name) {
		case "stop_reason", "stop_sequence", "stop_details", "container":
			dst = appendName(dst, string(m.Name))
			dst = append(dst, m.Value...)
		}
	}
	dst = append(dst, '}')
	if usage := answer.Get("usage"); usage.IsObject() {
		dst = append(dst, `,"usage":`...)
		dst = append(dst, usage...)
	}
	return append(dst, "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...)
}

// appendMessagesBlock appends the events of a block. What Anthropic's clients put
// together from deltas begins empty; any other block begins as it is.
func appendMessagesBlock(dst []byte, index int, block Value) []byte {
	event := func(name, member string) {
		dst = append(dst, "event: "...)
		dst = append(dst, name...)
		dst = append(dst, "\ndata: {\"type\":\""...)
		dst = append(dst, name...)
		dst = append(dst, `","index":`...)
		dst = strconv.AppendInt(dst, int64(index), 10)
		dst = append(dst, member...)
	}
	delta := func(kind, member string, value []byte) {
		event("content_block_delta", `,"delta":{"type":"`+kind+`","`+member+`":`)
		dst = append(dst, value...)
		dst = append(dst, "}}\n\n"...)
	}
	text, thinking, signature, input := block.Get("text"), block.Get("thinking"), block.Get("signature"), block.Get("input")
	begin := func(changes ...change) {
		event("content_block_start", `,"content_block":`)
		dst = appendChanged(dst, block, changes...)
		dst = append(dst, "}\n\n"...)
	}
	switch string(block.Get("type").Text()) {
	case "text":
		citations := block.Get("citations")
		empty := string(citations)
		if citations.IsArray() {
			empty = "[]"
		}
		begin(change{"text", `""`}, change{"citations", empty})
		if !text.IsEmpty() {
			delta("text_delta", "text", text)
		}
		for e := citations.Elements(); e.Next(); {
			delta("citations_delta", "citation", e.Value)
		}
	case "thinking":
		begin(change{"thinking", `""`}, change{"signature", `""`})
		if !thinking.IsEmpty() {
			delta("thinking_delta", "thinking", thinking)
		}
		if !signature.IsEmpty() {
			delta("signature_delta", "signature", signature)
		}
	case "tool_use", "server_tool_use", "mcp_tool_use":
		begin(change{"input", "{}"})
		if !input.IsEmpty() {
			delta("input_json_delta", "partial_json", rawjson.AppendString(nil, input))
		}
	default:
		begin()
	}
	event("content_block_stop", "}\n\n")
	return dst
}
