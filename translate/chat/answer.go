package chat

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// Keys of the blocks that are not tool calls, whose keys count from 0. At most
// one of them is open.
const (
	noKey = -1 - iota
	textKey
	thinkingKey
	refusalKey
)

// answerReader reads an answer, be it whole or a stream: a chunk's delta and the
// message of a whole answer have the same members.
//
// What vendors do other than OpenAI does is known from recorded traffic; each
// such habit is named where it is dealt with.
type answerReader struct {
	a       *translate.Assembler
	known   bool // model and time have been told
	whole   bool
	current int // the open block that is no tool call, or noKey

	calls    []call
	complete []int // those whose arguments are, since closeCalls
	closed   int   // how many calls, from the first on, have ended
	details  details
}

// delta is what a chunk adds to the answer, or all of it.
type delta struct {
	content, refusal            translate.Value
	thought, reasoning, details translate.Value
	calls, call                 translate.Value
	annotations, audio, images  translate.Value
	signature                   translate.Text
}

// Event reads a chunk of a stream.
func (r *answerReader) Event(_, data []byte) { r.read(data) }

// Whole reads a complete answer.
func (r *answerReader) Whole(body []byte) {
	r.whole = true
	r.read(body)
}

func (r *answerReader) read(doc []byte) {
	var model, created, choices translate.Value
	for m := rawjson.Parse(doc).Members(); m.Next(); {
		switch string(m.Name) {
		case "model":
			model = m.Value
		case "created":
			created = m.Value
		case "choices":
			choices = m.Value
		case "citations": // Perplexity: what [1] in the text stands for
			if !m.Value.IsEmpty() {
				r.a.Lose("citations", translate.Dropped, "it is not told which part of the text they belong to")
			}
		}
	}
	if !r.known {
		// Azure begins with a chunk that has neither.
		seconds, _ := created.Int()
		r.known = seconds > 0 && len(model.Text()) > 0
		r.a.Start(model.Text(), seconds)
	}
	for e := choices.Elements(); e.Next(); {
		r.choice(e.Value)
	}
}

func (r *answerReader) choice(v translate.Value) {
	var step, message, finish translate.Value
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "index":
			if n, ok := m.Value.Int(); ok && n != 0 {
				return // nobody asked for a second answer
			}
		case "delta":
			step = m.Value
		case "message":
			message = m.Value
		case "finish_reason":
			finish = m.Value
		}
	}
	// Perplexity sends both: in a stream the message is all that came so far,
	// in a whole answer the delta is empty.
	if r.whole && message.IsObject() || !step.IsObject() {
		step = message
	}
	r.delta(step)
	if reason := finish.Text(); len(reason) > 0 {
		r.finish(reason)
	}
}

// delta adds to the answer. Whatever the order of the members, thinking comes
// first and calls last.
func (r *answerReader) delta(v translate.Value) {
	var d delta
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "content":
			d.content = m.Value
		case "reasoning_content":
			d.thought = m.Value
		case "reasoning":
			d.reasoning = m.Value
		case "reasoning_details":
			d.details = m.Value
		case "refusal":
			d.refusal = m.Value
		case "tool_calls":
			d.calls = m.Value
		case "function_call":
			d.call = m.Value
		case "annotations":
			d.annotations = m.Value
		case "audio":
			d.audio = m.Value
		case "images":
			d.images = m.Value
		case "extra_content":
			d.signature = thoughtSignature(m.Value)
		}
	}
	r.thinking(&d)
	r.content(d.content)
	if text := d.refusal.Text(); len(text) > 0 {
		r.write(refusalKey, translate.KindRefusal, text)
	}
	r.cite(d.annotations)
	r.lose(&d)
	for e := d.calls.Elements(); e.Next(); {
		r.toolCall(e.Value, d.signature)
		d.signature = nil // it is that of the first
	}
	if d.call.IsObject() {
		r.functionCall(d.call)
	}
}

// thinking reads reasoning. It has several names, and some vendors send two with
// the same words: the first that says something counts.
func (r *answerReader) thinking(d *delta) {
	text := d.thought.Text()
	if len(text) == 0 {
		text = d.reasoning.Text()
	}
	if len(text) > 0 {
		r.write(thinkingKey, translate.KindThinking, text)
	}
	for e := d.details.Elements(); e.Next(); {
		detail := detailOf(e.Value)
		if len(text) == 0 && len(detail.text) > 0 {
			r.write(thinkingKey, translate.KindThinking, detail.text)
		}
		if !detail.silent() {
			r.details.add(&detail)
		}
	}
}

