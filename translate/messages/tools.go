package messages

import "github.com/caddy-llm-proxy/caddy-llm-proxy/translate"

// placeholder is a tool by which Claude Code marks that there are more tools
// than it lists. It is not meant to be called.
const placeholder = "DeferredToolPlaceholder"

func (r *request) readTools() {
	for e := r.tools.Elements(); e.Next(); {
		r.addTool(e.Index, e.Value)
	}
}

// addTool adds a tool. Those that are deferred are offered like all others:
// elsewhere nobody could search for them.
func (r *request) addTool(index int, raw translate.Value) {
	tool := translate.Tool{Index: index, Raw: raw}
	for m := raw.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			tool.Type = m.Value.Text()
		case "name":
			tool.Name = m.Value.Text()
		case "description":
			tool.Description = m.Value.Text()
		case "input_schema":
			tool.Schema = m.Value
		case "strict":
			tool.Strict = translate.FlagOf(m.Value)
		case "input_examples":
			tool.Examples = m.Value
		case "cache_control":
			tool.Cache = cacheOf(m.Value)
		}
	}
	if string(tool.Name) == placeholder {
		return
	}
	if kind := string(tool.Type); kind != "" && kind != "custom" {
		tool.Kind = translate.HostedTool
	} else {
		tool.Type = nil
	}
	r.c.Tools = append(r.c.Tools, tool)
}

func (r *request) readChoice() *translate.Error {
	c := r.c
	var kind, name translate.Text
	for m := r.choice.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			kind = m.Value.Text()
		case "name":
			name = m.Value.Text()
		case "disable_parallel_tool_use":
			if m.Value.IsTrue() {
				c.Parallel = translate.Off
			}
		}
	}
	switch string(kind) {
	case "auto":
		c.ToolChoice.Mode = translate.ToolAuto
	case "any":
		c.ToolChoice.Mode = translate.ToolAny
	case "none":
		c.ToolChoice.Mode = translate.ToolNone
	case "tool":
		c.ToolChoice.Mode, c.ToolChoice.Name = translate.ToolOne, name
		for i := range c.Tools {
			if t := &c.Tools[i]; t.Kind == translate.HostedTool && string(t.Name) == string(name) {
				c.ToolChoice.Type = t.Type
			}
		}
	case "":
	default:
		return translate.Refuse("tool_choice.type", "must be auto, any, tool or none")
	}
	return nil
}
