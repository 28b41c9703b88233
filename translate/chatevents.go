package translate

import (
	"math/bits"

	"github.com/tidwall/gjson"
)

// choices tells which choices of a Chat stream were seen and which of them
// have finished, one bit for each index.
type choices struct {
	seen, stopped uint64
	expected      int
}

func (c choices) finished() bool {
	return c.seen != 0 && c.seen == c.stopped && bits.OnesCount64(c.seen) >= min(c.expected, 64)
}

// choiceBit returns the bit of a choice index. Indices that no vendor uses
// share the last one.
func choiceBit(index int64) uint64 {
	if index < 0 || index > 63 {
		index = 63
	}
	return 1 << index
}

// chatEvent interprets an event of Chat or legacy completions.
func (w *Watcher) chatEvent(name, data []byte) {
	var chunk chatChunk
	chunk.read(parse(data))
	switch {
	case chunk.failed, !chunk.hasChoices && string(name) == "error":
		w.failWith(data)
	case !chunk.hasChoices && chunk.hasCode: // DashScope's errors are flat
		if e, ok := ParseError(data); ok {
			w.fail(e)
		}
	}
	if u, ok := chatUsage(chunk.usage); ok {
		w.usage, w.usageKnown = u, true
	}
	w.choices.seen |= chunk.choices.seen
	w.choices.stopped |= chunk.choices.stopped
	if chunk.broke {
		w.fail(chunk.breakage)
	}
	if !chunk.hasContent {
		return
	}
	w.contents++
	w.learn(data, chunk.text)
	w.pattern.add(anyHole, chunk.echo)
	w.pattern.add(anyHole, chunk.padding)
}

// chatChunk is what matters of one chunk.
type chatChunk struct {
	choices    choices
	hasChoices bool // the key is there, even if empty
	hasContent bool
	usage      gjson.Result

	failed   bool // the chunk says that it is an error
	hasCode  bool // it has a code, as only errors do
	broke    bool // a finish_reason tells of a failure
	breakage Error

	// Strings that change from chunk to chunk, for the pattern.
	text, echo, padding gjson.Result
}

func (c *chatChunk) read(root gjson.Result) {
	root.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "choices":
			c.hasChoices = true
			value.ForEach(func(_, choice gjson.Result) bool {
				c.readChoice(choice)
				return true
			})
		case "usage":
			if value.IsObject() {
				c.usage = value
			}
		case "x_groq":
			if usage := value.Get("usage"); usage.IsObject() {
				c.usage = usage
			}
		case "error":
			c.failed = c.failed || isError(value)
		case "base_resp":
			c.failed = c.failed || value.Get("status_code").Int() != 0
		case "type", "object":
			c.failed = c.failed || value.Str == "error"
		case "code":
			c.hasCode = value.Type == gjson.String || value.Type == gjson.Number
		case "obfuscation", "p": // OpenAI; Mistral
			c.padding = value
		}
		return true
	})
}

func (c *chatChunk) readChoice(choice gjson.Result) {
	var index int64
	var stopped bool
	choice.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "index":
			index = value.Int()
		case "delta":
			value.ForEach(func(key, value gjson.Result) bool {
				c.readDelta(key.Str, value)
				return true
			})
		case "text": // legacy completions
			c.readText(value)
		case "finish_reason":
			if value.Type == gjson.String && value.Str != "" {
				stopped, c.hasContent = true, true
				if e, broke := finishError(value.Str); broke && !c.broke {
					c.broke, c.breakage = true, e
				}
			}
		case "usage": // Kimi
			if value.IsObject() {
				c.usage = value
			}
		case "error":
			c.failed = c.failed || isError(value)
		}
		return true
	})
	bit := choiceBit(index)
	c.choices.seen |= bit
	if stopped {
		c.choices.stopped |= bit
	}
}

func (c *chatChunk) readDelta(key string, value gjson.Result) {
	switch key {
	case "content", "reasoning_content", "reasoning", "refusal":
		c.readText(value)
	case "reasoning_details": // OpenRouter, beside the same in reasoning
		if value.IsArray() && !isEmpty(value) {
			c.hasContent = true
			c.echo = value.Get("0.text")
		}
	case "tool_calls":
		if value.IsArray() && !isEmpty(value) {
			c.hasContent = true
			c.readText(value.Get("0.function.arguments"))
		}
	case "function_call", "audio", "images":
		if value.Type == gjson.JSON && !isEmpty(value) {
			c.hasContent = true
			c.readText(value.Get("arguments"))
		}
	}
}

// readText takes a string, or a list of parts as Mistral sends it, for content
// unless it is empty.
func (c *chatChunk) readText(value gjson.Result) {
	switch {
	case value.Type == gjson.String && value.Str != "":
		c.hasContent = true
		c.text = value
	case value.IsArray() && !isEmpty(value):
		c.hasContent = true
	}
}
