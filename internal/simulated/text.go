package simulated

import (
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const (
	bytesPerToken = 4
	mediaTokens   = 1000 // an image, a document, a sound
)

// tokens estimates how many tokens n bytes are.
func tokens(n int) int { return (n + bytesPerToken - 1) / bytesPerToken }

// clip returns the start of s that is n tokens long at most, in whole characters.
func clip(s string, n int) string {
	end := n * bytesPerToken
	if end >= len(s) {
		return s
	}
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end]
}

// Lengths in bytes at which a word is divided over two events. Arguments have no
// words and come in smaller portions, so that nobody gets them in one.
const (
	textPiece = 24
	argsPiece = 8
)

// pieces yields s in the portions in which it is streamed: a word and the space
// after it, or as much of it as size bytes hold. No portion is empty or divides
// a character.
func pieces(s string, size int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for s != "" {
			n := pieceLen(s, size)
			if !yield(s[:n]) {
				return
			}
			s = s[n:]
		}
	}
}

// pieceLen returns the length of the first portion of s, which is not empty.
func pieceLen(s string, size int) int {
	if len(s) > size {
		s = clip(s, size/bytesPerToken)
	}
	if i := strings.IndexByte(s, ' '); i >= 0 {
		return i + 1
	}
	return len(s)
}

// countPieces returns how many portions pieces yields.
func countPieces(s string, size int) int {
	n := 0
	for range pieces(s, size) {
		n++
	}
	return n
}

// excerpt returns the start of s, n characters at most, on one line.
func excerpt(s string, n int) string {
	var b strings.Builder
	gap := false
	for _, r := range s {
		if r == ' ' || r == '\n' || r == '\r' || r == '\t' {
			gap = b.Len() > 0
			continue
		}
		if n <= 0 {
			b.WriteRune('…')
			break
		}
		if gap {
			b.WriteByte(' ')
			gap = false
			n--
		}
		b.WriteRune(r)
		n--
	}
	return b.String()
}

// quote appends s to dst as a JSON string. Unlike encoding/json it leaves <, >
// and & alone, as the real services do.
func quote(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, s[start:i]...), `\ufffd`...)
				start = i + 1
			}
			i += size
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\t':
			dst = append(dst, `\t`...)
		case '\r':
			dst = append(dst, `\r`...)
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

// maxNesting is how deep JSON may be nested. Without a limit a small request
// could exhaust the stack of whoever reads it recursively.
const maxNesting = 500

// valid reports whether s is JSON in UTF-8, not nested too deeply.
func valid(s string) bool {
	if strings.Count(s, "[")+strings.Count(s, "{") > maxNesting && nesting(s) > maxNesting {
		return false
	}
	return gjson.Valid(s) && utf8.ValidString(s)
}

// nesting returns how deep the brackets of a JSON text are nested.
func nesting(s string) int {
	depth, deepest := 0, 0
	quoted := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			quoted = !quoted
		case '\\':
			i++ // only strings have backslashes
		case '[', '{':
			if !quoted {
				depth++
				deepest = max(deepest, depth)
			}
		case ']', '}':
			if !quoted {
				depth--
			}
		}
	}
	return deepest
}
