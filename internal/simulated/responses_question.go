package simulated

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// echoes are the parameters that a Response object repeats, with what it says
// when the request has none.
var echoes = [...]struct{ name, absent string }{
	{"instructions", "null"},
	{"max_output_tokens", "null"},
	{"max_tool_calls", "null"},
	{"metadata", "{}"},
	{"parallel_tool_calls", "true"},
	{"prompt_cache_key", "null"},
	{"prompt_cache_retention", "null"},
	{"reasoning", `{"effort":null,"summary":null}`},
	{"safety_identifier", "null"},
	{"store", "true"},
	{"temperature", "1.0"},
	{"tool_choice", `"auto"`},
	{"tools", "[]"},
	{"top_logprobs", "0"},
	{"top_p", "1.0"},
	{"truncation", `"disabled"`},
	{"user", "null"},
}

func (r *raw) takeEcho(name string, v gjson.Result) {
	if v.Type == gjson.Null {
		return
	}
	for i := range echoes {
		if echoes[i].name == name {
			r.echo[i] = v.Raw
			return
		}
	}
}

// readResponses reads the conversation of a Responses request.
func (q *question) readResponses() *failure {
	if name := q.raw.stateful; name == "previous_response_id" {
		return invalid("previous_response_not_found", name, "Previous response not found: the demo model keeps no responses.")
	} else if name != "" {
		return invalid("unsupported_parameter", name, "Unsupported parameter: '"+name+"' needs stored state, which the demo model does not keep.")
	}
	in := q.raw.conversation
	switch {
	case in.Type == gjson.String:
		q.length += len(in.Raw)
		q.hear(in)
	case in.IsArray():
		if f := q.readItems(in); f != nil {
			return f
		}
	default:
		return invalid("missing_required_parameter", "input", "Missing required parameter: 'input'.")
	}
	if q.length == 0 && q.media == 0 {
		return invalid("empty_array", "input", "Invalid 'input': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	}
	return q.readLimit(q.raw.limit, "max_output_tokens")
}

func (q *question) readItems(in gjson.Result) *failure {
	var law responsesLaw
	var f *failure
	n := 0
	in.ForEach(func(_, item gjson.Result) bool {
		f = q.readItem(&law, "input["+strconv.Itoa(n)+"]", item)
		n++
		return f == nil
	})
	if f == nil && len(law.open) > 0 {
		return invalid("", "input", "No tool output found for function call "+law.open[0]+".")
	}
	return f
}

func (q *question) readItem(law *responsesLaw, at string, item gjson.Result) *failure {
	var typ, role string
	var content, output, tools gjson.Result
	item.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "type":
			typ = v.Str
		case "role":
			role = v.Str
		case "content":
			content = v
		case "output":
			output = v
		case "tools":
			tools = v
		}
		return true
	})
	if f := law.item(at, typ, item); f != nil {
		return f
	}
	for _, parts := range [...]gjson.Result{content, output} {
		if f := checkParts(responses, parts, at); f != nil {
			return f
		}
	}
	switch typ {
	case "", "message":
		q.weigh(item, content)
		switch role {
		case "user":
			q.hear(content)
		case "assistant":
			q.turn()
		}
	case "function_call_output", "custom_tool_call_output":
		q.weigh(item, output)
		q.learn(output)
	case "additional_tools":
		q.weigh(item, content)
		q.raw.moreTools = tools
	default: // reasoning and calls: the assistant's side of the conversation
		q.weigh(item, content)
		q.turn()
	}
	return nil
}

// responsesLaw is the conversation so far, as far as the service checks it.
type responsesLaw struct{ open calls }

// idPrefixes are what the ids of items begin with.
var idPrefixes = map[string]string{"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}

// item checks the next item.
func (l *responsesLaw) item(at, typ string, item gjson.Result) *failure {
	if f := checkType(responses, typ, at); f != nil {
		return f
	}
	prefix := idPrefixes[typ]
	if id := item.Get("id").String(); id != "" && !strings.HasPrefix(id, prefix) {
		return invalid("invalid_value", at+".id", "Invalid '"+at+".id': '"+id+"'. Expected an ID that begins with '"+prefix+"'.")
	}
	switch id := item.Get("call_id").String(); typ {
	case "function_call", "custom_tool_call":
		if id == "" || len(id) > 64 {
			return invalid("string_above_max_length", at+".call_id", "Invalid '"+at+".call_id': a string of 1 to 64 characters is expected.")
		}
		l.open = append(l.open, id)
	case "function_call_output", "custom_tool_call_output":
		if !l.open.take(id) {
			return invalid("", "input", "No tool call found for "+strings.ReplaceAll(typ, "_", " ")+" with call_id "+id+".")
		}
	case "reasoning":
		if sealed := item.Get("encrypted_content"); sealed.Type == gjson.String && !genuine(sealed.Str) {
			return invalid("invalid_encrypted_content", "input", "The encrypted content for item "+item.Get("id").String()+" could not be verified.")
		}
	}
	return nil
}
