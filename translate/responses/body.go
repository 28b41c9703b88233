package responses

import (
	"bytes"
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// body is a request while it is written.
type body struct {
	c   *translate.Conversation
	t   *translate.Target
	dst []byte

	items   int             // of the input, written so far
	open    bool            // the last one is a message that may get more parts
	thought translate.Value // a reasoning item, waiting for what it led to

	sent []translate.Text // names of the tools, by their index; nil: left out

	extra extra
}

// EncodeRequest appends the conversation as a request for t. What cannot cross
// is noted in c.Losses. The error is that of a request which would become
// another one without it.
func EncodeRequest(dst []byte, c *translate.Conversation, t *translate.Target) ([]byte, *translate.Error) {
	if e := c.Pair(); e != nil {
		return nil, e
	}
	w := body{c: c, t: t, dst: dst}
	w.raw(`{"model":`)
	w.dst = rawjson.AppendString(w.dst, t.Model)
	if c.Stream {
		w.raw(`,"stream":true`)
	}
	if e := w.input(); e != nil {
		return nil, e
	}
	if e := w.tools(); e != nil {
		return nil, e
	}
	if e := w.choice(); e != nil {
		return nil, e
	}
	w.fields()
	w.settings()
	w.reasoning()
	w.text()
	return append(w.dst, '}'), nil
}

func (w *body) raw(s string) { w.dst = append(w.dst, s...) }

// string writes a text as a string.
func (w *body) string(t translate.Text) { w.dst = rawjson.AppendText(w.dst, t) }

// value writes a top-level member that is not the first, if there is a value.
func (w *body) value(name string, v translate.Value) {
	if len(v) == 0 {
		return
	}
	w.raw(`,"` + name + `":`)
	w.dst = append(w.dst, v...)
}

// minOutputTokens is the least that OpenAI takes for max_output_tokens.
const minOutputTokens = 16

func (w *body) settings() {
	c := w.c
	if n := c.MaxTokens; n > 0 {
		if n < minOutputTokens {
			n = minOutputTokens
			c.Lose(translate.SettingMaxTokens, translate.Clamped, "the Responses API takes no less than 16")
		}
		w.raw(`,"max_output_tokens":`)
		w.dst = strconv.AppendInt(w.dst, n, 10)
	}
	w.value("temperature", c.Temperature)
	w.value("top_p", c.TopP)
	if len(c.TopK) > 0 {
		c.Lose(translate.SettingTopK, translate.Dropped, "the Responses API has no top_k")
	}
	if !c.Stop.IsEmpty() {
		c.Lose(translate.SettingStop, translate.Dropped, "the Responses API has no stop sequences")
	}
}

// reasoning writes how the model is to think, and "include". What it thought is
// kept nowhere, so it has to come along, or the next request is without it. A
// summary is for clients that want to read along: OpenAI refuses it to
// organisations that it has not verified.
func (w *body) reasoning() {
	c, caps := w.c, &w.t.Capabilities
	shown := c.Thinking.Show == translate.On && !w.t.Quirks.NoReasoningSummary
	if c.Effort != translate.EffortUnset || shown {
		w.raw(`,"reasoning":{`)
		if c.Effort != translate.EffortUnset {
			w.raw(`"effort":"` + c.Effort.String() + `"`)
		}
		if shown {
			if c.Effort != translate.EffortUnset {
				w.raw(",")
			}
			w.raw(`"summary":"auto"`)
		}
		w.raw("}")
	}
	// Models that never reason refuse it.
	if c.Effort > translate.EffortNone || shown ||
		c.Effort == translate.EffortUnset && translate.Allows(caps.Reasons, len(caps.Efforts) > 0) {
		w.raw(`,"include":["reasoning.encrypted_content"]`)
	}
}

// text writes the form of the answer's text, and how long it is to be.
func (w *body) text() {
	f, verbosity := &w.c.Format, w.extra.verbosity
	if f.Kind == translate.FormatText && len(verbosity) == 0 {
		return
	}
	w.raw(`,"text":{`)
	switch f.Kind {
	case translate.FormatJSON:
		w.raw(`"format":{"type":"json_object"}`)
	case translate.FormatSchema:
		w.schema(f)
	}
	if len(verbosity) > 0 {
		if f.Kind != translate.FormatText {
			w.raw(",")
		}
		w.raw(`"verbosity":`)
		w.dst = append(w.dst, verbosity...)
	}
	w.raw("}")
}

func (w *body) schema(f *translate.Format) {
	w.raw(`"format":{"type":"json_schema","name":`)
	if len(f.Name) > 0 {
		w.string(w.c.SentName(translate.Responses, nil, f.Name))
	} else {
		w.raw(`"output"`)
	}
	if len(f.Description) > 0 {
		w.raw(`,"description":`)
		w.string(f.Description)
	}
	w.raw(`,"schema":`)
	w.dst = append(w.dst, f.Schema...)
	if !w.t.Quirks.NoStrict {
		// Where the client's protocol has no such choice, it means yes.
		strict := f.Strict == translate.On || f.Strict == translate.Unset && w.c.Protocol == translate.Messages
		if strict && w.c.TooLoose(f.Schema) {
			strict = false
			w.c.Lose(translate.SettingFormat, translate.Changed, translate.LooseSchema)
		}
		w.raw(`,"strict":`)
		w.dst = strconv.AppendBool(w.dst, strict)
	}
	w.raw("}")
}

// wantsJSON writes the word without which OpenAI refuses to answer in JSON of no
// particular schema. It has to stand in the input.
func (w *body) wantsJSON() {
	if w.c.Format.Kind != translate.FormatJSON {
		return
	}
	for i := range w.c.Blocks {
		if b := &w.c.Blocks[i]; b.Kind == translate.KindText && mentionsJSON(b.Text) {
			return
		}
	}
	w.next()
	w.raw(`{"type":"message","role":"developer","content":[{"type":"input_text","text":"Answer in JSON."}]}`)
}

func mentionsJSON(t translate.Text) bool {
	for {
		i := bytes.IndexAny(t, "jJ")
		if i < 0 || len(t)-i < 4 {
			return false
		}
		if bytes.EqualFold(t[i:i+4], []byte("json")) {
			return true
		}
		t = t[i+1:]
	}
}
