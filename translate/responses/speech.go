package responses

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// say passes on text of a message: a piece, or all of it where no pieces came.
func (d *decoder) say(e *event, kind translate.Kind, text translate.Text, piece bool) {
	it := d.at(e)
	n, _ := e.part.Int()
	p := d.part(it, n)
	if len(text) == 0 || it.over || p.over || p.told && !piece {
		return
	}
	if !p.told {
		it.kind = translate.KindText
		d.open(p, kind)
	}
	d.a.Delta(p.key, text)
}

// cite passes on where a text comes from.
func (d *decoder) cite(e *event) {
	it := d.at(e)
	n, _ := e.part.Int()
	if p := d.part(it, n); p.told && !p.over && !it.over {
		p.cited++
		d.a.Cite(p.key, citationOf(e.annotation))
	}
}

func citationOf(raw translate.Value) translate.Citation {
	c := translate.Citation{Raw: raw}
	for m := raw.Members(); m.Next(); {
		switch string(m.Name) {
		case "url":
			c.URL = m.Value.Text()
		case "title":
			c.Title = m.Value.Text()
		case "file_id":
			c.FileID = m.Value.Text()
		case "filename":
			c.Filename = m.Value.Text()
		}
	}
	return c
}

// think passes on reasoning: a piece, or all of a part where no pieces came. Of
// what a model thought and the summary of it only one is told, the one that comes
// first.
func (d *decoder) think(e *event, in place, text translate.Text, piece bool) {
	it := d.at(e)
	n, _ := e.part.Int()
	if len(text) == 0 || it.over || it.told && it.place != in {
		return
	}
	another := it.told && it.thought != n
	if it.told && !another && !piece {
		return
	}
	if !it.told {
		it.told, it.kind, it.place = true, translate.KindThinking, in
		d.a.Open(it.key, translate.Head{Kind: translate.KindThinking})
	}
	it.thought = n
	if another {
		d.a.Delta(it.key, paragraph)
	}
	d.a.Delta(it.key, text)
}

// thoughtDone ends a thought. Only now what seals it is final.
func (d *decoder) thoughtDone(it *outputItem, i *item, raw translate.Value) {
	sealed := len(i.encrypted) > 0 || !i.content.IsEmpty()
	if !it.told {
		text := joinedParts(i.content)
		if len(text) == 0 {
			text = joinedParts(i.summary)
		}
		if it.told = len(text) > 0 || sealed; !it.told {
			it.over = true
			return
		}
		d.a.Open(it.key, translate.Head{Kind: translate.KindThinking, Hidden: len(text) == 0})
		d.a.Delta(it.key, text)
	}
	if sealed {
		d.a.Seal(it.key, withoutNullStatus(raw))
	}
	d.finish(it)
}

// withoutNullStatus returns an item as its vendor takes it back: some write a
// status of null, and refuse it.
func withoutNullStatus(raw translate.Value) translate.Value {
	if status := raw.Get("status"); len(status) == 0 || !status.IsNull() {
		return raw
	}
	out := translate.Value{'{'}
	for m := raw.Members(); m.Next(); {
		if string(m.Name) == "status" {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(rawjson.AppendText(out, m.Name), ':')
		out = append(out, m.Value...)
	}
	return append(out, '}')
}
