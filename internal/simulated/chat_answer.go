package simulated

import "strconv"

// chatEncoder writes an answer as a chat completion or its chunks.
type chatEncoder struct {
	q       *question
	a       *answer
	id      string
	created int64
	buf     []byte // the chunk at hand
	head    int    // buf[:head] is what every chunk begins with
	usage   bool   // chunks have a usage member
}

func newChatEncoder(x *exchange, q *question, a *answer) *chatEncoder {
	return &chatEncoder{q: q, a: a, id: x.id, created: x.now.Unix(), usage: q.includeUsage}
}

func (e *chatEncoder) keepAlive() string { return ": keep-alive\n\n" }

// envelope appends what completions and chunks have in common, up to the choices.
func (e *chatEncoder) envelope(dst []byte, object string) []byte {
	dst = append(dst, `{"id":"chatcmpl-`...)
	dst = append(dst, e.id...)
	dst = append(dst, `","object":"`...)
	dst = append(dst, object...)
	dst = append(dst, `","created":`...)
	dst = strconv.AppendInt(dst, e.created, 10)
	dst = append(dst, `,"model":`...)
	dst = quote(dst, e.q.model)
	return append(dst, `,"service_tier":"default","system_fingerprint":"fp_demo","choices":[`...)
}

func (e *chatEncoder) whole(dst []byte) []byte {
	dst = e.envelope(dst, "chat.completion")
	dst = append(dst, `{"index":0,"message":{"role":"assistant","content":`...)
	if e.a.text == "" && len(e.a.calls) > 0 {
		dst = append(dst, "null"...)
	} else {
		dst = quote(dst, e.a.text)
	}
	dst = append(dst, `,"refusal":null,"annotations":[]`...)
	if shown := e.a.shown(); shown != "" {
		dst = append(dst, `,"reasoning_content":`...)
		dst = quote(dst, shown)
	}
	if len(e.a.calls) > 0 {
		dst = append(dst, `,"tool_calls":[`...)
		for i := range e.a.calls {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(dst, '{')
			dst = e.appendCall(dst, i, e.a.calls[i].args)
			dst = append(dst, '}')
		}
		dst = append(dst, ']')
	}
	dst = append(dst, `},"logprobs":null,"finish_reason":"`...)
	dst = append(dst, e.finish()...)
	dst = append(dst, `"}],"usage":`...)
	dst = e.appendUsage(dst)
	return append(dst, '}')
}

// finish returns the finish_reason.
func (e *chatEncoder) finish() string {
	switch e.a.stop {
	case stopCalls:
		return "tool_calls"
	case stopLimit:
		return "length"
	}
	return "stop"
}

// appendCall appends the members of the i-th call.
func (e *chatEncoder) appendCall(dst []byte, i int, args string) []byte {
	t := e.a.calls[i].tool
	kind, input := "function", `,"arguments":`
	if t.custom {
		kind, input = "custom", `,"input":`
	}
	dst = append(dst, `"id":"call_`...)
	dst = append(dst, e.id...)
	dst = strconv.AppendInt(dst, int64(i), 10)
	dst = append(dst, `","type":"`...)
	dst = append(dst, kind...)
	dst = append(dst, `","`...)
	dst = append(dst, kind...)
	dst = append(dst, `":{"name":`...)
	dst = quote(dst, t.name)
	dst = append(dst, input...)
	dst = quote(dst, args)
	return append(dst, '}')
}

