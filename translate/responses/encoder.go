package responses

import (
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// encoder writes an answer. The last event of a stream repeats all of its output,
// so that is what is kept: every text once, in the place where it stands there,
// from which the events before are written as well.
type encoder struct {
	asked    *translate.Asked
	stream   bool
	sequence int64

	model   []byte
	created int64

	output []byte // the items of "output", with commas between them
	items  int    // how many there are, the open one included
	open   openItem

	refused bool // some of the output is a refusal
	usage   translate.Usage
	known   bool
	stop    translate.StopReason
}

// NewEncoder returns an encoder for one answer: for a stream where asked.Stream
// is set, else for a whole one.
func NewEncoder(asked *translate.Asked) translate.AnswerEncoder {
	return &encoder{asked: asked, stream: asked.Stream}
}

// Append implements [translate.AnswerEncoder].
func (w *encoder) Append(dst []byte, e *translate.Event) []byte {
	switch e.Kind {
	case translate.EventStart:
		w.model, w.created = append(w.model, e.Model...), e.Created
		if w.stream {
			dst = w.state(dst, ".created", inProgress)
			dst = w.state(dst, ".in_progress", inProgress)
		}
	case translate.EventOpen:
		dst = w.begin(dst, &e.Head)
	case translate.EventDelta:
		dst = w.delta(dst, e.Text)
	case translate.EventSeal:
		dst = w.seal(dst, e.Seal)
	case translate.EventCite:
		w.cite(&e.Citation)
	case translate.EventClose:
		dst = w.close(dst, e.Cut)
	case translate.EventUsage:
		w.usage, w.known = e.Usage, true
	case translate.EventStop:
		w.stop = e.Stop
		dst = w.endMessage(dst)
	case translate.EventEnd:
		dst = w.end(dst)
	case translate.EventFailed:
		dst = w.fail(dst, e.Err)
	}
	return dst
}

// event begins an event of a stream, whose name is in two parts.
func (w *encoder) event(dst []byte, kind, what string) []byte {
	dst = append(dst, "event: "...)
	dst = append(dst, kind...)
	dst = append(dst, what...)
	dst = append(dst, "\ndata: {\"type\":\""...)
	dst = append(dst, kind...)
	dst = append(dst, what...)
	dst = append(dst, `","sequence_number":`...)
	dst = strconv.AppendInt(dst, w.sequence, 10)
	w.sequence++
	return dst
}

// state appends an event with the whole response.
func (w *encoder) state(dst []byte, what string, s state) []byte {
	dst = w.event(dst, "response", what)
	dst = append(dst, `,"response":`...)
	dst = w.response(dst, &s)
	return append(dst, "}\n\n"...)
}

// state is what changes of a response while it is written.
type state struct {
	status     string
	failure    *translate.Error
	incomplete string // the reason
	output     []byte
	ended      bool
}

var inProgress = state{status: "in_progress"}

// response appends the response object, with every member that typed clients
// require.
func (w *encoder) response(dst []byte, s *state) []byte {
	dst = append(dst, `{"id":"`...)
	dst = w.asked.AppendID(dst, "resp_", -1)
	dst = append(dst, `","object":"response","created_at":`...)
	dst = strconv.AppendInt(dst, w.created, 10)
	dst = append(dst, `,"status":"`...)
	dst = append(dst, s.status...)
	dst = append(dst, `","error":`...)
	if s.failure != nil {
		dst = append(dst, `{"code":`...)
		dst = rawjson.AppendString(dst, s.failure.ResponsesCode())
		dst = append(dst, `,"message":`...)
		dst = rawjson.AppendString(dst, s.failure.Message)
		dst = append(dst, '}')
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"incomplete_details":`...)
	if s.incomplete != "" {
		dst = append(dst, `{"reason":"`...)
		dst = append(dst, s.incomplete...)
		dst = append(dst, `"}`...)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"model":`...)
	dst = rawjson.AppendText(dst, w.model)
	dst = append(dst, `,"output":[`...)
	dst = append(dst, s.output...)
	dst = append(dst, `],`...)
	if len(w.asked.Echo) > 0 {
		dst = append(dst, w.asked.Echo...)
	} else {
		dst = new(echo).append(dst)
	}
	dst = append(dst, `"usage":`...)
	dst = w.spent(dst, s)
	return append(dst, '}')
}

// spent appends the usage. A response that has ended well has one, even if the
// upstream told none: some clients would ask again and again.
func (w *encoder) spent(dst []byte, s *state) []byte {
	if !w.known && !s.ended {
		return append(dst, "null"...)
	}
	u := &w.usage
	dst = append(dst, `{"input_tokens":`...)
	dst = strconv.AppendInt(dst, u.Input+u.CacheRead+u.CacheWrite, 10)
	dst = append(dst, `,"input_tokens_details":{"cached_tokens":`...)
	dst = strconv.AppendInt(dst, u.CacheRead, 10)
	dst = append(dst, `,"cache_write_tokens":`...)
	dst = strconv.AppendInt(dst, u.CacheWrite, 10)
	dst = append(dst, `},"output_tokens":`...)
	dst = strconv.AppendInt(dst, u.Output+u.Reasoning, 10)
	dst = append(dst, `,"output_tokens_details":{"reasoning_tokens":`...)
	dst = strconv.AppendInt(dst, u.Reasoning, 10)
	dst = append(dst, `},"total_tokens":`...)
	dst = strconv.AppendInt(dst, u.Total(), 10)
	return append(dst, '}')
}

// end appends the end of an answer that is whole, or all of it.
func (w *encoder) end(dst []byte) []byte {
	s := state{status: "completed", incomplete: w.incomplete(), output: w.output, ended: true}
	if s.incomplete != "" {
		s.status = "incomplete"
	}
	switch {
	case !w.stream:
		return w.response(dst, &s)
	case s.incomplete != "":
		return w.state(dst, ".incomplete", s)
	}
	return w.state(dst, ".completed", s)
}

// incomplete says why the response is not complete, "" if it is. One that was
// refused in words is.
func (w *encoder) incomplete() string {
	switch w.stop {
	case translate.StopLength, translate.StopWindow:
		return "max_output_tokens"
	case translate.StopFilter:
		if !w.refused {
			return "content_filter"
		}
	}
	return ""
}

// fail appends the end of an answer that is not whole. What was said is told as
// far as it went. But a call that is open stays so, and is no part of the output:
// agents make it as soon as its item is done, whatever the status says.
func (w *encoder) fail(dst []byte, e *translate.Error) []byte {
	switch w.open.block {
	case translate.KindText:
		if w.open.inner {
			dst = w.endPart(dst)
		}
		dst = w.endItem(dst, `],"status":"incomplete"}`)
	case translate.KindThinking:
		dst = w.seal(dst, nil)
		dst = w.endItem(dst, "}")
	}
	return w.state(dst, ".failed", state{status: "failed", failure: e, output: w.finished()})
}
