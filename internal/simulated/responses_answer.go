package simulated

import (
	"strconv"
	"strings"
)

// responsesEncoder writes an answer as a Response or its events.
type responsesEncoder struct {
	q       *question
	a       *answer
	id      string
	created int64

	buf      []byte // the event at hand
	sequence int    // number of the next event
	item     int    // output_index of the open item
}

func newResponsesEncoder(x *exchange, q *question, a *answer) *responsesEncoder {
	return &responsesEncoder{q: q, a: a, id: x.id, created: x.now.Unix()}
}

func (e *responsesEncoder) keepAlive() string { return ": keep-alive\n\n" }

func (e *responsesEncoder) whole(dst []byte) []byte {
	return e.appendFinal(dst)
}

// status returns the status of the finished response.
func (e *responsesEncoder) status() string {
	if e.a.stop == stopLimit {
		return "incomplete"
	}
	return "completed"
}

// appendFinal appends the finished response.
func (e *responsesEncoder) appendFinal(dst []byte) []byte {
	details := "null"
	if e.a.stop == stopLimit {
		details = `{"reason":"max_output_tokens"}`
	}
	dst = e.appendHead(dst, e.status(), "null", details)
	dst = e.appendOutput(dst)
	return e.appendTail(dst, true)
}

// appendUnfinished appends a response without output.
func (e *responsesEncoder) appendUnfinished(dst []byte, status, failure string) []byte {
	dst = e.appendHead(dst, status, failure, "null")
	return e.appendTail(dst, false)
}

// appendHead appends a response up to its output.
func (e *responsesEncoder) appendHead(dst []byte, status, failure, incomplete string) []byte {
	dst = append(dst, `{"id":"resp_`...)
	dst = append(dst, e.id...)
	dst = append(dst, `","object":"response","created_at":`...)
	dst = strconv.AppendInt(dst, e.created, 10)
	dst = append(dst, `,"status":"`...)
	dst = append(dst, status...)
	dst = append(dst, `","access_programs":{"cyber":"standard"},"background":false,"completed_at":`...)
	if status == "completed" {
		dst = strconv.AppendInt(dst, e.created, 10)
	} else {
		dst = append(dst, "null"...)
	}
	dst = append(dst, `,"error":`...)
	dst = append(dst, failure...)
	dst = append(dst, `,"incomplete_details":`...)
	dst = append(dst, incomplete...)
	dst = append(dst, `,"model":`...)
	dst = quote(dst, e.q.model)
	return append(dst, `,"output":[`...)
}

// appendTail appends the rest of a response after its output.
func (e *responsesEncoder) appendTail(dst []byte, usage bool) []byte {
	dst = append(dst, `],"previous_response_id":null,"service_tier":"default","text":{"format":`...)
	text := e.q.raw.format
	dst = appendRaw(dst, text.Get("format").Raw, `{"type":"text"}`)
	dst = append(dst, `,"verbosity":`...)
	dst = appendRaw(dst, text.Get("verbosity").Raw, `"medium"`)
	dst = append(dst, '}')
	for i := range echoes {
		dst = append(dst, `,"`...)
		dst = append(dst, echoes[i].name...)
		dst = append(dst, `":`...)
		dst = appendRaw(dst, e.q.raw.echo[i], echoes[i].absent)
	}
	dst = append(dst, `,"usage":`...)
	if usage {
		dst = e.appendUsage(dst)
	} else {
		dst = append(dst, "null"...)
	}
	return append(dst, '}')
}

// appendRaw appends a part of the request as it came, but on one line: a line
// break would end the line of an event. JSON has them only between tokens.
func appendRaw(dst []byte, raw, absent string) []byte {
	if raw == "" {
		raw = absent
	}
	if !strings.ContainsAny(raw, "\r\n") {
		return append(dst, raw...)
	}
	for line := range strings.FieldsFuncSeq(raw, func(r rune) bool { return r == '\n' || r == '\r' }) {
		dst = append(dst, line...)
	}
	return dst
}

