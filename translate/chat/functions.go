package chat

import (
	"bytes"
	"slices"
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// maxTools is how many tools OpenAI takes. What others take is said in the
// capabilities of their models.
const maxTools = 128

// writeTools writes what the model may call. Where that is nothing, there must
// be no list either, and nothing that is about it.
func (w *requestWriter) writeTools() *translate.Error {
	c := w.c
	if n := len(c.Tools); n > max(maxTools, w.t.Capabilities.MaxTools) && w.t.Quirks.OpenAIParameters {
		return translate.Refuse(c.Param(translate.SettingTools), "OpenAI takes "+strconv.Itoa(maxTools)+" tools, the request has "+strconv.Itoa(n))
	}
	w.sent = make([]translate.Text, len(c.Tools))
	only := c.ToolChoice.Allowed
	if w.t.Quirks.OpenAIParameters {
		only = nil // the choice says it
	}
	before := len(w.dst)
	w.key("tools")
	w.dst = append(w.dst, '[')
	start := len(w.dst)
	for i := range c.Tools {
		t := &c.Tools[i]
		if t.Kind == translate.HostedTool {
			if e := w.hostedTool(t); e != nil {
				return e
			}
			continue
		}
		if only != nil && !among(only, t.Name) {
			c.Lose(translate.SettingToolChoice, translate.Changed, "tools that are not allowed are not sent, which a prompt cache notices")
			continue
		}
		if e := w.writeTool(i, t); e != nil {
			return e
		}
	}
	if len(w.dst) == start {
		w.dst = w.dst[:before]
	} else {
		w.endParts()
		w.hasTools = true
		if c.Parallel == translate.Off {
			w.write("parallel_tool_calls", translate.Value("false"))
		}
	}
	w.writeSearch()
	return nil
}

func among(names []translate.Text, name translate.Text) bool {
	return slices.ContainsFunc(names, func(n translate.Text) bool { return bytes.Equal(n, name) })
}

func toolParam(index int) string { return "tools[" + strconv.Itoa(index) + "]" }

// writeTool writes a function or custom tool, and a comma.
func (w *requestWriter) writeTool(i int, t *translate.Tool) *translate.Error {
	name := w.c.SentName(translate.Chat, t.Namespace, t.Name)
	w.sent[i] = name
	custom := t.Kind == translate.CustomTool
	native := custom && w.t.Quirks.CustomTools
	if e := w.c.SendTool(t, name, custom && !native); e != nil {
		return e
	}
	if native {
		w.dst = append(w.dst, `{"type":"custom","custom":{"name":`...)
	} else {
		w.dst = append(w.dst, `{"type":"function","function":{"name":`...)
	}
	w.dst = rawjson.AppendText(w.dst, name)
	w.writeDescription(t, custom && !native)
	switch {
	case native:
		w.writeGrammar(t)
	case custom:
		w.dst = append(w.dst, `,"parameters":`+translate.WrappedSchema...)
		w.writeStrict(translate.Off)
	default:
		w.dst = append(w.dst, `,"parameters":`...)
		w.dst = translate.AppendOpenAISchema(w.dst, t.Schema)
		strict := t.Strict
		if strict == translate.On && w.c.TooLoose(t.Schema) {
			strict = translate.Off
			w.c.Losses.Add(toolParam(t.Index)+".strict", translate.Changed, translate.LooseSchema)
		}
		w.writeStrict(strict)
	}
	w.dst = append(w.dst, '}')
	w.writeMark(t.Cache)
	w.dst = append(w.dst, "},"...)
	return nil
}

// writeDescription writes what a tool is for. What has no other place is told
// there too.
func (w *requestWriter) writeDescription(t *translate.Tool, wrapped bool) {
	before := len(w.dst)
	w.dst = append(w.dst, `,"description":"`...)
	start := len(w.dst)
	if wrapped {
		var told bool
		if w.dst, told = translate.AppendWrappedDescription(w.dst, t); told {
			w.c.Losses.Add(toolParam(t.Index)+".format", translate.Changed, "the model is told the grammar, but not held to it")
		}
	} else {
		w.dst = append(w.dst, t.Description...)
	}
	if !t.Examples.IsEmpty() {
		if len(w.dst) > start {
			w.dst = append(w.dst, `\n\n`...)
		}
		w.dst = append(w.dst, `Examples of input: `...)
		w.dst = rawjson.AppendEscaped(w.dst, t.Examples)
	}
	if len(w.dst) == start {
		w.dst = w.dst[:before]
		return
	}
	w.dst = append(w.dst, '"')
}

// writeGrammar writes the format of a custom tool, which has a level more than
// in the Responses API.
func (w *requestWriter) writeGrammar(t *translate.Tool) {
	syntax, definition := t.Format.Get("syntax"), t.Format.Get("definition")
	if !syntax.IsString() || !definition.IsString() {
		return
	}
	w.dst = append(w.dst, `,"format":{"type":"grammar","grammar":{"syntax":`...)
	w.dst = append(w.dst, syntax...)
	w.dst = append(w.dst, `,"definition":`...)
	w.dst = append(w.dst, definition...)
	w.dst = append(w.dst, "}}"...)
}

// hostedTool decides about a tool that its vendor runs, or whose schema its
// vendor's models know by heart.
func (w *requestWriter) hostedTool(t *translate.Tool) *translate.Error {
	if w.searches(t) {
		return nil // see writeSearch
	}
	if w.t.RefuseHosted {
		return translate.Refuse(toolParam(t.Index), "only the vendor of \""+t.Type.String()+"\" has this tool")
	}
	w.c.Losses.Add(toolParam(t.Index), translate.Dropped, "only the vendor of \""+t.Type.String()+"\" has this tool")
	return nil
}

// searches reports whether the tool is a search of the web, and the target has
// one.
func (w *requestWriter) searches(t *translate.Tool) bool {
	return t.Kind == translate.HostedTool && w.t.Quirks.WebSearch && bytes.HasPrefix(t.Type, []byte("web_search")) && !t.Offline()
}

// writeSearch writes the search of the web, which is an option of the request
// here and no tool.
func (w *requestWriter) writeSearch() {
	for i := range w.c.Tools {
		t := &w.c.Tools[i]
		if !w.searches(t) {
			continue
		}
		w.key("web_search_options")
		w.dst = append(w.dst, '{')
		w.writeSearchOptions(t)
		w.dst = append(w.dst, '}')
		return // there can be only one
	}
}

func (w *requestWriter) writeSearchOptions(t *translate.Tool) {
	for m := t.Raw.Members(); m.Next(); {
		if m.Value.IsEmpty() {
			continue
		}
		switch string(m.Name) {
		case "search_context_size":
			w.member("search_context_size")
			w.dst = append(w.dst, m.Value...)
		case "user_location":
			w.member("user_location")
			w.dst = append(w.dst, `{"type":"approximate","approximate":{`...)
			for place := m.Value.Members(); place.Next(); {
				if string(place.Name) != "type" && !place.Value.IsNull() {
					w.member(string(place.Name))
					w.dst = append(w.dst, place.Value...)
				}
			}
			w.dst = append(w.dst, "}}"...)
		case "allowed_domains", "blocked_domains", "filters", "max_uses":
			w.c.Losses.Add(toolParam(t.Index)+"."+string(m.Name), translate.Dropped, "a search in Chat Completions cannot be told this")
		}
	}
}

// member begins a member of an object, with a comma where it is not the first.
func (w *requestWriter) member(name string) {
	if w.dst[len(w.dst)-1] != '{' {
		w.dst = append(w.dst, ',')
	}
	w.dst = append(w.dst, '"')
	w.dst = append(w.dst, name...)
	w.dst = append(w.dst, `":`...)
}

// writeToolChoice writes whether a tool must be called.
func (w *requestWriter) writeToolChoice() *translate.Error {
	choice := &w.c.ToolChoice
	if choice.Mode == translate.ToolOne && len(choice.Type) > 0 {
		return translate.Refuse(w.c.Param(translate.SettingToolChoice), "Chat Completions cannot force a call of \""+choice.Type.String()+"\"")
	}
	if !w.hasTools {
		if choice.Allowed != nil && choice.Mode == translate.ToolAny {
			return translate.Refuse(w.c.Param(translate.SettingToolChoice), "none of the tools that are allowed can be had in Chat Completions")
		}
		return nil
	}
	if choice.Allowed != nil && w.t.Quirks.OpenAIParameters {
		return w.writeAllowed()
	}
	if choice.Mode == translate.ToolUnset {
		return nil
	}
	w.key("tool_choice")
	if choice.Mode == translate.ToolOne {
		w.writeOne(choice.Custom, choice.Namespace, choice.Name)
	} else {
		w.dst = rawjson.AppendString(w.dst, modeName(choice.Mode))
	}
	return nil
}

func modeName(mode translate.ToolMode) string {
	switch mode {
	case translate.ToolNone:
		return "none"
	case translate.ToolAny:
		return "required"
	}
	return "auto"
}

// writeOne writes the object that names a tool.
func (w *requestWriter) writeOne(custom bool, namespace, name translate.Text) {
	kind := "function"
	if custom && w.t.Quirks.CustomTools {
		kind = "custom"
	}
	w.dst = append(w.dst, `{"type":"`...)
	w.dst = append(w.dst, kind...)
	w.dst = append(w.dst, `","`...)
	w.dst = append(w.dst, kind...)
	w.dst = append(w.dst, `":{"name":`...)
	w.dst = rawjson.AppendText(w.dst, w.c.SentName(translate.Chat, namespace, name))
	w.dst = append(w.dst, "}}"...)
}

// writeAllowed writes the choice that names all tools which may be called.
func (w *requestWriter) writeAllowed() *translate.Error {
	choice := &w.c.ToolChoice
	w.key("tool_choice")
	w.dst = append(w.dst, `{"type":"allowed_tools","allowed_tools":{"mode":"`...)
	w.dst = append(w.dst, modeName(choice.Mode)...)
	w.dst = append(w.dst, `","tools":[`...)
	start := len(w.dst)
	for i := range w.c.Tools {
		if t := &w.c.Tools[i]; w.sent[i] != nil && among(choice.Allowed, t.Name) {
			w.writeOne(t.Kind == translate.CustomTool, t.Namespace, t.Name)
			w.dst = append(w.dst, ',')
		}
	}
	if len(w.dst) == start {
		return translate.Refuse(w.c.Param(translate.SettingToolChoice), "none of the tools that are allowed can be had in Chat Completions")
	}
	w.endParts()
	w.dst = append(w.dst, "}}"...)
	return nil
}
