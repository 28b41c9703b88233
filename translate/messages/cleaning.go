package messages

import (
	"bytes"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// Cleaned appends a request of a client of Messages that goes to a provider of
// Messages, without what the client got of other vendors through a translation:
// the thinking blocks and citations that have an envelope in place of what the
// vendor signs or encrypts, which the provider would refuse, and the signatures
// in the ids of tool calls. A message of the assistant that is left without a
// block goes too. Everything else stays, byte by byte. Mostly there is nothing to
// change; then it appends nothing, and changed is false.
func Cleaned(dst, body []byte) (out []byte, changed bool) {
	out = rawjson.AppendWithMember(dst, body, "messages", func(dst []byte, messages rawjson.Value) []byte {
		dst, _ = rawjson.AppendWithElements(dst, messages, func(dst []byte, message rawjson.Value) ([]byte, bool) {
			return appendCleaned(dst, message, &changed)
		})
		return dst
	})
	if !changed {
		return dst, false
	}
	return out, true
}

// appendCleaned appends a message. It returns false if nothing of it is left.
func appendCleaned(dst []byte, message rawjson.Value, changed *bool) ([]byte, bool) {
	if !translate.Marked(message) {
		return append(dst, message...), true
	}
	appendBlock := appendAnswered
	if string(message.Get("role").Text()) == "assistant" {
		appendBlock = appendSaid
	}
	cut, kept := false, 0
	dst = rawjson.AppendWithMember(dst, message, "content", func(dst []byte, content rawjson.Value) []byte {
		dst, kept = rawjson.AppendWithElements(dst, content, func(dst []byte, block rawjson.Value) ([]byte, bool) {
			return appendBlock(dst, block, &cut)
		})
		return dst
	})
	*changed = *changed || cut
	return dst, kept > 0 || !cut
}

// appendAnswered appends a block of the user's.
func appendAnswered(dst []byte, block rawjson.Value, cut *bool) ([]byte, bool) {
	if string(block.Get("type").Text()) == "tool_result" {
		return translate.AppendUnsigned(dst, block, "tool_use_id", cut), true
	}
	return append(dst, block...), true
}

// appendSaid appends a block of the assistant's. It returns false for thinking
// that was sealed here.
func appendSaid(dst []byte, block rawjson.Value, cut *bool) ([]byte, bool) {
	var kind, seal translate.Text
	for m := block.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			kind = m.Value.Text()
		case "signature", "data":
			seal = m.Value.Text()
		}
	}
	switch string(kind) {
	case "thinking", "redacted_thinking":
		if bytes.HasPrefix(seal, []byte(translate.EnvelopeMark)) {
			*cut = true
			return dst, false
		}
	case "tool_use":
		return translate.AppendUnsigned(dst, block, "id", cut), true
	case "text":
		return appendUncited(dst, block, cut), true
	}
	return append(dst, block...), true
}

// appendUncited appends a text without the citations that are told here.
func appendUncited(dst []byte, block rawjson.Value, cut *bool) []byte {
	return rawjson.AppendWithMember(dst, block, "citations", func(dst []byte, citations rawjson.Value) []byte {
		dst, _ = rawjson.AppendWithElements(dst, citations, func(dst []byte, citation rawjson.Value) ([]byte, bool) {
			if bytes.HasPrefix(citation.Get("encrypted_index").Text(), []byte(translate.EnvelopeMark)) {
				*cut = true
				return dst, false
			}
			return append(dst, citation...), true
		})
		return dst
	})
}

// CannotThink reports whether a request asks for thinking on a budget where its
// thoughts of before are not there: in the tool calls that it goes on with. The
// API refuses it then. So it is when another vendor made those calls.
func CannotThink(body []byte) bool {
	root := rawjson.Parse(body)
	if string(root.Get("thinking").Get("type").Text()) != "enabled" {
		return false
	}
	lost, known := false, false
	for e := root.Get("messages").Elements(); e.Next(); {
		content := e.Value.Get("content")
		switch string(e.Value.Get("role").Text()) {
		case "user":
			if !answersTools(content) {
				lost, known = false, false
			}
		case "assistant":
			if !known {
				lost, known = callsWithoutThought(content)
			}
		}
	}
	return lost
}

// answersTools reports whether a message of the user goes on with tool calls.
func answersTools(content rawjson.Value) bool {
	for e := content.Elements(); e.Next(); {
		if string(e.Value.Get("type").Text()) == "tool_result" {
			return true
		}
	}
	return false
}

// callsWithoutThought reports whether a message of the assistant calls a tool
// before there is a thought in it. known is false where it does neither.
func callsWithoutThought(content rawjson.Value) (lost, known bool) {
	for e := content.Elements(); e.Next(); {
		switch string(e.Value.Get("type").Text()) {
		case "thinking", "redacted_thinking":
			return false, true
		case "tool_use":
			return true, true
		}
	}
	return false, false
}
