package messages

import (
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// ending gathers what both forms of an answer tell at their end.
type ending struct {
	asked    *translate.Asked
	refused  bool // there was a refusal
	usage    translate.Usage
	counted  bool // usage is known
	stop     translate.StopReason
	sequence []byte
}

// note takes what an event says about the end.
func (n *ending) note(e *translate.Event) {
	switch e.Kind {
	case translate.EventOpen:
		n.refused = n.refused || e.Head.Kind == translate.KindRefusal
	case translate.EventUsage:
		n.usage, n.counted = e.Usage, true
	case translate.EventStop:
		n.stop = e.Stop
		n.sequence = append(n.sequence[:0], e.Sequence...)
		if !n.counted {
			n.usage.Input = n.asked.InputTokens
		}
	}
}

// appendCitation appends a citation of something on the web, the only kind that
// all protocols have; it returns false for any other. In place of what Anthropic
// wants back with its own citations it has an envelope, by which
// [Cleaned] knows it.
func (n *ending) appendCitation(dst []byte, c *translate.Citation) ([]byte, bool) {
	if len(c.URL) == 0 {
		n.asked.Losses.Add("citations", translate.Dropped, "Messages can only cite what is on the web")
		return dst, false
	}
	dst = append(dst, `{"type":"web_search_result_location","url":`...)
	dst = rawjson.AppendText(dst, c.URL)
	dst = append(dst, `,"title":`...)
	dst = rawjson.AppendText(dst, c.Title)
	dst = append(dst, `,"cited_text":`...)
	dst = rawjson.AppendText(dst, c.CitedText)
	dst = append(dst, `,"encrypted_index":"`...)
	dst = translate.AppendEnvelope(dst, n.asked.Provider, nil)
	return append(dst, `"}`...), true
}

// appendHead appends the beginning of a message, up to its content.
func (n *ending) appendHead(dst []byte, model translate.Text) []byte {
	dst = append(dst, `{"id":"`...)
	dst = n.asked.AppendID(dst, "msg_", -1)
	dst = append(dst, `","type":"message","role":"assistant","model":`...)
	dst = rawjson.AppendText(dst, model)
	return append(dst, `,"content":`...)
}

// appendStop appends why the model stopped, as two members.
func (n *ending) appendStop(dst []byte) []byte {
	dst = append(dst, `"stop_reason":"`...)
	dst = append(dst, n.reason()...)
	dst = append(dst, `","stop_sequence":`...)
	if n.stop == translate.StopSequence && len(n.sequence) > 0 {
		return rawjson.AppendText(dst, n.sequence)
	}
	return append(dst, "null"...)
}

func (n *ending) reason() string {
	switch n.stop {
	case translate.StopTool:
		return "tool_use"
	case translate.StopSequence:
		return "stop_sequence"
	case translate.StopLength:
		return "max_tokens"
	case translate.StopWindow:
		return "model_context_window_exceeded"
	case translate.StopPause:
		return "pause_turn"
	case translate.StopFilter:
		return "refusal"
	}
	if n.refused {
		return "refusal" // OpenAI calls that a normal end
	}
	return "end_turn"
}

// appendUsage appends usage with all the numbers that clients add up. What was
// thought is part of the output.
func appendUsage(dst []byte, u translate.Usage) []byte {
	dst = append(dst, `{"input_tokens":`...)
	dst = strconv.AppendInt(dst, u.Input, 10)
	dst = append(dst, `,"cache_creation_input_tokens":`...)
	dst = strconv.AppendInt(dst, u.CacheWrite, 10)
	dst = append(dst, `,"cache_read_input_tokens":`...)
	dst = strconv.AppendInt(dst, u.CacheRead, 10)
	dst = append(dst, `,"output_tokens":`...)
	dst = strconv.AppendInt(dst, u.Output+u.Reasoning, 10)
	if u.Reasoning > 0 {
		dst = append(dst, `,"output_tokens_details":{"thinking_tokens":`...)
		dst = strconv.AppendInt(dst, u.Reasoning, 10)
		dst = append(dst, '}')
	}
	return append(dst, '}')
}
