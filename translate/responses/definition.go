package responses

import (
	"bytes"
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// maxTools is how many tools OpenAI takes.
const maxTools = 128

// tools writes "tools".
func (w *body) tools() *translate.Error {
	c := w.c
	if len(c.Tools) == 0 {
		return nil
	}
	w.sent = make([]translate.Text, len(c.Tools))
	n := 0
	for i := range c.Tools {
		t := &c.Tools[i]
		if t.Kind == translate.HostedTool && !w.hosts(t) {
			if e := w.leaveOut(t); e != nil {
				return e
			}
			continue
		}
		if n == 0 {
			w.raw(`,"tools":[`)
		} else {
			w.raw(",")
		}
		n++
		if e := w.tool(i, t); e != nil {
			return e
		}
	}
	if n > maxTools {
		return translate.Refuse(c.Param(translate.SettingTools),
			"the Responses API takes 128 tools, the request has "+strconv.Itoa(n))
	}
	if n > 0 {
		w.raw("]")
		switch c.Parallel {
		case translate.On:
			w.raw(`,"parallel_tool_calls":true`)
		case translate.Off:
			w.raw(`,"parallel_tool_calls":false`)
		}
	}
	return nil
}

// hosts reports whether the provider runs a tool that another vendor runs.
func (w *body) hosts(t *translate.Tool) bool { return w.t.Quirks.WebSearch && isSearch(t.Type) }

// leaveOut drops a tool that only its own vendor can run, or refuses it.
func (w *body) leaveOut(t *translate.Tool) *translate.Error {
	param := w.c.Param(translate.SettingTools) + "[" + strconv.Itoa(t.Index) + "]"
	if w.t.RefuseHosted {
		return translate.Refuse(param, "only its own vendor can run the tool "+t.Type.String())
	}
	w.c.Losses.Add(param, translate.Dropped, "only its own vendor can run the tool")
	return nil
}

// searchTool is the type of the one hosted tool that means the same everywhere.
const searchTool = "web_search"

// isSearch reports whether a hosted tool searches the web, in any version.
func isSearch(kind translate.Text) bool { return bytes.HasPrefix(kind, []byte(searchTool)) }

// tool writes one tool. In contrast to Chat Completions an absent "strict" would
// mean yes, and the schema would be rewritten, so it always stands there.
func (w *body) tool(i int, t *translate.Tool) *translate.Error {
	if t.Kind == translate.HostedTool {
		w.sent[i] = translate.Text(searchTool)
		w.search(t)
		return nil
	}
	name := w.c.SentName(translate.Responses, t.Namespace, t.Name)
	w.sent[i] = name
	if e := w.c.SendTool(t, name, false); e != nil {
		return e
	}
	if t.Kind == translate.CustomTool {
		w.raw(`{"type":"custom","name":`)
	} else {
		w.raw(`{"type":"function","name":`)
	}
	w.string(name)
	w.description(t)
	if t.Kind == translate.CustomTool {
		if len(t.Format) > 0 {
			w.raw(`,"format":`)
			w.dst = append(w.dst, t.Format...)
		}
		w.raw("}")
		return nil
	}
	w.raw(`,"parameters":`)
	w.dst = translate.AppendOpenAISchema(w.dst, t.Schema)
	if !w.t.Quirks.NoStrict {
		strict := t.Strict == translate.On
		if strict && w.c.TooLoose(t.Schema) {
			strict = false
			w.c.Losses.Add(toolParam(t.Index)+".strict", translate.Changed, translate.LooseSchema)
		}
		w.raw(`,"strict":`)
		w.dst = strconv.AppendBool(w.dst, strict)
	}
	w.raw("}")
	return nil
}

// description writes what a tool does, with examples of its input, for which
// there is no other place.
func (w *body) description(t *translate.Tool) {
	examples := !t.Examples.IsEmpty()
	if len(t.Description) == 0 && !examples {
		return
	}
	w.raw(`,"description":"`)
	w.dst = append(w.dst, t.Description...)
	if examples {
		if len(t.Description) > 0 {
			w.raw(`\n\n`)
		}
		w.raw("Examples of its input: ")
		w.dst = rawjson.AppendEscaped(w.dst, t.Examples)
	}
	w.raw(`"`)
}

// search writes a search of the web, as any protocol has it.
func (w *body) search(t *translate.Tool) {
	w.raw(`{"type":"` + searchTool + `"`)
	for m := t.Raw.Members(); m.Next(); {
		if m.Value.IsEmpty() {
			continue
		}
		switch name := string(m.Name); name {
		case "allowed_domains":
			w.raw(`,"filters":{"allowed_domains":`)
			w.dst = append(w.dst, m.Value...)
			w.raw("}")
		case "user_location", "search_context_size", "filters":
			w.value(name, m.Value)
		case "blocked_domains", "max_uses":
			w.c.Losses.Add(w.c.Param(translate.SettingTools)+"."+name, translate.Dropped, "the Responses API has nothing like it")
		}
	}
	w.raw("}")
}

// choice writes "tool_choice", which is refused where there are no tools.
func (w *body) choice() *translate.Error {
	c := &w.c.ToolChoice
	tools := false
	for _, name := range w.sent {
		tools = tools || name != nil
	}
	switch {
	case c.Mode == translate.ToolOne && len(w.sent) > 0:
		return w.forced()
	case c.Mode == translate.ToolAny && !tools && len(w.sent) > 0:
		return w.refuseChoice()
	case !tools:
		return nil
	case c.Allowed != nil:
		return w.allowed()
	}
	switch c.Mode {
	case translate.ToolAuto:
		w.raw(`,"tool_choice":"auto"`)
	case translate.ToolNone:
		w.raw(`,"tool_choice":"none"`)
	case translate.ToolAny:
		w.raw(`,"tool_choice":"required"`)
	}
	return nil
}

func (w *body) refuseChoice() *translate.Error {
	return translate.Refuse(w.c.Param(translate.SettingToolChoice), "the tool that must be called is not among those that are sent")
}

// forced writes the choice of one tool.
func (w *body) forced() *translate.Error {
	c := &w.c.ToolChoice
	for i := range w.c.Tools {
		t := &w.c.Tools[i]
		switch {
		case w.sent[i] == nil:
		case t.Kind == translate.HostedTool && isSearch(c.Type),
			t.Kind != translate.HostedTool && len(c.Type) == 0 && bytes.Equal(t.Name, c.Name) && bytes.Equal(t.Namespace, c.Namespace):
			w.raw(`,"tool_choice":`)
			w.reference(i)
			return nil
		}
	}
	return w.refuseChoice()
}

// reference writes what names a tool.
func (w *body) reference(i int) {
	switch w.c.Tools[i].Kind {
	case translate.HostedTool:
		w.raw(`{"type":"` + searchTool + `"}`)
		return
	case translate.CustomTool:
		w.raw(`{"type":"custom","name":`)
	default:
		w.raw(`{"type":"function","name":`)
	}
	w.string(w.sent[i])
	w.raw("}")
}

// allowed writes which of the tools may be called.
func (w *body) allowed() *translate.Error {
	c := &w.c.ToolChoice
	mode := "auto"
	if c.Mode == translate.ToolAny {
		mode = "required"
	}
	w.raw(`,"tool_choice":{"type":"allowed_tools","mode":"` + mode + `","tools":[`)
	n := 0
	for i := range w.c.Tools {
		if w.sent[i] == nil || !w.isAllowed(&w.c.Tools[i]) {
			continue
		}
		if n > 0 {
			w.raw(",")
		}
		n++
		w.reference(i)
	}
	if n == 0 {
		return w.refuseChoice()
	}
	w.raw("]}")
	return nil
}

func (w *body) isAllowed(t *translate.Tool) bool {
	name := t.Name
	if t.Kind == translate.HostedTool {
		name = t.Type
	}
	for _, allowed := range w.c.ToolChoice.Allowed {
		if bytes.Equal(allowed, name) {
			return true
		}
	}
	return false
}
