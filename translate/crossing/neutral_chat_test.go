package crossing_test

import (
	"strings"

	"github.com/tidwall/gjson"
)

// readChat reads a request of Chat Completions.
func (n *neutral) readChat(root gjson.Result) {
	for _, tool := range root.Get("tools").Array() {
		switch tool.Get("type").String() {
		case "function", "": // Mistral's clients leave it out
			n.offerChat(tool.Get("function"), tool.Get("cache_control").IsObject())
		case "custom":
			n.tools = append(n.tools, offered{
				name:        toolName("", tool.Get("custom.name").String()),
				description: tool.Get("custom.description").String(),
				schema:      inputSchema,
			})
		}
	}
	for _, function := range root.Get("functions").Array() {
		n.offerChat(function, false)
	}
	names := map[string]string{} // of calls that have been made, by id
	for _, message := range root.Get("messages").Array() {
		n.sayChat(message, names)
	}
	for _, name := range []string{"temperature", "top_p", "top_k"} {
		n.set(name, root.Get(name))
	}
	n.set("max_tokens", root.Get("max_tokens"))
	n.set("max_tokens", root.Get("max_completion_tokens"))
	n.set("effort", root.Get("reasoning_effort"))
	for _, name := range settingsOfOpenAI {
		n.set(name, root.Get(name))
	}
	switch stop := root.Get("stop"); {
	case stop.Type == gjson.String:
		n.settings["stop"] = "[" + canonical(stop.Raw) + "]"
	case len(stop.Array()) > 0:
		n.set("stop", stop)
	}
	for _, choice := range []gjson.Result{root.Get("tool_choice"), root.Get("function_call")} {
		switch {
		case choice.Type == gjson.String:
			n.choose(choice.String(), "")
		case choice.Get("name").Exists():
			n.choose("function", choice.Get("name").String())
		default:
			kind := choice.Get("type").String()
			n.choose(kind, choice.Get(kind+".name").String())
		}
	}
	if parallel := root.Get("parallel_tool_calls"); parallel.Type == gjson.False && len(n.tools) > 0 {
		n.settings["parallel"] = "false"
	}
	switch format := root.Get("response_format"); format.Get("type").String() {
	case "json_schema":
		n.demand(format.Get("json_schema.schema"))
		n.set("format.name", format.Get("json_schema.name"))
		n.set("format.description", format.Get("json_schema.description"))
	case "json_object":
		n.settings["format"] = "json"
	}
}

const inputSchema = "a text"

func (n *neutral) offerChat(function gjson.Result, cached bool) {
	n.tools = append(n.tools, offered{
		name:        toolName("", function.Get("name").String()),
		description: function.Get("description").String(),
		schema:      schemaOf(function.Get("parameters")),
		cached:      cached,
	})
}

func (n *neutral) sayChat(message gjson.Result, names map[string]string) {
	role := message.Get("role").String()
	switch role {
	case "developer":
		role = "system"
	case "tool":
		n.sayChatResult(message, callID(message.Get("tool_call_id").String()))
		return
	case "function":
		n.sayChatResult(message, names[message.Get("name").String()])
		return
	}
	for _, field := range []string{"reasoning_content", "reasoning"} {
		if text := message.Get(field); text.Type == gjson.String {
			n.say(saying{role: role, kind: "thinking", text: text.String()})
			break
		}
	}
	n.sayChatContent(role, message.Get("content"))
	if refusal := message.Get("refusal"); refusal.Type == gjson.String {
		n.say(saying{role: role, kind: "text", text: refusal.String()})
	}
	for _, call := range message.Get("tool_calls").Array() {
		s := saying{role: role, kind: "call", id: callID(call.Get("id").String())}
		if call.Get("type").String() == "custom" {
			s.name, s.args = toolName("", call.Get("custom.name").String()), wrapped(call.Get("custom.input").String())
		} else {
			s.name = toolName("", call.Get("function.name").String())
			s.args = arguments(call.Get("function.arguments").String())
		}
		n.say(s)
	}
	if call := message.Get("function_call"); call.IsObject() {
		name := call.Get("name").String()
		names[name] = "legacy"
		n.say(saying{role: role, kind: "call", id: "legacy", name: toolName("", name), args: arguments(call.Get("arguments").String())})
	}
}

func (n *neutral) sayChatResult(message gjson.Result, id string) {
	s := saying{role: "tool", kind: "result", id: id, cached: message.Get("cache_control").IsObject()}
	content := message.Get("content")
	if content.Type == gjson.String {
		s.text = content.String()
	}
	for _, part := range content.Array() {
		if content.IsArray() {
			s.text += part.Get("text").String()
			s.cached = s.cached || part.Get("cache_control").IsObject()
		}
	}
	s.text = squeezed(s.text)
	n.say(s)
	for _, part := range content.Array() {
		if content.IsArray() && part.Get("type").String() == "image_url" {
			n.say(saying{role: "user", kind: "image", source: urlSource(part.Get("image_url.url").String())})
		}
	}
}

func (n *neutral) sayChatContent(role string, content gjson.Result) {
	if content.Type == gjson.String {
		n.say(saying{role: role, kind: "text", text: content.String()})
		return
	}
	for _, part := range content.Array() {
		s := saying{role: role, cached: part.Get("cache_control").IsObject() || part.Get("prompt_cache_breakpoint").IsObject()}
		switch kind := part.Get("type").String(); kind {
		case "text", "refusal":
			s.kind, s.text = "text", part.Get(kind).String()
		case "image_url":
			s.kind, s.source = "image", urlSource(part.Get("image_url.url").String())
			if part.Get("image_url").Type == gjson.String {
				s.source = urlSource(part.Get("image_url").String())
			}
		case "file":
			s.kind, s.source, s.name = "document", fileSource(part.Get("file")), documentName(part.Get("file.filename").String())
		case "input_audio":
			s.kind, s.source = "audio", base64Source("audio", part.Get("input_audio.data").String())
		default:
			s.kind, s.text = kind, canonical(part.Raw)
		}
		n.say(s)
	}
}

// documentName is the name of a file, where it is not made up because the
// protocol requires one.
func documentName(name string) string {
	if strings.HasPrefix(name, "document.") {
		return ""
	}
	return name
}

// fileSource is the source of a file in either of OpenAI's protocols.
func fileSource(file gjson.Result) string {
	switch {
	case file.Get("file_data").Exists():
		data := file.Get("file_data").String()
		if len(data) > 5 && data[:5] == "data:" {
			return urlSource(data)
		}
		return base64Source("application/pdf", data)
	case file.Get("file_url").Exists():
		return "url:" + file.Get("file_url").String()
	}
	return "file:" + file.Get("file_id").String()
}
