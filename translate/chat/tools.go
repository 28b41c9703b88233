package chat

import (
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// readTools reads tools and tool_choice, or their legacy forms functions and
// function_call.
func (r *requestReader) readTools() *translate.Error {
	c := r.c
	for e := r.tools.Elements(); e.Next(); {
		if e := r.tool(e.Value, e.Index); e != nil {
			return e
		}
	}
	if len(c.Tools) == 0 {
		for e := r.functions.Elements(); e.Next(); {
			t := translate.Tool{Raw: e.Value, Index: e.Index}
			if e := r.function(&t, e.Value, "functions["+strconv.Itoa(e.Index)+"]"); e != nil {
				return e
			}
			c.LegacyFunctions = true
		}
	}
	if r.search.IsObject() {
		r.webSearch()
	}
	if !r.choice.IsNull() {
		return r.toolChoice(r.choice)
	}
	return r.functionChoice(r.callChoice)
}

func (r *requestReader) tool(v translate.Value, index int) *translate.Error {
	t := translate.Tool{Raw: v, Index: index}
	var function, custom translate.Value
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			t.Type = m.Value.Text()
		case "function":
			function = m.Value
		case "custom":
			custom = m.Value
		case "cache_control":
			t.Cache = cacheOf(m.Value)
		}
	}
	at := "tools[" + strconv.Itoa(index) + "]"
	switch string(t.Type) {
	case "function", "": // Mistral's clients leave the type out
		t.Type = nil
		return r.function(&t, function, at+".function")
	case "custom":
		t.Type = nil
		return r.customTool(&t, custom, at+".custom")
	}
	t.Kind = translate.HostedTool
	r.c.Tools = append(r.c.Tools, t)
	return nil
}

// function reads the declaration of a function.
func (r *requestReader) function(t *translate.Tool, v translate.Value, at string) *translate.Error {
	t.Kind = translate.FunctionTool
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "name":
			t.Name = m.Value.Text()
		case "description":
			t.Description = m.Value.Text()
		case "parameters":
			if m.Value.IsNull() {
				continue
			}
			if !m.Value.IsObject() {
				return invalid(at+".parameters", "must be an object")
			}
			t.Schema = m.Value
		case "strict":
			t.Strict = translate.FlagOf(m.Value)
		case "cache_control":
			t.Cache = cacheOf(m.Value)
		}
	}
	if len(t.Name) == 0 {
		return invalid(at+".name", "is required")
	}
	r.c.Tools = append(r.c.Tools, *t)
	return nil
}

// customTool reads the declaration of a custom tool.
func (r *requestReader) customTool(t *translate.Tool, v translate.Value, at string) *translate.Error {
	t.Kind = translate.CustomTool
	for m := v.Members(); m.Next(); {
		switch string(m.Name) {
		case "name":
			t.Name = m.Value.Text()
		case "description":
			t.Description = m.Value.Text()
		case "format":
			t.Format = r.grammar(m.Value.Get("grammar"))
		}
	}
	if len(t.Name) == 0 {
		return invalid(at+".name", "is required")
	}
	r.c.Tools = append(r.c.Tools, *t)
	return nil
}

// grammar returns a custom tool's format as the Responses API has it, flat; nil
// for text of any form.
func (r *requestReader) grammar(v translate.Value) translate.Value {
	syntax, definition := v.Get("syntax"), v.Get("definition")
	if !syntax.IsString() || !definition.IsString() {
		return nil
	}
	return r.c.Own([]byte(`{"type":"grammar","syntax":`), syntax, []byte(`,"definition":`), definition, []byte("}"))
}

// webSearch turns web_search_options into the tool that the Responses API has
// for the same.
func (r *requestReader) webSearch() {
	const kind = "web_search"
	raw := r.c.Own([]byte(`{"type":"` + kind + `"`))
	if size := r.search.Get("search_context_size"); size.IsString() {
		raw = r.c.Own(raw, []byte(`,"search_context_size":`), size)
	}
	place := r.search.Get("user_location").Get("approximate")
	if !place.IsEmpty() {
		raw = r.c.Own(raw, []byte(`,"user_location":{"type":"approximate",`), place[1:])
	}
	raw = r.c.Own(raw, []byte("}"))
	r.c.Tools = append(r.c.Tools, translate.Tool{
		Kind: translate.HostedTool, Type: translate.Text(kind), Raw: raw, Index: len(r.c.Tools),
	})
}

func (r *requestReader) toolChoice(v translate.Value) *translate.Error {
	choice := &r.c.ToolChoice
	if v.IsString() {
		var ok bool
		if choice.Mode, ok = toolMode(v.Text()); !ok {
			return invalid("tool_choice", "must be none, auto, required or an object")
		}
		return nil
	}
	kind := v.Get("type").Text()
	switch string(kind) {
	case "allowed_tools":
		return r.allowedTools(v.Get("allowed_tools"))
	case "function", "custom", "":
		choice.Mode = translate.ToolOne
		choice.Name, choice.Custom = toolNamed(v)
		if len(choice.Name) == 0 {
			return invalid("tool_choice", "names no tool")
		}
	default:
		choice.Mode, choice.Type = translate.ToolOne, kind
	}
	return nil
}

func toolMode(word translate.Text) (translate.ToolMode, bool) {
	switch string(word) {
	case "none":
		return translate.ToolNone, true
	case "auto":
		return translate.ToolAuto, true
	case "required", "any": // Mistral
		return translate.ToolAny, true
	}
	return translate.ToolUnset, false
}

// toolNamed reads which tool an object names, as {"function":{"name":"x"}} does.
func toolNamed(v translate.Value) (name translate.Text, custom bool) {
	if name := v.Get("custom").Get("name").Text(); len(name) > 0 {
		return name, true
	}
	return v.Get("function").Get("name").Text(), false
}

func (r *requestReader) allowedTools(v translate.Value) *translate.Error {
	choice := &r.c.ToolChoice
	mode, ok := toolMode(v.Get("mode").Text())
	if !ok || mode == translate.ToolNone {
		return invalid("tool_choice.allowed_tools.mode", "must be auto or required")
	}
	choice.Mode = mode
	for e := v.Get("tools").Elements(); e.Next(); {
		name, _ := toolNamed(e.Value)
		if len(name) == 0 {
			return translate.Refuse("tool_choice.allowed_tools.tools["+strconv.Itoa(e.Index)+"]", "names no function or custom tool")
		}
		choice.Allowed = append(choice.Allowed, name)
	}
	if len(choice.Allowed) == 0 {
		return invalid("tool_choice.allowed_tools.tools", "must name at least one tool")
	}
	return nil
}

// functionChoice reads function_call: none, auto, or the name of a function.
func (r *requestReader) functionChoice(v translate.Value) *translate.Error {
	choice := &r.c.ToolChoice
	if v.IsNull() {
		return nil
	}
	if v.IsString() {
		var ok bool
		if choice.Mode, ok = toolMode(v.Text()); !ok {
			return invalid("function_call", "must be none, auto or an object")
		}
		return nil
	}
	choice.Mode, choice.Name = translate.ToolOne, v.Get("name").Text()
	if len(choice.Name) == 0 {
		return invalid("function_call.name", "is required")
	}
	return nil
}
