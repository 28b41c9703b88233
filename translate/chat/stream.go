package chat

import (
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// streamWriter writes an answer as a stream of chunks.
type streamWriter struct {
	reply
	chunk []byte // how every chunk begins, up to the first choice's delta
	rest  []byte // how a chunk that does not end the answer goes on behind it
}

// Append appends the chunks that tell an event.
func (w *streamWriter) Append(dst []byte, e *translate.Event) []byte {
	switch e.Kind {
	case translate.EventStart:
		return w.first(dst, e)
	case translate.EventOpen:
		return w.open(dst, &e.Head)
	case translate.EventDelta:
		return w.delta(dst, e.Text)
	case translate.EventCite:
		w.cite(&e.Citation)
	case translate.EventClose:
		return w.close(dst, e.Cut)
	case translate.EventUsage:
		w.usage, w.counted = e.Usage, true
	case translate.EventStop:
		return w.stop(dst, e.Stop)
	case translate.EventEnd:
		return w.end(dst)
	case translate.EventFailed:
		// No [DONE] behind it: nobody must take the answer for whole.
		dst = append(dst, "data: "...)
		dst = translate.AppendError(dst, translate.Chat, e.Err, "")
		return append(dst, "\n\n"...)
	}
	return dst // seals have no place here
}

func (w *streamWriter) first(dst []byte, e *translate.Event) []byte {
	w.start(e)
	w.chunk = append(w.chunk, "data: "...)
	w.chunk = w.appendHead(w.chunk, "chat.completion.chunk")
	w.chunk = append(w.chunk, `"choices":[{"index":0,"delta":`...)
	w.rest = append(w.rest, `,"logprobs":null,"finish_reason":null}]`...)
	w.rest = w.endChunk(w.rest)
	dst = append(dst, w.chunk...)
	dst = append(dst, `{"role":"assistant","content":""}`...)
	return append(dst, w.rest...)
}

// endChunk ends a chunk without usage, behind its choices. Clients that ask for
// usage find the member in every chunk.
func (w *streamWriter) endChunk(dst []byte) []byte {
	if w.asked.IncludeUsage {
		dst = append(dst, `,"usage":null`...)
	}
	return append(dst, "}\n\n"...)
}

func (w *streamWriter) open(dst []byte, head *translate.Head) []byte {
	w.begin(head)
	if head.Kind != translate.KindToolCall || w.block.skipped {
		return dst
	}
	dst = append(dst, w.chunk...)
	if w.asked.LegacyFunctions {
		dst = append(dst, `{"function_call":{"name":`...)
		dst = rawjson.AppendText(dst, head.Name)
		dst = append(dst, `,"arguments":""}}`...)
		return append(dst, w.rest...)
	}
	dst = append(dst, `{"tool_calls":[{"index":`...)
	dst = strconv.AppendInt(dst, int64(w.block.call), 10)
	dst = append(dst, ',')
	dst = appendCall(dst, head)
	dst = append(dst, `"}}]}`...)
	return append(dst, w.rest...)
}

func (w *streamWriter) delta(dst []byte, text translate.Text) []byte {
	b := &w.block
	w.add(text)
	if b.skipped {
		return dst
	}
	dst = append(dst, w.chunk...)
	switch b.kind {
	case translate.KindToolCall:
		return w.input(dst, text)
	case translate.KindThinking:
		dst = append(dst, `{"reasoning_content":"`...)
	case translate.KindRefusal:
		dst = append(dst, `{"refusal":"`...)
	default:
		dst = append(dst, `{"content":"`...)
	}
	dst = append(dst, text...)
	dst = append(dst, `"}`...)
	return append(dst, w.rest...)
}

// input continues a chunk with some of a call's input.
func (w *streamWriter) input(dst []byte, text translate.Text) []byte {
	if w.asked.LegacyFunctions {
		dst = append(dst, `{"function_call":{"arguments":"`...)
		dst = append(dst, text...)
		dst = append(dst, `"}}`...)
		return append(dst, w.rest...)
	}
	dst = append(dst, `{"tool_calls":[{"index":`...)
	dst = strconv.AppendInt(dst, int64(w.block.call), 10)
	if w.block.custom {
		dst = append(dst, `,"custom":{"input":"`...)
	} else {
		dst = append(dst, `,"function":{"arguments":"`...)
	}
	dst = append(dst, text...)
	dst = append(dst, `"}}]}`...)
	return append(dst, w.rest...)
}

func (w *streamWriter) close(dst []byte, cut bool) []byte {
	b := &w.block
	switch {
	case b.kind == translate.KindToolCall && !b.custom && !b.written && !cut:
		return w.delta(dst, noArguments)
	case len(b.sources) > 0:
		dst = append(dst, w.chunk...)
		dst = append(dst, `{"annotations":[`...)
		dst = w.appendAnnotations(dst)
		dst[len(dst)-1] = ']' // in place of the last comma
		dst = append(dst, '}')
		dst = append(dst, w.rest...)
		b.sources = b.sources[:0]
	}
	return dst
}

// noArguments are those of a call that has none. An empty string would be no
// JSON.
var noArguments = translate.Text("{}")

func (w *streamWriter) stop(dst []byte, stop translate.StopReason) []byte {
	dst = append(dst, w.chunk...)
	dst = append(dst, `{},"logprobs":null,"finish_reason":"`...)
	dst = append(dst, w.finishReason(stop)...)
	dst = append(dst, `"}]`...)
	return w.endChunk(dst)
}

func (w *streamWriter) end(dst []byte) []byte {
	if w.asked.IncludeUsage && w.counted {
		dst = append(dst, "data: "...)
		dst = w.appendHead(dst, "chat.completion.chunk")
		dst = append(dst, `"choices":[],"usage":`...)
		dst = w.appendUsage(dst)
		dst = append(dst, "}\n\n"...)
	}
	return append(dst, "data: [DONE]\n\n"...)
}
