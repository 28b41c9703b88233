package chat

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// writeMessages writes the turns. The results of an assistant's tool calls stand
// directly behind it, whatever else was said in between.
func (w *requestWriter) writeMessages() *translate.Error {
	w.reasoning = w.hasReasoning()
	w.key("messages")
	w.dst = append(w.dst, '[')
	start := len(w.dst)
	for i := range w.c.Turns {
		if e := w.writeTurn(&w.c.Turns[i]); e != nil {
			return e
		}
	}
	w.showAside()
	if len(w.dst) == start {
		return invalid(w.c.Param(translate.SettingTurns), "says nothing")
	}
	w.dst[len(w.dst)-1] = ']' // in place of the last comma
	return nil
}

func (w *requestWriter) writeTurn(t *translate.Turn) *translate.Error {
	switch t.Role {
	case translate.User:
		return w.writeUser(t)
	case translate.Assistant:
		w.showAside()
		return w.writeAssistant(t)
	}
	w.showAside()
	return w.writeSystem(t)
}

// begin begins a message.
func (w *requestWriter) begin(role string) {
	w.dst = append(w.dst, `{"role":"`...)
	w.dst = append(w.dst, role...)
	w.dst = append(w.dst, '"')
}

// end ends a message.
func (w *requestWriter) end() { w.dst = append(w.dst, "},"...) }

func (w *requestWriter) writeSystem(t *translate.Turn) *translate.Error {
	blocks := w.c.BlocksOf(*t)
	texts, marked := 0, false
	for i := range blocks {
		if blocks[i].Kind != translate.KindText {
			return invalid(w.c.At(t.Index, i), "the instructions of a system message must be text")
		}
		if len(blocks[i].Text) > 0 {
			texts++
			marked = marked || w.marks(&blocks[i])
		}
	}
	if texts == 0 {
		return nil
	}
	if t.Developer && w.t.Quirks.DeveloperRole {
		w.begin("developer")
	} else {
		w.begin("system")
	}
	w.dst = append(w.dst, `,"content":`...)
	if marked {
		w.writeTextParts(blocks)
	} else {
		// Many take a list of texts from nobody but the user.
		w.writeJoined(blocks, `\n\n`)
	}
	w.end()
	return nil
}

// marks reports whether the target is told of the block's cache breakpoint.
func (w *requestWriter) marks(b *translate.Block) bool {
	return b.Cache != translate.CacheNone && w.t.Quirks.CacheControl
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
func (w *requestWriter) endParts() { w.dst[len(w.dst)-1] = ']' }

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
func (w *requestWriter) writeUser(t *translate.Turn) *translate.Error {
	blocks := w.c.BlocksOf(*t)
	others, last := 0, 0
	for i := range blocks {
		if blocks[i].Kind != translate.KindToolResult && (blocks[i].Kind != translate.KindText || len(blocks[i].Text) > 0) {
			others, last = others+1, i
		}
	}
	if others == 0 {
		if len(blocks) == 0 { // a message without words is one nonetheless
			w.begin("user")
			w.dst = append(w.dst, `,"content":""`...)
			w.end()
		}
		return nil
	}
	w.begin("user")
	w.dst = append(w.dst, `,"content":`...)
	if others == 1 && len(w.aside) == 0 && blocks[last].Kind == translate.KindText && !w.marks(&blocks[last]) {
		w.dst = rawjson.AppendText(w.dst, blocks[last].Text)
		w.end()
		return nil
	}
	w.dst = append(w.dst, '[')
	w.writeAside()
	for i := range blocks {
		if e := w.writePart(t, i, &blocks[i]); e != nil {
			return e
		}
	}
	w.endParts()
	w.end()
	return nil
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
	case translate.KindToolResult:
	case translate.KindHosted:
		w.loseHosted(b)
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
