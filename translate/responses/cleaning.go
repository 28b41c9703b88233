package responses

import (
	"bytes"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// Cleaned appends a request of a client of the Responses API that goes to a
// provider of it, without what the client got of other vendors through a
// translation: the reasoning items in which an envelope stands for what is
// encrypted, which the provider would refuse, and the signatures in the ids of
// tool calls, which make them too long for OpenAI. Everything else stays, byte by
// byte. Mostly there is nothing to change; then it appends nothing, and changed
// is false.
func Cleaned(dst, body []byte) (out []byte, changed bool) {
	out = rawjson.AppendWithMember(dst, body, "input", func(dst []byte, input rawjson.Value) []byte {
		dst, _ = rawjson.AppendWithElements(dst, input, func(dst []byte, item rawjson.Value) ([]byte, bool) {
			return appendCleaned(dst, item, &changed)
		})
		return dst
	})
	if !changed {
		return dst, false
	}
	return out, true
}

// appendCleaned appends an item. It returns false for reasoning that was sealed
// here.
func appendCleaned(dst []byte, raw rawjson.Value, changed *bool) ([]byte, bool) {
	if !translate.Marked(raw) {
		return append(dst, raw...), true
	}
	var it item
	it.read(raw)
	if string(it.kind) == "reasoning" && bytes.HasPrefix(it.encrypted, []byte(translate.EnvelopeMark)) {
		*changed = true
		return dst, false
	}
	// Calls and results of all kinds have their id there, and nothing else has.
	return translate.AppendUnsigned(dst, raw, "call_id", changed), true
}
