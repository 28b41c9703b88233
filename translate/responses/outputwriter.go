package responses

import (
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// openItem is the item that is being written, at the end of the output.
type openItem struct {
	block translate.Kind // of its blocks; 0: none is open
	id    []byte
	start int // where the item begins in the output

	words *words
	inner bool // a part of it is open, or the input of a call
	parts int  // how many there are, the open one included
	part  int  // where the open one begins
	text  int  // where its text begins

	notes  []byte // annotations of the open part, up to where they tell a place
	places []int  // where each of them begins
}

// words are texts of one type: how the events that carry them are called, which
// index these have besides that of the item, and where the last one has all of
// the text.
type words struct {
	event, index, key, tail string
	partEvent, part         string // of the part that holds the text
}

var (
	spoken = words{
		event: "response.output_text", index: "content_index", key: "text", tail: `,"logprobs":[]`,
		partEvent: "response.content_part", part: `{"type":"output_text","text":"`,
	}
	refusal = words{
		event: "response.refusal", index: "content_index", key: "refusal",
		partEvent: "response.content_part", part: `{"type":"refusal","refusal":"`,
	}
	thought = words{
		event: "response.reasoning_summary_text", index: "summary_index", key: "text",
		partEvent: "response.reasoning_summary_part", part: `{"type":"summary_text","text":"`,
	}
	arguments   = words{event: "response.function_call_arguments", key: "arguments"}
	customInput = words{event: "response.custom_tool_call_input", key: "input"}
)

// begin begins a block. Texts that follow on each other are parts of one message.
func (w *encoder) begin(dst []byte, head *translate.Head) []byte {
	switch head.Kind {
	case translate.KindText, translate.KindRefusal:
		if w.open.block != translate.KindText {
			dst = w.beginItem(dst, translate.KindText, "msg_", `","type":"message","role":"assistant",`)
			dst = w.announce(dst, `"status":"in_progress","content":[]}`, `"content":[`)
		}
		of := &spoken
		if head.Kind == translate.KindRefusal {
			of, w.refused = &refusal, true
		}
		return w.beginPart(dst, of)
	case translate.KindThinking:
		dst = w.beginItem(dst, translate.KindThinking, "rs_", `","type":"reasoning",`)
		return w.announce(dst, `"summary":[]}`, `"summary":[`)
	}
	return w.beginCall(dst, head)
}

// beginItem begins an item, as far as it will not change any more.
func (w *encoder) beginItem(dst []byte, block translate.Kind, prefix, kind string) []byte {
	dst = w.endMessage(dst)
	if w.items > 0 {
		w.output = append(w.output, ',')
	}
	o := &w.open
	o.block, o.start, o.parts = block, len(w.output), 0
	o.id = w.asked.AppendID(o.id[:0], prefix, w.items)
	w.items++
	w.output = append(w.output, `{"id":"`...)
	w.output = append(w.output, o.id...)
	w.output = append(w.output, kind...)
	return dst
}

// announce tells of an item that has begun, and where it goes on.
func (w *encoder) announce(dst []byte, rest, opening string) []byte {
	if w.stream {
		dst = w.event(dst, "response.output_item", ".added")
		dst = w.appendIndex(dst, "output_index", w.items-1)
		dst = append(dst, `,"item":`...)
		dst = append(dst, w.output[w.open.start:]...)
		dst = append(dst, rest...)
		dst = append(dst, "}\n\n"...)
	}
	w.output = append(w.output, opening...)
	return dst
}

func (w *encoder) appendIndex(dst []byte, name string, n int) []byte {
	dst = append(dst, `,"`...)
	dst = append(dst, name...)
	dst = append(dst, `":`...)
	return strconv.AppendInt(dst, int64(n), 10)
}

func (w *encoder) beginCall(dst []byte, head *translate.Head) []byte {
	o := &w.open
	if head.Custom {
		dst = w.beginItem(dst, translate.KindToolCall, "ctc_", `","type":"custom_tool_call","call_id":`)
	} else {
		dst = w.beginItem(dst, translate.KindToolCall, "fc_", `","type":"function_call","call_id":`)
	}
	w.output = rawjson.AppendText(w.output, head.ID)
	w.output = append(w.output, `,"name":`...)
	w.output = rawjson.AppendText(w.output, head.Name)
	if len(head.Namespace) > 0 {
		w.output = append(w.output, `,"namespace":`...)
		w.output = rawjson.AppendText(w.output, head.Namespace)
	}
	w.output = append(w.output, ',')
	if head.Custom {
		o.words = &customInput
		dst = w.announce(dst, `"input":"","status":"in_progress"}`, `"input":"`)
	} else {
		o.words = &arguments
		dst = w.announce(dst, `"arguments":"","status":"in_progress"}`, `"arguments":"`)
	}
	o.inner, o.text = true, len(w.output)
	return dst
}

// about appends what an event says of its place.
func (w *encoder) about(dst []byte) []byte {
	dst = append(dst, `,"item_id":"`...)
	dst = append(dst, w.open.id...)
	dst = append(dst, '"')
	dst = w.appendIndex(dst, "output_index", w.items-1)
	if index := w.open.words.index; index != "" {
		dst = w.appendIndex(dst, index, w.open.parts-1)
	}
	return dst
}

func (w *encoder) beginPart(dst []byte, of *words) []byte {
	o := &w.open
	if o.parts > 0 {
		w.output = append(w.output, ',')
	}
	o.words, o.inner, o.part = of, true, len(w.output)
	o.parts++
	w.output = append(w.output, of.part...)
	o.text = len(w.output)
	if w.stream {
		dst = w.event(dst, of.partEvent, ".added")
		dst = w.about(dst)
		dst = append(dst, `,"part":`...)
		dst = append(dst, of.part...)
		dst = append(dst, '"')
		if of == &spoken {
			dst = append(dst, `,"annotations":[],"logprobs":[]`...)
		}
		dst = append(dst, "}}\n\n"...)
	}
	return dst
}

// delta adds text to what is open. A thought has a summary only if there are
// words for it.
func (w *encoder) delta(dst []byte, text translate.Text) []byte {
	if !w.open.inner {
		dst = w.beginPart(dst, &thought)
	}
	w.output = append(w.output, text...)
	if w.stream {
		dst = w.wordsEvent(dst, ".delta", "delta", text)
	}
	return dst
}

func (w *encoder) wordsEvent(dst []byte, event, key string, text translate.Text) []byte {
	of := w.open.words
	dst = w.event(dst, of.event, event)
	dst = w.about(dst)
	dst = append(dst, `,"`...)
	dst = append(dst, key...)
	dst = append(dst, `":`...)
	dst = rawjson.AppendText(dst, text)
	dst = append(dst, of.tail...)
	return append(dst, "}\n\n"...)
}

// cite notes where the open text comes from. How far that text goes is not known
// before it ends.
func (w *encoder) cite(c *translate.Citation) {
	o := &w.open
	if o.words != &spoken || !o.inner {
		return
	}
	switch {
	case len(c.URL) > 0:
		o.places = append(o.places, len(o.notes))
		o.notes = append(o.notes, `{"type":"url_citation","url":`...)
		o.notes = rawjson.AppendText(o.notes, c.URL)
		o.notes = append(o.notes, `,"title":`...)
		o.notes = rawjson.AppendText(o.notes, c.Title)
		o.notes = append(o.notes, `,"start_index":0,"end_index":`...)
	case len(c.FileID) > 0:
		o.places = append(o.places, len(o.notes))
		o.notes = append(o.notes, `{"type":"file_citation","file_id":`...)
		o.notes = rawjson.AppendText(o.notes, c.FileID)
		o.notes = append(o.notes, `,"filename":`...)
		o.notes = rawjson.AppendText(o.notes, c.Filename)
		o.notes = append(o.notes, `,"index":`...)
	default:
		w.asked.Losses.Add("output.content.annotations", translate.Dropped, "places in documents have neither a URL nor a file id")
	}
}

// annotations writes what cite noted, and ends the open text's part with it.
func (w *encoder) annotations(dst []byte, end int) []byte {
	o := &w.open
	w.output = append(w.output, `","annotations":[`...)
	length := 0
	if len(o.places) > 0 {
		length = translate.Text(w.output[o.text:end]).RuneCount()
	}
	for i, from := range o.places {
		to := len(o.notes)
		if i+1 < len(o.places) {
			to = o.places[i+1]
		}
		if i > 0 {
			w.output = append(w.output, ',')
		}
		start := len(w.output)
		w.output = append(w.output, o.notes[from:to]...)
		w.output = strconv.AppendInt(w.output, int64(length), 10)
		w.output = append(w.output, '}')
		if w.stream {
			dst = w.event(dst, "response.output_text.annotation", ".added")
			dst = w.about(dst)
			dst = w.appendIndex(dst, "annotation_index", i)
			dst = append(dst, `,"annotation":`...)
			dst = append(dst, w.output[start:]...)
			dst = append(dst, "}\n\n"...)
		}
	}
	w.output = append(w.output, `],"logprobs":[]}`...)
	o.notes, o.places = o.notes[:0], o.places[:0]
	return dst
}

// endPart ends the open part.
func (w *encoder) endPart(dst []byte) []byte {
	o := &w.open
	end := len(w.output)
	if o.words == &spoken {
		dst = w.annotations(dst, end)
	} else {
		w.output = append(w.output, `"}`...)
	}
	o.inner = false
	if w.stream {
		dst = w.wordsEvent(dst, ".done", o.words.key, w.output[o.text:end])
		dst = w.event(dst, o.words.partEvent, ".done")
		dst = w.about(dst)
		dst = append(dst, `,"part":`...)
		dst = append(dst, w.output[o.part:]...)
		dst = append(dst, "}\n\n"...)
	}
	return dst
}

// seal ends the text of a thought and puts the thought itself beside it, in an
// envelope.
func (w *encoder) seal(dst []byte, original translate.Value) []byte {
	if w.open.inner {
		dst = w.endPart(dst)
	}
	w.output = append(w.output, `],"encrypted_content":"`...)
	w.output = translate.AppendEnvelope(w.output, w.asked.Provider, original)
	w.output = append(w.output, '"')
	return dst
}

// close ends a block. A message may still get another one.
func (w *encoder) close(dst []byte, cut bool) []byte {
	switch w.open.block {
	case translate.KindText:
		return w.endPart(dst)
	case translate.KindThinking:
		return w.endItem(dst, "}")
	}
	return w.endCall(dst, cut)
}

// endCall ends a tool call. One that was cut is told as incomplete.
func (w *encoder) endCall(dst []byte, cut bool) []byte {
	o := &w.open
	if len(w.output) == o.text && o.words == &arguments {
		// A function without arguments; they are to be JSON nevertheless.
		dst = w.delta(dst, translate.Text("{}"))
	}
	o.inner = false
	if cut {
		return w.endItem(dst, `","status":"incomplete"}`)
	}
	if w.stream {
		dst = w.wordsEvent(dst, ".done", o.words.key, w.output[o.text:])
	}
	return w.endItem(dst, `","status":"completed"}`)
}

// endMessage ends the open message, if there is one.
func (w *encoder) endMessage(dst []byte) []byte {
	switch {
	case w.open.block != translate.KindText:
		return dst
	case w.stop != 0 && w.incomplete() != "":
		return w.endItem(dst, `],"status":"incomplete"}`)
	}
	return w.endItem(dst, `],"status":"completed"}`)
}

func (w *encoder) endItem(dst []byte, rest string) []byte {
	w.output = append(w.output, rest...)
	w.open.block = 0
	if w.stream {
		dst = w.event(dst, "response.output_item", ".done")
		dst = w.appendIndex(dst, "output_index", w.items-1)
		dst = append(dst, `,"item":`...)
		dst = append(dst, w.output[w.open.start:]...)
		dst = append(dst, "}\n\n"...)
	}
	return dst
}

// finished returns the items that have ended.
func (w *encoder) finished() []byte {
	switch o := &w.open; {
	case o.block == 0:
		return w.output
	case o.start == 0:
		return nil
	default:
		return w.output[:o.start-1] // and no comma
	}
}
