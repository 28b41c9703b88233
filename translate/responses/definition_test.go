package responses

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

func TestToolsAreDefinedInFull(t *testing.T) {
	text := func(s string) translate.Text { return translate.Text(s) }
	value := func(s string) translate.Value { return translate.Value(s) }
	for _, tc := range []struct {
		name         string
		tool         translate.Tool
		want, losses string
	}{
		{"function", translate.Tool{Name: text("f"), Description: text("d"), Schema: value(`{"type":"object"}`), Strict: translate.On}, `{"type":"function","name":"f","description":"d","parameters":{"type":"object"},"strict":true}`, ""},
		{"absent strict means no", translate.Tool{Name: text("f")}, `{"type":"function","name":"f","parameters":{"type":"object","properties":{}},"strict":false}`, ""},
		{
			"examples",
			translate.Tool{Name: text("f"), Description: text("d"), Examples: value(`[{"a":1}]`)},
			`{"type":"function","name":"f","description":"d\n\nExamples of its input: [{\"a\":1}]","parameters":{"type":"object","properties":{}},"strict":false}`, "",
		},
		{"custom", translate.Tool{Kind: translate.CustomTool, Name: text("p"), Format: value(`{"type":"grammar","syntax":"lark","definition":"s"}`)}, `{"type":"custom","name":"p","format":{"type":"grammar","syntax":"lark","definition":"s"}}`, ""},
		{
			"Anthropic's search",
			translate.Tool{Kind: translate.HostedTool, Name: text("web_search"), Type: text("web_search_20250305"), Raw: value(`{"type":"web_search_20250305","name":"web_search","max_uses":8,"allowed_domains":["a.test"],"blocked_domains":[],"user_location":{"type":"approximate","city":"Oslo"}}`)},
			`{"type":"web_search","filters":{"allowed_domains":["a.test"]},"user_location":{"type":"approximate","city":"Oslo"}}`, "param=tools.max_uses;action=dropped",
		},
		{"OpenAI's search", translate.Tool{Kind: translate.HostedTool, Type: text("web_search"), Raw: value(`{"type":"web_search","search_context_size":"low"}`)}, `{"type":"web_search","search_context_size":"low"}`, ""},
		{"another vendor's tool", translate.Tool{Kind: translate.HostedTool, Type: text("bash_20250124"), Index: 3}, "", "param=tools[3];action=dropped"},
	} {
		c := chat()
		say(c, translate.User, "a")
		c.Tools = append(c.Tools, tc.tool)
		to := target()
		to.Quirks.WebSearch = true
		if got := strings.Trim(gjson.Get(written(t, c, to), "tools").Raw, "[]"); got != strings.Trim(tc.want, "[]") || losses(c) != tc.losses {
			t.Errorf("%s:\n got %s (%s)\nwant %s (%s)", tc.name, got, losses(c), tc.want, tc.losses)
		}
	}
}

func TestOnlyProvidersThatSearchTheWebAreAskedTo(t *testing.T) {
	c := chat()
	say(c, translate.User, "a")
	c.Tools = append(c.Tools, translate.Tool{Kind: translate.HostedTool, Type: translate.Text("web_search_20250305"), Index: 3})
	if got, lost := gjson.Get(written(t, c, target()), "tools").Raw, losses(c); got != "" || lost != "param=tools[3];action=dropped" {
		t.Errorf("tools = %s (%s), want none", got, lost)
	}
}

func TestHostedToolsAreRefusedWhereTheRouteSaysSo(t *testing.T) {
	c, to := chat(), target()
	say(c, translate.User, "a")
	c.Tools = append(c.Tools, translate.Tool{Kind: translate.HostedTool, Type: translate.Text("bash_20250124"), Index: 3})
	to.RefuseHosted = true
	if _, e := EncodeRequest(nil, c, to); e == nil || e.Param != "tools[3]" {
		t.Errorf("EncodeRequest = %v, want an error about tools[3]", e)
	}
}

func TestMoreToolsThanOpenAITakesAreRefused(t *testing.T) {
	for _, n := range []int{maxTools, maxTools + 1} {
		c := chat()
		say(c, translate.User, "a")
		for i := range n {
			c.Tools = append(c.Tools, translate.Tool{Name: translate.Text(fmt.Sprintf("f%d", i))})
		}
		if _, e := EncodeRequest(nil, c, target()); (e != nil) != (n > maxTools) {
			t.Errorf("EncodeRequest of %d tools = %v", n, e)
		}
	}
}

