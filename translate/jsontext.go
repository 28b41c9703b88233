package translate

import (
	"bytes"
	"unicode/utf8"
	"unsafe"

	"github.com/tidwall/gjson"
)

// view returns b as a string without copying it. The string aliases b: whoever
// keeps it beyond the call must clone it.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// parse reads doc without copying it, so what is true of [view] is true of the
// result and of everything got from it.
func parse(doc []byte) gjson.Result { return gjson.Parse(view(doc)) }

// trimmed returns doc without the white space around it. Some vendors pad
// events with spaces so that their length tells nothing.
func trimmed(doc []byte) []byte {
	for len(doc) > 0 && doc[0] <= ' ' {
		doc = doc[1:]
	}
	for len(doc) > 0 && doc[len(doc)-1] <= ' ' {
		doc = doc[:len(doc)-1]
	}
	return doc
}

// quoteEnd returns the place in b of the first quote that is not escaped, or
// -1. b begins inside a JSON string.
func quoteEnd(b []byte) int {
	for i := 0; ; i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		slashes := 0
		for slashes < i && b[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
}

// wholeObject reports whether doc is one JSON object from its first to its
// last brace. Of a valid object it is true, of any proper prefix of one it is
// false, which is all that telling a cut event from a whole one takes.
func wholeObject(doc []byte) bool {
	if len(doc) == 0 || doc[0] != '{' {
		return false
	}
	depth := 0
	for i := 0; i < len(doc); i++ {
		switch doc[i] {
		case '"':
			n := quoteEnd(doc[i+1:])
			if n < 0 {
				return false
			}
			i += 1 + n
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i == len(doc)-1
			}
		}
	}
	return false
}

// appendString appends s as a JSON string. Bytes that are not UTF-8 become
// U+FFFD. Unlike encoding/json it leaves <, > and & alone: messages are read
// by people, in raw logs too.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ' || c == 0x7F:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		case c < utf8.RuneSelf:
			dst = append(dst, c)
		default:
			r, size := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += size
			continue
		}
		i++
	}
	return append(dst, '"')
}

// appendStringOrNull appends null for an empty s.
func appendStringOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return appendString(dst, s)
}
