package chat

import (
	"slices"
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// requestWriter writes a request.
type requestWriter struct {
	c   *translate.Conversation
	t   *translate.Target
	dst []byte

	// aside are attachments that tools returned, as indexes of Parts, which the
	// next message of the user has to show.
	aside []int
	// notes are instructions that the target takes only as words of the user,
	// as indexes of Blocks, which its next message has to tell.
	notes []int
	// role is that of the last message.
	role string
	// parts says that texts are written as parts, since one of the request has
	// a breakpoint: a text that is a string in one request and a part in the
	// next, when its breakpoint has moved on, would not be found in the cache.
	parts bool
	// loop is the index of the first block behind what the user said last.
	loop int
	// reasoning says that the target gets back what its model thought.
	reasoning bool
	// hasTools says that the model may call some tool.
	hasTools bool
	// sent are the tools' names as sent, of the same index as Tools; nil for
	// one that is not.
	sent []translate.Text
}

// EncodeRequest appends the conversation as a request for t. What cannot cross
// is noted in c.Losses. The error is that of a request which would become
// another one without it.
func EncodeRequest(dst []byte, c *translate.Conversation, t *translate.Target) ([]byte, *translate.Error) {
	if e := c.Pair(); e != nil {
		return nil, e
	}
	w := requestWriter{c: c, t: t, dst: dst}
	w.dst = append(w.dst, `{"model":`...)
	w.dst = rawjson.AppendString(w.dst, t.Model)
	if e := w.writeMessages(); e != nil {
		return nil, e
	}
	if e := w.writeTools(); e != nil {
		return nil, e
	}
	if e := w.writeToolChoice(); e != nil {
		return nil, e
	}
	w.writeFields()
	w.writeStream()
	w.writeSampling()
	w.writeFormat()
	w.writeMark(c.Cache)
	return append(w.dst, '}'), nil
}

// key begins a top-level member that is not the first.
func (w *requestWriter) key(name string) {
	w.dst = append(w.dst, `,"`...)
	w.dst = append(w.dst, name...)
	w.dst = append(w.dst, `":`...)
}

// write writes a top-level member.
func (w *requestWriter) write(name string, v translate.Value) {
	w.key(name)
	w.dst = append(w.dst, v...)
}

func (w *requestWriter) writeStream() {
	if !w.c.Stream {
		return
	}
	w.write("stream", translate.Value("true"))
	if !w.t.Quirks.NoStreamOptions {
		// Whether the client wants to know or not, its usage is accounted for.
		w.write("stream_options", translate.Value(`{"include_usage":true}`))
	}
}

// maxStops is how many stop sequences OpenAI takes.
const maxStops = 4

func (w *requestWriter) writeSampling() {
	c := w.c
	if c.MaxTokens > 0 {
		w.key(w.limitField())
		w.dst = strconv.AppendInt(w.dst, c.MaxTokens, 10)
	}
	if len(c.Temperature) > 0 {
		w.write("temperature", c.Temperature)
	}
	if len(c.TopP) > 0 {
		w.write("top_p", c.TopP)
	}
	if len(c.TopK) > 0 {
		if w.takes("top_k") {
			w.write("top_k", c.TopK)
		} else {
			c.Lose(translate.SettingTopK, translate.Dropped, "Chat Completions has no top_k")
		}
	}
	if !c.Stop.IsEmpty() {
		w.writeStop()
	}
	if c.Effort != translate.EffortUnset {
		w.key("reasoning_effort")
		w.dst = rawjson.AppendString(w.dst, c.Effort.String())
	}
}

func (w *requestWriter) limitField() string {
	if w.t.Quirks.MaxTokensField != "" {
		return w.t.Quirks.MaxTokensField
	}
	return "max_tokens"
}

// takes reports whether the target is said to know a parameter of that name.
func (w *requestWriter) takes(name string) bool {
	return slices.Contains(w.t.Quirks.Parameters, name)
}

func (w *requestWriter) writeStop() {
	w.key("stop")
	w.dst = append(w.dst, '[')
	for e := w.c.Stop.Elements(); e.Next(); {
		if e.Index == maxStops {
			w.c.Lose(translate.SettingStop, translate.Clamped, "Chat Completions takes four stop sequences")
			break
		}
		if e.Index > 0 {
			w.dst = append(w.dst, ',')
		}
		w.dst = append(w.dst, e.Value...)
	}
	w.dst = append(w.dst, ']')
}

func (w *requestWriter) writeFormat() {
	f := &w.c.Format
	switch f.Kind {
	case translate.FormatJSON:
		w.write("response_format", translate.Value(`{"type":"json_object"}`))
	case translate.FormatSchema:
		w.key("response_format")
		w.dst = append(w.dst, `{"type":"json_schema","json_schema":{"name":"`...)
		if len(f.Name) > 0 {
			w.dst = append(w.dst, w.c.SentName(translate.Chat, nil, f.Name)...)
		} else {
			w.dst = append(w.dst, "output"...)
		}
		w.dst = append(w.dst, '"')
		if len(f.Description) > 0 {
			w.dst = append(w.dst, `,"description":`...)
			w.dst = rawjson.AppendText(w.dst, f.Description)
		}
		w.dst = append(w.dst, `,"schema":`...)
		w.dst = append(w.dst, f.Schema...)
		w.writeStrict(w.formatStrict())
		w.dst = append(w.dst, "}}"...)
	}
}

// formatStrict says whether the model is held to the schema of its answer. In
// Messages it always is, if it has one; there is no word for it.
func (w *requestWriter) formatStrict() translate.Flag {
	f := &w.c.Format
	switch {
	case f.Strict != translate.Unset || w.c.Protocol != translate.Messages:
		return f.Strict
	case w.c.TooLoose(f.Schema):
		w.c.Lose(translate.SettingFormat, translate.Changed, translate.LooseSchema)
		return translate.Off
	}
	return translate.On
}

// writeStrict says whether the model is held to a schema. Chat Completions and
// the Responses API differ in what they take for granted.
func (w *requestWriter) writeStrict(strict translate.Flag) {
	if w.t.Quirks.NoStrict {
		return
	}
	w.dst = append(w.dst, `,"strict":`...)
	w.dst = strconv.AppendBool(w.dst, strict == translate.On)
}
