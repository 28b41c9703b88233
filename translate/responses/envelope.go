package responses

import (
	"bytes"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// WithoutEnvelopes appends a request of a client of the Responses API that goes
// to a provider of it, without the reasoning items that the client got through a
// translation: what is encrypted there is an envelope, which the provider would
// refuse. Everything else stays, byte by byte. Mostly there is nothing to change;
// then it appends nothing, and changed is false.
func WithoutEnvelopes(dst, body []byte) (out []byte, changed bool) {
	if !bytes.Contains(body, []byte(translate.EnvelopeMark)) {
		return dst, false
	}
	out = rawjson.AppendWithMember(dst, body, "input", func(dst []byte, input rawjson.Value) []byte {
		dst, _ = rawjson.AppendWithElements(dst, input, func(dst []byte, item rawjson.Value) ([]byte, bool) {
			if enveloped(item) {
				changed = true
				return dst, false
			}
			return append(dst, item...), true
		})
		return dst
	})
	if !changed {
		return dst, false
	}
	return out, true
}

// enveloped reports whether an item is reasoning that was sealed here.
func enveloped(raw rawjson.Value) bool {
	if !bytes.Contains(raw, []byte(translate.EnvelopeMark)) {
		return false
	}
	var it item
	it.read(raw)
	return string(it.kind) == "reasoning" && bytes.HasPrefix(it.encrypted, []byte(translate.EnvelopeMark))
}
