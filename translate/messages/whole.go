package messages

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// whole gathers a whole answer.
type whole struct {
	ending
	model   []byte
	content []byte // the blocks
	head    translate.Head
	input   []byte // of the tool call that is being written, in its string form
	cites   []byte // of the text that is being written, each with a comma behind it
	broken  []broken
}

// broken is an input that is no JSON object. What becomes of it depends on why
// the model stopped.
type broken struct {
	at   int // its place in the content
	text []byte
}

// Append implements [translate.AnswerEncoder].
func (m *whole) Append(dst []byte, e *translate.Event) []byte {
	switch e.Kind {
	case translate.EventStart:
		m.model = append(m.model, e.Model...)
	case translate.EventOpen:
		m.note(e)
		m.open(e)
	case translate.EventDelta:
		if m.head.Kind == translate.KindToolCall {
			m.input = append(m.input, e.Text...)
		} else {
			m.content = append(m.content, e.Text...)
		}
	case translate.EventSeal:
		if !m.head.Hidden {
			m.content = append(m.content, `","signature":"`...)
		}
		m.content = translate.AppendEnvelope(m.content, m.asked.Provider, e.Seal)
	case translate.EventCite:
		var ok bool
		if m.cites, ok = m.appendCitation(m.cites, &e.Citation); ok {
			m.cites = append(m.cites, ',')
		}
	case translate.EventClose:
		m.close()
	case translate.EventEnd:
		dst = m.appendHead(dst, m.model)
		dst = append(dst, '[')
		dst = m.appendContent(dst)
		dst = append(dst, `],`...)
		dst = m.appendStop(dst)
		dst = append(dst, `,"usage":`...)
		dst = appendUsage(dst, m.usage)
		return append(dst, '}')
	default:
		m.note(e)
	}
	return dst
}

func (m *whole) open(e *translate.Event) {
	m.head = translate.Head{Kind: e.Head.Kind, Custom: e.Head.Custom, Hidden: e.Head.Hidden}
	if len(m.content) > 0 {
		m.content = append(m.content, ',')
	}
	switch {
	case e.Head.Hidden:
		m.content = append(m.content, `{"type":"redacted_thinking","data":"`...)
	case e.Head.Kind == translate.KindThinking:
		m.content = append(m.content, `{"type":"thinking","thinking":"`...)
	case e.Head.Kind == translate.KindToolCall:
		m.content = append(m.content, `{"type":"tool_use","id":`...)
		m.content = rawjson.AppendText(m.content, e.Head.ID)
		m.content = append(m.content, `,"name":`...)
		m.content = rawjson.AppendText(m.content, e.Head.Name)
		m.content = append(m.content, `,"input":`...)
		m.input = m.input[:0]
	default:
		m.content = append(m.content, `{"type":"text","text":"`...)
	}
}

func (m *whole) close() {
	switch {
	case m.head.Kind != translate.KindToolCall:
		m.content = append(m.content, '"')
		if n := len(m.cites); n > 0 {
			m.content = append(m.content, `,"citations":[`...)
			m.content = append(m.content, m.cites[:n-1]...)
			m.content = append(m.content, ']')
			m.cites = m.cites[:0]
		}
	case m.head.Custom:
		m.content = translate.AppendWrappedInput(m.content, m.input)
	default:
		m.closeInput()
	}
	m.content = append(m.content, '}')
}

// closeInput ends the input of a tool call, which must be an object.
func (m *whole) closeInput() {
	text := translate.Text(m.input)
	if text.Blank() {
		m.content = append(m.content, "{}"...)
		return
	}
	start := len(m.content)
	m.content = text.AppendDecoded(m.content)
	if v := rawjson.Parse(m.content[start:]); v.IsObject() && rawjson.Valid(v) {
		return
	}
	m.content = m.content[:start]
	m.broken = append(m.broken, broken{at: start, text: append([]byte(nil), text...)})
}

// appendContent appends the blocks. An input that was cut off is worse than
// none: a client could act on it. Any other is what the model meant.
func (m *whole) appendContent(dst []byte) []byte {
	at := 0
	for _, b := range m.broken {
		dst = append(dst, m.content[at:b.at]...)
		at = b.at
		if m.stop == translate.StopLength || m.stop == translate.StopWindow {
			dst = append(dst, "{}"...)
		} else {
			dst = translate.AppendWrappedInput(dst, b.text)
		}
	}
	return append(dst, m.content[at:]...)
}
