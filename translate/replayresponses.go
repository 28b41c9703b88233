package translate

import "strconv"

// responsesReplay writes a response as the events in which it could have come.
type responsesReplay struct {
	dst      []byte
	sequence int64
	where    []byte // the members that say which item and part an event is about
}

// response writes the response as it began, item after item, and as it ended.
func (r *responsesReplay) response(answer Value) {
	begun := appendChanged(nil, answer, change{"status", `"in_progress"`}, change{"output", "[]"}, change{"usage", "null"},
		change{"incomplete_details", "null"}, change{"completed_at", "null"})
	r.event("response.created", "response", begun)
	r.event("response.in_progress", "response", begun)
	n := 0
	for e := answer.Get("output").Elements(); e.Next(); {
		if e.Value.IsObject() {
			r.item(n, e.Value)
			n++
		}
	}
	kind := "response.completed"
	if string(answer.Get("status").Text()) == "incomplete" {
		kind = "response.incomplete"
	}
	r.event(kind, "response", answer)
}

// begin begins an event with those of its members that all have.
func (r *responsesReplay) begin(kind, members string) {
	r.dst = append(r.dst, "event: "...)
	r.dst = append(r.dst, kind...)
	r.dst = append(r.dst, "\ndata: {\"type\":\""...)
	r.dst = append(r.dst, kind...)
	r.dst = append(r.dst, `","sequence_number":`...)
	r.dst = strconv.AppendInt(r.dst, r.sequence, 10)
	r.sequence++
	r.dst = append(r.dst, r.where...)
	r.dst = append(r.dst, members...)
}

func (r *responsesReplay) end() { r.dst = append(r.dst, "}\n\n"...) }

// event writes an event with one member of its own.
func (r *responsesReplay) event(kind, name string, value Value) {
	r.begin(kind, `,"`+name+`":`)
	r.dst = append(r.dst, value...)
	r.end()
}

// item writes the events of an item. What clients put together from deltas begins
// empty; an item of any other type begins as it is.
func (r *responsesReplay) item(index int, item Value) {
	r.where = strconv.AppendInt(append(r.where[:0], `,"output_index":`...), int64(index), 10)
	arguments, input := item.Get("arguments"), item.Get("input")
	changes := []change{{"status", `"in_progress"`}}
	kind := string(item.Get("type").Text())
	switch kind {
	case "message":
		changes = append(changes, change{"content", "[]"})
	case "reasoning":
		changes = append(changes, change{"summary", "[]"})
		if item.Get("content").IsArray() {
			changes = append(changes, change{"content", "[]"})
		}
	case "function_call", "mcp_call":
		if arguments.IsString() { // else the complete item tells it
			changes = append(changes, change{"arguments", `""`})
		}
	case "custom_tool_call":
		changes = append(changes, change{"input", `""`})
	}
	r.begin("response.output_item.added", `,"item":`)
	r.dst = appendChanged(r.dst, item, changes...)
	r.end()

	ofItem := len(r.where)
	id := item.Get("id")
	if !id.IsString() {
		id = Value(`""`)
	}
	r.where = append(append(r.where, `,"item_id":`...), id...)
	switch kind {
	case "message", "reasoning":
		r.parts(item.Get("summary"), "summary_index", "reasoning_summary_part")
		r.parts(item.Get("content"), "content_index", "content_part")
	case "function_call", "mcp_call":
		r.told(kind+"_arguments", "arguments", arguments)
	case "custom_tool_call":
		r.told("custom_tool_call_input", "input", input)
	}
	r.where = r.where[:ofItem]
	r.event("response.output_item.done", "item", item)
	r.where = r.where[:0]
}

// parts writes the parts of an item, of which index tells the place. Those that
// are one text each have deltas.
func (r *responsesReplay) parts(list Value, index, name string) {
	ofItem := len(r.where)
	for e := list.Elements(); e.Next(); {
		if !e.Value.IsObject() {
			continue
		}
		r.where = append(r.where[:ofItem], `,"`+index+`":`...)
		r.where = strconv.AppendInt(r.where, int64(e.Index), 10)
		r.begin("response."+name+".added", `,"part":`)
		r.dst = appendChanged(r.dst, e.Value, change{"text", `""`}, change{"refusal", `""`}, change{"annotations", "[]"}, change{"logprobs", "[]"})
		r.end()
		switch text := e.Value.Get("text"); string(e.Value.Get("type").Text()) {
		case "output_text":
			r.say(e.Value, text)
		case "refusal":
			r.told("refusal", "refusal", e.Value.Get("refusal"))
		case "reasoning_text":
			r.told("reasoning_text", "text", text)
		case "summary_text":
			r.told("reasoning_summary_text", "text", text)
		}
		r.event("response."+name+".done", "part", e.Value)
	}
	r.where = r.where[:ofItem]
}

// say writes a text of the model's, and where it comes from.
func (r *responsesReplay) say(part, text Value) {
	logprobs := part.Get("logprobs")
	if !logprobs.IsArray() {
		logprobs = Value("[]")
	}
	if !text.IsEmpty() {
		r.begin("response.output_text.delta", `,"logprobs":`)
		r.dst = append(r.dst, logprobs...)
		r.dst = append(r.dst, `,"delta":`...)
		r.dst = append(r.dst, text...)
		r.end()
	}
	for e := part.Get("annotations").Elements(); e.Next(); {
		r.begin("response.output_text.annotation.added", `,"annotation_index":`)
		r.dst = strconv.AppendInt(r.dst, int64(e.Index), 10)
		r.dst = append(r.dst, `,"annotation":`...)
		r.dst = append(r.dst, e.Value...)
		r.end()
	}
	if text.IsString() {
		r.begin("response.output_text.done", `,"logprobs":`)
		r.dst = append(r.dst, logprobs...)
		r.dst = append(r.dst, `,"text":`...)
		r.dst = append(r.dst, text...)
		r.end()
	}
}

// told writes a text as one delta and as what it is when it is done, where a
// member of that name has it.
func (r *responsesReplay) told(kind, name string, text Value) {
	if !text.IsString() {
		return
	}
	if !text.IsEmpty() {
		r.event("response."+kind+".delta", "delta", text)
	}
	r.event("response."+kind+".done", name, text)
}
