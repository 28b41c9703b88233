package translate

import (
	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// maxTokens bounds every counter. No model comes near it, and sums of bounded
// counters cannot overflow, whatever an upstream writes.
const maxTokens = 1 << 40

// Usage counts tokens. The counters are disjoint: each token is in exactly one
// of them, whatever the vendor's own arithmetic.
type Usage struct {
	Input      int64 // read afresh: neither from nor into a cache
	CacheRead  int64 // read from the prompt cache
	CacheWrite int64 // read and written to the prompt cache
	Output     int64 // written for the client to see
	Reasoning  int64 // written while thinking
}

// Total returns the sum of all counters.
func (u Usage) Total() int64 {
	return u.Input + u.CacheRead + u.CacheWrite + u.Output + u.Reasoning
}

// ReadUsage reads the usage out of a whole answer. ok is false when the answer
// has none.
func ReadUsage(p Protocol, body []byte) (u Usage, ok bool) {
	var usage, groq gjson.Result
	parse(rawjson.Parse(body)).ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "usage":
			usage = value
		case "x_groq":
			groq = value.Get("usage")
		}
		return true
	})
	switch p {
	case Messages:
		var counts messagesUsage
		counts.add(usage)
		return counts.usage()
	case Responses:
		return responsesUsage(usage)
	}
	if u, ok = chatUsage(usage); !ok {
		u, ok = chatUsage(groq)
	}
	return u, ok
}

// chatUsage reads the usage of Chat Completions, legacy completions and
// embeddings.
func chatUsage(usage gjson.Result) (Usage, bool) {
	var prompt, completion, total, read, written, reasoning, audio count
	usage.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "prompt_tokens":
			prompt.set(value)
		case "completion_tokens":
			completion.set(value)
		case "total_tokens":
			total.set(value)
		case "prompt_tokens_details":
			read.set(value.Get("cached_tokens"))
			written.set(value.Get("cache_write_tokens"))
		case "completion_tokens_details":
			reasoning.set(value.Get("reasoning_tokens"))
		case "cached_tokens", "prompt_cache_hit_tokens": // Together and Kimi; DeepSeek
			if !read.known {
				read.set(value)
			}
		case "prompt_audio_seconds": // Mistral
			audio.set(value)
		}
		return true
	})
	if !prompt.known && !completion.known && !total.known {
		return Usage{}, false
	}
	// Where the total is larger than its parts, the rest was thought: xAI
	// counts reasoning beside completion_tokens, Gemini only in the total.
	// Mistral leaves audio out of prompt_tokens instead.
	in, out := prompt.n, completion.n
	if rest := total.n - in - out; rest > 0 {
		if audio.n > 0 {
			in += rest
		} else {
			out += rest
			reasoning.n = max(reasoning.n, rest)
		}
	}
	return disjoint(in, read.n, written.n, out, reasoning.n), true
}

// responsesUsage reads the usage of the Responses API.
func responsesUsage(usage gjson.Result) (Usage, bool) {
	var in, out, read, written, reasoning count
	usage.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "input_tokens":
			in.set(value)
		case "output_tokens":
			out.set(value)
		case "input_tokens_details":
			read.set(value.Get("cached_tokens"))
			written.set(value.Get("cache_write_tokens"))
		case "output_tokens_details":
			reasoning.set(value.Get("reasoning_tokens"))
		}
		return true
	})
	if !in.known && !out.known {
		return Usage{}, false
	}
	return disjoint(in.n, read.n, written.n, out.n, reasoning.n), true
}

// disjoint splits totals that contain their details. A vendor that reports
// more details than total is believed on the total.
func disjoint(in, read, written, out, reasoning int64) Usage {
	read = min(read, in)
	written = min(written, in-read)
	reasoning = min(reasoning, out)
	return Usage{
		Input:      in - read - written,
		CacheRead:  read,
		CacheWrite: written,
		Output:     out - reasoning,
		Reasoning:  reasoning,
	}
}

// messagesUsage gathers the usage of the Messages API. A stream reports it in
// several events, and each later value of a key replaces the earlier one.
type messagesUsage struct {
	counts messagesCounts

	// calls is the sum over "iterations": with compaction or an advisor they
	// list every model call, while the counters beside them have the client's
	// own only.
	calls    Usage
	iterated bool
}

// add takes over what a usage object says.
func (m *messagesUsage) add(usage gjson.Result) {
	usage.ForEach(func(key, value gjson.Result) bool {
		if key.Str == "iterations" {
			m.addCalls(value)
		} else {
			m.counts.set(key.Str, value)
		}
		return true
	})
}

// addCalls sums model calls. A fallback_message among them means that the
// counters beside them are already what is billed.
func (m *messagesUsage) addCalls(calls gjson.Result) {
	m.calls, m.iterated = Usage{}, false
	calls.ForEach(func(_, call gjson.Result) bool {
		if call.Get("type").Str == "fallback_message" {
			m.iterated = false
			return false
		}
		var counts messagesCounts
		call.ForEach(func(key, value gjson.Result) bool {
			counts.set(key.Str, value)
			return true
		})
		m.calls = m.calls.plus(counts.usage())
		m.iterated = m.iterated || counts.known()
		return true
	})
}

func (m *messagesUsage) usage() (Usage, bool) {
	if m.iterated {
		return m.calls, true
	}
	return m.counts.usage(), m.counts.known()
}

// plus adds counter by counter, each up to the most that is counted.
func (u Usage) plus(v Usage) Usage {
	return Usage{
		Input:      min(u.Input+v.Input, maxTokens),
		CacheRead:  min(u.CacheRead+v.CacheRead, maxTokens),
		CacheWrite: min(u.CacheWrite+v.CacheWrite, maxTokens),
		Output:     min(u.Output+v.Output, maxTokens),
		Reasoning:  min(u.Reasoning+v.Reasoning, maxTokens),
	}
}

// messagesCounts are the counters of one usage object of the Messages API.
type messagesCounts struct {
	input, cacheRead, cacheWrite, output, thinking count
}

func (c *messagesCounts) set(key string, value gjson.Result) {
	switch key {
	case "input_tokens":
		c.input.set(value)
	case "cache_read_input_tokens":
		c.cacheRead.set(value)
	case "cache_creation_input_tokens":
		c.cacheWrite.set(value)
	case "output_tokens":
		c.output.set(value)
	case "output_tokens_details":
		c.thinking.set(value.Get("thinking_tokens"))
	}
}

func (c *messagesCounts) known() bool { return c.input.known || c.output.known }

// usage is nearly what the vendor says: only thinking is part of the output.
func (c *messagesCounts) usage() Usage {
	thinking := min(c.thinking.n, c.output.n)
	return Usage{
		Input:      c.input.n,
		CacheRead:  c.cacheRead.n,
		CacheWrite: c.cacheWrite.n,
		Output:     c.output.n - thinking,
		Reasoning:  thinking,
	}
}

// count is a counter as read: known once the upstream gave a number.
type count struct {
	n     int64
	known bool
}

// set takes over value if it is a number, clamped to what can be counted. The
// counts of vendors are hostile input: a negative one must not grow a budget.
func (c *count) set(value gjson.Result) {
	if value.Type != gjson.Number {
		return
	}
	*c = count{known: true}
	if value.Num > 0 { // false for NaN too, which gjson reads
		c.n = int64(min(value.Num, maxTokens))
	}
}
