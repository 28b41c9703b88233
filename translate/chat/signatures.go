package chat

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// noSignature is what Google takes for the signature of a call that another model
// made (ai.google.dev/gemini-api/docs/thought-signatures).
const noSignature = "skip_thought_signature_validator"

// currentLoop returns the index of the first block behind the last words of the
// user: the model is still at work on them. Google wants signatures only there.
func (w *requestWriter) currentLoop() int {
	for i := len(w.c.Turns) - 1; i >= 0; i-- {
		t := &w.c.Turns[i]
		if blocks := w.c.BlocksOf(*t); t.Role == translate.User && firstWords(blocks) < len(blocks) {
			return t.To
		}
	}
	return 0
}

// isUnsigned reports whether the turn's calls need a signature and have none. Of
// calls that were made at once only the first is signed.
func (w *requestWriter) isUnsigned(t *translate.Turn) bool {
	if !w.t.Quirks.ThoughtSignatures || t.From < w.loop {
		return false
	}
	for i := t.From; i < t.To; i++ {
		if b := &w.c.Blocks[i]; b.Kind == translate.KindToolCall && len(w.c.CallSignature(b.ID)) > 0 {
			return false
		}
	}
	return true
}

// writeSignature gives back the vendor's signature of a call, or says that it has
// none.
func (w *requestWriter) writeSignature(id translate.Text, unsigned bool) {
	signature := w.c.CallSignature(id)
	if unsigned {
		signature = translate.Text(noSignature)
	}
	if len(signature) > 0 {
		w.dst = append(w.dst, `,"extra_content":{"google":{"thought_signature":`...)
		w.dst = rawjson.AppendText(w.dst, signature)
		w.dst = append(w.dst, "}}"...)
	}
}
