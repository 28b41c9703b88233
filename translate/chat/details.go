package chat

import (
	"bytes"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// details are OpenRouter's reasoning_details: a list of objects with text,
// summaries, signatures and encrypted reasoning, which has to come back as it
// was. In a stream one object comes in many pieces, of the same type and index.
type details struct {
	list []detail
	json []byte
}

// detail is one object of the list, or a piece of one.
type detail struct {
	raw    translate.Value // as it came; nil once pieces have been joined
	kind   translate.Text
	index  translate.Value
	text   translate.Text
	sealed bool // has a signature, or encrypted reasoning

	member string            // which text is: "text" or "summary"
	others []translate.Value // name and value of each other member
}

// detailOf reads one object.
func detailOf(v translate.Value) detail {
	d := detail{raw: v}
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			d.kind = m.Value.Text()
		case "index":
			d.index = m.Value
		case "text", "summary":
			if d.text = m.Value.Text(); m.Value.IsString() {
				d.member = string(m.Name)
			}
		case "signature", "data":
			d.sealed = d.sealed || len(m.Value.Text()) > 0
		}
	}
	return d
}

// silent reports whether there is nothing in it to give back.
func (d *detail) silent() bool { return len(d.text) == 0 && !d.sealed }

func (d *details) empty() bool { return len(d.list) == 0 }

func (d *details) reset() { d.list = d.list[:0] }

// add takes over one object, of memory that is used again.
func (d *details) add(piece *detail) {
	if n := len(d.list); n > 0 && d.list[n-1].continuedBy(piece) {
		d.list[n-1].join(piece)
		return
	}
	d.list = append(d.list, detail{
		raw:    bytes.Clone(piece.raw),
		kind:   bytes.Clone(piece.kind),
		index:  bytes.Clone(piece.index),
		text:   bytes.Clone(piece.text),
		sealed: piece.sealed,
		member: piece.member,
	})
}

// continuedBy reports whether a piece belongs to the same object. Encrypted
// reasoning comes whole, and behind a signature there is no more text.
func (d *detail) continuedBy(piece *detail) bool {
	if string(d.kind) != string(piece.kind) || !bytes.Equal(d.index, piece.index) || string(d.kind) == "reasoning.encrypted" {
		return false
	}
	return !d.sealed || len(piece.text) == 0
}

// join adds a piece: text behind the text, any other member in place of the
// earlier one unless it is empty.
func (d *detail) join(piece *detail) {
	if d.raw != nil {
		d.keep(d.raw)
		d.raw = nil
	}
	d.keep(piece.raw)
	d.text = append(d.text, piece.text...)
	d.sealed = d.sealed || piece.sealed
	if d.member == "" {
		d.member = piece.member
	}
}

// keep takes over the members of a piece that are not its text.
func (d *detail) keep(raw translate.Value) {
	for m := raw.Members(); m.Next(); {
		if name := string(m.Name); name == "text" || name == "summary" {
			continue
		}
		d.set(translate.Value(m.Name), m.Value)
	}
}

// maxOthers is how many members beside its text an object may have that comes in
// pieces: more than any has, and few enough to look for one in all of them.
const maxOthers = 64

func (d *detail) set(name, v translate.Value) {
	for i := 0; i < len(d.others); i += 2 {
		if bytes.Equal(d.others[i], name) {
			if !v.IsEmpty() && !bytes.Equal(d.others[i+1], v) {
				d.others[i+1] = bytes.Clone(v)
			}
			return
		}
	}
	if len(d.others) < 2*maxOthers {
		d.others = append(d.others, bytes.Clone(name), bytes.Clone(v))
	}
}

// value returns the list as an array; nil if it is empty. It is valid until the
// next call.
func (d *details) value() []byte {
	if d.empty() {
		return nil
	}
	d.json = append(d.json[:0], '[')
	for i := range d.list {
		if i > 0 {
			d.json = append(d.json, ',')
		}
		d.json = d.list[i].append(d.json)
	}
	d.json = append(d.json, ']')
	return d.json
}

func (d *detail) append(dst []byte) []byte {
	if d.raw != nil {
		return append(dst, d.raw...)
	}
	dst = append(dst, '{')
	for i := 0; i < len(d.others); i += 2 {
		dst = rawjson.AppendText(dst, translate.Text(d.others[i]))
		dst = append(dst, ':')
		dst = append(dst, d.others[i+1]...)
		dst = append(dst, ',')
	}
	if d.member != "" {
		dst = append(dst, '"')
		dst = append(dst, d.member...)
		dst = append(dst, `":`...)
		dst = rawjson.AppendText(dst, d.text)
		return append(dst, '}')
	}
	dst[len(dst)-1] = '}' // in place of the comma behind the type
	return dst
}
