package chat

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// writeMessages writes the turns. The results of an assistant's tool calls stand
// directly behind it, whatever else was said in between.
func (w *requestWriter) writeMessages() *translate.Error {
	w.reasoning = w.hasReasoning()
	w.parts = w.t.Quirks.CacheControl && w.c.CacheMarked()
	w.loop = w.currentLoop()
	w.key("messages")
	w.dst = append(w.dst, '[')
	start := len(w.dst)
	next, e := w.writeInstructions()
	for e == nil && next < len(w.c.Turns) {
		next, e = w.writeTurn(next)
	}
	if e != nil {
		return e
	}
	w.showAside()
	if len(w.dst) == start {
		return invalid(w.c.Param(translate.SettingTurns), "says nothing")
	}
	w.dst[len(w.dst)-1] = ']' // in place of the last comma
	return nil
}

// writeTurn writes the turn at index i, and those of instructions behind it that
// become part of it. It returns the index of the next one.
func (w *requestWriter) writeTurn(i int) (next int, _ *translate.Error) {
	t := &w.c.Turns[i]
	switch {
	case t.Role == translate.User:
		held := len(w.notes)
		next, e := w.holdNotes(i + 1)
		if e != nil {
			return next, e
		}
		return next, w.writeUser(t, held)
	case t.Role == translate.Assistant:
		w.showAside()
		return i + 1, w.writeAssistant(t)
	case !w.takesSystem():
		return w.holdNotes(i)
	}
	w.showAside()
	return i + 1, w.writeSystem(t)
}

// bridge is what the assistant says where something has to stand between a result
// and the user.
const bridge = "Understood."

// begin begins a message.
func (w *requestWriter) begin(role string) {
	if role == "user" && w.role == "tool" && w.t.Quirks.NoUserAfterTool {
		w.dst = append(w.dst, `{"role":"assistant","content":"`+bridge+`"},`...)
	}
	w.role = role
	w.dst = append(w.dst, `{"role":"`...)
	w.dst = append(w.dst, role...)
	w.dst = append(w.dst, '"')
}

// end ends a message.
func (w *requestWriter) end() { w.dst = append(w.dst, "},"...) }

func (w *requestWriter) writeSystem(t *translate.Turn) *translate.Error {
	if e := w.checkInstructions(t); e != nil {
		return e
	}
	blocks := w.c.BlocksOf(*t)
	if firstWords(blocks) == len(blocks) {
		return nil
	}
	if t.Developer && w.t.Quirks.DeveloperRole {
		w.begin("developer")
	} else {
		w.begin("system")
	}
	w.dst = append(w.dst, `,"content":`...)
	if w.parts {
		w.writeTextParts(blocks)
	} else {
		// Many take a list of texts from nobody but the user.
		w.writeJoined(blocks, `\n\n`)
	}
	w.end()
	return nil
}

// writeJoined writes the texts of blocks as one string.
func (w *requestWriter) writeJoined(blocks []translate.Block, separator string) {
	w.dst = append(w.dst, '"')
	written := false
	for i := range blocks {
		if !isText(&blocks[i]) {
			continue
		}
		if written {
			w.dst = append(w.dst, separator...)
		}
		w.dst = append(w.dst, blocks[i].Text...)
		written = true
	}
	w.dst = append(w.dst, '"')
}

// isText reports whether the block is text that says something.
func isText(b *translate.Block) bool {
	return (b.Kind == translate.KindText || b.Kind == translate.KindRefusal) && len(b.Text) > 0
}

// says reports whether the block leaves anything in a message of the user, or of
// instructions.
func says(b *translate.Block) bool {
	switch b.Kind {
	case translate.KindToolResult, translate.KindHosted:
		return false
	case translate.KindText:
		return len(b.Text) > 0
	}
	return true
}

// firstWords returns the index of the first block that says anything, or the number of
// blocks.
func firstWords(blocks []translate.Block) int {
	for i := range blocks {
		if says(&blocks[i]) {
			return i
		}
	}
	return len(blocks)
}

// writeTextParts writes the texts of blocks as a list of parts.
func (w *requestWriter) writeTextParts(blocks []translate.Block) {
	w.dst = append(w.dst, '[')
	for i := range blocks {
		if isText(&blocks[i]) {
			w.writeText(&blocks[i])
		}
	}
	w.endParts()
}

