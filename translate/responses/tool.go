package responses

import (
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// readTools adds the tools of a list: that of the request, or one in its input,
// by which tools come in later or are defined anew.
func (r *request) readTools(list translate.Value) *translate.Error {
	for e := list.Elements(); e.Next(); {
		if err := r.readTool(e.Index, nil, e.Value); err != nil {
			return err
		}
	}
	return nil
}

// readTool adds a tool, or all those of a namespace. A tool that is deferred is
// offered like all others: elsewhere nobody could search for it.
func (r *request) readTool(index int, namespace translate.Text, raw translate.Value) *translate.Error {
	if len(r.c.Tools) == translate.MostTools {
		return invalid("tools", "has too many")
	}
	t := translate.Tool{Index: index, Namespace: namespace, Raw: raw}
	var kind translate.Text
	var tools translate.Value
	for m := raw.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			kind = m.Value.Text()
		case "name":
			t.Name = m.Value.Text()
		case "description":
			t.Description = m.Value.Text()
		case "parameters":
			t.Schema = m.Value
		case "strict":
			t.Strict = translate.FlagOf(m.Value)
		case "format":
			t.Format = m.Value
		case "tools":
			tools = m.Value
		}
	}
	switch string(kind) {
	case "function":
		t.Format = nil
	case "custom":
		t.Kind, t.Schema = translate.CustomTool, nil
		if string(t.Format.Get("type").Text()) == "text" {
			t.Format = nil // which is what it is anyway
		}
	case "namespace":
		return r.readNamespace(index, &t, tools)
	case "":
		return invalid(toolParam(index)+".type", "is missing")
	default:
		t = translate.Tool{Kind: translate.HostedTool, Type: kind, Raw: raw, Index: index}
		r.c.Tools = append(r.c.Tools, t)
		return nil
	}
	if len(t.Name) == 0 {
		return invalid(toolParam(index)+".name", "is missing")
	}
	if at := r.known.Add(r.fullName(t.Namespace, t.Name), len(r.c.Tools)); at < len(r.c.Tools) {
		r.c.Tools[at] = t
		return nil
	}
	r.c.Tools = append(r.c.Tools, t)
	return nil
}

// mostRepeated is how long the description of a namespace may be to stand before
// that of each of its tools, and not only of the first.
const mostRepeated = 1 << 10

// readNamespace adds the tools of a namespace. Nobody else has such, so what it is
// for is told with its tools.
func (r *request) readNamespace(index int, namespace *translate.Tool, tools translate.Value) *translate.Error {
	description := namespace.Description
	for e := tools.Elements(); e.Next(); {
		if string(e.Value.Get("type").Text()) == "namespace" {
			return invalid(toolParam(index)+".tools", "must hold no namespaces")
		}
		if err := r.readTool(index, namespace.Name, e.Value); err != nil {
			return err
		}
		if name := e.Value.Get("name").Text(); len(description) > 0 && len(name) > 0 {
			r.describe(r.tool(namespace.Name, name), description)
		}
		if len(description) > mostRepeated {
			description = nil
		}
	}
	return nil
}

// describe puts a text before the description of a tool.
func (r *request) describe(t *translate.Tool, text translate.Text) {
	if t == nil {
		return // the vendor runs it
	}
	if len(t.Description) > 0 {
		text = r.c.Own(text, paragraph, t.Description)
	}
	t.Description = text
}

// tool finds a tool that is already known.
func (r *request) tool(namespace, name translate.Text) *translate.Tool {
	if at := r.known.Find(r.fullName(namespace, name)); at >= 0 {
		return &r.c.Tools[at]
	}
	return nil
}

// fullName returns what no other tool goes by: a quotation mark in a name has a
// backslash before it.
func (r *request) fullName(namespace, name translate.Text) translate.Text {
	return r.c.Own(namespace, []byte{'"'}, name)
}

// choice is a tool_choice, or one of the tools that it allows.
type choice struct {
	kind, mode, name, namespace translate.Text
	tools                       translate.Value
}

func (c *choice) read(v translate.Value) {
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			c.kind = m.Value.Text()
		case "mode":
			c.mode = m.Value.Text()
		case "name":
			c.name = m.Value.Text()
		case "namespace":
			c.namespace = m.Value.Text()
		case "tools":
			c.tools = m.Value
		}
	}
}

func (r *request) readChoice() *translate.Error {
	to := &r.c.ToolChoice
	if word := r.choice.Text(); word != nil {
		mode, ok := modeOf(word)
		if !ok {
			return invalid("tool_choice", "must be none, auto, required or an object")
		}
		to.Mode = mode
		return nil
	}
	if !r.choice.IsObject() {
		return nil
	}
	var c choice
	c.read(r.choice)
	switch string(c.kind) {
	case "allowed_tools":
		return r.readAllowed(&c)
	case "function", "custom":
		if len(c.name) == 0 {
			return invalid("tool_choice.name", "is missing")
		}
		to.Mode, to.Name, to.Namespace = translate.ToolOne, c.name, c.namespace
		to.Custom = string(c.kind) == "custom"
	case "":
		return invalid("tool_choice.type", "is missing")
	default:
		to.Mode, to.Type = translate.ToolOne, c.kind
	}
	return nil
}

func modeOf(word translate.Text) (translate.ToolMode, bool) {
	switch string(word) {
	case "auto":
		return translate.ToolAuto, true
	case "none":
		return translate.ToolNone, true
	case "required":
		return translate.ToolAny, true
	}
	return translate.ToolUnset, false
}

// readAllowed reads which of the tools may be called. One that the vendor runs
// goes by its type, having no name.
func (r *request) readAllowed(c *choice) *translate.Error {
	mode, ok := modeOf(c.mode)
	if !ok {
		return invalid("tool_choice.mode", "must be auto or required")
	}
	allowed := []translate.Text{}
	for e := c.tools.Elements(); e.Next(); {
		var t choice
		t.read(e.Value)
		if len(t.name) == 0 {
			t.name = t.kind
		}
		allowed = append(allowed, t.name)
	}
	r.c.ToolChoice.Mode, r.c.ToolChoice.Allowed = mode, allowed
	return nil
}

func toolParam(index int) string { return "tools[" + strconv.Itoa(index) + "]" }
