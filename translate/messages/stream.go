package messages

import (
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// NewEncoder returns an encoder for one answer: for a stream where asked.Stream
// is set, else for a whole one.
func NewEncoder(asked *translate.Asked) translate.AnswerEncoder {
	if asked.Stream {
		return &stream{ending: ending{asked: asked}}
	}
	return &whole{ending: ending{asked: asked}}
}

// stream writes an answer as events. Each has its name on a line of its own:
// clients pass over those that have none.
type stream struct {
	ending
	head  translate.Head // of the block that is being written, without its texts
	begun bool           // it has got something
}

// Append implements [translate.AnswerEncoder].
func (s *stream) Append(dst []byte, e *translate.Event) []byte {
	switch e.Kind {
	case translate.EventStart:
		dst = append(dst, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":"...)
		dst = s.appendHead(dst, e.Model)
		dst = append(dst, `[],"stop_reason":null,"stop_sequence":null,"usage":`...)
		dst = appendUsage(dst, translate.Usage{Input: s.asked.InputTokens, Output: 1})
		return append(dst, "}}\n\n"...)
	case translate.EventOpen:
		return s.open(dst, e)
	case translate.EventDelta:
		return s.delta(dst, e)
	case translate.EventSeal:
		return s.seal(dst, e)
	case translate.EventCite:
		return s.cite(dst, e)
	case translate.EventClose:
		return s.close(dst, e)
	case translate.EventEnd:
		dst = append(dst, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{"...)
		dst = s.appendStop(dst)
		dst = append(dst, `},"usage":`...)
		dst = appendUsage(dst, s.usage)
		return append(dst, "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"...)
	case translate.EventFailed:
		dst = append(dst, "event: error\ndata: "...)
		dst = translate.AppendError(dst, translate.Messages, e.Err, "")
		return append(dst, "\n\n"...)
	}
	s.note(e)
	return dst
}

// event begins an event about a block.
func event(dst []byte, name string, index int) []byte {
	dst = append(dst, "event: "...)
	dst = append(dst, name...)
	dst = append(dst, "\ndata: {\"type\":\""...)
	dst = append(dst, name...)
	dst = append(dst, "\",\"index\":"...)
	return strconv.AppendInt(dst, int64(index), 10)
}

func (s *stream) open(dst []byte, e *translate.Event) []byte {
	s.note(e)
	s.head, s.begun = translate.Head{Kind: e.Head.Kind, Custom: e.Head.Custom, Hidden: e.Head.Hidden}, false
	if e.Head.Hidden {
		return dst // its seal is all there is to begin with
	}
	dst = event(dst, "content_block_start", e.Index)
	switch e.Head.Kind {
	case translate.KindThinking:
		dst = append(dst, `,"content_block":{"type":"thinking","thinking":"","signature":""}`...)
	case translate.KindToolCall:
		dst = append(dst, `,"content_block":{"type":"tool_use","id":`...)
		dst = rawjson.AppendText(dst, e.Head.ID)
		dst = append(dst, `,"name":`...)
		dst = rawjson.AppendText(dst, e.Head.Name)
		dst = append(dst, `,"input":{}}`...)
	default:
		dst = append(dst, `,"content_block":{"type":"text","text":""}`...)
	}
	return append(dst, "}\n\n"...)
}

// What stands around the text of a delta.
const (
	deltaEnd      = "\"}}\n\n"
	textDelta     = `,"delta":{"type":"text_delta","text":"`
	thinkingDelta = `,"delta":{"type":"thinking_delta","thinking":"`
	inputDelta    = `,"delta":{"type":"input_json_delta","partial_json":"`
)

func (s *stream) delta(dst []byte, e *translate.Event) []byte {
	dst = event(dst, "content_block_delta", e.Index)
	switch s.head.Kind {
	case translate.KindThinking:
		dst = append(dst, thinkingDelta...)
	case translate.KindToolCall:
		dst = append(dst, inputDelta...)
	default:
		dst = append(dst, textDelta...)
	}
	if s.head.Custom {
		if !s.begun {
			dst = append(dst, `{\"input\":\"`...)
		}
		dst = rawjson.AppendEscaped(dst, e.Text) // a string within a string
	} else {
		dst = append(dst, e.Text...)
	}
	s.begun = true
	return append(dst, deltaEnd...)
}

// seal writes the envelope that brings a thinking block back to its vendor.
func (s *stream) seal(dst []byte, e *translate.Event) []byte {
	if s.head.Hidden {
		dst = event(dst, "content_block_start", e.Index)
		dst = append(dst, `,"content_block":{"type":"redacted_thinking","data":"`...)
	} else {
		dst = event(dst, "content_block_delta", e.Index)
		dst = append(dst, `,"delta":{"type":"signature_delta","signature":"`...)
	}
	dst = translate.AppendEnvelope(dst, s.asked.Provider, e.Seal)
	return append(dst, deltaEnd...)
}

func (s *stream) cite(dst []byte, e *translate.Event) []byte {
	before := len(dst)
	dst = event(dst, "content_block_delta", e.Index)
	dst = append(dst, `,"delta":{"type":"citations_delta","citation":`...)
	dst, ok := s.appendCitation(dst, &e.Citation)
	if !ok {
		return dst[:before]
	}
	return append(dst, "}}\n\n"...)
}

func (s *stream) close(dst []byte, e *translate.Event) []byte {
	if s.head.Kind == translate.KindToolCall && (s.head.Custom || !s.begun) {
		dst = event(dst, "content_block_delta", e.Index)
		dst = append(dst, inputDelta...)
		switch {
		case !s.head.Custom: // no input: then Anthropic sends an empty one
		case s.begun:
			dst = append(dst, `\"}`...)
		default:
			dst = append(dst, `{\"input\":\"\"}`...)
		}
		dst = append(dst, deltaEnd...)
	}
	dst = event(dst, "content_block_stop", e.Index)
	return append(dst, "}\n\n"...)
}
