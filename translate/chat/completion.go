package chat

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// answerWriter writes a whole answer. What the blocks say is gathered by the
// member of the message in which it stands, as the inside of its string or list.
type answerWriter struct {
	reply
	reason                      string // finish_reason
	content, reasoning, refusal []byte
	toolCalls, annotations      []byte
}

// Append takes an event, and appends the answer at the end.
func (w *answerWriter) Append(dst []byte, e *translate.Event) []byte {
	switch e.Kind {
	case translate.EventStart:
		w.start(e)
	case translate.EventOpen:
		w.open(&e.Head)
	case translate.EventDelta:
		w.delta(e.Text)
	case translate.EventCite:
		w.cite(&e.Citation)
	case translate.EventClose:
		w.close(e.Cut)
	case translate.EventUsage:
		w.usage, w.counted = e.Usage, true
	case translate.EventStop:
		w.reason = w.finishReason(e.Stop)
	case translate.EventEnd:
		return w.end(dst)
	}
	return dst
}

func (w *answerWriter) open(head *translate.Head) {
	w.begin(head)
	if head.Kind != translate.KindToolCall || w.block.skipped {
		return
	}
	if w.asked.LegacyFunctions {
		w.toolCalls = append(w.toolCalls, `{"name":`...)
		w.toolCalls = rawjson.AppendText(w.toolCalls, head.Name)
		w.toolCalls = append(w.toolCalls, `,"arguments":"`...)
		return
	}
	if len(w.toolCalls) > 0 {
		w.toolCalls = append(w.toolCalls, ',')
	}
	w.toolCalls = append(w.toolCalls, '{')
	w.toolCalls = appendCall(w.toolCalls, head)
}

func (w *answerWriter) delta(text translate.Text) {
	b := &w.block
	w.add(text)
	if b.skipped {
		return
	}
	switch b.kind {
	case translate.KindToolCall:
		w.toolCalls = append(w.toolCalls, text...)
	case translate.KindThinking:
		w.reasoning = append(w.reasoning, text...)
	case translate.KindRefusal:
		w.refusal = append(w.refusal, text...)
	default:
		w.content = append(w.content, text...)
	}
}

func (w *answerWriter) close(cut bool) {
	b := &w.block
	if b.kind != translate.KindToolCall {
		w.annotations = w.appendAnnotations(w.annotations)
		b.sources = b.sources[:0]
		return
	}
	if b.skipped {
		return
	}
	if !b.written && !b.custom && !cut {
		w.toolCalls = append(w.toolCalls, noArguments...)
	}
	if w.asked.LegacyFunctions {
		w.toolCalls = append(w.toolCalls, `"}`...)
	} else {
		w.toolCalls = append(w.toolCalls, `"}}`...)
	}
}

// end appends the answer.
func (w *answerWriter) end(dst []byte) []byte {
	dst = w.appendHead(dst, "chat.completion")
	dst = append(dst, `"choices":[{"index":0,"message":{"role":"assistant","content":`...)
	if len(w.content) > 0 || len(w.toolCalls)+len(w.refusal) == 0 {
		dst = rawjson.AppendText(dst, w.content)
	} else {
		dst = append(dst, "null"...)
	}
	if len(w.reasoning) > 0 {
		dst = append(dst, `,"reasoning_content":`...)
		dst = rawjson.AppendText(dst, w.reasoning)
	}
	dst = append(dst, `,"refusal":`...)
	if len(w.refusal) > 0 {
		dst = rawjson.AppendText(dst, w.refusal)
	} else {
		dst = append(dst, "null"...)
	}
	if len(w.annotations) > 0 {
		dst = append(dst, `,"annotations":[`...)
		dst = append(dst, w.annotations[:len(w.annotations)-1]...)
		dst = append(dst, ']')
	}
	dst = w.appendCalls(dst)
	dst = append(dst, `},"logprobs":null,"finish_reason":"`...)
	dst = append(dst, w.reason...)
	dst = append(dst, `"}]`...)
	if w.counted {
		dst = append(dst, `,"usage":`...)
		dst = w.appendUsage(dst)
	}
	return append(dst, '}')
}

func (w *answerWriter) appendCalls(dst []byte) []byte {
	switch {
	case len(w.toolCalls) == 0:
		return dst
	case w.asked.LegacyFunctions:
		dst = append(dst, `,"function_call":`...)
		return append(dst, w.toolCalls...)
	}
	dst = append(dst, `,"tool_calls":[`...)
	dst = append(dst, w.toolCalls...)
	return append(dst, ']')
}