func (e *responsesEncoder) appendUsage(dst []byte) []byte {
	dst = append(dst, `{"input_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.input), 10)
	dst = append(dst, `,"input_tokens_details":{"cached_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.cached), 10)
	dst = append(dst, `,"cache_write_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.written), 10)
	dst = append(dst, `},"output_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.output), 10)
	dst = append(dst, `,"output_tokens_details":{"reasoning_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.reasoning), 10)
	dst = append(dst, `},"total_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.input+e.a.output), 10)
	return append(dst, '}')
}

// appendOutput appends the finished output items.
func (e *responsesEncoder) appendOutput(dst []byte) []byte {
	start := len(dst)
	if e.a.thinking != "" {
		dst = e.appendReasoning(dst, true)
		dst = append(dst, ',')
	}
	if e.a.text != "" {
		dst = e.appendMessage(dst, true)
		dst = append(dst, ',')
	}
	for i := range e.a.calls {
		dst = e.appendCall(dst, i, true)
		dst = append(dst, ',')
	}
	if len(dst) > start {
		dst = dst[:len(dst)-1]
	}
	return dst
}

// itemStatus returns the status of an item; cut says that the output limit ended
// it.
func (e *responsesEncoder) itemStatus(done, cut bool) string {
	switch {
	case !done:
		return "in_progress"
	case cut:
		return "incomplete"
	}
	return "completed"
}

// appendReasoning appends the reasoning item, empty or done. As with the real
// service its encrypted content is another one once it is done.
func (e *responsesEncoder) appendReasoning(dst []byte, done bool) []byte {
	dst = append(dst, `{"id":"rs_`...)
	dst = append(dst, e.id...)
	dst = append(dst, `","type":"reasoning"`...)
	if e.q.encrypted {
		secret := e.a.thinking
		if !done {
			secret = ""
		}
		dst = append(dst, `,"encrypted_content":"`...)
		dst = append(dst, seal(secret)...)
		dst = append(dst, '"')
	}
	dst = append(dst, `,"summary":[`...)
	if done && !e.a.hidden {
		dst = e.appendSummary(dst, e.a.thinking)
	}
	return append(dst, `]}`...)
}

func (e *responsesEncoder) appendSummary(dst []byte, text string) []byte {
	dst = append(dst, `{"type":"summary_text","text":`...)
	dst = quote(dst, text)
	return append(dst, '}')
}

// appendMessage appends the message item, empty or done.
func (e *responsesEncoder) appendMessage(dst []byte, done bool) []byte {
	dst = append(dst, `{"id":"msg_`...)
	dst = append(dst, e.id...)
	dst = append(dst, `","type":"message","status":"`...)
	dst = append(dst, e.itemStatus(done, e.a.stop == stopLimit && len(e.a.calls) == 0)...)
	dst = append(dst, `","role":"assistant","content":[`...)
	if done {
		dst = e.appendPart(dst, e.a.text)
	}
	return append(dst, `]}`...)
}

func (e *responsesEncoder) appendPart(dst []byte, text string) []byte {
	dst = append(dst, `{"type":"output_text","annotations":[],"logprobs":[],"text":`...)
	dst = quote(dst, text)
	return append(dst, '}')
}

// appendCall appends the item of the i-th call, without arguments or done.
func (e *responsesEncoder) appendCall(dst []byte, i int, done bool) []byte {
	c := e.a.calls[i]
	kind, input := "function_call", `,"arguments":`
	if c.tool.custom {
		kind, input = "custom_tool_call", `,"input":`
	}
	dst = append(dst, `{"id":"`...)
	dst = e.appendCallItemID(dst, i)
	dst = append(dst, `","type":"`...)
	dst = append(dst, kind...)
	dst = append(dst, `","status":"`...)
	dst = append(dst, e.itemStatus(done, c.cut)...)
	dst = append(dst, `","call_id":"call_`...)
	dst = append(dst, e.id...)
	dst = strconv.AppendInt(dst, int64(i), 10)
	dst = append(dst, `","name":`...)
	dst = quote(dst, c.tool.name)
	if c.tool.namespace != "" {
		dst = append(dst, `,"namespace":`...)
		dst = quote(dst, c.tool.namespace)
	}
	dst = append(dst, input...)
	if done {
		dst = quote(dst, c.args)
	} else {
		dst = append(dst, `""`...)
	}
	return append(dst, '}')
}

func (e *responsesEncoder) appendCallItemID(dst []byte, i int) []byte {
	prefix := "fc_"
	if e.a.calls[i].tool.custom {
		prefix = "ctc_"
	}
	dst = append(dst, prefix...)
	dst = append(dst, e.id...)
	return strconv.AppendInt(dst, int64(i), 10)
}
