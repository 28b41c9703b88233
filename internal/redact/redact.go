// Package redact takes what people and models say out of the bodies of requests and
// answers, and leaves their shape: which members there are, numbers, roles, types,
// models and ids. What it does not know it takes for something that somebody said.
package redact

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// maxDepth is how deep objects and arrays may lie in each other. What lies deeper
// becomes its length.
const maxDepth = 512

// Body appends a body in one of the three protocols to dst, redacted: JSON, or a
// stream of events with JSON in them. Texts become their length, as in
// "[123 characters]", and so does all that is neither. A body may have been cut
// anywhere.
//
// White space outside of texts is left out.
func Body(dst, text []byte) []byte {
	if start := bytes.TrimLeft(text, " \t\r\n"); len(start) > 0 && (start[0] == '{' || start[0] == '[') {
		return appendJSON(dst, start)
	}
	if isEventStream(text) {
		return appendEvents(dst, text)
	}
	if len(text) == 0 {
		return dst
	}
	return appendLength(dst, text)
}

// isEventStream reports whether a body begins as streams do.
func isEventStream(text []byte) bool {
	text = bytes.TrimLeft(text, "\r\n")
	for _, field := range [...]string{"data:", "event:", "id:", "retry:", ":"} {
		if bytes.HasPrefix(text, []byte(field)) {
			return true
		}
	}
	return false
}

// appendEvents appends a stream of events, line by line. Of an event's lines of data
// only the first is read as JSON: the others begin somewhere inside of it, perhaps
// with an object whose members are somebody's own, so each becomes its length.
func appendEvents(dst, text []byte) []byte {
	inside := false
	for line := range bytes.Lines(text) {
		content := bytes.TrimRight(line, "\r\n")
		dst = appendLine(dst, content, !inside)
		inside = len(content) > 0 && (inside || bytes.HasPrefix(content, []byte("data:")))
		if len(content) < len(line) {
			dst = append(dst, '\n')
		}
	}
	return dst
}

// appendLine appends a line of a stream, whose data may be the beginning of JSON.
func appendLine(dst, line []byte, begins bool) []byte {
	field, value, found := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch name := string(field); {
	case len(line) == 0:
		return dst
	case !found, name != "data" && name != "event" && name != "id" && name != "retry" && name != "":
		return appendLength(dst, line)
	case name == "" && len(value) == 0:
		return append(dst, ':')
	case name == "event" && isEvent(string(value)), name == "data" && string(value) == "[DONE]":
		return append(append(append(dst, name...), ": "...), value...)
	default:
		dst = append(append(dst, name...), ": "...)
	}
	if string(field) == "data" && begins && len(value) > 0 && (value[0] == '{' || value[0] == '[') {
		return appendJSON(dst, value)
	}
	return appendLength(dst, value)
}

// isEvent reports whether an event is one of the protocols'.
func isEvent(name string) bool {
	rest, ofResponses := strings.CutPrefix(name, "response.")
	if !ofResponses {
		return events[name]
	}
	for part := range strings.FieldsFuncSeq(rest, func(r rune) bool { return r == '.' || r == '_' }) {
		if !eventWords[part] {
			return false
		}
	}
	return true
}

// appendLength appends, as a text, how long a text is.
func appendLength(dst, text []byte) []byte { return appendCount(dst, utf8.RuneCount(text)) }

func appendCount(dst []byte, characters int) []byte {
	dst = strconv.AppendInt(append(dst, `[`...), int64(characters), 10)
	if characters == 1 {
		return append(dst, " character]"...)
	}
	return append(dst, " characters]"...)
}

// scope is an object or array that is being read.
type scope struct {
	array bool
	free  bool // somebody made up the members: nothing in it is known
	keep  keep // what is kept of the values: of the member, or of all elements
	name  bool // the next text is the name of a member

	// messages says that the value of the member, or the array, is the messages of
	// a conversation, of which each has message.
	messages, message bool
}

// writer redacts one JSON text, which need not be whole or even right: whatever
// order its tokens come in, only what is known is kept of each.
type writer struct {
	dst   []byte
	stack []scope
}

func appendJSON(dst, text []byte) []byte {
	w := writer{dst: dst}
	for i := 0; i < len(text); {
		n := w.token(text[i:])
		if n == 0 {
			// Not JSON, or behind its end.
			return appendLength(w.dst, text[i:])
		}
		i += n
	}
	return w.dst
}

