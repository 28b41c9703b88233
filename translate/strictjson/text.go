package strictjson

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// One byte repeated in all eight places of a word.
const (
	ones     = 0x0101010101010101
	highBits = 0x80 * ones
)

// specials marks, by their high bits, the bytes of w that are not plain text:
// quotes, backslashes, control characters and non-ASCII bytes.
func specials(w uint64) uint64 {
	// On seven bits no addition carries into the next byte. Flipping bit 1
	// puts the quote (0x22) next to the control characters, at 0x20, while no
	// plain byte gets below 0x21.
	low := w &^ highBits
	notQuoteOrControl := (low ^ 0x02*ones) + (0x80-0x21)*ones
	notBackslash := (low ^ '\\'*ones) + 0x7F*ones
	return (w | ^(notQuoteOrControl & notBackslash)) & highBits
}

// text scans the string whose opening quote is at i. It returns the offset
// after the closing quote, and whether the string has escapes.
//
// Words are read eight bytes apart, over short escapes too, and not from the
// last special byte on: so the processor can load the next word before it
// knows where the special bytes of this one are.
func (s *scanner) text(i int) (end int, escaped bool, err *Error) {
	doc := s.doc
	i++
words:
	for i+8 <= len(doc) {
		m := specials(binary.LittleEndian.Uint64(doc[i:]))
		next := i + 8
		// The loop below would do without this test, but the processor
		// predicts the two apart: a third faster where escapes abound.
		if m == 0 {
			i = next
			continue
		}
		for m != 0 {
			bit := bits.TrailingZeros64(m)
			at := i + bit/8
			switch doc[at] {
			case '"':
				return at + 1, escaped, nil
			case '\\':
				escaped = true
				if at+1 < len(doc) && shortEscapes[doc[at+1]] != 0 {
					m &^= 0x0101 << (bit & 63) // unmark both bytes
					if bit == 63 {
						next++
					}
					continue
				}
			}
			if i, err = s.special(at); err != nil {
				return 0, false, err
			}
			continue words
		}
		i = next
	}
	for i < len(doc) {
		c := doc[i]
		switch {
		case c == '"':
			return i + 1, escaped, nil
		case specials(uint64(c))&0x80 == 0:
			i++
			continue
		}
		escaped = escaped || c == '\\'
		if i, err = s.special(i); err != nil {
			return 0, false, err
		}
	}
	return 0, false, s.unterminated()
}

// special scans the escape, the control character or the run of non-ASCII
// characters at i inside of a string.
func (s *scanner) special(i int) (int, *Error) {
	switch c := s.doc[i]; {
	case c == '\\':
		return s.escape(i)
	case c < ' ':
		return 0, &Error{Offset: i, Reason: "unescaped control character in a string, " + describe(c)}
	}
	return s.multibyte(i)
}

// multibyte scans the run of non-ASCII characters at i.
func (s *scanner) multibyte(i int) (int, *Error) {
	doc := s.doc
	for i < len(doc) && doc[i] >= utf8.RuneSelf {
		// Most characters have two or three bytes. Looking at them here
		// takes half the time of DecodeRune.
		if i+4 <= len(doc) {
			x := binary.LittleEndian.Uint32(doc[i:])
			if x&0xC0E0 == 0x80C0 && x&0x1E != 0 { // not overlong
				i += 2
				continue
			}
			// The upper 10 of the 16 bits, which tell overlong forms and
			// surrogates.
			top := x&0xF<<6 | x>>8&0x3F
			if x&0xC0C0F0 == 0x8080E0 && top >= 0x800>>6 && top>>5 != 0xD800>>11 {
				i += 3
				continue
			}
		}
		_, size := utf8.DecodeRune(doc[i:])
		if size == 1 {
			return 0, &Error{Offset: i, Reason: "invalid UTF-8"}
		}
		i += size
	}
	return i, nil
}
