package responses

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// decoder reads an answer, as leniently as it can be understood: some vendors
// never announce their items and parts, some change ids on the way, some tell
// everything only when it is done.
type decoder struct {
	a     *translate.Assembler
	items []outputItem
	item  item // that is being read
}

// NewDecoder returns a decoder for one answer, which tells a what it finds.
func NewDecoder(a *translate.Assembler) translate.AnswerDecoder { return &decoder{a: a} }

// event is an event of a stream with the members that any type of it may have.
type event struct {
	kind              translate.Text
	index, part       translate.Value
	delta, text       translate.Text
	arguments         translate.Value
	item, content     translate.Value
	annotation, whole translate.Value
}

func (e *event) read(data translate.Value) {
	for m := data.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			e.kind = m.Value.Text()
		case "output_index":
			e.index = m.Value
		case "content_index", "summary_index":
			e.part = m.Value
		case "delta":
			e.delta = m.Value.Text()
		case "text", "refusal":
			e.text = m.Value.Text()
		case "arguments", "input":
			e.arguments = m.Value
		case "item":
			e.item = m.Value
		case "part":
			e.content = m.Value
		case "annotation":
			e.annotation = m.Value
		case "response":
			e.whole = m.Value
		}
	}
}

// Event reads one event of a stream.
func (d *decoder) Event(name, data []byte) {
	var e event
	e.read(rawjson.Parse(data))
	if len(e.kind) == 0 {
		e.kind = name
	}
	switch string(e.kind) {
	case "response.output_text.delta":
		d.say(&e, translate.KindText, e.delta, true)
	case "response.output_text.done":
		d.say(&e, translate.KindText, e.text, false)
	case "response.refusal.delta":
		d.say(&e, translate.KindRefusal, e.delta, true)
	case "response.refusal.done":
		d.say(&e, translate.KindRefusal, e.text, false)
	case "response.reasoning_summary_text.delta":
		d.think(&e, inSummary, e.delta, true)
	case "response.reasoning_summary_text.done":
		d.think(&e, inSummary, e.text, false)
	case "response.reasoning_text.delta":
		d.think(&e, inContent, e.delta, true)
	case "response.reasoning_text.done":
		d.think(&e, inContent, e.text, false)
	case "response.function_call_arguments.delta", "response.custom_tool_call_input.delta":
		d.call(&e, e.delta)
	case "response.function_call_arguments.done", "response.custom_tool_call_input.done":
		d.callDone(&e)
	case "response.output_text.annotation.added":
		d.cite(&e)
	case "response.content_part.done":
		d.partDone(&e)
	case "response.output_item.added":
		d.added(&e)
	case "response.output_item.done":
		d.done(d.at(&e), e.item)
	case "response.created", "response.in_progress", "response.queued":
		d.start(e.whole)
	case "response.completed", "response.incomplete":
		d.end(e.whole)
	}
}

// Whole reads a complete answer, by the same rules.
func (d *decoder) Whole(body []byte) { d.end(rawjson.Parse(body)) }

// start tells what the answer says of itself.
func (d *decoder) start(response translate.Value) {
	var model translate.Text
	var created int64
	for m := response.Members(); m.Next(); {
		switch string(m.Name) {
		case "model":
			model = m.Value.Text()
		case "created_at":
			created, _ = m.Value.Int()
		}
	}
	d.a.Start(model, created)
}

// end reads the last state of the response. Its output has mostly been told by
// then.
func (d *decoder) end(response translate.Value) {
	d.start(response)
	var status, reason translate.Text
	var output translate.Value
	for m := response.Members(); m.Next(); {
		switch string(m.Name) {
		case "status":
			status = m.Value.Text()
		case "incomplete_details":
			reason = m.Value.Get("reason").Text()
		case "output":
			output = m.Value
		}
	}
	if len(d.items) == 0 {
		for e := output.Elements(); e.Next(); {
			d.done(d.begin(int64(e.Index)), e.Value)
		}
	}
	d.a.Stop(stopOf(status, reason), nil)
}

// stopOf tells why the model stopped. A response that is incomplete for no reason
// given has been cut, as far as anybody can know.
func stopOf(status, reason translate.Text) translate.StopReason {
	if string(status) != "incomplete" {
		return translate.StopEnd
	}
	switch string(reason) {
	case "content_filter":
		return translate.StopFilter
	case "", "max_output_tokens", "max_tokens":
		return translate.StopLength
	}
	return translate.StopEnd
}

// at returns the item that an event is about, which nobody may have announced.
// Its index tells: ids change on the way at some vendors.
func (d *decoder) at(e *event) *outputItem {
	n, ok := e.index.Int()
	if !ok && len(d.items) > 0 {
		return &d.items[len(d.items)-1]
	}
	if it := d.find(n); it != nil {
		return it
	}
	return d.begin(n)
}

// find returns the last item of an index, nil if there is none.
func (d *decoder) find(index int64) *outputItem {
	for i := len(d.items) - 1; i >= 0; i-- {
		if d.items[i].index == index {
			return &d.items[i]
		}
	}
	return nil
}

// begin begins an item. An index may be used again, as by a proxy that counts
// wrongly; then it means the new item.
func (d *decoder) begin(index int64) *outputItem {
	if n := len(d.items); n == 0 || d.a.Room(n) {
		d.items = append(d.items, outputItem{index: index, key: n * keysPerItem})
	}
	return &d.items[len(d.items)-1]
}