// token redacts the token that text begins with and returns its length, 0 where there
// is none.
func (w *writer) token(text []byte) int {
	switch c := text[0]; c {
	case ' ', '\t', '\r', '\n':
		return 1
	case '{', '[':
		return w.open(c)
	case '}', ']':
		if len(w.stack) == 0 {
			return 0
		}
		w.dst = append(w.dst, c)
		w.stack = w.stack[:len(w.stack)-1]
		return 1
	case ',', ':':
		if len(w.stack) == 0 {
			return 0
		}
		w.dst = append(w.dst, c)
		if top := w.top(); c == ',' && !top.array {
			top.name = true
		}
		return 1
	case '"':
		return w.text(text)
	}
	return w.bare(text)
}

func (w *writer) top() *scope { return &w.stack[len(w.stack)-1] }

// open begins an object or an array.
func (w *writer) open(c byte) int {
	if len(w.stack) == maxDepth {
		return 0
	}
	s := scope{array: c == '[', name: c == '{', keep: shape}
	if len(w.stack) > 0 {
		parent := w.top()
		s.free = parent.free || !s.array && parent.keep <= items
		if s.array && parent.keep != items {
			s.keep = parent.keep
		}
		s.messages, s.message = s.array && parent.messages, !s.array && parent.array && parent.messages
	}
	w.stack = append(w.stack, s)
	w.dst = append(w.dst, c)
	return 1
}

// text redacts a text that may lack its end.
func (w *writer) text(text []byte) int {
	inside, length := text[1:], len(text)
	end := rawjson.QuoteEnd(inside)
	if end >= 0 {
		inside, length = inside[:end], 1+end+1
	}
	if len(w.stack) == 0 {
		return 0
	}
	top := w.top()
	w.dst = append(w.dst, '"')
	switch {
	case top.name:
		top.name = false
		known, is := names[string(inside)]
		top.messages = string(inside) == "messages"
		if top.free || !is || end < 0 {
			top.keep = nothing
			w.dst = w.appendHidden(inside)
		} else {
			if top.keep = known; top.message && string(inside) == "name" {
				top.keep = shape // it is a person's, and not a tool's
			}
			w.dst = append(w.dst, inside...)
		}
	case top.keep == words && end >= 0 && isWord(inside):
		w.dst = append(w.dst, inside...)
	default:
		w.dst = w.appendHidden(inside)
	}
	w.dst = append(w.dst, '"')
	return length
}

// appendHidden appends how many characters a text has. An empty one stays.
func (w *writer) appendHidden(inside []byte) []byte {
	if len(inside) == 0 {
		return w.dst
	}
	return appendCount(w.dst, characters(inside))
}

// characters is how many characters the inside of a JSON text stands for.
func characters(inside []byte) int {
	n := 0
	for i := 0; i < len(inside); n++ {
		if inside[i] != '\\' {
			_, size := utf8.DecodeRune(inside[i:])
			i += size
			continue
		}
		if i+1 < len(inside) && inside[i+1] == 'u' {
			if i+2 < len(inside) && inside[i+2]|0x20 == 'd' && i+3 < len(inside) && inside[i+3] >= '8' && inside[i+3] <= '9' {
				i += 6 // the first half of a pair
			}
			i += 6
			continue
		}
		i += 2
	}
	return n
}

// maxWord is how long a word is at most that is kept.
const maxWord = 96

// isWord reports whether a text can be an id, or the name of a model or a tool.
func isWord(inside []byte) bool {
	for _, c := range inside {
		switch {
		case '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z':
		case c == '_', c == '-', c == '.', c == ':', c == '/', c == '@', c == '*':
		default:
			return false
		}
	}
	return len(inside) <= maxWord
}

// bare redacts a number, true, false or null.
func (w *writer) bare(text []byte) int {
	if len(w.stack) == 0 {
		return 0
	}
	for _, literal := range [...]string{"true", "false", "null"} {
		if bytes.HasPrefix(text, []byte(literal)) {
			w.dst = append(w.dst, literal...)
			return len(literal)
		}
	}
	n := 0
	for n < len(text) && (text[n] >= '0' && text[n] <= '9' || bytes.IndexByte([]byte("+-.eE"), text[n]) >= 0) {
		n++
	}
	if n == 0 || text[0] != '-' && (text[0] < '0' || text[0] > '9') {
		return 0
	}
	if top := w.top(); top.keep >= numbers && n <= maxNumber {
		w.dst = append(w.dst, text[:n]...)
	} else {
		w.dst = append(w.dst, `"[number]"`...)
	}
	return n
}

// maxNumber is how long a number is at most that is kept.
const maxNumber = 24
