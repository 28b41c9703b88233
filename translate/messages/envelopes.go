package messages

import (
	"bytes"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// WithoutEnvelopes appends a request of a client of Messages that goes to a
// provider of Messages, without the thinking blocks and citations that the client
// got through a translation: in place of what the vendor signs or encrypts they
// have an envelope, which the provider would refuse. A message of the assistant
// that is left without a block goes too. Everything else stays, byte by byte.
// Mostly there is nothing to change; then it appends nothing, and changed is
// false.
func WithoutEnvelopes(dst, body []byte) (out []byte, changed bool) {
	if !bytes.Contains(body, []byte(translate.EnvelopeMark)) {
		return dst, false
	}
	out = rawjson.AppendWithMember(dst, body, "messages", func(dst []byte, messages rawjson.Value) []byte {
		dst, _ = rawjson.AppendWithElements(dst, messages, func(dst []byte, message rawjson.Value) ([]byte, bool) {
			return appendWithoutEnvelopes(dst, message, &changed)
		})
		return dst
	})
	if !changed {
		return dst, false
	}
	return out, true
}

// appendWithoutEnvelopes appends a message. It returns false if nothing of it is
// left.
func appendWithoutEnvelopes(dst []byte, message rawjson.Value, changed *bool) ([]byte, bool) {
	if !bytes.Contains(message, []byte(translate.EnvelopeMark)) || string(message.Get("role").Text()) != "assistant" {
		return append(dst, message...), true
	}
	cut, kept := 0, 0
	dst = rawjson.AppendWithMember(dst, message, "content", func(dst []byte, content rawjson.Value) []byte {
		dst, kept = rawjson.AppendWithElements(dst, content, func(dst []byte, block rawjson.Value) ([]byte, bool) {
			if enveloped(block) {
				cut++
				return dst, false
			}
			return appendUncited(dst, block, &cut), true
		})
		return dst
	})
	*changed = *changed || cut > 0
	return dst, kept > 0 || cut == 0
}

// appendUncited appends a block without the citations that are told here.
func appendUncited(dst []byte, block rawjson.Value, cut *int) []byte {
	if !bytes.Contains(block, []byte(translate.EnvelopeMark)) || string(block.Get("type").Text()) != "text" {
		return append(dst, block...)
	}
	return rawjson.AppendWithMember(dst, block, "citations", func(dst []byte, citations rawjson.Value) []byte {
		dst, _ = rawjson.AppendWithElements(dst, citations, func(dst []byte, citation rawjson.Value) ([]byte, bool) {
			if bytes.HasPrefix(citation.Get("encrypted_index").Text(), []byte(translate.EnvelopeMark)) {
				*cut++
				return dst, false
			}
			return append(dst, citation...), true
		})
		return dst
	})
}

// enveloped reports whether a block is thinking that was sealed here.
func enveloped(block rawjson.Value) bool {
	var kind, seal translate.Text
	for m := block.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			kind = m.Value.Text()
		case "signature", "data":
			seal = m.Value.Text()
		}
	}
	return (string(kind) == "thinking" || string(kind) == "redacted_thinking") &&
		bytes.HasPrefix(seal, []byte(translate.EnvelopeMark))
}