func TestToolChoiceIsFlat(t *testing.T) {
	name := func(s string) []translate.Text { return []translate.Text{translate.Text(s)} }
	function := translate.Tool{Name: translate.Text("f")}
	custom := translate.Tool{Kind: translate.CustomTool, Name: translate.Text("p")}
	search := translate.Tool{Kind: translate.HostedTool, Name: translate.Text("web_search"), Type: translate.Text("web_search_20250305"), Raw: translate.Value(`{}`)}
	hosted := translate.Tool{Kind: translate.HostedTool, Type: translate.Text("bash_20250124")}
	const refused = "refused"
	for _, tc := range []struct {
		name   string
		choice translate.ToolChoice
		tools  []translate.Tool
		want   string
	}{
		{"unset", translate.ToolChoice{}, []translate.Tool{function}, ""},
		{"auto", translate.ToolChoice{Mode: translate.ToolAuto}, []translate.Tool{function}, `"auto"`},
		{"none", translate.ToolChoice{Mode: translate.ToolNone}, []translate.Tool{function}, `"none"`},
		{"any", translate.ToolChoice{Mode: translate.ToolAny}, []translate.Tool{function}, `"required"`},
		{"one", translate.ToolChoice{Mode: translate.ToolOne, Name: translate.Text("f")}, []translate.Tool{custom, function}, `{"type":"function","name":"f"}`},
		{"custom", translate.ToolChoice{Mode: translate.ToolOne, Name: translate.Text("p")}, []translate.Tool{custom, function}, `{"type":"custom","name":"p"}`},
		{"search", translate.ToolChoice{Mode: translate.ToolOne, Name: search.Name, Type: search.Type}, []translate.Tool{function, search}, `{"type":"web_search"}`},
		{"allowed", translate.ToolChoice{Mode: translate.ToolAny, Allowed: name("p")}, []translate.Tool{function, custom}, `{"type":"allowed_tools","mode":"required","tools":[{"type":"custom","name":"p"}]}`},
		{"none of those allowed", translate.ToolChoice{Mode: translate.ToolAuto, Allowed: name("x")}, []translate.Tool{function}, refused},
		{"without tools", translate.ToolChoice{Mode: translate.ToolAny}, nil, ""},
		{"one without tools", translate.ToolChoice{Mode: translate.ToolOne, Name: translate.Text("f")}, nil, ""},
		{"auto, and the only tool is dropped", translate.ToolChoice{Mode: translate.ToolAuto}, []translate.Tool{hosted}, ""},
		{"any, and the only tool is dropped", translate.ToolChoice{Mode: translate.ToolAny}, []translate.Tool{hosted}, refused},
		{"one that is dropped", translate.ToolChoice{Mode: translate.ToolOne, Type: hosted.Type}, []translate.Tool{hosted, function}, refused},
		{"one that is not there", translate.ToolChoice{Mode: translate.ToolOne, Name: translate.Text("x")}, []translate.Tool{function}, refused},
	} {
		c := chat()
		say(c, translate.User, "a")
		c.Tools, c.ToolChoice = tc.tools, tc.choice
		to := target()
		to.Quirks.WebSearch = true
		out, e := EncodeRequest(nil, c, to)
		got := gjson.GetBytes(out, "tool_choice").Raw
		if e != nil {
			if got = refused; e.Param != "tool_choice" {
				t.Errorf("%s: the error is about %s", tc.name, e.Param)
			}
		}
		if got != tc.want {
			t.Errorf("%s: tool_choice = %s, want %s", tc.name, got, tc.want)
		}
	}
}

func TestParallelCallsAreOnlyMentionedWithTools(t *testing.T) {
	for _, tc := range []struct {
		tools int
		flag  translate.Flag
		want  string
	}{{0, translate.Off, ""}, {1, translate.Off, "false"}, {1, translate.On, "true"}, {1, translate.Unset, ""}} {
		c := chat()
		say(c, translate.User, "a")
		c.Tools, c.Parallel = make([]translate.Tool, tc.tools), tc.flag
		if got := gjson.Get(written(t, c, target()), "parallel_tool_calls").Raw; got != tc.want {
			t.Errorf("%d tools, %v: parallel_tool_calls = %s, want %s", tc.tools, tc.flag, got, tc.want)
		}
	}
}
