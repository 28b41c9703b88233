package strictjson

import (
	"bytes"
	"unicode/utf16"
	"unicode/utf8"
)

// shortEscapes maps the letter of a two-byte escape to what it stands for.
var shortEscapes = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// escape scans the escape, or the surrogate pair of escapes, whose backslash
// is at i.
func (s *scanner) escape(i int) (int, *Error) {
	doc := s.doc
	if i+1 >= len(doc) {
		return 0, s.unterminated()
	}
	if shortEscapes[doc[i+1]] != 0 {
		return i + 2, nil
	}
	if doc[i+1] != 'u' {
		return 0, s.unexpected(i+1, `expected one of "\/bfnrtu after a backslash`)
	}
	unit, ok := hex4(doc, i+2)
	if !ok {
		return 0, s.badHex(i + 2)
	}
	if !s.strict || !utf16.IsSurrogate(unit) {
		return i + 6, nil
	}
	if _, ok := surrogatePair(doc, i, unit); !ok {
		return 0, &Error{Offset: i, Reason: "lone surrogate escape " + string(doc[i:i+6])}
	}
	return i + 12, nil
}

// hex4 reads four hexadecimal digits at i.
func hex4(doc []byte, i int) (r rune, ok bool) {
	if i+4 > len(doc) {
		return 0, false
	}
	for _, c := range doc[i : i+4] {
		if !isHex(c) {
			return 0, false
		}
		if c > '9' {
			c = c | 0x20 - 'a' + '0' + 10
		}
		r = r<<4 | rune(c-'0')
	}
	return r, true
}

func isHex(c byte) bool { return isDigit(c) || c|0x20-'a' < 6 }

// surrogatePair decodes the two \u escapes at i, the first of which has the
// code unit high. It reports false when they are not a high and a low
// surrogate.
func surrogatePair(doc []byte, i int, high rune) (rune, bool) {
	if i+12 > len(doc) || doc[i+6] != '\\' || doc[i+7] != 'u' {
		return 0, false
	}
	low, ok := hex4(doc, i+8)
	if !ok {
		return 0, false
	}
	r := utf16.DecodeRune(high, low)
	return r, r != utf8.RuneError
}

// hasEscape reports whether the text of a string, without quotes, has escapes.
func hasEscape(raw []byte) bool { return bytes.IndexByte(raw, '\\') >= 0 }

// appendDecoded appends to dst what raw, the text of a scanned string without
// its quotes, stands for. A lone surrogate becomes U+FFFD.
func appendDecoded(dst, raw []byte) []byte {
	for {
		n := bytes.IndexByte(raw, '\\')
		if n < 0 {
			return append(dst, raw...)
		}
		dst, raw = append(dst, raw[:n]...), raw[n:]
		if c := shortEscapes[raw[1]]; c != 0 {
			dst, raw = append(dst, c), raw[2:]
			continue
		}
		r, _ := hex4(raw, 2)
		size := 6
		if utf16.IsSurrogate(r) {
			if pair, ok := surrogatePair(raw, 0, r); ok {
				r, size = pair, 12
			}
		}
		// AppendRune writes U+FFFD for a surrogate.
		dst, raw = utf8.AppendRune(dst, r), raw[size:]
	}
}

// String decodes a raw JSON string with its quotes, such as a value of Get.
// Lone surrogate escapes, which Valid lets pass, become U+FFFD. ok is false
// when raw is anything but one well-formed string.
func String(raw []byte) (text string, ok bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	s := scanner{doc: raw}
	end, escaped, err := s.text(0)
	if err != nil || end != len(raw) {
		return "", false
	}
	raw = raw[1 : end-1]
	if !escaped {
		return string(raw), true
	}
	return string(appendDecoded(make([]byte, 0, len(raw)), raw)), true
}
