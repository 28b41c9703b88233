package chat

import (
	"crypto/sha256"
	"encoding/hex"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// writeFields writes what of the request's other members has a place here. The
// rest is noted, but for what has no effect on the answer.
func (w *requestWriter) writeFields() {
	for i := range w.c.Fields {
		f := &w.c.Fields[i]
		if w.takes(f.Name) {
			w.write(f.Name, f.Value)
			continue
		}
		if !w.writeField(f) {
			w.c.Losses.Add(f.Name, translate.Dropped, "Chat Completions has no such parameter")
		}
	}
}

// writeField writes a member if it has a place here. It returns false if it is
// missing in the answer.
func (w *requestWriter) writeField(f *translate.Field) bool {
	openAI := w.t.Quirks.OpenAIParameters
	switch f.Name {
	case "safety_identifier", "user", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options":
		if openAI {
			w.write(f.Name, f.Value)
		}
	case "text.verbosity":
		if openAI {
			w.write("verbosity", f.Value)
		}
	case "moderation":
		if openAI {
			w.write(f.Name, f.Value)
		}
		return openAI
	case "service_tier":
		w.writeTier(f.Value)
	case "store":
		return w.writeStore(f.Value)
	case "metadata": // OpenAI refuses it where nothing is stored
		if openAI && w.stores() {
			w.write(f.Name, f.Value)
		}
	case "metadata.user_id":
		if openAI {
			w.writeUserID(f.Value.Text())
		}
	case "truncation":
		return f.Value.Text().Is("disabled")
	case "speed":
		return f.Value.Text().Is("standard")
	case "top_logprobs":
		n, _ := f.Value.Int()
		return n == 0
	case "stream_options", "access_programs":
		// About the wire and bookkeeping only.
	default:
		return f.Value.IsEmpty() || f.Value.IsFalse()
	}
	return true
}

// writeTier writes how fast the answer should come, which is not what it says.
func (w *requestWriter) writeTier(v translate.Value) {
	if !w.t.Quirks.OpenAIParameters {
		return
	}
	if v.Text().Is("standard_only") { // Anthropic's
		v = translate.Value(`"default"`)
	}
	w.write("service_tier", v)
}

// writeStore asks to keep the answer at the vendor, which only OpenAI does.
func (w *requestWriter) writeStore(v translate.Value) bool {
	if !v.IsTrue() {
		return true // nobody does it unasked
	}
	if w.t.Quirks.OpenAIParameters {
		w.write("store", v)
	}
	return w.t.Quirks.OpenAIParameters
}

// stores reports whether the answer is to be kept at the vendor.
func (w *requestWriter) stores() bool {
	for i := range w.c.Fields {
		if w.c.Fields[i].Name == "store" {
			return w.c.Fields[i].Value.IsTrue()
		}
	}
	return false
}

// maxUserID is the longest user id that OpenAI takes.
const maxUserID = 64

// writeUserID tells who the end user is, so that the vendor can tell abuse from
// use. Claude Code's ids are longer than OpenAI takes; a hash is an id as well.
func (w *requestWriter) writeUserID(id translate.Text) {
	if len(id) == 0 {
		return
	}
	w.key("safety_identifier")
	if id.RuneCount() <= maxUserID {
		w.dst = rawjson.AppendText(w.dst, id)
		return
	}
	sum := sha256.Sum256(id.AppendDecoded(nil))
	w.dst = append(w.dst, '"')
	w.dst = hex.AppendEncode(w.dst, sum[:])
	w.dst = append(w.dst, '"')
}