// content reads text, or as Mistral sends it a list of texts and thoughts.
func (r *answerReader) content(v translate.Value) {
	if text := v.Text(); len(text) > 0 {
		r.write(textKey, translate.KindText, text)
		return
	}
	for e := v.Elements(); e.Next(); {
		var kind translate.Text
		var text, thinking translate.Value
		for m := e.Value.Members(); m.Next(); {
			switch string(m.Name) {
			case "type":
				kind = m.Value.Text()
			case "text":
				text = m.Value
			case "thinking":
				thinking = m.Value
			}
		}
		switch string(kind) {
		case "text":
			r.write(textKey, translate.KindText, text.Text())
		case "thinking":
			r.write(thinkingKey, translate.KindThinking, thinking.Text())
			for t := thinking.Elements(); t.Next(); {
				r.write(thinkingKey, translate.KindThinking, t.Value.Get("text").Text())
			}
		default:
			r.a.Lose("choices.message.content."+kind.String(), translate.Dropped, "no other protocol has such a part")
		}
	}
}

// write adds text to the block of that key, which it opens if need be.
func (r *answerReader) write(key int, kind translate.Kind, text translate.Text) {
	if len(text) == 0 {
		return
	}
	if r.current != key {
		r.closeCurrent()
		r.closeCalls()
		if key != thinkingKey {
			r.unseal()
		}
		r.a.Open(key, translate.Head{Kind: kind})
		if key == thinkingKey {
			r.a.SealWith(key, r.details.value)
		}
		r.current = key
	}
	r.a.Delta(key, text)
}

// closeCurrent ends the open block that is no tool call.
func (r *answerReader) closeCurrent() {
	if r.current == noKey {
		return
	}
	r.a.Close(r.current)
	if r.current == thinkingKey {
		r.details.reset()
	}
	r.current = noKey
}

// unseal tells details that no thinking block is open for, as a hidden one: some
// models show nothing of what they think.
func (r *answerReader) unseal() {
	if r.current == thinkingKey || r.details.empty() {
		return
	}
	r.a.Open(thinkingKey, translate.Head{Kind: translate.KindThinking, Hidden: true})
	r.a.Seal(thinkingKey, r.details.value())
	r.a.Close(thinkingKey)
	r.details.reset()
}

// cite reads what the text of the answer refers to.
func (r *answerReader) cite(list translate.Value) {
	for e := list.Elements(); e.Next(); {
		if r.current != textKey {
			r.a.Lose("choices.message.annotations", translate.Dropped, "it belongs to no text")
			return
		}
		c := translate.Citation{Raw: e.Value}
		for m := e.Value.Get("url_citation").Members(); m.Next(); {
			switch string(m.Name) {
			case "url":
				c.URL = m.Value.Text()
			case "title":
				c.Title = m.Value.Text()
			case "content": // OpenRouter
				c.CitedText = m.Value.Text()
			}
		}
		r.a.Cite(textKey, c)
	}
}

// lose notes what only clients of Chat Completions could be shown.
func (r *answerReader) lose(d *delta) {
	if !d.images.IsEmpty() {
		r.a.Lose("choices.message.images", translate.Dropped, "no other protocol has images in an answer like this")
	}
	if !d.audio.Get("data").IsEmpty() { // Snowflake always sends the rest
		r.a.Lose("choices.message.audio", translate.Dropped, "no other protocol has audio in an answer")
	}
}

// finish reads why the model stopped. Content may still follow.
func (r *answerReader) finish(reason translate.Text) {
	r.unseal()
	stop := stopOf(reason)
	r.a.Stop(stop, nil)
	if stop == translate.StopEnd || stop == translate.StopTool {
		// Calls that are not complete now never will be.
		r.endCalls()
	}
}

// stopOf reads a finish_reason. OpenAI's five are those of most vendors.
func stopOf(reason translate.Text) translate.StopReason {
	switch string(reason) {
	case "length", "model_length": // the latter is Mistral's
		return translate.StopLength
	case "tool_calls", "function_call":
		return translate.StopTool
	case "content_filter", "sensitive": // the latter is GLM's
		return translate.StopFilter
	}
	return translate.StopEnd
}
