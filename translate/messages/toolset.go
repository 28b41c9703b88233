package messages

import (
	"bytes"
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// tools writes "tools" and "tool_choice".
func (w *body) tools() {
	c := w.c
	for i := range c.Tools {
		tool := &c.Tools[i]
		switch {
		case tool.Kind == translate.HostedTool && !w.hosts(tool):
			w.leaveOut(tool)
		case w.offers(tool):
			w.tool(tool)
		default:
			c.Lose(translate.SettingToolChoice, translate.Changed, "tools that may not be called are not sent")
		}
	}
	stubs := !w.tooled && w.stubs()
	if w.tooled {
		w.raw("]")
	}
	w.choice(stubs)
}

// offers reports whether a tool is sent.
func (w *body) offers(tool *translate.Tool) bool {
	if tool.Kind == translate.HostedTool && !w.hosts(tool) {
		return false
	}
	allowed := w.c.ToolChoice.Allowed
	for _, name := range allowed {
		if bytes.Equal(name, tool.Name) || tool.Kind == translate.HostedTool && bytes.Equal(name, tool.Type) {
			return true
		}
	}
	return allowed == nil
}

// hosts reports whether the provider can run a tool that another vendor runs:
// only a search of the web means the same everywhere.
func (w *body) hosts(tool *translate.Tool) bool {
	return bytes.HasPrefix(tool.Type, searchTool) && w.searchable() && !tool.Offline()
}

// searchable reports whether the provider searches the web. Those that merely
// speak the protocol do not.
func (w *body) searchable() bool { return !w.t.Quirks.DropBetas }

func (w *body) leaveOut(tool *translate.Tool) {
	param := toolParam(w.c, tool)
	if w.t.RefuseHosted {
		w.refuse(translate.Refuse(param, "only its own vendor can run the tool "+tool.Type.String()))
	}
	w.c.Losses.Add(param, translate.Dropped, "only its own vendor can run the tool")
}

func toolParam(c *translate.Conversation, tool *translate.Tool) string {
	return c.Param(translate.SettingTools) + "[" + strconv.Itoa(tool.Index) + "]"
}

// begin begins a tool of that name, with what separates it from the one before.
func (w *body) begin(name translate.Text) {
	if w.tooled {
		w.raw(`,{"name":`)
	} else {
		w.raw(`,"tools":[{"name":`)
	}
	w.tooled = true
	w.text(name)
}

func (w *body) tool(tool *translate.Tool) {
	c := w.c
	name := searchTool
	if tool.Kind != translate.HostedTool {
		name = c.SentName(translate.Messages, tool.Namespace, tool.Name)
	}
	if e := c.SendTool(tool, name, tool.Kind == translate.CustomTool); e != nil {
		w.refuse(e)
		return
	}
	w.begin(name)
	switch tool.Kind {
	case translate.FunctionTool:
		w.function(tool)
	case translate.CustomTool:
		w.custom(tool)
	default:
		w.search(tool)
	}
	w.mark(tool.Cache)
	w.raw("}")
}

func (w *body) function(tool *translate.Tool) {
	if len(tool.Description) > 0 {
		w.raw(`,"description":`)
		w.text(tool.Description)
	}
	w.raw(`,"input_schema":`)
	if tool.Strict != translate.On {
		w.dst = translate.AppendToolSchema(w.dst, tool.Schema)
		return
	}
	if w.t.Quirks.NoStrict || !translate.Allows(w.t.Capabilities.JSONSchema, true) {
		w.dst = translate.AppendToolSchema(w.dst, tool.Schema)
		w.c.Losses.Add(w.c.Param(translate.SettingTools)+".strict", translate.Dropped, "the model is not held to the schema")
		return
	}
	w.dst = translate.AppendAnswerSchema(w.dst, translate.AppendToolSchema(nil, tool.Schema))
	w.raw(`,"strict":true`)
}

// custom writes a tool whose input is text as a function.
func (w *body) custom(tool *translate.Tool) {
	w.raw(`,"description":"`)
	var told bool
	if w.dst, told = translate.AppendWrappedDescription(w.dst, tool); told {
		w.c.Losses.Add(toolParam(w.c, tool)+".format", translate.Changed, "the model is told the grammar, but not held to it")
	}
	w.raw(`","input_schema":` + translate.WrappedSchema)
}

// stubs writes the tools that were called before, for a request without any:
// without them what happened would be refused. They cannot be called any more.
func (w *body) stubs() bool {
	for i := range w.pieces {
		if w.kind(i) != translate.KindToolCall {
			continue
		}
		b := &w.c.Blocks[w.pieces[i].block]
		name := w.c.SentName(translate.Messages, b.Namespace, b.Name)
		if n := w.stubbed.Len(); w.stubbed.Add(name, n) == n {
			w.begin(name)
			w.raw(`,"input_schema":{"type":"object","properties":{}}}`)
		}
	}
	return w.tooled
}

// choice writes "tool_choice".
func (w *body) choice(stubs bool) {
	c := w.c
	choice := &c.ToolChoice
	forced := len(c.Tools) > 0 && choice.Mode == translate.ToolOne
	switch {
	case (stubs || !w.tooled) && len(c.Tools) > 0 && (choice.Mode == translate.ToolAny || choice.Allowed != nil):
		w.refuse(translate.Refuse(c.Param(translate.SettingToolChoice), "none of the tools that may be called is sent"))
		return
	case stubs && !forced:
		w.raw(`,"tool_choice":{"type":"none"}`)
		return
	case !w.tooled && !forced:
		return // refused without tools, and of no meaning
	}
	switch choice.Mode {
	case translate.ToolNone:
		// Not sending the tools instead would leave the calls in the history
		// without them.
		w.raw(`,"tool_choice":{"type":"none"}`)
		return
	case translate.ToolAny:
		w.raw(`,"tool_choice":{"type":"any"`)
	case translate.ToolOne:
		w.raw(`,"tool_choice":{"type":"tool","name":`)
		w.text(w.chosen(stubs))
	default:
		if c.Parallel != translate.Off && choice.Mode == translate.ToolUnset {
			return
		}
		w.raw(`,"tool_choice":{"type":"auto"`)
	}
	if c.Parallel == translate.Off {
		w.raw(`,"disable_parallel_tool_use":true`)
	}
	w.raw("}")
}

// chosen is the name of the tool that must be called.
func (w *body) chosen(stubs bool) translate.Text {
	choice := &w.c.ToolChoice
	name := searchTool
	if len(choice.Type) == 0 {
		name = w.c.SentName(translate.Messages, choice.Namespace, choice.Name)
	}
	known := w.c.Sent(name)
	if len(choice.Type) > 0 {
		known = w.searches && bytes.HasPrefix(choice.Type, name)
	}
	if !known || stubs {
		w.refuse(translate.Refuse(w.c.Param(translate.SettingToolChoice), "the tool that must be called is not among those that are sent"))
	}
	return name
}
