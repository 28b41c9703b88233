package messages

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// request is a Messages request while it is read. Its members come in any order,
// but what they say is needed in a certain one.
type request struct {
	c *translate.Conversation

	system, messages, tools, choice   translate.Value
	thinking, outputConfig, oldFormat translate.Value

	block block // that is being read

	searched bool // for lastUser
	lastUser int  // index of the user's last message, -1 if there is none

	known   translate.TextIndex // tools by name, once one comes in later
	indexed int                 // how many of the tools it has
}

// DecodeRequest reads a request, which strictjson has checked, into c. The error
// is that of a request which makes no sense in any protocol, or which only this
// one can serve.
func DecodeRequest(c *translate.Conversation, body []byte) *translate.Error {
	r := request{c: c}
	for m := rawjson.Parse(body).Members(); m.Next(); {
		if m.Value.IsNull() {
			continue
		}
		if e := r.member(m.Name, m.Value); e != nil {
			return e
		}
	}
	if e := r.readSystem(); e != nil {
		return e
	}
	r.readThinking()
	r.readOutputConfig()
	if e := r.readTools(); e != nil {
		return e
	}
	if e := r.readMessages(); e != nil {
		return e
	}
	return r.readChoice()
}

// member takes a member of the request.
func (r *request) member(name translate.Text, v translate.Value) *translate.Error {
	c := r.c
	switch string(name) {
	case "model", "anthropic_version", "anthropic_beta":
		// Whoever sends the request on decides on these.
	case "system":
		r.system = v
	case "messages":
		r.messages = v
	case "tools":
		r.tools = v
	case "tool_choice":
		r.choice = v
	case "thinking":
		r.thinking = v
	case "output_config":
		r.outputConfig = v
	case "output_format":
		r.oldFormat = v
	case "max_tokens":
		return r.readMaxTokens(v)
	case "stream":
		c.Stream = v.IsTrue()
	case "temperature":
		c.Temperature = v
	case "top_p":
		c.TopP = v
	case "top_k":
		c.TopK = v
	case "stop_sequences":
		if v.IsArray() && !v.IsEmpty() {
			c.Stop = v
		}
	case "cache_control":
		c.Cache = cacheOf(v)
	case "metadata":
		if user := v.Get("user_id"); !user.IsEmpty() {
			c.Fields = append(c.Fields, translate.Field{Name: "metadata.user_id", Value: user})
		}
	case "container", "mcp_servers", "inference_geo", "compaction":
		return r.onlyHere(name.String(), v)
	default:
		c.Fields = append(c.Fields, translate.Field{Name: name.String(), Value: v})
	}
	return nil
}

// onlyHere refuses what no other protocol can keep: state at the vendor, tools
// that it runs over the network, a promise of where it computes, and answers of
// another form.
func (r *request) onlyHere(name string, v translate.Value) *translate.Error {
	if v.IsEmpty() {
		return nil
	}
	return translate.Refuse(name, "only a provider that speaks Messages can serve this")
}

func (r *request) readMaxTokens(v translate.Value) *translate.Error {
	n, ok := v.Int()
	if ok && n <= 0 {
		// 0 fills Anthropic's prompt cache and asks for no answer.
		return translate.Refuse("max_tokens", "must be at least 1 where the request is translated")
	}
	r.c.MaxTokens = n
	return nil
}

func (r *request) readThinking() {
	c := r.c
	for m := r.thinking.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			c.Thinking.Mode = r.thinkingMode(m.Value.Text())
		case "budget_tokens":
			c.Thinking.Budget, _ = m.Value.Int()
		case "display":
			switch string(m.Value.Text()) {
			case "omitted":
				c.Thinking.Show = translate.Off
			case "summarized", "updates":
				c.Thinking.Show = translate.On
			}
		}
	}
	switch {
	case c.Thinking.Mode != translate.ThinkingBudget:
		c.Thinking.Budget = 0
	case c.Thinking.Show == translate.Unset:
		// Models that think on a budget show it unless they are told not to,
		// those that decide themselves how much do not.
		c.Thinking.Show = translate.On
	}
}

func (r *request) thinkingMode(kind translate.Text) translate.ThinkingMode {
	switch string(kind) {
	case "enabled":
		return translate.ThinkingBudget
	case "adaptive":
		return translate.ThinkingAdaptive
	case "disabled":
		return translate.ThinkingOff
	}
	r.c.Lose(translate.SettingThinking, translate.Changed, "the model decides when and how much it thinks")
	return translate.ThinkingAdaptive
}

// readOutputConfig reads output_config, and the output_format that came before
// it.
func (r *request) readOutputConfig() {
	c := r.c
	r.readFormat(r.oldFormat, "output_format")
	for m := r.outputConfig.Members(); m.Next(); {
		if m.Value.IsNull() {
			continue
		}
		switch string(m.Name) {
		case "effort":
			effort, known := translate.EffortOf(m.Value.Text().String())
			if !known {
				c.Lose(translate.SettingEffort, translate.Dropped, "is no effort that is known here")
			}
			c.Effort = effort
		case "format":
			r.readFormat(m.Value, "output_config.format")
		default:
			name := "output_config." + string(m.Name)
			c.Fields = append(c.Fields, translate.Field{Name: name, Value: m.Value})
		}
	}
}

func (r *request) readFormat(v translate.Value, name string) {
	if v.IsNull() {
		return
	}
	schema := v.Get("schema")
	if !schema.IsObject() || string(v.Get("type").Text()) != "json_schema" {
		r.c.Losses.Add(name, translate.Dropped, "is no format that is known here")
		return
	}
	r.c.Format = translate.Format{Kind: translate.FormatSchema, Schema: schema}
}

// cacheOf reads a cache_control.
func cacheOf(v translate.Value) translate.Cache {
	switch {
	case !v.IsObject():
		return translate.CacheNone
	case string(v.Get("ttl").Text()) == "1h":
		return translate.Cache1h
	}
	return translate.Cache5m
}
