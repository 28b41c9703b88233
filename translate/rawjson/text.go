package rawjson

import (
	"bytes"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text is the inside of a JSON string literal: what stands between its quotes,
// escapes as they came. Any two texts may be put one behind the other. A nil
// Text is one that is not there.
type Text []byte

// Of returns s as a Text.
func Of(s string) Text { return AppendEscaped(make(Text, 0, len(s)+8), s) }

// Plain reports whether the text means its own bytes: it has no escapes.
func (t Text) Plain() bool { return bytes.IndexByte(t, '\\') < 0 }

// String returns what the text means.
func (t Text) String() string {
	if t.Plain() {
		return string(t)
	}
	return string(t.AppendDecoded(nil))
}

// Is reports whether the text means s.
func (t Text) Is(s string) bool {
	if len(t) < len(s) {
		return false
	}
	return string(t) == s || !t.Plain() && t.String() == s
}

// Blank reports whether the text means nothing but white space.
func (t Text) Blank() bool {
	for i := 0; i < len(t); {
		r, size := t.rune(i)
		if !unicode.IsSpace(r) {
			return false
		}
		i += size
	}
	return true
}

// rune returns the character at i and how many bytes it takes. Of a pair of
// escapes it is the first.
func (t Text) rune(i int) (r rune, size int) {
	switch c := t[i]; {
	case c >= utf8.RuneSelf:
		return utf8.DecodeRune(t[i:])
	case c != '\\' || i+1 == len(t):
		return rune(c), 1
	}
	switch t[i+1] {
	case 'n', 'r', 't', 'f':
		return ' ', 2
	case 'u':
		if r, ok := hex4(t[i+2:]); ok {
			return r, escapeSize
		}
	}
	return rune(t[i+1]), 2
}

// escapeSize is the length of an escape with digits, as \u0020.
const escapeSize = 6

// TrimRight returns the text without white space at its end.
func (t Text) TrimRight() Text {
	for len(t) > 0 {
		start := t.lastStart()
		if r, _ := t.rune(start); !unicode.IsSpace(r) {
			return t
		}
		t = t[:start]
	}
	return t
}

// lastStart returns where the last character of the text, which is not empty,
// begins.
func (t Text) lastStart() int {
	last := len(t) - 1
	switch {
	case t[last] >= utf8.RuneSelf:
		_, size := utf8.DecodeLastRune(t)
		return len(t) - size
	case t.escapedAt(last):
		return last - 1
	}
	if start := len(t) - escapeSize; start >= 0 && t[start] == '\\' && t[start+1] == 'u' && !t.escapedAt(start) {
		return start
	}
	return last
}

// escapedAt reports whether the byte at i belongs to a backslash before it.
func (t Text) escapedAt(i int) bool {
	slashes := 0
	for slashes < i && t[i-1-slashes] == '\\' {
		slashes++
	}
	return slashes%2 == 1
}

// HalfAtEnd returns the length of an escaped high surrogate at the end of the
// text, 0 if it ends in none. The other half of such a character is still to
// come: some vendors cut characters in two.
func (t Text) HalfAtEnd() int {
	start := len(t) - escapeSize
	if start < 0 {
		return 0
	}
	if r, ok := t.surrogate(start); !ok || r >= lowSurrogates || t.escapedAt(start) {
		return 0
	}
	return escapeSize
}

// Paired returns the text with every half of a character that is escaped
// replaced by U+FFFD where the other half is missing, but for a first half at the
// very end, whose other half may follow. Many JSON readers refuse such halves.
func (t Text) Paired() Text {
	var paired Text // up to clean, once it is not t itself
	clean := 0
	for i := 0; ; {
		n := bytes.IndexByte(t[i:], '\\')
		if n < 0 {
			break
		}
		i += n
		first, ok := t.surrogate(i)
		if !ok {
			i = min(i+2, len(t))
			continue
		}
		if first < lowSurrogates {
			second, ok := t.surrogate(i + escapeSize)
			if i+escapeSize == len(t) || ok && second >= lowSurrogates {
				i = min(i+2*escapeSize, len(t))
				continue
			}
		}
		paired = append(append(paired, t[clean:i]...), "\uFFFD"...)
		i += escapeSize
		clean = i
	}
	if paired == nil {
		return t
	}
	return append(paired, t[clean:]...)
}

// Half of a character is an escape from 0xD800 on, the second half one from
// lowSurrogates on (RFC 8259, section 7).
const lowSurrogates = 0xDC00

// surrogate returns the half of a character that is escaped at i, if one is.
func (t Text) surrogate(i int) (r rune, ok bool) {
	if i+escapeSize > len(t) || t[i] != '\\' || t[i+1] != 'u' {
		return 0, false
	}
	r, ok = hex4(t[i+2:])
	return r, ok && utf16.IsSurrogate(r)
}

// AppendDecoded appends what the text means. An escaped surrogate without its
// other half becomes U+FFFD.
func (t Text) AppendDecoded(dst []byte) []byte {
	for i := 0; i < len(t); {
		n := bytes.IndexByte(t[i:], '\\')
		if n < 0 {
			return append(dst, t[i:]...)
		}
		dst = append(dst, t[i:i+n]...)
		i += n + 1
		if i == len(t) {
			return dst
		}
		c := t[i]
		i++
		switch c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			var size int
			dst, size = appendRune(dst, t[i:])
			i += size
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

// appendRune appends the character of an escape, t being what stands behind its
// \u. It returns how much of t belongs to it.
func appendRune(dst []byte, t Text) ([]byte, int) {
	r, ok := hex4(t)
	if !ok {
		return utf8.AppendRune(dst, utf8.RuneError), 0
	}
	size := 4
	if utf16.IsSurrogate(r) {
		low, paired := rune(0), false
		if len(t) >= 10 && t[4] == '\\' && t[5] == 'u' {
			low, paired = hex4(t[6:])
		}
		r = utf16.DecodeRune(r, low)
		if paired && r != utf8.RuneError {
			size = 10
		} else {
			r = utf8.RuneError
		}
	}
	return utf8.AppendRune(dst, r), size
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// RuneCount returns how many characters (Unicode code points) the text means.
func (t Text) RuneCount() int {
	n := 0
	for i := 0; i < len(t); n++ {
		switch c := t[i]; {
		case c == '\\' && i+1 < len(t) && t[i+1] == 'u':
			var scratch [utf8.UTFMax]byte
			_, size := appendRune(scratch[:0], t[min(i+2, len(t)):])
			i += 2 + size
		case c == '\\':
			i += 2
		case c < utf8.RuneSelf:
			i++
		default:
			_, size := utf8.DecodeRune(t[i:])
			i += size
		}
	}
	return n
}

// AppendString appends s as a JSON string with its quotes. Bytes that are not
// UTF-8 become U+FFFD. Unlike encoding/json it leaves <, > and & alone.
func AppendString[S ~string | ~[]byte](dst []byte, s S) []byte {
	dst = append(dst, '"')
	dst = AppendEscaped(dst, s)
	return append(dst, '"')
}

// AppendEscaped appends s as the inside of a JSON string.
func AppendEscaped[S ~string | ~[]byte](dst []byte, s S) []byte {
	const hex = "0123456789abcdef"
	clean := 0 // up to where s has been appended
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < 0x7F {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := decodeRune(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(dst, s[clean:i]...)
				dst = utf8.AppendRune(dst, utf8.RuneError)
				clean = i + 1
			}
			i += size
			continue
		}
		dst = append(dst, s[clean:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		clean = i
	}
	return append(dst, s[clean:]...)
}

func decodeRune[S ~string | ~[]byte](s S) (rune, int) {
	var b [utf8.UTFMax]byte
	return utf8.DecodeRune(b[:copy(b[:], s)])
}

// AppendText appends a text as a JSON string with its quotes.
func AppendText(dst []byte, t Text) []byte {
	dst = append(dst, '"')
	dst = append(dst, t...)
	return append(dst, '"')
}
