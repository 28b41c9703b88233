package simulated

import "strconv"

// messagesEncoder writes an answer as a Messages message or its events.
type messagesEncoder struct {
	q     *question
	a     *answer
	id    string
	buf   []byte // the event at hand
	block int    // index of the open content block
	pings bool   // the ping that follows the start of the first block was sent
}

func newMessagesEncoder(x *exchange, q *question, a *answer) *messagesEncoder {
	return &messagesEncoder{q: q, a: a, id: x.id}
}

const pingEvent = "event: ping\ndata: {\"type\":\"ping\"}\n\n"

func (e *messagesEncoder) keepAlive() string { return pingEvent }

// envelope appends a message up to its content.
func (e *messagesEncoder) envelope(dst []byte) []byte {
	dst = append(dst, `{"model":`...)
	dst = quote(dst, e.q.model)
	dst = append(dst, `,"id":"msg_`...)
	dst = append(dst, e.id...)
	return append(dst, `","type":"message","role":"assistant","content":[`...)
}

// appendStop appends the members that say why the message ends.
func (e *messagesEncoder) appendStop(dst []byte) []byte {
	reason := "end_turn"
	switch e.a.stop {
	case stopCalls:
		reason = "tool_use"
	case stopLimit:
		reason = "max_tokens"
	case stopSequence:
		reason = "stop_sequence"
	}
	dst = append(dst, `"stop_reason":"`...)
	dst = append(dst, reason...)
	dst = append(dst, `","stop_sequence":`...)
	dst = quoteOrNull(dst, e.a.sequence)
	return append(dst, `,"stop_details":null`...)
}

