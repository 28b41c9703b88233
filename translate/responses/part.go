package responses

import (
	"bytes"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// part is a content part with the members that any type of it may have.
type part struct {
	kind                     translate.Text
	text, refusal            translate.Text
	imageURL, detail, fileID translate.Text
	data, fileURL, filename  translate.Text
	breakpoint               translate.Value
}

func (p *part) read(raw translate.Value) {
	if text := raw.Text(); text != nil {
		// Not in the documentation, but nothing else can be meant.
		p.kind, p.text = translate.Text("input_text"), text
		return
	}
	for m := raw.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			p.kind = m.Value.Text()
		case "text":
			p.text = m.Value.Text()
		case "refusal":
			p.refusal = m.Value.Text()
		case "image_url":
			p.imageURL = m.Value.Text()
		case "detail":
			p.detail = m.Value.Text()
		case "file_id":
			p.fileID = m.Value.Text()
		case "file_data":
			p.data = m.Value.Text()
		case "file_url":
			p.fileURL = m.Value.Text()
		case "filename":
			p.filename = m.Value.Text()
		case "prompt_cache_breakpoint":
			p.breakpoint = m.Value
		}
	}
}

// readPart reads a part of a message or of a tool's output.
func (r *request) readPart(index, n int, raw translate.Value) (translate.Block, *translate.Error) {
	var p part
	p.read(raw)
	b := translate.Block{Cache: cacheOf(p.breakpoint)}
	switch string(p.kind) {
	case "input_text", "output_text", "text", "summary_text", "reasoning_text":
		b.Kind, b.Text = translate.KindText, p.text
	case "refusal":
		b.Kind, b.Text = translate.KindRefusal, p.refusal
		if p.refusal == nil {
			b.Text = p.text
		}
	case "input_image":
		b.Kind, b.Source = translate.KindImage, imageSource(&p)
		if b.Source.IsPDF() {
			b.Kind = translate.KindDocument
		}
		return b, r.found(index, n, &b.Source)
	case "input_file":
		b.Kind, b.Name, b.Source = translate.KindDocument, p.filename, r.fileSource(&p)
		return b, r.found(index, n, &b.Source)
	default:
		return b, translate.Refuse(r.c.At(index, n)+".type", "no other provider takes a part of this type")
	}
	return b, nil
}

// found refuses a source that is nowhere.
func (r *request) found(index, n int, s *translate.Source) *translate.Error {
	if len(s.Base64)+len(s.Plain)+len(s.URL)+len(s.FileID) == 0 {
		return invalid(r.c.At(index, n), "has neither data nor a URL")
	}
	return nil
}

func imageSource(p *part) translate.Source {
	if len(p.imageURL) == 0 {
		return translate.Source{FileID: p.fileID, Detail: p.detail}
	}
	source := translate.SourceOf(p.imageURL)
	source.Detail = p.detail
	return source
}

func (r *request) fileSource(p *part) translate.Source {
	switch {
	case len(p.data) > 0:
		return r.c.FileSource(p.data)
	case len(p.fileURL) > 0:
		return translate.Source{URL: p.fileURL}
	}
	return translate.Source{FileID: p.fileID}
}

// cacheOf reads a prompt_cache_breakpoint, whose lifetime is such as 30m.
func cacheOf(v translate.Value) translate.Cache {
	if !v.IsObject() {
		return translate.CacheNone
	}
	ttl := v.Get("ttl").Text()
	minutes, ok := bytes.CutSuffix(ttl, []byte{'m'})
	if n, _ := rawjson.Value(minutes).Int(); len(ttl) == 0 || ok && n < 30 {
		return translate.Cache5m
	}
	return translate.Cache1h
}
