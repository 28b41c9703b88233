package crossing_test

import (
	"strings"

	"github.com/tidwall/gjson"
)

// readMessages reads a request of the Messages API.
func (n *neutral) readMessages(root gjson.Result) {
	for _, tool := range root.Get("tools").Array() {
		n.offerMessages(tool)
	}
	n.sayMessages("system", root.Get("system"))
	for _, message := range root.Get("messages").Array() {
		n.sayMessages(message.Get("role").String(), message.Get("content"))
	}
	for _, name := range []string{"max_tokens", "temperature", "top_p", "top_k"} {
		n.set(name, root.Get(name))
	}
	if stop := root.Get("stop_sequences"); len(stop.Array()) > 0 {
		n.set("stop", stop)
	}
	n.set("effort", root.Get("output_config.effort"))
	if root.Get("thinking.type").String() == "disabled" {
		n.settings["effort"] = `"none"`
	}
	n.choose(root.Get("tool_choice.type").String(), root.Get("tool_choice.name").String())
	if root.Get("tool_choice.disable_parallel_tool_use").Bool() {
		n.settings["parallel"] = "false"
	}
	for _, format := range []gjson.Result{root.Get("output_config.format"), root.Get("output_format")} {
		if format.Get("type").String() == "json_schema" {
			n.demand(format.Get("schema"))
		}
	}
}

func (n *neutral) offerMessages(tool gjson.Result) {
	name := tool.Get("name").String()
	if name == "DeferredToolPlaceholder" {
		return // Claude Code says of it that nobody may call it
	}
	if tool.Get("input_schema").Exists() || tool.Get("type").String() == "custom" {
		n.tools = append(n.tools, offered{
			name:        toolName("", name),
			description: tool.Get("description").String(),
			schema:      schemaOf(tool.Get("input_schema")),
			cached:      tool.Get("cache_control").IsObject(),
		})
	}
}

func (n *neutral) sayMessages(role string, content gjson.Result) {
	if content.Type == gjson.String {
		n.say(saying{role: role, kind: "text", text: content.String()})
		return
	}
	for _, block := range content.Array() {
		n.sayMessagesBlock(role, block)
	}
}

func (n *neutral) sayMessagesBlock(role string, block gjson.Result) {
	s := messagesPart(role, block)
	switch block.Get("type").String() {
	case "text":
		if role == "system" && strings.HasPrefix(s.text, "x-anthropic-billing-header:") {
			return
		}
	case "document":
		if block.Get("source.type").String() == "content" {
			n.sayMessages(role, block.Get("source.content"))
			return
		}
	case "tool_use":
		s.kind, s.id, s.name = "call", callID(block.Get("id").String()), toolName("", block.Get("name").String())
		s.args = arguments(block.Get("input").Raw)
	case "tool_result":
		n.sayMessagesResult(s, block)
		return
	case "tool_addition":
		n.offerMessages(block.Get("tool.definition"))
		return
	case "thinking":
		s.kind, s.text, s.seal = "thinking", block.Get("thinking").String(), block.Get("signature").String()
	case "redacted_thinking":
		s.kind, s.seal = "thinking", block.Get("data").String()
	}
	if s.kind != "" { // else it is what the vendor itself called and got
		n.say(s)
	}
}

// messagesPart reads what may stand both in messages and in results.
func messagesPart(role string, block gjson.Result) saying {
	s := saying{role: role, cached: block.Get("cache_control").IsObject()}
	switch kind := block.Get("type").String(); kind {
	case "text":
		s.kind, s.text = kind, block.Get("text").String()
	case "image", "document":
		s.kind, s.source, s.name = kind, messagesSource(block.Get("source")), documentName(block.Get("title").String())
		if block.Get("source.type").String() == "text" {
			s.kind, s.source, s.name, s.text = "text", "", "", documentText(block, block.Get("source.data").String())
		}
	case "search_result":
		var body strings.Builder
		for _, part := range block.Get("content").Array() {
			body.WriteString(part.Get("text").String())
		}
		s.kind, s.text = "text", block.Get("title").String()+"\n"+block.Get("source").String()+"\n"+body.String()
	case "compaction":
		s.kind, s.text = "text", block.Get("content").String()
	}
	return s
}

func documentText(block gjson.Result, body string) string {
	text := ""
	for _, name := range []string{"title", "context"} {
		if part := block.Get(name).String(); part != "" {
			text += part + "\n"
		}
	}
	return text + body
}

func (n *neutral) sayMessagesResult(s saying, block gjson.Result) {
	s.role, s.kind, s.id = "tool", "result", callID(block.Get("tool_use_id").String())
	var images []saying
	if content := block.Get("content"); content.Type == gjson.String {
		s.text = content.String()
	} else {
		for _, part := range content.Array() {
			switch part.Get("type").String() {
			case "tool_reference":
				s.text += "Tool loaded: " + part.Get("tool_name").String()
			default:
				if p := messagesPart("user", part); p.kind == "text" {
					s.text += p.text
				} else {
					images = append(images, p)
				}
			}
		}
	}
	if block.Get("is_error").Bool() {
		s.text = "Error: " + s.text
	}
	s.text = squeezed(s.text)
	n.say(s)
	for _, image := range images {
		n.say(image)
	}
}

func messagesSource(source gjson.Result) string {
	switch source.Get("type").String() {
	case "base64":
		return base64Source(source.Get("media_type").String(), source.Get("data").String())
	case "url":
		return "url:" + source.Get("url").String()
	}
	return source.Get("type").String() + ":" + source.Get("file_id").String()
}
