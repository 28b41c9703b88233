package rawjson

import (
	"bytes"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// maxDepth is the nesting that [Valid] accepts: more than any real answer has,
// and little enough for readers that recurse.
const maxDepth = 128

// Valid reports whether doc is one JSON value in UTF-8 of at most 128 levels,
// so that parts of it may be spliced into another document.
func Valid(doc []byte) bool {
	return utf8.Valid(doc) && !tooDeep(doc) && gjson.ValidBytes(doc)
}

// tooDeep comes first: gjson recurses.
func tooDeep(doc []byte) bool {
	if bytes.Count(doc, []byte{'{'})+bytes.Count(doc, []byte{'['}) <= maxDepth {
		return false // as nearly all events of a stream, at a fraction of the time
	}
	depth := 0
	for i := 0; i < len(doc); i++ {
		switch doc[i] {
		case '"':
			i = stringEnd(doc, i) - 1
		case '{', '[':
			if depth++; depth > maxDepth {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}

// Valid reports whether t is the inside of a JSON string in UTF-8.
func (t Text) Valid() bool {
	for i := 0; i < len(t); {
		switch c := t[i]; {
		case c < ' ' || c == '"':
			return false
		case c == '\\':
			n := EscapeLen(t[i:])
			if n == 0 {
				return false
			}
			i += n
		case c < utf8.RuneSelf:
			i++
		default:
			r, size := utf8.DecodeRune(t[i:])
			if r == utf8.RuneError && size == 1 {
				return false
			}
			i += size
		}
	}
	return true
}

// EscapeLen returns the length of the escape that text, the rest of the inside of
// a JSON string, begins with: 0 if it is none.
func EscapeLen(text []byte) int {
	if len(text) < 2 || text[0] != '\\' {
		return 0
	}
	switch text[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return len(`\n`)
	case 'u':
		if _, ok := hex4(text[2:]); ok {
			return len(`\u0000`)
		}
	}
	return 0
}
