package chat

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// requestReader reads a request. What has to wait for the other members of the
// request is kept in it.
type requestReader struct {
	c *translate.Conversation

	messages           translate.Value
	limit, olderLimit  translate.Value // max_completion_tokens, max_tokens
	tools, functions   translate.Value
	choice, callChoice translate.Value // tool_choice, function_call
	search             translate.Value // web_search_options

	// unnamed are the calls of the last assistant's message that have no id,
	// and no result yet, by their place in Blocks.
	unnamed []int
	// legacy are the calls by function_call that have no result yet.
	legacy []int
}

// DecodeRequest reads a request, which strictjson has checked, into c. The error
// is that of a request which makes no sense in any protocol, or which only this
// one can serve.
func DecodeRequest(c *translate.Conversation, body []byte) *translate.Error {
	r := requestReader{c: c}
	for m := rawjson.Parse(body).Members(); m.Next(); {
		if m.Value.IsNull() {
			continue
		}
		if e := r.member(m.Name, m.Value); e != nil {
			return e
		}
	}
	if e := r.readLimit(); e != nil {
		return e
	}
	if e := r.readTools(); e != nil {
		return e
	}
	return r.readMessages()
}

// member reads a top-level member that is not null.
func (r *requestReader) member(name translate.Text, v translate.Value) *translate.Error {
	c := r.c
	switch string(name) {
	case "model": // the target's counts
	case "messages":
		r.messages = v
	case "max_completion_tokens":
		r.limit = v
	case "max_tokens":
		r.olderLimit = v
	case "temperature":
		return number(&c.Temperature, "temperature", v)
	case "top_p":
		return number(&c.TopP, "top_p", v)
	case "top_k":
		return number(&c.TopK, "top_k", v)
	case "n":
		if n, _ := v.Int(); n > 1 {
			return translate.Refuse("n", "more than one answer can be had only in Chat Completions")
		}
	case "stop":
		return r.stop(v)
	case "stream":
		c.Stream = v.IsTrue()
	case "stream_options": // include_obfuscation is about a stream that ends here
		c.IncludeUsage = v.Get("include_usage").IsTrue()
	case "tools":
		r.tools = v
	case "functions":
		r.functions = v
	case "tool_choice":
		r.choice = v
	case "function_call":
		r.callChoice = v
	case "web_search_options":
		r.search = v
	case "parallel_tool_calls":
		c.Parallel = translate.FlagOf(v)
	case "reasoning_effort":
		r.effort(v)
	case "response_format":
		return r.format(v)
	case "cache_control":
		c.Cache = cacheOf(v)
	case "audio":
		return translate.Refuse("audio", "answers in audio can be had only in Chat Completions")
	case "modalities":
		return modalities(v)
	default:
		c.Fields = append(c.Fields, translate.Field{Name: name.String(), Value: v})
	}
	return nil
}

func number(to *translate.Value, param string, v translate.Value) *translate.Error {
	if !v.IsNumber() {
		return invalid(param, "must be a number")
	}
	*to = v
	return nil
}

// invalid is the error of a request that no protocol would take.
func invalid(param, reason string) *translate.Error {
	e := translate.Refuse(param, reason)
	e.Code = "invalid_value"
	return e
}

func (r *requestReader) stop(v translate.Value) *translate.Error {
	switch {
	case v.IsString():
		r.c.Stop = r.c.Own([]byte("["), v, []byte("]"))
		return nil
	case !v.IsArray():
		return invalid("stop", "must be a string or an array of strings")
	case v.IsEmpty():
		return nil
	}
	for e := v.Elements(); e.Next(); {
		if !e.Value.IsString() {
			return invalid("stop", "must be a string or an array of strings")
		}
	}
	r.c.Stop = v
	return nil
}

// readLimit reads how long the answer may be. The newer name wins.
func (r *requestReader) readLimit() *translate.Error {
	v, param := r.limit, "max_completion_tokens"
	if v.IsNull() {
		v, param = r.olderLimit, "max_tokens"
	}
	if v.IsNull() {
		return nil
	}
	n, ok := v.Int()
	if !ok || n < 1 {
		return invalid(param, "must be a positive number")
	}
	r.c.MaxTokens = n
	return nil
}

func (r *requestReader) effort(v translate.Value) {
	effort, ok := translate.EffortOf(v.Text().String())
	if !ok {
		r.c.Lose(translate.SettingEffort, translate.Dropped, "no other protocol knows this effort")
	}
	r.c.Effort = effort
}

func modalities(v translate.Value) *translate.Error {
	for e := v.Elements(); e.Next(); {
		if !e.Value.Text().Is("text") {
			return translate.Refuse("modalities", "answers in anything but text can be had only in Chat Completions")
		}
	}
	return nil
}

func (r *requestReader) format(v translate.Value) *translate.Error {
	f := &r.c.Format
	switch string(v.Get("type").Text()) {
	case "text":
	case "json_object":
		f.Kind = translate.FormatJSON
	case "json_schema":
		f.Kind = translate.FormatSchema
		for m := v.Get("json_schema").Members(); m.Next(); {
			switch string(m.Name) {
			case "name":
				f.Name = m.Value.Text()
			case "description":
				f.Description = m.Value.Text()
			case "schema":
				f.Schema = m.Value
			case "strict":
				f.Strict = translate.FlagOf(m.Value)
			}
		}
		if !f.Schema.IsObject() {
			return invalid("response_format.json_schema.schema", "must be an object")
		}
	default:
		return translate.Refuse("response_format", "no other protocol knows this format")
	}
	return nil
}

// cacheOf reads a breakpoint for the prompt cache: OpenAI's
// prompt_cache_breakpoint or Anthropic's cache_control. OpenAI keeps what it
// caches for half an hour or longer.
func cacheOf(v translate.Value) translate.Cache {
	if !v.IsObject() {
		return translate.CacheNone
	}
	switch ttl := v.Get("ttl").Text(); string(ttl) {
	case "", "5m":
		return translate.Cache5m
	}
	return translate.Cache1h
}
