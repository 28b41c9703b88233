package chat

import (
	"bytes"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// call is a tool call of the answer. Its key is its place in the list.
type call struct {
	index    int64 // the upstream's, or noIndex
	id, name []byte
	closed   bool
}

const noIndex = -1

// legacyIndex is that of the one call which function_call can tell.
const legacyIndex = -2

// entry is what a chunk says of a tool call.
type entry struct {
	index     int64
	id, name  translate.Text
	custom    bool
	arguments translate.Value
	signature translate.Text
}

func entryOf(v translate.Value) entry {
	e := entry{index: noIndex}
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "index":
			if n, ok := m.Value.Int(); ok && n >= 0 {
				e.index = n
			}
		case "id":
			e.id = m.Value.Text()
		case "function":
			e.read(m.Value, "arguments")
		case "custom": // Snowflake has an empty one beside each function
			if custom := m.Value; len(custom.Get("name").Text()) > 0 || len(custom.Get("input").Text()) > 0 {
				e.custom = true
				e.read(custom, "input")
			}
		case "extra_content":
			e.signature = thoughtSignature(m.Value)
		}
	}
	return e
}

// read reads name and input of a call.
func (e *entry) read(v translate.Value, input string) {
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "name":
			e.name = m.Value.Text()
		case input:
			e.arguments = m.Value
		}
	}
}

// silent reports whether the entry has no arguments but white space.
func (e *entry) silent() bool {
	return e.arguments.IsEmpty() || e.arguments.Text().Blank() && e.arguments.IsString()
}

// thoughtSignature reads Gemini's signature of a call, without which it does not
// take the call back.
func thoughtSignature(extra translate.Value) translate.Text {
	return extra.Get("google").Get("thought_signature").Text()
}

// toolCall reads an entry of tool_calls. signature is one that stands beside
// them.
func (r *answerReader) toolCall(v translate.Value, signature translate.Text) {
	if r.a.Broken() != nil {
		return // one chunk may have thousands
	}
	e := entryOf(v)
	if len(e.signature) == 0 {
		e.signature = signature
	}
	key := r.find(&e)
	if key == noKey {
		if len(e.id)+len(e.name) == 0 && e.silent() {
			return // says nothing
		}
		key = r.openCall(&e)
	} else {
		r.learn(key, &e)
	}
	r.addArguments(key, &e)
	if r.whole {
		r.closeCall(key)
	}
}

// functionCall reads a function_call, OpenAI's form before tools.
func (r *answerReader) functionCall(v translate.Value) {
	e := entry{index: legacyIndex}
	e.read(v, "arguments")
	key := r.last(func(c *call) bool { return c.index == legacyIndex })
	if key == noKey {
		if len(e.name) == 0 {
			return // Snowflake always sends an empty one
		}
		key = r.openCall(&e)
	}
	r.addArguments(key, &e)
}

// find returns the key of the call that an entry continues, or noKey if it
// begins one.
func (r *answerReader) find(e *entry) int {
	if r.whole || len(r.calls) == 0 {
		return noKey
	}
	key := noKey
	switch {
	case e.index >= 0:
		key = r.last(func(c *call) bool { return c.index == e.index })
	case len(e.id) > 0:
		key = r.last(func(c *call) bool { return bytes.Equal(c.id, e.id) })
		if key == noKey && len(e.name) == 0 {
			key = len(r.calls) - 1
		}
	case len(e.name) == 0 || r.unfinished(len(r.calls)-1, e.name):
		key = len(r.calls) - 1
	}
	if key != noKey && r.supersedes(e, key) {
		return noKey
	}
	return key
}

// last returns the key of the last call of which is is true, or noKey.
func (r *answerReader) last(is func(*call) bool) int {
	for i := len(r.calls) - 1; i >= 0; i-- {
		if is(&r.calls[i]) {
			return i
		}
	}
	return noKey
}

// unfinished reports whether a call of that name is in the middle of its
// arguments.
func (r *answerReader) unfinished(key int, name translate.Text) bool {
	c := &r.calls[key]
	return bytes.Equal(c.name, name) && !c.closed && r.a.Written(key) && !r.a.Whole(key)
}

// supersedes reports whether an entry begins a call of its own, though it has
// the index of an earlier one: several vendors use 0 for all. Others repeat name
// and id, or change the id, in every chunk of one call.
func (r *answerReader) supersedes(e *entry, key int) bool {
	c := &r.calls[key]
	if len(e.name) == 0 {
		return false
	}
	otherID := len(e.id) > 0 && len(c.id) > 0 && !bytes.Equal(e.id, c.id)
	if c.closed || r.a.Whole(key) {
		return otherID || len(e.id) == 0 && !e.silent()
	}
	return otherID && len(c.name) > 0 && !bytes.Equal(e.name, c.name)
}

// openCall begins a call, and returns its key.
func (r *answerReader) openCall(e *entry) int {
	r.closeCurrent()
	r.unseal()
	r.closeCalls()
	key := len(r.calls)
	r.calls = append(r.calls, call{index: e.index, id: bytes.Clone(e.id), name: bytes.Clone(e.name)})
	r.a.Open(key, translate.Head{
		Kind: translate.KindToolCall, ID: e.id, Name: e.name, Custom: e.custom, Signature: e.signature,
	})
	return key
}

// learn takes over what was missing when the call began.
func (r *answerReader) learn(key int, e *entry) {
	c := &r.calls[key]
	if len(c.id) == 0 {
		c.id = bytes.Clone(e.id)
	}
	if len(c.name) == 0 && len(e.name) > 0 {
		c.name = bytes.Clone(e.name)
		r.a.Rename(key, e.id, e.name)
	}
}

// addArguments adds to a call's input. Behind a complete object nothing can
// follow that means anything.
func (r *answerReader) addArguments(key int, e *entry) {
	if r.a.Whole(key) {
		return
	}
	switch {
	case e.arguments.IsString():
		r.a.Delta(key, e.arguments.Text())
	case e.arguments.IsObject(): // Ollama's native form
		r.a.Delta(key, rawjson.AppendEscaped(nil, e.arguments))
	}
	if r.a.Whole(key) {
		r.complete = append(r.complete, key)
	}
}

func (r *answerReader) closeCall(key int) {
	r.calls[key].closed = true
	r.a.Close(key)
	for r.closed < len(r.calls) && r.calls[r.closed].closed {
		r.closed++
	}
}

// closeCalls ends all calls that are complete, so that what follows them need not
// wait. Others may still get arguments: parallel calls may come interleaved.
func (r *answerReader) closeCalls() {
	for _, key := range r.complete {
		if !r.calls[key].closed {
			r.closeCall(key)
		}
	}
	r.complete = r.complete[:0]
}

// endCalls ends all calls.
func (r *answerReader) endCalls() {
	for i := r.closed; i < len(r.calls); i++ {
		if !r.calls[i].closed {
			r.closeCall(i)
		}
	}
}
