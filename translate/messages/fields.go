package messages

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"unicode/utf8"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// fields writes what the other protocols' further members come to.
func (w *body) fields() {
	var user, safety translate.Text
	for _, f := range w.c.Fields {
		switch f.Name {
		case "user":
			user = f.Value.Text()
		case "safety_identifier":
			safety = f.Value.Text()
		case "service_tier":
			w.serviceTier(f)
		default:
			w.field(f)
		}
	}
	if len(safety) > 0 {
		user = safety
	}
	if len(user) > 0 {
		w.raw(`,"metadata":{"user_id":"`)
		w.dst = appendUser(w.dst, user)
		w.raw(`"}`)
	}
}

// field judges a member that has no counterpart.
func (w *body) field(f translate.Field) {
	lost := true
	switch f.Name {
	case "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "metadata",
		"verbosity", "text.verbosity", "prediction", "stream_options", "access_programs":
		lost = false // about cost, speed and bookkeeping
	case "presence_penalty", "frequency_penalty", "top_logprobs":
		n, ok := f.Value.Float()
		lost = !ok || n != 0
	case "logit_bias":
		lost = !f.Value.IsEmpty()
	case "logprobs", "store":
		lost = !f.Value.IsFalse()
	case "truncation":
		lost = string(f.Value.Text()) != "disabled"
	}
	if lost {
		w.c.Losses.Add(f.Name, translate.Dropped, "Messages has nothing like it")
	}
}

// serviceTier writes what of OpenAI's tiers there is. Anthropic's priority is
// what has been paid for before, which auto uses.
func (w *body) serviceTier(f translate.Field) {
	tier := "auto"
	switch string(f.Value.Text()) {
	case "auto", "priority":
	case "default":
		tier = "standard_only"
	default:
		w.c.Losses.Add(f.Name, translate.Changed, "Messages has no such tier")
	}
	w.raw(`,"service_tier":"` + tier + `"`)
}

// maxUser is how long a user's id may be.
const maxUser = 256

// appendUser appends the id of a user. Anthropic refuses e-mail addresses and
// telephone numbers there, which are hashed, so that it still is the same id
// each time.
func appendUser(dst []byte, user translate.Text) []byte {
	plain := user.AppendDecoded(nil)
	if !personal(plain) && utf8.RuneCount(plain) <= maxUser {
		return append(dst, user...)
	}
	sum := sha256.Sum256(plain)
	return hex.AppendEncode(dst, sum[:])
}

// personal reports whether an id looks like an e-mail address or a telephone
// number.
func personal(id []byte) bool {
	if at := bytes.IndexByte(id, '@'); at > 0 && bytes.IndexByte(id[at:], '.') > 0 && bytes.IndexByte(id, ' ') < 0 {
		return true
	}
	const fewest = 7
	digits := 0
	for _, c := range id {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case c != '+' && c != '-' && c != '.' && c != ' ' && c != '(' && c != ')' && c != '/':
			return false
		}
	}
	return digits >= fewest
}
