package crossing_test

import "github.com/tidwall/gjson"

// readResponses reads a request of the Responses API.
func (n *neutral) readResponses(root gjson.Result) {
	n.offerResponses("", "", root.Get("tools"))
	n.say(saying{role: "system", kind: "text", text: root.Get("instructions").String()})
	if input := root.Get("input"); input.Type == gjson.String {
		n.say(saying{role: "user", kind: "text", text: input.String()})
	} else {
		for _, item := range input.Array() {
			n.sayResponses(item)
		}
	}
	for _, name := range []string{"temperature", "top_p", "top_k"} {
		n.set(name, root.Get(name))
	}
	n.set("max_tokens", root.Get("max_output_tokens"))
	n.set("effort", root.Get("reasoning.effort"))
	for _, name := range settingsOfOpenAI {
		n.set(name, root.Get(name))
	}
	n.set("verbosity", root.Get("text.verbosity"))
	if choice := root.Get("tool_choice"); choice.Type == gjson.String {
		n.choose(choice.String(), "")
	} else {
		n.choose(choice.Get("type").String(), choice.Get("name").String())
	}
	if parallel := root.Get("parallel_tool_calls"); parallel.Type == gjson.False && len(n.tools) > 0 {
		n.settings["parallel"] = "false"
	}
	switch format := root.Get("text.format"); format.Get("type").String() {
	case "json_schema":
		n.demand(format.Get("schema"))
		n.set("format.name", format.Get("name"))
		n.set("format.description", format.Get("description"))
	case "json_object":
		n.settings["format"] = "json"
	}
}

// offerResponses reads a list of tools. What a namespace is for is told with its
// tools, of a long text only once.
func (n *neutral) offerResponses(namespace, about string, tools gjson.Result) {
	for i, tool := range tools.Array() {
		if i > 0 && len(about) > 1024 {
			about = ""
		}
		o := offered{name: toolName(namespace, tool.Get("name").String()), description: about + tool.Get("description").String()}
		switch tool.Get("type").String() {
		case "function":
			o.schema = schemaOf(tool.Get("parameters"))
		case "custom":
			o.schema = inputSchema
		case "namespace":
			n.offerResponses(tool.Get("name").String(), tool.Get("description").String(), tool.Get("tools"))
			continue
		default:
			continue
		}
		n.tools = append(n.tools, o)
	}
}

func (n *neutral) sayResponses(item gjson.Result) {
	switch kind := item.Get("type").String(); kind {
	case "", "message":
		n.sayResponsesMessage(item)
	case "function_call":
		namespace := item.Get("namespace").String()
		if namespace == item.Get("name").String() {
			namespace = "" // so are called what a search for tools found
		}
		n.say(saying{
			role: "assistant", kind: "call", id: callID(item.Get("call_id").String()),
			name: toolName(namespace, item.Get("name").String()),
			args: arguments(item.Get("arguments").String()),
		})
	case "custom_tool_call":
		n.say(saying{
			role: "assistant", kind: "call", id: callID(item.Get("call_id").String()),
			name: toolName(item.Get("namespace").String(), item.Get("name").String()),
			args: wrapped(item.Get("input").String()),
		})
	case "function_call_output", "custom_tool_call_output":
		n.sayResponsesResult(item)
	case "reasoning":
		text := ""
		for _, list := range []string{"summary", "content"} {
			for _, part := range item.Get(list).Array() {
				text += part.Get("text").String()
			}
		}
		n.say(saying{role: "assistant", kind: "thinking", text: text, seal: item.Get("encrypted_content").String()})
	case "additional_tools":
		n.offerResponses("", "", item.Get("tools"))
	}
}

func (n *neutral) sayResponsesMessage(item gjson.Result) {
	role := item.Get("role").String()
	if role == "developer" {
		role = "system"
	}
	content := item.Get("content")
	if content.Type == gjson.String {
		n.say(saying{role: role, kind: "text", text: content.String()})
		return
	}
	for _, part := range content.Array() {
		n.say(responsesPart(role, part))
	}
}

func responsesPart(role string, part gjson.Result) saying {
	s := saying{role: role, cached: part.Get("prompt_cache_breakpoint").IsObject()}
	switch kind := part.Get("type").String(); kind {
	case "input_text", "output_text", "text", "summary_text":
		s.kind, s.text = "text", part.Get("text").String()
	case "refusal":
		s.kind, s.text = "text", part.Get("refusal").String()+part.Get("text").String()
	case "input_image":
		s.kind, s.source = "image", urlSource(part.Get("image_url").String())
		if !part.Get("image_url").Exists() {
			s.source = "file:" + part.Get("file_id").String()
		}
	case "input_file":
		s.kind, s.source, s.name = "document", fileSource(part), documentName(part.Get("filename").String())
	default:
		s.kind, s.text = kind, canonical(part.Raw)
	}
	return s
}

func (n *neutral) sayResponsesResult(item gjson.Result) {
	s := saying{role: "tool", kind: "result", id: callID(item.Get("call_id").String())}
	var images []saying
	if output := item.Get("output"); output.Type == gjson.String {
		s.text = output.String()
	} else {
		for _, part := range output.Array() {
			if p := responsesPart("user", part); p.kind == "text" {
				s.text += p.text
				s.cached = s.cached || p.cached
			} else {
				images = append(images, p)
			}
		}
	}
	s.text = squeezed(s.text)
	n.say(s)
	for _, image := range images {
		n.say(image)
	}
}
