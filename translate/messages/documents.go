package messages

import "github.com/caddy-llm-proxy/caddy-llm-proxy/translate"

// sourceOf reads where the bytes of an image or a document are. ok is false if
// they are nowhere.
func sourceOf(v translate.Value) (s translate.Source, ok bool) {
	var kind, data translate.Text
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			kind = m.Value.Text()
		case "media_type":
			s.MediaType = m.Value.Text()
		case "data":
			data = m.Value.Text()
		case "url":
			s.URL = m.Value.Text()
		case "file_id":
			s.FileID = m.Value.Text()
		}
	}
	switch string(kind) {
	case "base64":
		s.Base64 = data
	case "text":
		s.Plain = data
	}
	return s, s.Base64 != nil || s.Plain != nil || s.URL != nil || s.FileID != nil
}

const noCitations = "answers tell no places in documents"

// readDocument adds a document. It returns false if it has no content.
func (r *request) readDocument(add adder, b *block) bool {
	cited := b.citations.Get("enabled").IsTrue()
	if cited {
		r.c.Losses.Add("messages.content.citations", translate.Dropped, noCitations)
	}
	if content := b.source.Get("content"); !content.IsNull() {
		return r.readParts(add, b, content)
	}
	source, ok := sourceOf(b.source)
	if ok {
		add(r.c, translate.Block{
			Kind: translate.KindDocument, Source: source, Name: b.title, Context: b.context,
			Cited: cited, Cache: cacheOf(b.cache),
		})
	}
	return ok
}

// readParts adds the texts and images that a document consists of, behind its
// title and context.
func (r *request) readParts(add adder, b *block, content translate.Value) bool {
	cache := cacheOf(b.cache)
	if head := appendLine(appendLine(nil, b.title), b.context); len(head) > 0 {
		add(r.c, translate.Block{Kind: translate.KindText, Text: head})
	}
	if text := content.Text(); len(text) > 0 {
		add(r.c, translate.Block{Kind: translate.KindText, Text: text, Cache: cache})
	}
	for e := content.Elements(); e.Next(); {
		b.read(e.Value)
		if kind := string(b.kind); kind != "text" && kind != "image" || !r.readShared(add, b) {
			return false
		}
	}
	return true
}

// readSearchResult adds what a client's own search found, as text.
func (r *request) readSearchResult(add adder, b *block) {
	if b.citations.Get("enabled").IsTrue() {
		r.c.Losses.Add("messages.content.citations", translate.Dropped, noCitations)
	}
	text := appendLine(appendLine(nil, b.title), b.source.Text())
	for e := b.content.Elements(); e.Next(); {
		text = appendLine(text, e.Value.Get("text").Text())
	}
	if len(text) > 0 {
		add(r.c, translate.Block{Kind: translate.KindText, Text: text, Cache: cacheOf(b.cache)})
	}
}

// appendLine appends a text that says something to others, behind a line break.
func appendLine(all, line translate.Text) translate.Text {
	if len(all) > 0 && len(line) > 0 {
		all = append(all, `\n`...)
	}
	return append(all, line...)
}