// endParts ends a list of parts, each of which has a comma behind it.
func (w *requestWriter) endParts() {
	if last := len(w.dst) - 1; w.dst[last] == ',' {
		w.dst = w.dst[:last]
	}
	w.dst = append(w.dst, ']')
}

// writeText writes a text part, and a comma.
func (w *requestWriter) writeText(b *translate.Block) {
	if b.Kind == translate.KindRefusal && w.t.Quirks.OpenAIParameters {
		w.dst = append(w.dst, `{"type":"refusal","refusal":`...)
		w.dst = rawjson.AppendText(w.dst, b.Text)
	} else {
		w.dst = append(w.dst, `{"type":"text","text":`...)
		w.dst = rawjson.AppendText(w.dst, b.Text)
		w.writeMark(b.Cache)
	}
	w.dst = append(w.dst, "},"...)
}

// writeMark writes the member of a part, tool or request which is a breakpoint for
// the prompt cache, where the target knows it.
func (w *requestWriter) writeMark(cache translate.Cache) {
	if !w.t.Quirks.CacheControl {
		return
	}
	switch cache {
	case translate.Cache5m:
		w.dst = append(w.dst, `,"cache_control":{"type":"ephemeral"}`...)
	case translate.Cache1h:
		w.dst = append(w.dst, `,"cache_control":{"type":"ephemeral","ttl":"1h"}`...)
	}
}

// writeUser writes what the user says. What tools returned is already written.
// The first held notes came before it, and the others behind.
func (w *requestWriter) writeUser(t *translate.Turn, held int) *translate.Error {
	blocks := w.c.BlocksOf(*t)
	for i := range blocks {
		if blocks[i].Kind == translate.KindHosted {
			w.loseHosted(&blocks[i])
		}
	}
	first := firstWords(blocks)
	if first == len(blocks) {
		if len(blocks)+len(w.notes) == 0 { // a message without words is one nonetheless
			w.begin("user")
			w.dst = append(w.dst, `,"content":""`...)
			w.end()
		}
		return nil
	}
	w.begin("user")
	w.dst = append(w.dst, `,"content":`...)
	rest := blocks[first+1:]
	if b := &blocks[first]; b.Kind == translate.KindText && w.isPlain() && firstWords(rest) == len(rest) {
		w.dst = rawjson.AppendText(w.dst, b.Text)
		w.end()
		return nil
	}
	w.dst = append(w.dst, '[')
	w.writeAside()
	w.writeNotes(w.notes[:held])
	for i := range blocks {
		if e := w.writePart(t, i, &blocks[i]); e != nil {
			return e
		}
	}
	w.writeNotes(w.notes[held:])
	w.notes = w.notes[:0]
	w.endParts()
	w.end()
	return nil
}

// isPlain reports whether a single text can be a message of the user that is no
// list of parts.
func (w *requestWriter) isPlain() bool {
	return !w.parts && len(w.aside)+len(w.notes) == 0
}

// writePart writes a part of the user's message, and a comma.
func (w *requestWriter) writePart(t *translate.Turn, at int, b *translate.Block) *translate.Error {
	switch b.Kind {
	case translate.KindText:
		if len(b.Text) > 0 {
			w.writeText(b)
		}
	case translate.KindImage, translate.KindDocument:
		if reason := w.unreachable(b); reason != "" {
			return translate.Refuse(w.c.At(t.Index, at), reason)
		}
		w.writeAttachment(b)
	case translate.KindToolResult, translate.KindHosted:
	default:
		return w.refuseForeign(t, at, b)
	}
	return nil
}

func (w *requestWriter) refuseForeign(t *translate.Turn, at int, b *translate.Block) *translate.Error {
	return translate.Refuse(w.c.At(t.Index, at), "Chat Completions has nothing like \""+b.Type.String()+"\"")
}

// loseHosted notes that a tool call which the vendor ran is not told.
func (w *requestWriter) loseHosted(b *translate.Block) {
	w.c.Losses.Add(w.c.Param(translate.SettingTurns)+".content."+b.Type.String(), translate.Dropped,
		"what a vendor's own tools did is known only to the vendor")
}
