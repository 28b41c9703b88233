package simulated

import "strconv"

func (e *responsesEncoder) stream(s *stream) {
	for _, name := range [...]string{"response.created", "response.in_progress"} {
		e.open(name, `,"response":`)
		e.buf = e.appendUnfinished(e.buf, "in_progress", "null")
		if !s.send(opening, e.close()) {
			return
		}
	}
	if e.a.thinking != "" && !e.streamReasoning(s) {
		return
	}
	if e.a.text != "" && !e.streamMessage(s) {
		return
	}
	for i := range e.a.calls {
		if !e.streamCall(s, i) {
			return
		}
	}
	e.open("response."+e.status(), `,"response":`)
	e.buf = e.appendFinal(e.buf)
	s.send(structure, e.close())
}

// open begins an event up to the value of its first own member.
func (e *responsesEncoder) open(name, member string) {
	e.buf = append(e.buf[:0], "event: "...)
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, "\ndata: {\"type\":\""...)
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, `","sequence_number":`...)
	e.buf = strconv.AppendInt(e.buf, int64(e.sequence), 10)
	e.buf = append(e.buf, member...)
	e.sequence++
}

// openItem begins an event about the open item itself.
func (e *responsesEncoder) openItem(name string) {
	e.open(name, `,"output_index":`)
	e.buf = strconv.AppendInt(e.buf, int64(e.item), 10)
	e.buf = append(e.buf, `,"item":`...)
}

// openPart begins an event about something within the open item, whose id is
// prefix and the id of the answer, then suffix.
func (e *responsesEncoder) openPart(name, prefix, member string) {
	e.open(name, `,"item_id":"`)
	e.buf = append(e.buf, prefix...)
	e.buf = append(e.buf, e.id...)
	e.buf = append(e.buf, `","output_index":`...)
	e.buf = strconv.AppendInt(e.buf, int64(e.item), 10)
	e.buf = append(e.buf, member...)
}

func (e *responsesEncoder) close() []byte {
	e.buf = append(e.buf, "}\n\n"...)
	return e.buf
}

const (
	atSummary = `,"summary_index":0`
	atContent = `,"content_index":0`
)

func (e *responsesEncoder) streamReasoning(s *stream) bool {
	e.openItem("response.output_item.added")
	e.buf = e.appendReasoning(e.buf, false)
	if !s.send(structure, e.close()) {
		return false
	}
	if !e.a.hidden && !e.streamSummary(s) {
		return false
	}
	e.openItem("response.output_item.done")
	e.buf = e.appendReasoning(e.buf, true)
	e.item++
	return s.send(structure, e.close())
}

func (e *responsesEncoder) streamSummary(s *stream) bool {
	e.openPart("response.reasoning_summary_part.added", "rs_", atSummary+`,"part":`)
	e.buf = e.appendSummary(e.buf, "")
	s.send(structure, e.close())
	for piece := range pieces(e.a.thinking, textPiece) {
		e.openPart("response.reasoning_summary_text.delta", "rs_", atSummary+`,"delta":`)
		e.buf = quote(e.buf, piece)
		if !s.send(content, e.close()) {
			return false
		}
	}
	e.openPart("response.reasoning_summary_text.done", "rs_", atSummary+`,"text":`)
	e.buf = quote(e.buf, e.a.thinking)
	s.send(structure, e.close())
	e.openPart("response.reasoning_summary_part.done", "rs_", atSummary+`,"part":`)
	e.buf = e.appendSummary(e.buf, e.a.thinking)
	return s.send(structure, e.close())
}

func (e *responsesEncoder) streamMessage(s *stream) bool {
	e.openItem("response.output_item.added")
	e.buf = e.appendMessage(e.buf, false)
	if !s.send(structure, e.close()) {
		return false
	}
	e.openPart("response.content_part.added", "msg_", atContent+`,"part":`)
	e.buf = e.appendPart(e.buf, "")
	s.send(structure, e.close())
	for piece := range pieces(e.a.text, textPiece) {
		e.openPart("response.output_text.delta", "msg_", atContent+`,"logprobs":[],"delta":`)
		e.buf = quote(e.buf, piece)
		if !s.send(content, e.close()) {
			return false
		}
	}
	e.openPart("response.output_text.done", "msg_", atContent+`,"logprobs":[],"text":`)
	e.buf = quote(e.buf, e.a.text)
	s.send(structure, e.close())
	e.openPart("response.content_part.done", "msg_", atContent+`,"part":`)
	e.buf = e.appendPart(e.buf, e.a.text)
	s.send(structure, e.close())
	e.openItem("response.output_item.done")
	e.buf = e.appendMessage(e.buf, true)
	e.item++
	return s.send(structure, e.close())
}

func (e *responsesEncoder) streamCall(s *stream, i int) bool {
	e.openItem("response.output_item.added")
	e.buf = e.appendCall(e.buf, i, false)
	if !s.send(structure, e.close()) {
		return false
	}
	c := e.a.calls[i]
	event, done := "response.function_call_arguments", `,"arguments":`
	if c.tool.custom {
		event, done = "response.custom_tool_call_input", `,"input":`
	}
	for piece := range pieces(c.args, argsPiece) {
		e.openCall(event+".delta", i, `,"delta":`)
		e.buf = quote(e.buf, piece)
		if !s.send(content, e.close()) {
			return false
		}
	}
	if !c.cut { // the service ends half a call without ending its arguments
		e.openCall(event+".done", i, done)
		e.buf = quote(e.buf, c.args)
		s.send(structure, e.close())
	}
	e.openItem("response.output_item.done")
	e.buf = e.appendCall(e.buf, i, true)
	e.item++
	return s.send(structure, e.close())
}

// openCall begins an event about the arguments of the i-th call.
func (e *responsesEncoder) openCall(name string, i int, member string) {
	e.open(name, `,"item_id":"`)
	e.buf = e.appendCallItemID(e.buf, i)
	e.buf = append(e.buf, `","output_index":`...)
	e.buf = strconv.AppendInt(e.buf, int64(e.item), 10)
	e.buf = append(e.buf, member...)
}

// failed ends the stream as the real service does: an error event, then the
// failed response.
func (e *responsesEncoder) failed(dst []byte, f failure) []byte {
	_, say := f.says(responses)
	if e.sequence > 0 {
		e.sequence-- // of the event that is not sent
	}
	dst = append(dst, "event: error\ndata: {\"type\":\"error\",\"sequence_number\":"...)
	dst = strconv.AppendInt(dst, int64(e.sequence), 10)
	dst = append(dst, `,"error":`...)
	dst = say.object(dst)
	dst = append(dst, "}\n\n"...)
	if e.sequence == 0 { // an error before the first event has no response to fail
		return dst
	}
	code := say.code
	if code == "" {
		code = say.typ
	}
	reason := append([]byte(`{"code":`), quote(nil, code)...)
	reason = append(reason, `,"message":`...)
	reason = append(quote(reason, say.message), '}')
	e.sequence++
	dst = append(dst, "event: response.failed\ndata: {\"type\":\"response.failed\",\"sequence_number\":"...)
	dst = strconv.AppendInt(dst, int64(e.sequence), 10)
	dst = append(dst, `,"response":`...)
	dst = e.appendUnfinished(dst, "failed", string(reason))
	return append(dst, "}\n\n"...)
}