func (e *chatEncoder) appendUsage(dst []byte) []byte {
	dst = append(dst, `{"prompt_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.input), 10)
	dst = append(dst, `,"completion_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.output), 10)
	dst = append(dst, `,"total_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.input+e.a.output), 10)
	dst = append(dst, `,"prompt_tokens_details":{"cached_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.cached), 10)
	dst = append(dst, `,"cache_write_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.written), 10)
	dst = append(dst, `,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.reasoning), 10)
	return append(dst, `,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`...)
}

// open begins a chunk.
func (e *chatEncoder) open() {
	if e.head == 0 {
		e.buf = e.envelope(append(e.buf, "data: "...), "chat.completion.chunk")
		e.head = len(e.buf)
	}
	e.buf = e.buf[:e.head]
}

// text is the chunk of a delta with one string member.
func (e *chatEncoder) text(name, value string) []byte {
	e.open()
	e.buf = append(e.buf, `{"index":0,"delta":{"`...)
	e.buf = append(e.buf, name...)
	e.buf = append(e.buf, `":`...)
	e.buf = quote(e.buf, value)
	return e.close()
}

// close ends the chunk of a delta.
func (e *chatEncoder) close() []byte {
	e.buf = append(e.buf, `},"logprobs":null,"finish_reason":null}]`...)
	return e.end()
}

func (e *chatEncoder) end() []byte {
	if e.usage {
		e.buf = append(e.buf, `,"usage":null`...)
	}
	e.buf = append(e.buf, "}\n\n"...)
	return e.buf
}

func (e *chatEncoder) stream(s *stream) {
	if !s.send(opening, e.role()) {
		return
	}
	for piece := range pieces(e.a.shown(), textPiece) {
		if !s.send(content, e.text("reasoning_content", piece)) {
			return
		}
	}
	for piece := range pieces(e.a.text, textPiece) {
		if !s.send(content, e.text("content", piece)) {
			return
		}
	}
	for i := range e.a.calls {
		if !e.streamCall(s, i) {
			return
		}
	}
	s.send(structure, e.last())
	if e.usage {
		s.send(structure, e.usageChunk())
	}
	s.send(structure, []byte("data: [DONE]\n\n"))
}

func (e *chatEncoder) streamCall(s *stream, i int) bool {
	e.open()
	e.buf = append(e.buf, `{"index":0,"delta":{"tool_calls":[{"index":`...)
	e.buf = strconv.AppendInt(e.buf, int64(i), 10)
	e.buf = append(e.buf, ',')
	e.buf = e.appendCall(e.buf, i, "")
	e.buf = append(e.buf, "}]"...)
	if !s.send(structure, e.close()) {
		return false
	}
	member := `,"function":{"arguments":`
	if e.a.calls[i].tool.custom {
		member = `,"custom":{"input":`
	}
	for piece := range pieces(e.a.calls[i].args, argsPiece) {
		e.open()
		e.buf = append(e.buf, `{"index":0,"delta":{"tool_calls":[{"index":`...)
		e.buf = strconv.AppendInt(e.buf, int64(i), 10)
		e.buf = append(e.buf, member...)
		e.buf = quote(e.buf, piece)
		e.buf = append(e.buf, "}}]"...)
		if !s.send(content, e.close()) {
			return false
		}
	}
	return true
}

// role is the first chunk.
func (e *chatEncoder) role() []byte {
	e.open()
	e.buf = append(e.buf, `{"index":0,"delta":{"role":"assistant","content":`...)
	if e.a.text == "" && len(e.a.calls) > 0 {
		e.buf = append(e.buf, "null"...)
	} else {
		e.buf = append(e.buf, `""`...)
	}
	e.buf = append(e.buf, `,"refusal":null`...)
	return e.close()
}

// last is the chunk with the finish_reason.
func (e *chatEncoder) last() []byte {
	e.open()
	e.buf = append(e.buf, `{"index":0,"delta":{},"logprobs":null,"finish_reason":"`...)
	e.buf = append(e.buf, e.finish()...)
	e.buf = append(e.buf, `"}]`...)
	return e.end()
}

func (e *chatEncoder) usageChunk() []byte {
	e.open()
	e.buf = append(e.buf, `],"usage":`...)
	e.buf = e.appendUsage(e.buf)
	e.buf = append(e.buf, "}\n\n"...)
	return e.buf
}

func (e *chatEncoder) failed(dst []byte, f failure) []byte {
	dst = append(dst, "data: "...)
	dst = f.body(dst, chat, "")
	return append(dst, "\n\n"...)
}
