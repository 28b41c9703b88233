package messages

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// Event implements [translate.AnswerDecoder].
func (d *decoder) Event(name, data []byte) {
	kind, index := translate.Text(name), translate.Value(nil)
	var part, message translate.Value // block or delta, and what begins a stream
	for m := rawjson.Parse(data).Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			if t := m.Value.Text(); len(t) > 0 {
				kind = t
			}
		case "index":
			index = m.Value
		case "delta", "content_block":
			part = m.Value
		case "message":
			message = m.Value
		}
	}
	switch string(kind) {
	case "content_block_delta":
		d.delta(d.indexOf(index), part)
	case "content_block_start":
		at, ok := index.Int()
		if !ok {
			at = int64(d.last) + 1
		}
		d.open(int(at), part)
	case "content_block_stop":
		d.close(d.indexOf(index))
	case "message_start":
		if d.started {
			d.restart()
			return
		}
		d.started = true
		d.message(message)
	case "message_delta":
		for i := range d.blocks { // those that nobody ends
			d.fill(&d.blocks[i])
		}
		d.stop(part.Get("stop_reason"), part.Get("stop_sequence"), part.Get("stop_details"))
	}
}

// restart handles a second beginning: another model goes on, or begins anew. What
// was said so far cannot be taken back. Of half a tool call a client must not
// think that it is one.
func (d *decoder) restart() {
	for len(d.blocks) > 0 {
		r := &d.blocks[0]
		d.fill(r)
		if r.kind == translate.KindToolCall && !d.a.Whole(r.index) {
			d.a.Break(&translate.Error{Status: 502, Message: "the upstream began its answer anew within a tool call"})
			return
		}
		d.close(r.index)
	}
}

// indexOf is the index of a block; without one it is the last.
func (d *decoder) indexOf(v translate.Value) int {
	if n, ok := v.Int(); ok {
		return int(n)
	}
	return d.last
}

// delta reads what is added to a block.
func (d *decoder) delta(index int, v translate.Value) {
	var kind, text translate.Text
	var citation translate.Value
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			kind = m.Value.Text()
		case "text", "thinking", "partial_json", "signature":
			text = m.Value.Text()
		case "citation":
			citation = m.Value
		}
	}
	r := d.reading(index)
	if r == nil {
		if r = d.announce(index, string(kind)); r == nil {
			return
		}
	}
	switch string(kind) {
	case "text_delta":
		if r.kind == translate.KindText {
			d.a.Delta(index, text)
		}
	case "thinking_delta":
		if r.kind == translate.KindThinking {
			d.think(r, text)
		}
	case "input_json_delta":
		if r.kind == translate.KindToolCall && len(text) > 0 {
			d.input(r, text)
		}
	case "signature_delta":
		if r.kind == translate.KindThinking {
			r.signature = append(r.signature[:0], text...)
		}
	case "citations_delta":
		if r.kind == translate.KindText {
			d.cite(index, citation)
		}
	}
}

// input adds to the input of a tool call.
func (d *decoder) input(r *reading, text translate.Text) {
	if len(r.input) > 0 && string(text) == "{}" {
		return // says nothing that would be newer
	}
	r.input = nil
	d.a.Delta(r.index, text)
}

// announce begins a block whose beginning was left out, as far as a delta tells
// what it is.
func (d *decoder) announce(index int, delta string) *reading {
	r := reading{index: index}
	switch delta {
	case "text_delta":
		r.kind = translate.KindText
	case "thinking_delta":
		r.kind = translate.KindThinking
	default:
		return nil
	}
	if !d.a.Room(len(d.blocks)) {
		return nil
	}
	d.last = index
	d.blocks = append(d.blocks, r)
	d.a.Open(index, translate.Head{Kind: r.kind})
	return &d.blocks[len(d.blocks)-1]
}
