package responses

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// extra is what of a request's further members has to be written together with
// other things.
type extra struct {
	user, safety translate.Text
	store        bool
	verbosity    translate.Value
}

// fields writes what the other protocols' further members come to, and whether
// the answer is to be kept: unlike those, the Responses API would by default.
func (w *body) fields() {
	for i := range w.c.Fields {
		if f := &w.c.Fields[i]; w.field(f) {
			w.c.Losses.Add(f.Name, translate.Dropped, "the Responses API has nothing like it")
		}
	}
	w.raw(`,"store":`)
	w.dst = strconv.AppendBool(w.dst, w.extra.store)
	user := w.extra.safety
	if len(user) == 0 {
		user = w.extra.user
	}
	if len(user) > 0 && w.t.Quirks.OpenAIParameters {
		w.raw(`,"safety_identifier":"`)
		w.dst = appendUser(w.dst, user)
		w.raw(`"`)
	}
}

// field writes a member, and reports whether it is lost.
func (w *body) field(f *translate.Field) (lost bool) {
	openAI := w.t.Quirks.OpenAIParameters
	switch f.Name {
	case "user", "metadata.user_id":
		w.extra.user = f.Value.Text()
	case "safety_identifier":
		w.extra.safety = f.Value.Text()
	case "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "metadata":
		// About cost and bookkeeping: nothing is lost without.
		if openAI {
			w.value(f.Name, f.Value)
		}
	case "prediction": // about speed
	case "store":
		w.extra.store = openAI && f.Value.IsTrue()
		return f.Value.IsTrue() && !openAI
	case "verbosity":
		if openAI {
			w.extra.verbosity = f.Value
		}
		return !openAI
	case "moderation":
		if openAI {
			w.value(f.Name, f.Value)
		}
		return !openAI
	case "service_tier":
		return w.serviceTier(f)
	case "logprobs":
		// They could be asked for, but translated answers have no place for
		// them.
		return !f.Value.IsFalse()
	case "top_logprobs", "presence_penalty", "frequency_penalty":
		n, ok := f.Value.Float()
		return !ok || n != 0
	case "logit_bias":
		return !f.Value.IsEmpty()
	case "speed":
		return string(f.Value.Text()) != "standard"
	default:
		return true
	}
	return false
}

// serviceTier writes a tier, and reports whether it is lost. Anthropic has two:
// auto, and standard_only, which is OpenAI's default.
func (w *body) serviceTier(f *translate.Field) (lost bool) {
	tier := string(f.Value.Text())
	switch {
	case !w.t.Quirks.OpenAIParameters:
		return tier != "auto" && tier != "default" && tier != "standard_only"
	case tier == "standard_only":
		w.raw(`,"service_tier":"default"`)
	default:
		w.value(f.Name, f.Value)
	}
	return false
}

// maxUser is how long the id of a user may be at OpenAI.
const maxUser = 64

// appendUser appends the id of a user. One that is too long, as Claude Code's is,
// becomes a hash, and so the same each time.
func appendUser(dst []byte, user translate.Text) []byte {
	if user.RuneCount() <= maxUser {
		return append(dst, user...)
	}
	sum := sha256.Sum256(user.AppendDecoded(nil))
	return hex.AppendEncode(dst, sum[:])
}
