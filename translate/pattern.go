package translate

import (
	"bytes"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// maxPattern bounds the events that are worth remembering: deltas are small.
const maxPattern = 4 << 10

// pattern remembers a content event, so that its many successors, which differ
// from it in a few values only, are known by comparing bytes. Parsing each
// would cost ten times as much. It never guesses: what does not match exactly
// must be parsed.
type pattern struct {
	sample []byte // the event's data without its end, see withoutEnd
	holes  [4]hole
	n      int // holes in use, in the order of their place in sample
	text   int // bytes of the content of the last event that matched
}

// hole is a value in which events of one pattern may differ.
type hole struct {
	kind       holeKind
	start, end int // in sample, without quotes
}

type holeKind uint8

const (
	textHole   holeKind = iota // a string that is not empty: the content
	anyHole                    // any string
	numberHole                 // digits
)

// learn begins a pattern from data, whose content is text. add must follow for
// every other value that is not the same in each event.
func (p *pattern) learn(data []byte, text gjson.Result) {
	p.n = 0
	if len(data) > maxPattern || text.Type != gjson.String {
		return
	}
	p.sample = append(p.sample[:0], withoutEnd(data)...)
	p.add(textHole, text)
}

// add makes a hole of value, a part of the learnt event.
func (p *pattern) add(kind holeKind, value gjson.Result) {
	start, end := value.Index, value.Index+len(value.Raw)
	if kind == numberHole {
		if value.Type != gjson.Number {
			return
		}
	} else {
		if value.Type != gjson.String {
			return
		}
		start, end = start+1, end-1
	}
	if p.n == 0 && kind != textHole || p.n == len(p.holes) {
		return
	}
	at := p.n
	for at > 0 && p.holes[at-1].start > start {
		p.holes[at] = p.holes[at-1]
		at--
	}
	p.holes[at] = hole{kind, start, end}
	p.n++
}

// match reports whether data differs from the learnt event in its holes only.
// number is the digits in the number hole, if the pattern has one. Where valid is
// set what stands in the holes must be JSON: then all of data is, if the learnt
// event was.
func (p *pattern) match(data []byte, valid bool) (number []byte, ok bool) {
	if p.n == 0 || len(data) == 0 || data[len(data)-1] != '}' {
		return nil, false
	}
	data = withoutEnd(data)
	from := 0
	for i := range p.holes[:p.n] {
		h := &p.holes[i]
		literal := p.sample[from:h.start]
		if !bytes.HasPrefix(data, literal) {
			return nil, false
		}
		data = data[len(literal):]
		var size int
		switch h.kind {
		case numberHole:
			size = digits(data)
			number = data[:size]
		case textHole:
			size = rawjson.QuoteEnd(data)
			p.text = size
		case anyHole:
			if size = rawjson.QuoteEnd(data); size == 0 {
				from = h.end
				continue
			}
		}
		if size <= 0 || valid && !h.valid(data[:size]) {
			return nil, false
		}
		data = data[size:]
		from = h.end
	}
	return number, bytes.Equal(data, p.sample[from:])
}

// valid reports whether value is JSON in this place.
func (h *hole) valid(value []byte) bool {
	if h.kind == numberHole {
		return len(value) == 1 || value[0] != '0'
	}
	return rawjson.Text(value).Valid()
}

// withoutEnd returns an object without its last brace and the spaces before
// that: Anthropic pads events there, so that their length tells nothing.
func withoutEnd(object []byte) []byte {
	end := len(object) - 1
	for end > 0 && object[end-1] == ' ' {
		end--
	}
	return object[:end]
}

// digits returns how many digits b begins with.
func digits(b []byte) int {
	n := 0
	for n < len(b) && '0' <= b[n] && b[n] <= '9' {
		n++
	}
	return n
}
