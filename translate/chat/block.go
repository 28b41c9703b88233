package chat

import (
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// block is a block of an answer while it is written.
type block struct {
	kind    translate.Kind
	custom  bool
	call    int  // its number among the tool calls
	written bool // it has got text
	skipped bool // it cannot be told
	start   int  // of its text in the content, in characters
	sources []source
}

// source is what a text block cites, the inside of an object.
type source struct {
	json       []byte
	start, end int64 // within the block, in characters; end 0: all of it
}

// begin begins a block.
func (r *reply) begin(head *translate.Head) {
	r.block = block{kind: head.Kind, custom: head.Custom, start: r.length, sources: r.block.sources[:0]}
	if head.Kind != translate.KindToolCall {
		return
	}
	r.block.call = r.calls
	r.calls++
	if r.asked.LegacyFunctions && r.block.call > 0 {
		r.block.skipped = true
		r.asked.Losses.Add("function_call", translate.Dropped, "an answer with functions can call only one; tools can be called together")
	}
}

// add notes text of the block.
func (r *reply) add(text translate.Text) {
	r.block.written = true
	if r.block.kind == translate.KindText {
		r.length += text.RuneCount()
	}
}

// cite notes a citation. Only what has a URL can be told.
func (r *reply) cite(c *translate.Citation) {
	if len(c.URL) == 0 || r.block.kind != translate.KindText {
		r.asked.Losses.Add("citations", translate.Dropped, "Chat Completions cites only what has a URL")
		return
	}
	var s source
	s.json = append(s.json, `"title":`...)
	s.json = rawjson.AppendText(s.json, c.Title)
	s.json = append(s.json, `,"url":`...)
	s.json = rawjson.AppendText(s.json, c.URL)
	for m := c.Raw.Members(); m.Next(); {
		switch string(m.Name) {
		case "start_index": // OpenAI's, within the block as well
			s.start, _ = m.Value.Int()
		case "end_index":
			s.end, _ = m.Value.Int()
		}
	}
	r.block.sources = append(r.block.sources, s)
}

// appendAnnotations appends what the block cites, each with a comma behind it.
// Anthropic cites for a whole block, OpenAI for a part of it; here places are
// counted from the beginning of the content.
func (r *reply) appendAnnotations(dst []byte) []byte {
	for i := range r.block.sources {
		s := &r.block.sources[i]
		start, end := int64(r.block.start), int64(r.length)
		if s.start >= 0 && s.end > s.start && start+s.end <= end {
			start, end = start+s.start, start+s.end
		}
		dst = append(dst, `{"type":"url_citation","url_citation":{"start_index":`...)
		dst = strconv.AppendInt(dst, start, 10)
		dst = append(dst, `,"end_index":`...)
		dst = strconv.AppendInt(dst, end, 10)
		dst = append(dst, ',')
		dst = append(dst, s.json...)
		dst = append(dst, "}},"...)
	}
	return dst
}

// appendCall appends the members of a call that say what is called, up to where
// the input begins.
func appendCall(dst []byte, head *translate.Head) []byte {
	dst = append(dst, `"id":`...)
	dst = rawjson.AppendText(dst, head.ID)
	if head.Custom {
		dst = append(dst, `,"type":"custom","custom":{"name":`...)
		dst = rawjson.AppendText(dst, head.Name)
		return append(dst, `,"input":"`...)
	}
	dst = append(dst, `,"type":"function","function":{"name":`...)
	dst = rawjson.AppendText(dst, head.Name)
	return append(dst, `,"arguments":"`...)
}
