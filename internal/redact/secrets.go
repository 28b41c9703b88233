package redact

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// shortestSecret is from where a key is one. Servers that check none are given "x"
// or "EMPTY", which occur in ordinary words.
const shortestSecret = 8

// shortestRest is how much of a key's beginning is taken away at the end of a body
// that has been cut there.
const shortestRest = 4

const removed = "[key removed]"

// Secrets are keys that must not be kept anywhere.
type Secrets struct {
	written [][]byte // each way in which one of them is written in JSON, longest first
}

// NewSecrets takes note of keys.
func NewSecrets(keys []string) *Secrets {
	var s Secrets
	for _, key := range keys {
		if len(key) < shortestSecret {
			continue
		}
		quoted, err := json.Marshal(key)
		if err != nil {
			panic(err) // no string fails
		}
		inside := string(quoted[1 : len(quoted)-1])
		for _, way := range [...]string{key, inside, strings.ReplaceAll(inside, "/", `\/`)} {
			s.written = append(s.written, []byte(way))
		}
	}
	slices.SortFunc(s.written, func(a, b []byte) int { return cmp.Or(cmp.Compare(len(b), len(a)), bytes.Compare(a, b)) })
	s.written = slices.CompactFunc(s.written, bytes.Equal)
	return &s
}

// Remove returns text with something else in the place of keys, also of those that JSON
// writes with escapes, or a stream in pieces. Where it has been cut at its end, the
// beginning of a key there goes, too. A key in another encoding, such as Base64, is not
// found.
func (s *Secrets) Remove(text []byte, cut bool) []byte {
	for _, key := range s.written {
		if bytes.Contains(text, key) {
			text = bytes.ReplaceAll(text, key, []byte(removed))
		}
	}
	text = s.removeSpread(text, cut)
	if !cut {
		return text
	}
	for _, key := range s.written {
		if n := beginning(text, key); n > 0 {
			return append(text[:len(text)-n:len(text)-n], removed...)
		}
	}
	return text
}
