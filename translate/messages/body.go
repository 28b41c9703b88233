package messages

import (
	"strconv"
	"sync"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// body is the body of a request while it is written.
type body struct {
	plan

	dst    []byte
	marks  marks
	tooled bool // some tool has been written
	// stubbed are the names of tools that stand there only because they were called.
	stubbed translate.TextIndex
	// searches says that one of the tools is the vendor's search of the web.
	searches bool
	// err is the first thing that cannot be written.
	err *translate.Error
}

var bodies = sync.Pool{New: func() any { return new(body) }}

// EncodeRequest appends the conversation as a request for t. What cannot cross
// is noted in c.Losses. The error is that of a request which would become
// another one without it.
func EncodeRequest(dst []byte, c *translate.Conversation, t *translate.Target) ([]byte, *translate.Error) {
	w := bodies.Get().(*body)
	defer w.release()
	if e := w.make(c, t); e != nil {
		return dst, e
	}
	w.dst = dst
	w.write()
	if w.err != nil {
		return dst, w.err
	}
	return w.dst, nil
}

// maxReused is how many pieces a body keeps room for, so that one huge request
// does not stay in memory for good.
const maxReused = 4096

// release lets go of everything that belongs to the request.
func (w *body) release() {
	if cap(w.pieces) > maxReused {
		return
	}
	p := w.plan
	p.c, p.t = nil, nil
	w.stubbed.Reset()
	*w = body{plan: p, stubbed: w.stubbed}
	bodies.Put(w)
}

// refuse notes that something cannot be written.
func (w *body) refuse(e *translate.Error) {
	if w.err == nil {
		w.err = e
	}
}

// raw appends what is JSON already.
func (w *body) raw(text string) { w.dst = append(w.dst, text...) }

// text appends a string.
func (w *body) text(t translate.Text) { w.dst = rawjson.AppendText(w.dst, t) }

func (w *body) write() {
	c := w.c
	w.raw(`{"model":`)
	w.dst = rawjson.AppendString(w.dst, w.t.Model)
	w.raw(`,"max_tokens":`)
	w.dst = strconv.AppendInt(w.dst, c.MaxTokens, 10)
	if c.Stream || w.t.ForceStream {
		w.raw(`,"stream":true`)
	}
	w.number("temperature", c.Temperature)
	w.number("top_p", c.TopP)
	w.number("top_k", c.TopK)
	w.stop()
	w.thinking()
	w.outputConfig()
	w.fields()
	w.countMarks()
	// The prompt cache reads these in this order.
	w.tools()
	w.instructions()
	w.conversation()
	w.mark(c.Cache)
	w.raw("}")
}

func (w *body) number(name string, v translate.Value) {
	if v.IsNull() {
		return
	}
	w.raw(`,"` + name + `":`)
	w.dst = append(w.dst, v...)
}

// stop writes the stop sequences but those that are nothing but white space,
// which are refused.
func (w *body) stop() {
	begun := false
	for e := w.c.Stop.Elements(); e.Next(); {
		if e.Value.Text().Blank() {
			w.c.Lose(translate.SettingStop, translate.Dropped, "white space cannot be a stop sequence")
			continue
		}
		if begun {
			w.raw(",")
		} else {
			w.raw(`,"stop_sequences":[`)
			begun = true
		}
		w.dst = append(w.dst, e.Value...)
	}
	if begun {
		w.raw("]")
	}
}

func (w *body) thinking() {
	think := w.c.Thinking
	switch think.Mode {
	case translate.ThinkingUnset:
		return
	case translate.ThinkingOff:
		w.raw(`,"thinking":{"type":"disabled"}`)
		return
	case translate.ThinkingBudget:
		w.raw(`,"thinking":{"type":"enabled","budget_tokens":`)
		w.dst = strconv.AppendInt(w.dst, think.Budget, 10)
	case translate.ThinkingAdaptive:
		w.raw(`,"thinking":{"type":"adaptive"`)
	}
	switch {
	case w.t.Quirks.DropBetas: // which came with one
	case think.Show == translate.On:
		w.raw(`,"display":"summarized"`)
	case think.Show == translate.Off:
		w.raw(`,"display":"omitted"`)
	}
	w.raw("}")
}

func (w *body) outputConfig() {
	c := w.c
	effort := c.Effort >= translate.EffortLow
	schema := c.Format.Kind == translate.FormatSchema
	if !effort && !schema {
		return
	}
	w.raw(`,"output_config":{`)
	if effort {
		w.raw(`"effort":"` + c.Effort.String() + `"`)
	}
	if schema {
		if effort {
			w.raw(",")
		}
		w.raw(`"format":{"type":"json_schema","schema":`)
		w.dst = translate.AppendAnswerSchema(w.dst, c.Format.Schema)
		w.raw("}")
	}
	w.raw("}")
}

// jsonInstruction stands for OpenAI's json_object, which asks for any object.
const jsonInstruction = "Answer with one JSON object, and with nothing before or after it."

// instructions writes "system".
func (w *body) instructions() {
	anyJSON := w.c.Format.Kind == translate.FormatJSON
	if len(w.system) == 0 && !anyJSON {
		return
	}
	w.raw(`,"system":[`)
	for i := range w.system {
		if i > 0 {
			w.raw(",")
		}
		w.piece(&w.system[i])
	}
	if anyJSON {
		w.c.Lose(translate.SettingFormat, translate.Changed, "the model is told to answer in JSON, but not held to it")
		if len(w.system) > 0 {
			w.raw(",")
		}
		w.raw(`{"type":"text","text":"` + jsonInstruction + `"}`)
	}
	w.raw("]")
}

// conversation writes "messages".
func (w *body) conversation() {
	w.raw(`,"messages":[`)
	for i := range w.messages {
		m := &w.messages[i]
		if i > 0 {
			w.raw(",")
		}
		switch m.role {
		case translate.System:
			w.raw(`{"role":"system","content":[`)
		case translate.User:
			w.raw(`{"role":"user","content":[`)
		default:
			w.raw(`{"role":"assistant","content":[`)
		}
		for j := m.from; j < m.to; j++ {
			if j > m.from {
				w.raw(",")
			}
			w.piece(&w.pieces[j])
		}
		w.raw("]}")
	}
	w.raw("]")
}
