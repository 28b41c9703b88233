package chat

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// content reads a message's content, a string or an array of parts, and passes
// each part that says something to add, with its place.
func (r *requestReader) content(msg *message, add func(b translate.Block, at int) *translate.Error) *translate.Error {
	v := msg.content
	if v.IsString() {
		if len(v.Text()) == 0 {
			return nil
		}
		return add(translate.Block{Kind: translate.KindText, Text: v.Text(), Cache: msg.cache}, -1)
	}
	var last translate.Block
	at := -1
	for e := v.Elements(); e.Next(); {
		b, failed := r.part(e.Value, msg.index, e.Index)
		if failed != nil {
			return failed
		}
		if saysNothing(&b) {
			continue
		}
		if at >= 0 {
			if failed := add(last, at); failed != nil {
				return failed
			}
		}
		last, at = b, e.Index
	}
	if at < 0 {
		return nil
	}
	if last.Cache == translate.CacheNone {
		// What stands at the message is meant for its end.
		last.Cache = msg.cache
	}
	return add(last, at)
}

// part reads one part of a message's content.
func (r *requestReader) part(v translate.Value, index, at int) (b translate.Block, e *translate.Error) {
	if v.IsString() { // some clients list bare strings
		return translate.Block{Kind: translate.KindText, Text: v.Text()}, nil
	}
	var kind translate.Text
	var text, image, file, refusal, thinking translate.Value
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			kind = m.Value.Text()
		case "text":
			text = m.Value
		case "image_url":
			image = m.Value
		case "file":
			file = m.Value
		case "refusal":
			refusal = m.Value
		case "thinking":
			thinking = m.Value
		case "prompt_cache_breakpoint", "cache_control":
			b.Cache = cacheOf(m.Value)
		}
	}
	switch string(kind) {
	case "text":
		b.Kind, b.Text = translate.KindText, text.Text()
	case "refusal":
		b.Kind, b.Text = translate.KindRefusal, refusal.Text()
	case "image_url":
		e = r.image(&b, image, index, at)
	case "file":
		e = r.file(&b, file, index, at)
	case "thinking": // Mistral
		b.Kind, b.Text, b.Cache = translate.KindThinking, thoughts(thinking), translate.CacheNone
	case "input_audio":
		e = translate.Refuse(r.c.At(index, at), "audio can be heard only by models of Chat Completions")
	default:
		e = translate.Refuse(r.c.At(index, at), "no other protocol has parts of the type \""+kind.String()+"\"")
	}
	return b, e
}

// saysNothing reports whether a block is text, and of that none.
func saysNothing(b *translate.Block) bool {
	switch b.Kind {
	case translate.KindText, translate.KindRefusal, translate.KindThinking:
		return len(b.Text) == 0
	}
	return false
}

// image reads an image_url part. Many use it for PDF files too.
func (r *requestReader) image(b *translate.Block, v translate.Value, index, at int) *translate.Error {
	url := v.Text()
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "url":
			url = m.Value.Text()
		case "detail":
			b.Source.Detail = m.Value.Text()
		}
	}
	if len(url) == 0 {
		return invalid(r.c.At(index, at)+".image_url.url", "is required")
	}
	detail := b.Source.Detail
	b.Kind, b.Source = translate.KindImage, translate.SourceOf(url).Sniff()
	if b.Source.IsPDF() {
		b.Kind = translate.KindDocument
		return nil
	}
	b.Source.Detail = detail
	return nil
}

// file reads a file part.
func (r *requestReader) file(b *translate.Block, v translate.Value, index, at int) *translate.Error {
	b.Kind = translate.KindDocument
	var data, id translate.Text
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "filename":
			b.Name = m.Value.Text()
		case "file_data":
			data = m.Value.Text()
		case "file_id":
			id = m.Value.Text()
		}
	}
	switch {
	case len(data) > 0:
		b.Source = r.c.FileSource(data).Sniff()
	case len(id) > 0:
		b.Source.FileID = id
	default:
		return invalid(r.c.At(index, at)+".file.file_data", "is required")
	}
	return nil
}

// thoughts joins the texts of a thinking part, which are a list or one string.
func thoughts(v translate.Value) translate.Text {
	if !v.IsArray() {
		return v.Text()
	}
	var all translate.Text
	for e := v.Elements(); e.Next(); {
		all = append(all, e.Value.Get("text").Text()...)
	}
	return all
}
