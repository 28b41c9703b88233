package simulated

import "github.com/tidwall/gjson"

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
		in.ForEach(func(_, item gjson.Result) bool {
			q.readItem(item)
			return true
		})
	default:
		return invalid("missing_required_parameter", "input", "Missing required parameter: 'input'.")
	}
	if q.length == 0 && q.media == 0 {
		return invalid("empty_array", "input", "Invalid 'input': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	}
	return q.readLimit(q.raw.limit, "max_output_tokens")
}

func (q *question) readItem(item gjson.Result) {
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
}
