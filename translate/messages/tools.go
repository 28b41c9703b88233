package messages

import "github.com/caddy-llm-proxy/caddy-llm-proxy/translate"

// placeholder is a tool by which Claude Code marks that there are more tools
// than it lists. It is not meant to be called.
const placeholder = "DeferredToolPlaceholder"

func (r *request) readTools() *translate.Error {
	for e := r.tools.Elements(); e.Next(); {
		if e := r.addTool(e.Index, e.Value); e != nil {
			return e
		}
	}
	return nil
}

// readToolChanges reads of a message's content only what it says of tools.
func (r *request) readToolChanges(content translate.Value) *translate.Error {
	for e := content.Elements(); e.Next(); {
		b := &r.block
		b.read(e.Value)
		if kind := string(b.kind); kind == "tool_addition" || kind == "tool_removal" {
			if err := r.readToolChange(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// readToolChange reads a block by which a tool comes in or goes out in the middle
// of the conversation. One that is defined here is offered behind those of "tools",
// so that what a prompt cache has of these stays good. Defined again, as it is when
// it had gone in between, it is still the same tool.
func (r *request) readToolChange(b *block) *translate.Error {
	c := r.c
	if string(b.kind) == "tool_removal" {
		c.Losses.Add("messages.content.tool_removal", translate.Dropped, "tools are offered all the time")
		return nil
	}
	definition := b.tool.Get("definition")
	if !definition.IsObject() {
		return nil // "tools" has it, which are offered from the beginning
	}
	for ; r.indexed < len(c.Tools); r.indexed++ {
		r.known.Add(c.Tools[r.indexed].Name, r.indexed)
	}
	at := len(c.Tools)
	if e := r.addTool(at, definition); e != nil || len(c.Tools) == at {
		return e
	}
	if earlier := r.known.Add(c.Tools[at].Name, at); earlier != at {
		again := c.Tools[at]
		again.Index = c.Tools[earlier].Index
		c.Tools[earlier], c.Tools = again, c.Tools[:at]
	}
	return nil
}

// addTool adds a tool. Those that are deferred are offered like all others:
// elsewhere nobody could search for them.
func (r *request) addTool(index int, raw translate.Value) *translate.Error {
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
		return nil
	}
	switch kind := string(tool.Type); {
	case kind != "" && kind != "custom":
		tool.Kind = translate.HostedTool
	case len(tool.Name) == 0:
		return translate.Refuse(toolParam(r.c, &tool)+".name", "is missing")
	default:
		tool.Type = nil
	}
	r.c.Tools = append(r.c.Tools, tool)
	return nil
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
