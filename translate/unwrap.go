package translate

import (
	"bytes"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// unwrapper takes the text out of {"input": "text"}, which comes in pieces, as
// it comes: a custom tool that was sent as a function is called so, and its
// input is often a whole file.
//
// Each piece is the inside of a JSON string, and the text stands in it as the
// inside of another one. So with the outer escapes gone what remains is the text
// as it has to be passed on, but for the mistakes that models make in JSON.
type unwrapper struct {
	state unwrapState
	raw   []byte // of the call, outer escapes gone, up to where the text begins
	coded []byte // outer escapes that are cut in two
	inner []byte // what has lost its outer escapes, from an escape that is cut on
	out   []byte
}

type unwrapState uint8

const (
	beforeInput unwrapState = iota
	inInput
	behindInput
)

// maxBeforeInput bounds what is read in search of the input.
const maxBeforeInput = 1 << 10

// add takes the next piece and returns what of the text it holds. That is valid
// until the next call.
func (u *unwrapper) add(piece Text) Text {
	if u.state == behindInput {
		return nil
	}
	u.coded = append(u.coded, piece...)
	whole := wholeEscapes(u.coded)
	u.inner = Text(u.coded[:whole]).AppendDecoded(u.inner)
	u.coded = append(u.coded[:0], u.coded[whole:]...)
	if u.state == beforeInput {
		u.raw = append(u.raw, u.inner...)
		u.inner = u.inner[:0]
		start, ok := inputStart(u.raw)
		if !ok {
			return nil
		}
		u.state = inInput
		u.inner = append(u.inner, u.raw[start:]...)
		u.raw = nil
	}
	return u.inside()
}

// inside passes on what belongs to the text and keeps an escape that is cut.
func (u *unwrapper) inside() Text {
	end := rawjson.QuoteEnd(u.inner)
	if end >= 0 {
		u.state = behindInput
	} else {
		end = wholeEscapes(u.inner)
	}
	u.out = appendMended(u.out[:0], u.inner[:end])
	u.inner = append(u.inner[:0], u.inner[end:]...)
	return Text(u.out)
}

// appendMended appends what should be the inside of a JSON string. Models that
// are not held to JSON write control characters and backslashes of their own
// into it, which mean themselves.
func appendMended(dst, text []byte) []byte {
	clean := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\':
			if n := rawjson.EscapeLen(text[i:]); n > 0 {
				i += n - 1
				continue
			}
		case c >= ' ':
			continue
		}
		dst = append(dst, text[clean:i]...)
		dst = rawjson.AppendEscaped(dst, text[i:i+1])
		clean = i + 1
	}
	return append(dst, text[clean:]...)
}

// end returns what is to be told of a call in which no input was found: all of
// it, as it came.
func (u *unwrapper) end() Text {
	if u.state != beforeInput || len(u.raw)+len(u.coded) == 0 {
		return nil
	}
	raw := append(u.raw, u.coded...)
	if input := rawjson.Parse(raw); rawjson.Valid(raw) && input.IsObject() {
		if input.IsEmpty() {
			return nil
		}
		if text := input.Get("input"); text.IsString() {
			return text.Text()
		}
		if m := input.Members(); m.Next() && m.Value.IsString() {
			first := m.Value.Text()
			if !m.Next() {
				return first // the one text there is, under another name
			}
		}
	}
	return Text(rawjson.AppendEscaped(nil, raw))
}

// inputStart finds where the text of the member "input" begins.
func inputStart(raw []byte) (int, bool) {
	const name = `"input"`
	raw = raw[:min(len(raw), maxBeforeInput)]
	at := skipSpace(raw, 0)
	if at == len(raw) || raw[at] != '{' {
		return 0, false
	}
	at = skipSpace(raw, at+1)
	if !bytes.HasPrefix(raw[at:], []byte(name)) {
		return 0, false
	}
	at = skipSpace(raw, at+len(name))
	if at == len(raw) || raw[at] != ':' {
		return 0, false
	}
	at = skipSpace(raw, at+1)
	if at == len(raw) || raw[at] != '"' {
		return 0, false
	}
	return at + 1, true
}

func skipSpace(b []byte, at int) int {
	for at < len(b) && b[at] <= ' ' {
		at++
	}
	return at
}

// wholeEscapes returns how much of t, the inside of a JSON string, ends before
// an escape that is cut, or before half of a character.
func wholeEscapes(t Text) int {
	n := len(t) - cutEscape(t)
	return n - t[:n].HalfAtEnd()
}

// cutEscape returns the length of the escape that t ends in the middle of.
func cutEscape(t Text) int {
	const longest = len(`\u0000`)
	for back := 1; back < longest && back <= len(t); back++ {
		i := len(t) - back
		if t[i] != '\\' {
			continue
		}
		slashes := 0
		for slashes < i && t[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 && (back == 1 || t[i+1] == 'u') {
			return back
		}
		return 0
	}
	return 0
}
