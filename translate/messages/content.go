package messages

import (
	"bytes"
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// piece writes a content block.
func (w *body) piece(p *piece) {
	if p.block == filler {
		w.raw(`{"type":"text","text":"."}`)
		return
	}
	b := &w.c.Blocks[p.block]
	switch b.Kind {
	case translate.KindThinking:
		w.dst = append(w.dst, b.Seal...) // byte by byte: it is signed
		return
	case translate.KindImage, translate.KindDocument:
		w.file(b, p.block)
	case translate.KindToolCall:
		w.call(b, p.block)
	case translate.KindToolResult:
		w.result(b, p)
	default:
		w.words(b.Text, p)
	}
	w.mark(w.cacheOf(p))
	w.raw("}")
}

// words begins a text block.
func (w *body) words(text translate.Text, p *piece) {
	if p.trimmed {
		text = text.TrimRight()
	}
	w.raw(`{"type":"text","text":"`)
	if p.quoted {
		w.raw(translate.ReminderStart)
	}
	w.dst = append(w.dst, text...)
	if p.quoted {
		w.raw(translate.ReminderEnd)
	}
	w.raw(`"`)
}

// callID writes the id of a tool call. Those that have come before get a number,
// as each may be there only once.
func (w *body) callID(id translate.Text, block int) {
	w.raw(`"`)
	if w.t.Quirks.OwnCallIDs {
		w.dst = translate.AppendOwnCallID(w.dst, id)
	} else {
		w.dst = translate.AppendCallID(w.dst, id)
	}
	if n := w.c.Repeats(block); n > 0 {
		w.raw("_")
		w.dst = strconv.AppendInt(w.dst, int64(n), 10)
	}
	w.raw(`"`)
}

// call begins a tool_use block.
func (w *body) call(b *translate.Block, block int) {
	w.raw(`{"type":"tool_use","id":`)
	w.callID(b.ID, block)
	w.raw(`,"name":`)
	w.text(w.c.SentName(translate.Messages, b.Namespace, b.Name))
	w.raw(`,"input":`)
	w.input(b)
}

// input writes what a tool was called with, which has to be an object.
func (w *body) input(b *translate.Block) {
	in := b.Input
	switch {
	case in.JSON.IsObject():
		w.dst = append(w.dst, in.JSON...)
		return
	case b.Custom:
		w.dst = translate.AppendWrappedInput(w.dst, in.Text)
		return
	case in.Text.Blank():
		w.raw("{}")
		return
	}
	start := len(w.dst)
	w.dst = in.Text.AppendDecoded(w.dst)
	if v := rawjson.Parse(w.dst[start:]); v.IsObject() && rawjson.Valid(v) {
		return
	}
	w.dst = translate.AppendWrappedInput(w.dst[:start], in.Text)
	w.c.Losses.Add(w.c.Param(translate.SettingTurns)+".arguments", translate.Changed,
		"arguments that are no JSON object are sent as text")
}

// result begins a tool_result block.
func (w *body) result(b *translate.Block, p *piece) {
	w.raw(`{"type":"tool_result","tool_use_id":`)
	w.callID(b.ID, p.block)
	if b.Failed {
		w.raw(`,"is_error":true`)
	}
	parts := w.c.PartsOf(b)
	n := 0
	for i := range parts {
		if !empty(&parts[i]) {
			n++
		}
	}
	if n == 0 {
		return // "content" may be missing, but not be empty
	}
	w.raw(`,"content":[`)
	for i := range parts {
		if empty(&parts[i]) {
			continue
		}
		w.part(&parts[i], p.block)
		if n--; n > 0 {
			w.raw(",")
		}
	}
	w.raw("]")
}

// empty reports whether a part is a text that says nothing, which is refused.
func empty(b *translate.Block) bool {
	return (b.Kind == translate.KindText || b.Kind == translate.KindRefusal) && b.Text.Blank()
}

// part writes a part of the tool result that is at index owner.
func (w *body) part(b *translate.Block, owner int) {
	switch b.Kind {
	case translate.KindText, translate.KindRefusal:
		w.words(b.Text, &piece{})
	case translate.KindImage, translate.KindDocument:
		w.file(b, owner)
	case translate.KindToolReference:
		w.raw(`{"type":"tool_reference","tool_name":`)
		w.text(w.c.SentName(translate.Messages, nil, b.Name))
	default:
		w.refuseBlock(owner, b.Type.String()+" has no counterpart in Messages")
	}
	w.raw("}")
}

// refuseBlock notes that a block cannot be written, or a part of it, and names its
// message.
func (w *body) refuseBlock(block int, reason string) {
	if w.err != nil {
		return
	}
	for _, t := range w.c.Turns {
		if t.From <= block && block < t.To {
			w.refuse(translate.Refuse(w.c.At(t.Index, -1), reason))
		}
	}
}

// file begins an image or document block.
func (w *body) file(b *translate.Block, owner int) {
	source := b.Source.Sniff()
	kind := source.MediaType.String()
	switch {
	case source.Plain != nil:
		w.raw(`{"type":"document","source":{"type":"text","media_type":"text/plain","data":`)
		w.text(source.Plain)
	case source.URL != nil:
		w.address(b, owner)
	case source.Base64 != nil && kind == "application/pdf":
		w.raw(`{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":`)
		w.text(source.Base64)
	case source.Base64 != nil && (kind == "image/jpeg" || kind == "image/png" || kind == "image/gif" || kind == "image/webp"):
		w.raw(`{"type":"image","source":{"type":"base64","media_type":"` + kind + `","data":`)
		w.text(source.Base64)
		w.raw("}")
		return
	case source.FileID != nil:
		w.refuseBlock(owner, "a file id is known only to the provider that it comes from; send the file itself")
		return
	default:
		w.refuseBlock(owner, "Messages takes JPEG, PNG, GIF and WebP images, and PDF and text files")
		return
	}
	w.raw("}")
	if b.Kind == translate.KindDocument {
		w.about(b)
	}
}

// address begins a block of a file that the provider is to fetch.
func (w *body) address(b *translate.Block, owner int) {
	url := b.Source.URL
	if !url.Plain() {
		url = w.c.OwnString(url.String()) // many write \/ for /
	}
	if !bytes.HasPrefix(url, []byte("https://")) {
		w.refuseBlock(owner, "Messages only takes https: URLs, and data: URLs in base64")
	}
	if b.Kind == translate.KindDocument {
		w.raw(`{"type":"document","source":{"type":"url","url":`)
	} else {
		w.raw(`{"type":"image","source":{"type":"url","url":`)
	}
	w.text(url)
}

// about writes what is said about a document.
func (w *body) about(b *translate.Block) {
	if len(b.Name) > 0 {
		w.raw(`,"title":`)
		w.text(b.Name)
	}
	if len(b.Context) > 0 {
		w.raw(`,"context":`)
		w.text(b.Context)
	}
	if b.Cited {
		w.raw(`,"citations":{"enabled":true}`)
	}
}
