package responses

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// outputItem is what has been told of an item of an answer.
type outputItem struct {
	index int64          // output_index
	kind  translate.Kind // of its blocks; KindText for any of a message
	key   int            // of its block, or of the first of its parts
	told  bool           // the block has been opened; of a message, see parts
	over  bool

	parts []contentPart // of a message

	place   place // of a thought: where its text comes from
	thought int64 // and the part of it that was last told
}

// place is where the text of a thought stands.
type place uint8

const (
	inSummary place = iota
	inContent
)

// contentPart is what has been told of a part of a message.
type contentPart struct {
	index      int64
	key        int
	cited      int // annotations
	told, over bool
}

// keysPerItem is how many keys there are for the blocks of an item, which are
// fewer: see [translate.Assembler.Room].
const keysPerItem = 1 << 16

// part returns a part of a message, which nobody may have announced.
func (d *decoder) part(it *outputItem, index int64) *contentPart {
	for i := len(it.parts) - 1; i >= 0; i-- {
		if it.parts[i].index == index {
			return &it.parts[i]
		}
	}
	if n := len(it.parts); n == 0 || d.a.Room(n) {
		it.parts = append(it.parts, contentPart{index: index, key: it.key + n})
	}
	return &it.parts[len(it.parts)-1]
}

// added reads the announcement of an item. Only calls need it: the others begin
// with their first words, if they ever have some.
func (d *decoder) added(e *event) {
	n, ok := e.index.Int()
	if !ok {
		n = int64(len(d.items))
	}
	d.item.read(e.item)
	kind := kindOf(d.item.kind)
	it := d.find(n)
	switch {
	case it == nil || it.over:
		it = d.begin(n)
	case it.kind == 0:
	case it.kind == kind && (kind != translate.KindToolCall || !d.a.Written(it.key)):
		return // it has begun without being announced, or has been twice
	default:
		d.finish(it)
		it = d.begin(n)
	}
	switch it.kind = kind; kind {
	case translate.KindToolCall:
		d.openCall(it, &d.item)
	case 0:
		d.lose(&d.item)
	}
}

// kindOf returns the kind of the blocks that an item of a type becomes, or 0.
func kindOf(t translate.Text) translate.Kind {
	switch string(t) {
	case "message":
		return translate.KindText
	case "reasoning":
		return translate.KindThinking
	case "function_call", "custom_tool_call":
		return translate.KindToolCall
	}
	return 0
}

// finish closes an item that will not be heard of any more.
func (d *decoder) finish(it *outputItem) {
	if it.told {
		d.a.Close(it.key)
	}
	for n := range it.parts {
		d.close(&it.parts[n])
	}
	it.over = true
}

func (d *decoder) openCall(it *outputItem, i *item) {
	head := translate.Head{
		Kind: translate.KindToolCall, ID: i.callID, Name: i.name, Namespace: i.namespace,
		Custom: string(i.kind) == "custom_tool_call",
	}
	if len(head.ID) == 0 {
		head.ID = i.id
	}
	if len(head.Name) == 0 {
		return // it will be there when the call is done, or never
	}
	it.told, it.kind = true, translate.KindToolCall
	d.a.Open(it.key, head)
}

// lose notes an item that is of no use to others: what the vendor itself did.
func (d *decoder) lose(i *item) {
	d.a.Lose("output."+i.kind.String(), translate.Dropped, "only its own vendor can read what it did")
}

// call passes on a piece of what a tool is called with.
func (d *decoder) call(e *event, piece translate.Text) {
	if it := d.at(e); it.told && !it.over {
		d.a.Delta(it.key, piece)
	}
}

// callDone passes on what a tool is called with, where it did not come in pieces.
func (d *decoder) callDone(e *event) {
	if it := d.at(e); it.told && !it.over && !d.a.Written(it.key) {
		d.a.Delta(it.key, inputText(e.arguments))
	}
}

// inputText returns what a tool is called with as the inside of a string. Some
// vendors send an object instead.
func inputText(v translate.Value) translate.Text {
	if v.IsObject() {
		return rawjson.AppendEscaped(translate.Text(nil), v)
	}
	return v.Text()
}

// done reads a complete item, and tells of it what has not been told.
func (d *decoder) done(it *outputItem, raw translate.Value) {
	if it.over {
		return
	}
	d.item.read(raw)
	i := &d.item
	switch kindOf(i.kind) {
	case translate.KindText:
		d.messageDone(it, i)
	case translate.KindThinking:
		d.thoughtDone(it, i, raw)
	case translate.KindToolCall:
		d.toolDone(it, i)
	default:
		d.lose(i)
		it.over = true
	}
}

func (d *decoder) toolDone(it *outputItem, i *item) {
	if !it.told {
		d.openCall(it, i)
	}
	if it.told && !d.a.Written(it.key) {
		input := i.arguments
		if input.IsNull() {
			input = i.input
		}
		d.a.Delta(it.key, inputText(input))
	}
	if string(i.status) != "incomplete" { // else the end of the answer tells if it was cut
		d.finish(it)
	}
}

func (d *decoder) messageDone(it *outputItem, i *item) {
	for e := i.content.Elements(); e.Next(); {
		d.contentDone(it, d.part(it, int64(e.Index)), e.Value)
	}
	d.finish(it)
}

// partDone reads a complete part of a message.
func (d *decoder) partDone(e *event) {
	switch n, _ := e.part.Int(); string(e.content.Get("type").Text()) {
	case "output_text", "refusal":
		it := d.at(e)
		d.contentDone(it, d.part(it, n), e.content)
	}
}

// contentDone tells of a complete part what has not been told, and closes it.
func (d *decoder) contentDone(it *outputItem, p *contentPart, raw translate.Value) {
	if p.over || it.over {
		return
	}
	kind := translate.KindText
	var text translate.Text
	var annotations translate.Value
	for m := raw.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			if string(m.Value.Text()) == "refusal" {
				kind = translate.KindRefusal
			}
		case "text", "refusal":
			if !m.Value.IsNull() {
				text = m.Value.Text()
			}
		case "annotations":
			annotations = m.Value
		}
	}
	if !p.told && len(text) > 0 {
		d.open(p, kind)
		d.a.Delta(p.key, text)
	}
	for e := annotations.Elements(); e.Next(); {
		if e.Index >= p.cited && p.told {
			d.a.Cite(p.key, citationOf(e.Value))
		}
	}
	d.close(p)
}

func (d *decoder) open(p *contentPart, kind translate.Kind) {
	p.told = true
	d.a.Open(p.key, translate.Head{Kind: kind})
}

func (d *decoder) close(p *contentPart) {
	if p.told && !p.over {
		d.a.Close(p.key)
	}
	p.over = true
}