// appendInput appends the members of usage that are known from the start.
func (e *messagesEncoder) appendInput(dst []byte) []byte {
	dst = append(dst, `"input_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.input-e.a.cached-e.a.written), 10)
	dst = append(dst, `,"cache_creation_input_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.written), 10)
	dst = append(dst, `,"cache_read_input_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.cached), 10)
	return append(dst, ',')
}

// appendCacheSplit appends how long the prompt cache keeps what it was given.
func (e *messagesEncoder) appendCacheSplit(dst []byte) []byte {
	dst = append(dst, `"cache_creation":{"ephemeral_5m_input_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.written), 10)
	return append(dst, `,"ephemeral_1h_input_tokens":0},`...)
}

// appendOutput appends the members of usage that are known at the end.
func (e *messagesEncoder) appendOutput(dst []byte) []byte {
	dst = append(dst, `"output_tokens":`...)
	dst = strconv.AppendInt(dst, int64(e.a.output), 10)
	if e.a.reasoning > 0 {
		dst = append(dst, `,"output_tokens_details":{"thinking_tokens":`...)
		dst = strconv.AppendInt(dst, int64(e.a.reasoning), 10)
		dst = append(dst, '}')
	}
	return dst
}

const usageEnd = `,"service_tier":"standard","inference_geo":"not_available"}`

func (e *messagesEncoder) whole(dst []byte) []byte {
	dst = e.envelope(dst)
	start := len(dst)
	if e.a.thinking != "" && e.a.hidden {
		dst = append(dst, '{')
		dst = append(dst, e.redacted()...)
		dst = append(dst, `},`...)
	} else if e.a.thinking != "" {
		dst = append(dst, `{"type":"thinking","thinking":`...)
		dst = quote(dst, e.a.thinking)
		dst = append(dst, `,"signature":"`...)
		dst = append(dst, seal(e.a.thinking)...)
		dst = append(dst, `"},`...)
	}
	if e.a.text != "" {
		dst = append(dst, `{"type":"text","text":`...)
		dst = quote(dst, e.a.text)
		dst = append(dst, `},`...)
	}
	for i, c := range e.a.calls {
		dst = append(dst, '{')
		dst = e.appendCall(dst, i)
		dst = append(dst, `,"input":`...)
		if c.cut {
			dst = append(dst, "{}"...) // a whole answer has no place for half a call
		} else {
			dst = append(dst, c.args...)
		}
		dst = append(dst, `},`...)
	}
	if len(dst) > start {
		dst = dst[:len(dst)-1]
	}
	dst = append(dst, `],`...)
	dst = e.appendStop(dst)
	dst = append(dst, `,"usage":{`...)
	dst = e.appendInput(dst)
	dst = e.appendCacheSplit(dst)
	dst = e.appendOutput(dst)
	return append(dst, usageEnd+"}"...)
}

// appendCall appends the first members of the i-th call's block.
func (e *messagesEncoder) appendCall(dst []byte, i int) []byte {
	dst = append(dst, `"type":"tool_use","id":"toolu_`...)
	dst = append(dst, e.id...)
	dst = strconv.AppendInt(dst, int64(i), 10)
	dst = append(dst, `","name":`...)
	return quote(dst, e.a.calls[i].tool.name)
}

func (e *messagesEncoder) stream(s *stream) {
	if !s.send(opening, e.messageStart()) {
		return
	}
	if e.a.thinking != "" && !e.streamThinking(s) {
		return
	}
	if e.a.text != "" && !e.streamText(s) {
		return
	}
	for i := range e.a.calls {
		if !e.streamCall(s, i) {
			return
		}
	}
	s.send(structure, e.messageDelta())
	s.send(structure, []byte("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"))
}

func (e *messagesEncoder) messageStart() []byte {
	e.buf = append(e.buf[:0], "event: message_start\ndata: {\"type\":\"message_start\",\"message\":"...)
	e.buf = e.envelope(e.buf)
	e.buf = append(e.buf, `],"stop_reason":null,"stop_sequence":null,"stop_details":null,"usage":{`...)
	e.buf = e.appendInput(e.buf)
	e.buf = e.appendCacheSplit(e.buf)
	e.buf = append(e.buf, `"output_tokens":1`+usageEnd+"}}\n\n"...)
	return e.buf
}

func (e *messagesEncoder) messageDelta() []byte {
	e.buf = append(e.buf[:0], "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"...)
	e.buf = e.appendStop(e.buf)
	e.buf = append(e.buf, `},"usage":{`...)
	e.buf = e.appendInput(e.buf)
	e.buf = e.appendOutput(e.buf)
	e.buf = append(e.buf, "}}\n\n"...)
	return e.buf
}

// redacted is the members of the block of hidden reasoning.
func (e *messagesEncoder) redacted() string {
	return `"type":"redacted_thinking","data":"` + seal(e.a.thinking) + `"`
}

func (e *messagesEncoder) streamThinking(s *stream) bool {
	if e.a.hidden {
		return e.start(s, e.redacted()) && e.stop(s)
	}
	if !e.start(s, `"type":"thinking","thinking":"","signature":""`) {
		return false
	}
	for piece := range pieces(e.a.thinking, textPiece) {
		if !s.send(content, e.delta(`"thinking_delta","thinking":`, piece)) {
			return false
		}
	}
	return s.send(structure, e.delta(`"signature_delta","signature":`, seal(e.a.thinking))) && e.stop(s)
}

func (e *messagesEncoder) streamText(s *stream) bool {
	if !e.start(s, `"type":"text","text":""`) {
		return false
	}
	for piece := range pieces(e.a.text, textPiece) {
		if !s.send(content, e.delta(`"text_delta","text":`, piece)) {
			return false
		}
	}
	return e.stop(s)
}

func (e *messagesEncoder) streamCall(s *stream, i int) bool {
	if !e.start(s, string(append(e.appendCall(nil, i), `,"input":{}`...))) {
		return false
	}
	// Anthropic begins the input with an empty piece.
	if !s.send(structure, e.delta(`"input_json_delta","partial_json":`, "")) {
		return false
	}
	for piece := range pieces(e.a.calls[i].args, argsPiece) {
		if !s.send(content, e.delta(`"input_json_delta","partial_json":`, piece)) {
			return false
		}
	}
	return e.stop(s)
}

// start opens a content block; members are what it begins with.
func (e *messagesEncoder) start(s *stream, members string) bool {
	e.buf = append(e.buf[:0], "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":"...)
	e.buf = strconv.AppendInt(e.buf, int64(e.block), 10)
	e.buf = append(e.buf, `,"content_block":{`...)
	e.buf = append(e.buf, members...)
	e.buf = append(e.buf, "}}\n\n"...)
	if !s.send(structure, e.buf) {
		return false
	}
	if e.pings {
		return true
	}
	e.pings = true
	return s.send(structure, []byte(pingEvent))
}

func (e *messagesEncoder) delta(kind, value string) []byte {
	e.buf = append(e.buf[:0], "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":"...)
	e.buf = strconv.AppendInt(e.buf, int64(e.block), 10)
	e.buf = append(e.buf, `,"delta":{"type":`...)
	e.buf = append(e.buf, kind...)
	e.buf = quote(e.buf, value)
	e.buf = append(e.buf, "}}\n\n"...)
	return e.buf
}

// stop closes the open content block.
func (e *messagesEncoder) stop(s *stream) bool {
	e.buf = append(e.buf[:0], "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":"...)
	e.buf = strconv.AppendInt(e.buf, int64(e.block), 10)
	e.buf = append(e.buf, "}\n\n"...)
	e.block++
	return s.send(structure, e.buf)
}

func (e *messagesEncoder) failed(dst []byte, f failure) []byte {
	dst = append(dst, "event: error\ndata: "...)
	dst = f.body(dst, messages, "req_"+e.id)
	return append(dst, "\n\n"...)
}

// appendCount appends the answer of count_tokens.
func appendCount(dst []byte, n int) []byte {
	dst = append(dst, `{"input_tokens":`...)
	dst = strconv.AppendInt(dst, int64(n), 10)
	return append(dst, '}')
}
