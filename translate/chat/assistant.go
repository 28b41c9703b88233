package chat

import (
	"bytes"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// saying is what an assistant's turn consists of.
type saying struct {
	texts, calls, thoughts int
	refusal                bool
	hosted                 *translate.Block
}

// sayingOf counts what there is to write of an assistant's turn.
func (w *requestWriter) sayingOf(t *translate.Turn) (s saying, e *translate.Error) {
	blocks := w.c.BlocksOf(*t)
	for i := range blocks {
		switch b := &blocks[i]; b.Kind {
		case translate.KindText, translate.KindRefusal:
			if len(b.Text) > 0 {
				s.texts++
				s.refusal = s.refusal || b.Kind == translate.KindRefusal
			}
		case translate.KindToolCall:
			s.calls++
		case translate.KindThinking:
			if w.returns(b) {
				s.thoughts++
			}
		case translate.KindHosted:
			s.hosted = b
		default:
			return s, w.refuseForeign(t, i, b)
		}
	}
	return s, nil
}

// writeAssistant writes what the model said and called, and what the tools
// returned.
func (w *requestWriter) writeAssistant(t *translate.Turn) *translate.Error {
	blocks := w.c.BlocksOf(*t)
	s, e := w.sayingOf(t)
	if e != nil {
		return e
	}
	if s.hosted != nil && s.texts == 0 {
		w.loseHosted(s.hosted)
	}
	if s.texts+s.calls+s.thoughts == 0 {
		return nil
	}
	w.begin("assistant")
	w.dst = append(w.dst, `,"content":`...)
	w.writeSaid(blocks, &s)
	if w.reasoning {
		w.writeReasoning(blocks, s.calls > 0)
	}
	if s.calls == 0 {
		w.end()
		return nil
	}
	w.writeCalls(t)
	w.end()
	return w.writeResults(t)
}

// writeSaid writes the content of an assistant's message.
func (w *requestWriter) writeSaid(blocks []translate.Block, s *saying) {
	switch {
	case s.texts == 0 && s.calls > 0 && !w.t.Quirks.EmptyContent:
		w.dst = append(w.dst, "null"...)
	case w.parts && s.texts > 0, s.refusal && w.t.Quirks.OpenAIParameters:
		w.writeTextParts(blocks)
	default:
		w.writeSpoken(blocks)
	}
}

// writeSpoken writes the texts of an assistant as one string. A text may be cut
// into blocks where it cites something, anywhere in a sentence; but what was said
// before and after a call is not one sentence.
func (w *requestWriter) writeSpoken(blocks []translate.Block) {
	w.dst = append(w.dst, '"')
	written, apart := false, false
	for i := range blocks {
		if !isText(&blocks[i]) {
			apart = true
			continue
		}
		if written && apart {
			w.dst = append(w.dst, `\n\n`...)
		}
		w.dst = append(w.dst, blocks[i].Text...)
		written, apart = true, false
	}
	w.dst = append(w.dst, '"')
}

// sealedField is where OpenRouter has reasoning with its signatures.
const sealedField = "reasoning_details"

// hasReasoning reports whether there is reasoning that the target wants back.
// Vendors want it for all turns with calls or for none.
func (w *requestWriter) hasReasoning() bool {
	if w.t.Quirks.ReasoningField == "" {
		return false
	}
	for i := range w.c.Blocks {
		if b := &w.c.Blocks[i]; b.Kind == translate.KindThinking && w.returns(b) {
			return true
		}
	}
	return false
}

// returns reports whether the target wants a thinking block back.
func (w *requestWriter) returns(b *translate.Block) bool {
	switch w.t.Quirks.ReasoningField {
	case "":
		return false
	case sealedField:
		return w.opens(b)
	}
	return len(b.Text) > 0
}

// opens reports whether a thinking block was sealed by the target, in the form
// of Chat Completions: a list of details.
func (w *requestWriter) opens(b *translate.Block) bool {
	return b.Sealer == w.t.Provider && b.Seal.IsArray() && !b.Seal.IsEmpty()
}

// writeReasoning writes the member with what the model thought.
func (w *requestWriter) writeReasoning(blocks []translate.Block, calls bool) {
	field := w.t.Quirks.ReasoningField
	start := len(w.dst)
	w.key(field)
	if field == sealedField {
		if !w.writeDetails(blocks) {
			w.dst = w.dst[:start]
		}
		return
	}
	w.dst = append(w.dst, '"')
	written := false
	for i := range blocks {
		if b := &blocks[i]; b.Kind == translate.KindThinking && len(b.Text) > 0 {
			if written {
				w.dst = append(w.dst, `\n\n`...)
			}
			w.dst = append(w.dst, b.Text...)
			written = true
		}
	}
	w.dst = append(w.dst, '"')
	if !written && !calls {
		w.dst = w.dst[:start]
	}
}

// writeDetails writes all details that the target sealed as one list, if there
// are any.
func (w *requestWriter) writeDetails(blocks []translate.Block) bool {
	w.dst = append(w.dst, '[')
	start := len(w.dst)
	for i := range blocks {
		if b := &blocks[i]; b.Kind == translate.KindThinking && w.opens(b) {
			w.dst = append(w.dst, bytes.TrimSpace(b.Seal[1:len(b.Seal)-1])...)
			w.dst = append(w.dst, ',')
		}
	}
	if len(w.dst) == start {
		return false
	}
	w.endParts()
	return true
}

func (w *requestWriter) writeCalls(t *translate.Turn) {
	blocks := w.c.BlocksOf(*t)
	w.dst = append(w.dst, `,"tool_calls":[`...)
	unsigned := w.isUnsigned(t)
	for i := range blocks {
		if blocks[i].Kind == translate.KindToolCall {
			w.writeCall(&blocks[i], unsigned)
			unsigned = false
		}
	}
	w.endParts()
}

// writeCall writes one tool call, and a comma. unsigned says that it needs a
// signature and has none.
func (w *requestWriter) writeCall(b *translate.Block, unsigned bool) {
	w.dst = append(w.dst, `{"id":"`...)
	w.writeCallID(b.ID)
	custom := b.Custom && w.t.Quirks.CustomTools
	if custom {
		w.dst = append(w.dst, `","type":"custom","custom":{"name":"`...)
	} else {
		w.dst = append(w.dst, `","type":"function","function":{"name":"`...)
	}
	w.dst = append(w.dst, w.c.SentName(translate.Chat, b.Namespace, b.Name)...)
	switch {
	case custom:
		w.dst = append(w.dst, `","input":"`...)
		w.writeCustomInput(&b.Input)
	case b.Custom:
		// The arguments are JSON in a string, and the text a string in that.
		w.dst = append(w.dst, `","arguments":"{\"input\":\"`...)
		start := len(w.dst)
		w.writeCustomInput(&b.Input)
		text := w.c.Own(w.dst[start:])
		w.dst = rawjson.AppendEscaped(w.dst[:start], text)
		w.dst = append(w.dst, `\"}`...)
	default:
		w.dst = append(w.dst, `","arguments":"`...)
		w.writeArguments(&b.Input)
	}
	w.dst = append(w.dst, `"}`...)
	if w.t.Quirks.ThoughtSignatures {
		w.writeSignature(b.ID, unsigned)
	}
	w.dst = append(w.dst, "},"...)
}

// writeCallID writes the inside of the string that is a call's id.
func (w *requestWriter) writeCallID(id translate.Text) {
	switch {
	case w.t.Quirks.ShortCallIDs:
		w.dst = translate.AppendShortCallID(w.dst, id)
	case w.t.Quirks.OwnCallIDs:
		w.dst = translate.AppendOwnCallID(w.dst, id)
	default:
		w.dst = translate.AppendCallID(w.dst, id)
	}
}

// writeCustomInput writes the inside of the string that is a custom tool's
// input.
func (w *requestWriter) writeCustomInput(in *translate.Input) {
	if in.JSON != nil {
		w.dst = rawjson.AppendEscaped(w.dst, in.JSON)
	} else {
		w.dst = append(w.dst, in.Text...)
	}
}

// writeArguments writes the inside of the string that is a function's arguments.
// Several vendors refuse an empty one.
func (w *requestWriter) writeArguments(in *translate.Input) {
	switch {
	case in.JSON != nil:
		w.dst = rawjson.AppendEscaped(w.dst, in.JSON)
	case in.Text.Blank():
		w.dst = append(w.dst, "{}"...)
	default:
		w.dst = append(w.dst, in.Text...)
	}
}
