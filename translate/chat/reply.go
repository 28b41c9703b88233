package chat

import (
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// reply is what is known of an answer while it is written, whole or as a stream.
type reply struct {
	asked *translate.Asked

	model   []byte // inside of a string
	created int64
	usage   translate.Usage
	counted bool // usage is known

	block  block // that is being written
	calls  int   // tool calls so far
	length int   // of the content, in characters
}

func (r *reply) start(e *translate.Event) {
	r.model = append(r.model, e.Model...)
	r.created = e.Created
}

// appendHead appends the members that every chunk has, and the whole answer,
// from the first brace up to the comma before "choices".
func (r *reply) appendHead(dst []byte, object string) []byte {
	dst = append(dst, `{"id":"`...)
	dst = r.asked.AppendID(dst, "chatcmpl-", -1)
	dst = append(dst, `","object":"`...)
	dst = append(dst, object...)
	dst = append(dst, `","created":`...)
	dst = strconv.AppendInt(dst, r.created, 10)
	dst = append(dst, `,"model":`...)
	dst = rawjson.AppendText(dst, r.model)
	return append(dst, ',')
}

// finishReason tells why the model stopped. Clients run its calls only if it is
// because of them.
func (r *reply) finishReason(stop translate.StopReason) string {
	switch stop {
	case translate.StopLength, translate.StopWindow:
		return "length"
	case translate.StopFilter:
		return "content_filter"
	}
	switch {
	case r.calls == 0:
		return "stop"
	case r.asked.LegacyFunctions:
		return "function_call"
	}
	return "tool_calls"
}

// appendUsage appends the usage object. Totals here contain their details.
func (r *reply) appendUsage(dst []byte) []byte {
	u := &r.usage
	prompt := u.Input + u.CacheRead + u.CacheWrite
	completion := u.Output + u.Reasoning
	dst = append(dst, `{"prompt_tokens":`...)
	dst = strconv.AppendInt(dst, prompt, 10)
	dst = append(dst, `,"completion_tokens":`...)
	dst = strconv.AppendInt(dst, completion, 10)
	dst = append(dst, `,"total_tokens":`...)
	dst = strconv.AppendInt(dst, prompt+completion, 10)
	dst = append(dst, `,"prompt_tokens_details":{"cached_tokens":`...)
	dst = strconv.AppendInt(dst, u.CacheRead, 10)
	dst = append(dst, `,"cache_write_tokens":`...)
	dst = strconv.AppendInt(dst, u.CacheWrite, 10)
	dst = append(dst, `},"completion_tokens_details":{"reasoning_tokens":`...)
	dst = strconv.AppendInt(dst, u.Reasoning, 10)
	return append(dst, "}}"...)
}
