package strictjson

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// Error tells what is wrong with a document, and where. It quotes at most a
// few bytes of the document.
type Error struct {
	// Offset is the place in the document in bytes from 0; its length where
	// the document ends too early.
	Offset int

	// Reason says what is wrong there, in words for the document's author.
	Reason string
}

// Error returns the place and the reason on one line.
func (e *Error) Error() string {
	return fmt.Sprintf("invalid JSON at byte %d: %s", e.Offset, e.Reason)
}

// Line returns the line and column of a byte offset in doc, both counted from
// 1. Lines end with a line feed, columns are characters. An offset beyond the
// end means the end.
func Line(doc []byte, offset int) (line, column int) {
	before := doc[:max(0, min(offset, len(doc)))]
	line = 1 + bytes.Count(before, []byte{'\n'})
	column = 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return line, column
}

// unexpected says what was expected at i and what is there instead.
func (s *scanner) unexpected(i int, expected string) *Error {
	if i >= len(s.doc) {
		return &Error{Offset: len(s.doc), Reason: "unexpected end of input, " + expected}
	}
	return &Error{Offset: i, Reason: expected + ", found " + describe(s.doc[i])}
}

// describe names a byte in a form that is safe to print.
func describe(c byte) string {
	if c <= ' ' || c >= 0x7F {
		return fmt.Sprintf("byte 0x%02x", c)
	}
	return fmt.Sprintf("%q", c)
}

// unterminated says that the document ends inside a string.
func (s *scanner) unterminated() *Error {
	return &Error{Offset: len(s.doc), Reason: "unexpected end of input inside a string"}
}

// tooDeep refuses the bracket at i.
func tooDeep(i int) *Error {
	return &Error{Offset: i, Reason: fmt.Sprintf("nesting deeper than %d levels", MaxDepth)}
}

// badHex says where the four digits at i of a \u escape are broken.
func (s *scanner) badHex(i int) *Error {
	for i < len(s.doc) && isHex(s.doc[i]) {
		i++
	}
	if i >= len(s.doc) {
		return s.unterminated()
	}
	return s.unexpected(i, `expected four hexadecimal digits after \u`)
}

// duplicate refuses the second name, at doc[start:end] between its quotes.
func (s *scanner) duplicate(start, end int) *Error {
	name := appendDecoded(nil, s.doc[start:end])
	return &Error{Offset: start - 1, Reason: "duplicate member " + quoteShort(name)}
}

// quoteShort quotes at most the first 64 bytes of a name that a client chose,
// so that it can neither flood nor forge log lines.
func quoteShort(name []byte) string {
	const most = 64
	if len(name) <= most {
		return fmt.Sprintf("%q", name)
	}
	cut := most
	for cut > most-utf8.UTFMax && !utf8.RuneStart(name[cut]) {
		cut--
	}
	return fmt.Sprintf("%q...", name[:cut])
}
