package redact

import (
	"bytes"
	"cmp"
	"slices"
	"sort"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// said is what texts of a body say, without the escapes of JSON: one text behind the
// other, with what each byte of it was written as.
type said struct {
	text  []byte
	parts []part
}

// part is a piece of the body that the text from at on was read from: so many bytes that
// stand for themselves, or one escape.
type part struct {
	at, from, size int
	escape         bool
}

// add reads the inside of a JSON text, which begins at from in the body. One that was cut
// may end within an escape, which is left out.
func (s *said) add(inside []byte, from int) {
	for len(inside) > 0 {
		n := bytes.IndexByte(inside, '\\')
		if n < 0 {
			n = len(inside)
		}
		if n > 0 {
			s.parts = append(s.parts, part{len(s.text), from, n, false})
			s.text = append(s.text, inside[:n]...)
		} else if n = escapeLength(inside); n <= len(inside) {
			s.parts = append(s.parts, part{len(s.text), from, n, true})
			s.text = rawjson.Text(inside[:n]).AppendDecoded(s.text)
		} else {
			return
		}
		inside, from = inside[n:], from+n
	}
}

// escapeLength is how long the escape is that a text begins with: with both halves of a
// character that is written as two.
func escapeLength(text []byte) int {
	switch {
	case len(text) < 2 || text[1] != 'u':
		return 2
	case len(text) > 7 && text[2]|0x20 == 'd' && text[3] >= '8' && text[6] == '\\' && text[7] == 'u':
		return 12
	}
	return 6
}

// sayings reads all texts in the JSON of a body but names of members. In a stream those of
// members of one name are one text: so are the pieces of what a model says put together,
// in each of the protocols. Elsewhere each is one by itself.
func sayings(body []byte) []*said {
	stream := isEventStream(body)
	byName := make(map[string]*said)
	var all []*said
	var name []byte
	at := 0
	for line := range bytes.Lines(body) {
		for i := 0; i < len(line); i++ {
			if line[i] != '"' {
				continue
			}
			i++
			end := rawjson.QuoteEnd(line[i:])
			if end < 0 {
				end = len(line) - i
			}
			inside, behind := line[i:i+end], bytes.TrimLeft(line[min(i+end+1, len(line)):], " \t")
			if len(behind) > 0 && behind[0] == ':' {
				if stream {
					name = inside
				}
			} else {
				s := byName[string(name)]
				if s == nil {
					s = new(said)
					byName[string(name)], all = s, append(all, s)
				}
				s.add(inside, at+i)
				if !stream {
					s.text = append(s.text, 0) // which is in no key
				}
			}
			i += end
		}
		at += len(line)
	}
	return all
}

// edit takes a piece out of a body, and puts something else there.
type edit struct {
	from, to int
	with     string
}

// removeSpread is Remove for keys that are not written in one piece, or with escapes that
// nobody needs.
func (s *Secrets) removeSpread(body []byte, cut bool) []byte {
	if len(s.written) == 0 || bytes.IndexByte(body, '\\') < 0 && !isEventStream(body) {
		return body // all that is said stands there as it is
	}
	var edits []edit
	for _, said := range sayings(body) {
		for _, key := range s.written {
			for from := 0; ; {
				n := bytes.Index(said.text[from:], key)
				if n < 0 {
					break
				}
				edits = said.remove(edits, from+n, from+n+len(key))
				from += n + len(key)
			}
		}
		if !cut {
			continue
		}
		for _, key := range s.written {
			text := bytes.TrimSuffix(said.text, []byte{0})
			if n := beginning(text, key); n > 0 {
				edits = said.remove(edits, len(text)-n, len(text))
			}
		}
	}
	if len(edits) == 0 {
		return body
	}
	slices.SortFunc(edits, func(a, b edit) int { return cmp.Compare(a.from, b.from) })
	var out []byte
	at := 0
	for _, e := range edits {
		// Two may want the same escape, where that is several bytes.
		out = append(append(out, body[at:max(at, e.from)]...), e.with...)
		at = max(at, e.to)
	}
	return append(out, body[at:]...)
}

// beginning is how many bytes of a key's beginning a text ends with; 0: none, or so few
// that they may be anything.
func beginning(text, key []byte) int {
	for n := min(len(key)-1, len(text)); n >= shortestRest; n-- {
		if bytes.HasSuffix(text, key[:n]) {
			return n
		}
	}
	return 0
}

// remove takes a stretch of what was said out of the body, and out of what was said, so
// that nothing of it is found again.
func (s *said) remove(edits []edit, from, to int) []edit {
	with := removed
	first := sort.Search(len(s.parts), func(i int) bool { return s.parts[i].at > from }) - 1
	for i := first; i < len(s.parts) && s.parts[i].at < to; i++ {
		p := s.parts[i]
		e := edit{p.from, p.from + p.size, with}
		if !p.escape {
			e.from, e.to = p.from+max(from-p.at, 0), p.from+min(to-p.at, p.size)
		}
		edits, with = append(edits, e), ""
	}
	clear(s.text[from:to])
	return edits
}
