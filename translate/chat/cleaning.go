package chat

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// Cleaned appends a request of a client of Chat Completions that goes to a
// provider of it, without the signatures that other vendors put into the ids of
// tool calls on their way through a translation. Everything else stays, byte by
// byte. Mostly there is nothing to change; then it appends nothing, and changed
// is false.
func Cleaned(dst, body []byte) (out []byte, changed bool) {
	out = rawjson.AppendWithMember(dst, body, "messages", func(dst []byte, messages rawjson.Value) []byte {
		dst, _ = rawjson.AppendWithElements(dst, messages, func(dst []byte, message rawjson.Value) ([]byte, bool) {
			return appendCleaned(dst, message, &changed), true
		})
		return dst
	})
	if !changed {
		return dst, false
	}
	return out, true
}

// appendCleaned appends a message.
func appendCleaned(dst []byte, message rawjson.Value, changed *bool) []byte {
	if !translate.Marked(message) {
		return append(dst, message...)
	}
	if string(message.Get("role").Text()) == "tool" {
		return translate.AppendUnsigned(dst, message, "tool_call_id", changed)
	}
	return rawjson.AppendWithMember(dst, message, "tool_calls", func(dst []byte, calls rawjson.Value) []byte {
		dst, _ = rawjson.AppendWithElements(dst, calls, func(dst []byte, call rawjson.Value) ([]byte, bool) {
			return translate.AppendUnsigned(dst, call, "id", changed), true
		})
		return dst
	})
}
