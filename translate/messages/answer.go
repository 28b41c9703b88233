package messages

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// decoder reads an answer, whole or in events.
type decoder struct {
	a *translate.Assembler

	started bool
	last    int       // index of the block that was begun last
	blocks  []reading // that are not finished
}

// reading is a block of a stream while it is read.
type reading struct {
	index int
	kind  translate.Kind // 0: it is passed over
	// input is what a tool call began with, as the inside of a string. Deltas
	// that follow in spite of it take its place: mostly they say the same.
	input []byte
	// thought and signature are what a thinking block has got.
	thought, signature []byte
}

// NewDecoder returns a decoder for one answer, which tells a what it finds.
func NewDecoder(a *translate.Assembler) translate.AnswerDecoder { return &decoder{a: a, last: -1} }

// Whole implements [translate.AnswerDecoder].
func (d *decoder) Whole(body []byte) {
	d.message(rawjson.Parse(body))
}

// message reads a message: a whole answer, or how a stream begins. That may
// already have content, where a call of code that the vendor runs is continued.
func (d *decoder) message(v translate.Value) {
	var model translate.Text
	var content, reason, sequence, details translate.Value
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "model":
			model = m.Value.Text()
		case "content":
			content = m.Value
		case "stop_reason":
			reason = m.Value
		case "stop_sequence":
			sequence = m.Value
		case "stop_details":
			details = m.Value
		}
	}
	d.a.Start(model, 0)
	for e := content.Elements(); e.Next(); {
		d.open(e.Index, e.Value)
		d.close(e.Index)
	}
	d.stop(reason, sequence, details)
}

// open begins a block with what it has already: all of it, in a whole answer.
func (d *decoder) open(index int, raw translate.Value) {
	d.close(index) // it cannot be the same one any more
	if !d.a.Room(len(d.blocks)) {
		return
	}
	d.last = index
	d.blocks = append(d.blocks, reading{index: index})
	r := &d.blocks[len(d.blocks)-1]
	var b block
	b.read(raw)
	switch string(b.kind) {
	case "text":
		r.kind = translate.KindText
		d.a.Open(index, translate.Head{Kind: r.kind})
		d.a.Delta(index, b.text)
		for e := b.citations.Elements(); e.Next(); {
			d.cite(index, e.Value)
		}
	case "thinking":
		r.kind = translate.KindThinking
		d.a.Open(index, translate.Head{Kind: r.kind})
		d.think(r, b.thinking)
		r.signature = append(r.signature, b.signature...)
	case "redacted_thinking":
		r.kind = translate.KindThinking
		d.a.Open(index, translate.Head{Kind: r.kind, Hidden: true})
		d.a.Seal(index, raw)
	case "tool_use":
		r.kind = translate.KindToolCall
		d.a.Open(index, translate.Head{Kind: r.kind, ID: b.id, Name: b.name})
		if b.input.IsObject() && !b.input.IsEmpty() {
			r.input = rawjson.AppendEscaped(nil, b.input)
		}
	case "fallback":
		// Only tells that another model goes on.
	default:
		param := "content"
		if hosted(b.kind) {
			param = "content.server_tool_use" // or its result
		}
		d.a.Lose(param, translate.Dropped, "only a client that speaks Messages can read it")
	}
}

// reading finds a block that is not finished; nil if there is none.
func (d *decoder) reading(index int) *reading {
	for i := range d.blocks {
		if d.blocks[i].index == index {
			return &d.blocks[i]
		}
	}
	return nil
}

func (d *decoder) think(r *reading, text translate.Text) {
	r.thought = append(r.thought, text...)
	d.a.Delta(r.index, text)
}

// fill passes on the input that a tool call began with, once it is known that no
// other comes.
func (d *decoder) fill(r *reading) {
	d.a.Delta(r.index, r.input)
	r.input = nil
}

// close ends a block.
func (d *decoder) close(index int) {
	r := d.reading(index)
	if r == nil {
		return
	}
	d.fill(r)
	if r.kind == translate.KindThinking && (len(r.thought) > 0 || len(r.signature) > 0) {
		// The block as the vendor wants it back.
		seal := append([]byte(nil), `{"type":"thinking","thinking":"`...)
		seal = append(seal, r.thought...)
		seal = append(seal, `","signature":"`...)
		seal = append(seal, r.signature...)
		d.a.Seal(index, append(seal, `"}`...))
	}
	if r.kind != 0 {
		d.a.Close(index)
	}
	*r = d.blocks[len(d.blocks)-1]
	d.blocks = d.blocks[:len(d.blocks)-1]
}

// cite tells where a text comes from.
func (d *decoder) cite(index int, raw translate.Value) {
	cite := translate.Citation{Raw: raw}
	for m := raw.Members(); m.Next(); {
		switch string(m.Name) {
		case "url":
			cite.URL = m.Value.Text()
		case "source": // of a search result that the client gave
			cite.URL = m.Value.Text()
		case "title", "document_title":
			cite.Title = m.Value.Text()
		case "cited_text":
			cite.CitedText = m.Value.Text()
		case "file_id":
			cite.FileID = m.Value.Text()
		}
	}
	d.a.Cite(index, cite)
}

// stop tells why the model stopped, once it is known.
func (d *decoder) stop(reason, sequence, details translate.Value) {
	if !reason.IsString() {
		return
	}
	switch string(reason.Text()) {
	case "max_tokens":
		d.a.Stop(translate.StopLength, nil)
	case "model_context_window_exceeded":
		d.a.Stop(translate.StopWindow, nil)
	case "stop_sequence":
		d.a.Stop(translate.StopSequence, sequence.Text())
	case "tool_use":
		d.a.Stop(translate.StopTool, nil)
	case "refusal":
		d.refuse(details.Get("explanation").Text())
		d.a.Stop(translate.StopFilter, nil)
	case "pause_turn":
		d.a.Lose("stop_reason", translate.Changed, "the model would go on if it were asked to")
		d.a.Stop(translate.StopPause, nil)
	default: // end_turn, compaction, and what is not known yet
		d.a.Stop(translate.StopEnd, nil)
	}
}

// refuse tells the words in which the vendor explains a refusal. They stand beside
// the content, not in it.
func (d *decoder) refuse(words translate.Text) {
	if len(words) == 0 {
		return
	}
	d.last++
	d.a.Open(d.last, translate.Head{Kind: translate.KindRefusal})
	d.a.Delta(d.last, words)
	d.a.Close(d.last)
}
