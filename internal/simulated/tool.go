package simulated

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// tool is a tool that the request declares and the client runs. Tools that a
// service runs itself, such as web search, are none.
type tool struct {
	name      string
	namespace string // Responses only
	custom    bool   // its input is text, not JSON
	schema    gjson.Result
}

// call is a tool call of an answer.
type call struct {
	tool tool
	args string // JSON, or text for a custom tool
	cut  bool   // args were cut off by the output limit
}

// declared returns the tools of a question in their order.
func (q *question) declared() []tool {
	return q.appendTools(q.appendTools(nil, q.raw.tools, ""), q.raw.moreTools, "")
}

func (q *question) appendTools(dst []tool, list gjson.Result, namespace string) []tool {
	if !list.IsArray() {
		return dst
	}
	list.ForEach(func(_, t gjson.Result) bool {
		switch typ := t.Get("type").Str; {
		case q.proto == messages && (typ == "" || typ == "custom"):
			dst = append(dst, tool{name: t.Get("name").String(), schema: t.Get("input_schema")})
		case q.proto == chat && typ == "function":
			dst = append(dst, tool{name: t.Get("function.name").String(), schema: t.Get("function.parameters")})
		case q.proto == chat && typ == "custom":
			dst = append(dst, tool{name: t.Get("custom.name").String(), custom: true})
		case q.proto == responses && typ == "function":
			dst = append(dst, tool{name: t.Get("name").String(), namespace: namespace, schema: t.Get("parameters")})
		case q.proto == responses && typ == "custom":
			dst = append(dst, tool{name: t.Get("name").String(), namespace: namespace, custom: true})
		case q.proto == responses && typ == "namespace":
			dst = q.appendTools(dst, t.Get("tools"), t.Get("name").String())
		}
		return true
	})
	return dst
}

// choice is what tool_choice says.
type choice struct {
	mode    choiceMode
	names   []string // the only tools that may be called; nil allows all
	oneOnly bool     // no parallel calls
}

type choiceMode int

const (
	mayCall choiceMode = iota
	mustCall
	mustNotCall
)

var choiceModes = map[string]choiceMode{
	"": mayCall, "auto": mayCall, "none": mustNotCall, "required": mustCall, "any": mustCall,
}

func (q *question) choice() choice {
	c := q.toolChoice()
	if p := q.raw.parallel; p.Type == gjson.False {
		c.oneOnly = true
	}
	return c
}

func (q *question) toolChoice() choice {
	v := q.raw.toolChoice
	if v.Type == gjson.String {
		return choice{mode: choiceModes[v.Str]}
	}
	if !v.IsObject() {
		return choice{}
	}
	c := choice{oneOnly: v.Get("disable_parallel_tool_use").Bool()}
	switch typ := v.Get("type").Str; typ {
	case "function", "custom", "tool":
		c.mode, c.names = mustCall, []string{toolName(v)}
	case "allowed_tools":
		if inner := v.Get("allowed_tools"); inner.IsObject() {
			v = inner // Chat Completions nests it
		}
		c.mode = choiceModes[v.Get("mode").Str]
		for _, t := range v.Get("tools").Array() {
			c.names = append(c.names, toolName(t))
		}
	default:
		c.mode = choiceModes[typ]
	}
	return c
}

// toolName returns the name in a reference to a tool, nested or not.
func toolName(v gjson.Result) string {
	for _, path := range [...]string{"name", "function.name", "custom.name"} {
		if n := v.Get(path); n.Exists() {
			return n.String()
		}
	}
	return ""
}

// calls decides which tools the answer calls. missing is the name of a tool
// that should be called but is not declared.
func (q *question) calls(b *behaviour) (calls []call, missing string) {
	choice := q.choice()
	wanted := (b.tools || b.call != "") && !q.answered
	if choice.mode == mustNotCall || !wanted && choice.mode != mustCall {
		return nil, ""
	}
	declared := q.declared()
	names := choice.names
	if wanted && b.call != "" && (names == nil || slices.Contains(names, b.call)) {
		names = []string{b.call}
	}
	allowed := declared
	if names != nil {
		allowed = slices.DeleteFunc(slices.Clone(declared), func(t tool) bool { return !slices.Contains(names, t.name) })
		if len(allowed) == 0 {
			return nil, strings.Join(names, ", ")
		}
	}
	if len(allowed) == 0 {
		return nil, ""
	}
	n := 1
	if b.parallel && !choice.oneOnly {
		n = 2
	}
	for i := range n {
		t := allowed[i%len(allowed)]
		calls = append(calls, call{tool: t, args: t.arguments(b.args)})
	}
	return calls, ""
}

// arguments returns what a tool is called with: what the prompt gave, or
// something that its schema allows.
func (t tool) arguments(given string) string {
	switch {
	case t.custom && given != "":
		return given
	case t.custom:
		return sampleText
	case given != "":
		return given
	case !t.schema.IsObject():
		return "{}"
	}
	if args := instance(t.schema); strings.HasPrefix(args, "{") {
		return args
	}
	return "{}" // arguments are an object, whatever the schema says
}
