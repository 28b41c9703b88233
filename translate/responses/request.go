package responses

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// request is a Responses request while it is read. Its members come in any
// order, but what they say is needed in a certain one.
type request struct {
	c *translate.Conversation

	instructions, input, tools, choice translate.Value

	known     translate.TextIndex // places of tools, by fullName
	results   bool                // the last turn holds nothing but results of tools
	verbosity int                 // 1 + its place in the fields, 0 where there is none
	item      item                // that is being read
}

// beforeInput is the index of the turn that stands in "instructions" and not in
// "input".
const beforeInput = -1

// DecodeRequest reads a request, which strictjson has checked, into c. The error
// is that of a request which makes no sense in any protocol, or which only this
// one can serve.
func DecodeRequest(c *translate.Conversation, body []byte) *translate.Error {
	r := request{c: c}
	var said echo
	for m := rawjson.Parse(body).Members(); m.Next(); {
		if m.Value.IsNull() {
			continue
		}
		said.note(m.Name, m.Value)
		if e := r.member(m.Name, m.Value); e != nil {
			return e
		}
	}
	c.Echo = said.append(c.Echo)
	if e := r.readTools(r.tools); e != nil {
		return e
	}
	if e := r.readInstructions(); e != nil {
		return e
	}
	if e := r.readInput(); e != nil {
		return e
	}
	return r.readChoice()
}

// member takes a member of the request.
func (r *request) member(name translate.Text, v translate.Value) *translate.Error {
	c := r.c
	switch string(name) {
	case "model":
		// Whoever sends the request on decides on it.
	case "client_metadata":
		// Codex tells its own backend about itself.
	case "instructions":
		r.instructions = v
	case "input":
		r.input = v
	case "tools":
		r.tools = v
	case "tool_choice":
		r.choice = v
	case "stream":
		c.Stream = v.IsTrue()
	case "max_output_tokens":
		if c.MaxTokens, _ = v.Int(); c.MaxTokens < 1 {
			return invalid("max_output_tokens", "must be at least 1")
		}
	case "temperature":
		c.Temperature = v
	case "top_p":
		c.TopP = v
	case "parallel_tool_calls":
		c.Parallel = translate.FlagOf(v)
	case "reasoning":
		return r.readReasoning(v)
	case "text":
		return r.readText(v)
	case "include":
		r.readInclude(v)
	case "previous_response_id", "conversation":
		return refuseUnlessEmpty(name, v, "no conversations are kept here; send the whole of it as input")
	case "prompt":
		return refuseUnlessEmpty(name, v, "prompt templates are kept at OpenAI only")
	case "background":
		if v.IsTrue() {
			return translate.Refuse("background", "no answers are kept here that could be fetched later")
		}
	default:
		c.Fields = append(c.Fields, translate.Field{Name: name.String(), Value: v})
	}
	return nil
}

func refuseUnlessEmpty(name translate.Text, v translate.Value, reason string) *translate.Error {
	if v.IsEmpty() {
		return nil
	}
	return translate.Refuse(string(name), reason)
}

func invalid(param, reason string) *translate.Error {
	e := translate.Refuse(param, reason)
	e.Code = "invalid_value"
	return e
}

// readReasoning reads how the model is to think. A client that asks for no
// summary shows no thoughts.
func (r *request) readReasoning(v translate.Value) *translate.Error {
	c := r.c
	if c.Thinking.Show == translate.Unset {
		c.Thinking.Show = translate.Off
	}
	for m := v.Members(); m.Next(); {
		if m.Value.IsNull() {
			continue
		}
		switch string(m.Name) {
		case "effort":
			effort, ok := translate.EffortOf(m.Value.Text().String())
			if !ok {
				return invalid("reasoning.effort", "must be none, minimal, low, medium, high, xhigh or max")
			}
			c.Effort = effort
		case "summary", "generate_summary":
			c.Thinking.Show = translate.On
		default:
			r.nested("reasoning.", m)
		}
	}
	return nil
}

// nested notes a member of a member for which there is no setting.
func (r *request) nested(prefix string, m rawjson.Members) {
	r.c.Fields = append(r.c.Fields, translate.Field{Name: prefix + string(m.Name), Value: m.Value})
}

// readText reads the form that the answer's text is to have.
func (r *request) readText(v translate.Value) *translate.Error {
	for m := v.Members(); m.Next(); {
		switch {
		case m.Value.IsNull():
		case string(m.Name) == "format":
			if e := r.readFormat(m.Value); e != nil {
				return e
			}
		case string(m.Name) == "verbosity" && r.verbosity > 0:
			r.c.Fields[r.verbosity-1].Value = m.Value // the last one counts
		default:
			r.nested("text.", m)
			if string(m.Name) == "verbosity" {
				r.verbosity = len(r.c.Fields)
			}
		}
	}
	return nil
}

func (r *request) readFormat(v translate.Value) *translate.Error {
	var f translate.Format
	var kind translate.Text
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			kind = m.Value.Text()
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
	switch string(kind) {
	case "text":
		f = translate.Format{Kind: translate.FormatText}
	case "json_object":
		f = translate.Format{Kind: translate.FormatJSON}
	case "json_schema":
		if !f.Schema.IsObject() {
			return invalid("text.format.schema", "must be an object")
		}
		f.Kind = translate.FormatSchema
	default:
		return invalid("text.format.type", "must be text, json_object or json_schema")
	}
	r.c.Format = f
	return nil
}

// readInclude reads what the answer is to hold beside its text. Reasoning that
// only its issuer can read is always part of it; the rest belongs to tools that
// the vendor runs.
func (r *request) readInclude(v translate.Value) {
	for e := v.Elements(); e.Next(); {
		if string(e.Value.Text()) == "message.output_text.logprobs" {
			r.c.Losses.Add("include", translate.Dropped, "probabilities are not part of translated answers")
		}
	}
}

func (r *request) readInstructions() *translate.Error {
	if r.instructions.IsNull() {
		return nil
	}
	text := r.instructions.Text()
	if text == nil {
		return invalid("instructions", "must be a string")
	}
	if len(text) > 0 {
		r.c.BeginTurn(translate.System, beforeInput, false).Developer = true
		r.c.Add(translate.Block{Kind: translate.KindText, Text: text})
	}
	return nil
}

func (r *request) readInput() *translate.Error {
	switch {
	case r.input.IsString():
		r.c.BeginTurn(translate.User, 0, false)
		r.c.Add(translate.Block{Kind: translate.KindText, Text: r.input.Text()})
	case r.input.IsEmpty():
		return invalid("input", "is missing or empty")
	case !r.input.IsArray():
		return invalid("input", "must be a string or an array of items")
	}
	for e := r.input.Elements(); e.Next(); {
		if err := r.readItem(e.Index, e.Value); err != nil {
			return err
		}
	}
	return nil
}
