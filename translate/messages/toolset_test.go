package messages

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

func function(name string) translate.Tool {
	return translate.Tool{Name: translate.Text(name)}
}

func hostedTool(kind string) translate.Tool {
	return translate.Tool{Kind: translate.HostedTool, Type: translate.Text(kind), Raw: translate.Value(`{"type":"` + kind + `"}`)}
}

const noSchema = `"input_schema":{"type":"object","properties":{}}`

func TestToolsAreWritten(t *testing.T) {
	no := false
	for _, tc := range []struct {
		name, want, losses string
		tool               translate.Tool
		change             func(*translate.Target)
	}{
		{name: "bare", tool: function("f"), want: `{"name":"f",` + noSchema + `}`},
		{
			name: "whole", want: `{"name":"f","description":"does f","input_schema":{"type":"object","properties":{"a":{}}},"cache_control":{"type":"ephemeral"}}`,
			tool: translate.Tool{
				Name: translate.Text("f"), Description: translate.Text("does f"), Cache: translate.Cache5m,
				Schema: translate.Value(`{"type":"object","properties":{"a":{}}}`), Strict: translate.Off,
			},
		},
		{name: "in a namespace", tool: translate.Tool{Name: translate.Text("f"), Namespace: translate.Text("ns")}, want: `{"name":"ns__f",` + noSchema + `}`},
		{
			name: "strict", tool: translate.Tool{Name: translate.Text("f"), Strict: translate.On},
			want: `{"name":"f","input_schema":{"type":"object","properties":{},"additionalProperties":false},"strict":true}`,
		},
		{
			name: "strict for a model that is not", tool: translate.Tool{Name: translate.Text("f"), Strict: translate.On},
			change: func(to *translate.Target) { to.Capabilities.JSONSchema = &no },
			want:   `{"name":"f",` + noSchema + `}`, losses: "tools.strict",
		},
		{
			name: "strict for a provider that is not", tool: translate.Tool{Name: translate.Text("f"), Strict: translate.On},
			change: func(to *translate.Target) { to.Quirks.NoStrict = true },
			want:   `{"name":"f",` + noSchema + `}`, losses: "tools.strict",
		},
		{
			name: "custom", want: `{"name":"f","description":"does f","input_schema":` + translate.WrappedSchema + `}`,
			tool: translate.Tool{Kind: translate.CustomTool, Name: translate.Text("f"), Description: translate.Text("does f")},
		},
		{
			name: "custom with a grammar", losses: "tools[0].format",
			want: `{"name":"f","description":"The input must follow this lark grammar:\nstart: \"a\"","input_schema":` + translate.WrappedSchema + `}`,
			tool: translate.Tool{Kind: translate.CustomTool, Name: translate.Text("f"), Format: translate.Value(`{"type":"grammar","syntax":"lark","definition":"start: \"a\""}`)},
		},
		{name: "search", tool: hostedTool("web_search"), want: `{"name":"web_search","type":"web_search_20250305"}`},
		{
			name: "search of what the vendor keeps", losses: "tools[0]",
			tool: translate.Tool{Kind: translate.HostedTool, Type: translate.Text("web_search"), Raw: translate.Value(`{"type":"web_search","external_web_access":false}`)},
		},
		{
			name: "search with wishes",
			want: `{"name":"web_search","type":"web_search_20250305","allowed_domains":["e.org"],"user_location":{"type":"approximate","city":"Ulm"}}`,
			tool: translate.Tool{Kind: translate.HostedTool, Type: translate.Text("web_search_preview"), Raw: translate.Value(
				`{"type":"web_search_preview","filters":{"allowed_domains":["e.org"]},"search_context_size":"high","user_location":{"type":"approximate","city":"Ulm"},"external_web_access":true}`)},
		},
		{
			name: "search at a provider without", tool: hostedTool("web_search"), losses: "tools[0]",
			change: func(to *translate.Target) { to.Quirks.DropBetas = true },
		},
		{name: "hosted", tool: hostedTool("image_generation"), losses: "tools[0]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, to := conversation(t, hi), target
			c.Tools = append(c.Tools, tc.tool)
			if tc.change != nil {
				tc.change(&to)
			}
			want := tc.want
			if want != "" {
				want = "[" + want + "]"
			}
			if got := string(encoded(t, c, to).Get("tools")); got != want {
				t.Errorf("tools = %s, want %s", got, want)
			}
			if got := params(c.Losses); got != tc.losses {
				t.Errorf("losses = %q, want %q", got, tc.losses)
			}
		})
	}
}

func TestTheAnswerIsToldWhatToolsAreCalledByTheClient(t *testing.T) {
	c := conversation(t, hi)
	c.Tools = append(c.Tools,
		function("plain"),
		translate.Tool{Name: translate.Text("f"), Namespace: translate.Text("ns")},
		translate.Tool{Kind: translate.CustomTool, Name: translate.Text("patch")})
	encoded(t, c, target)
	want := []translate.ToolName{{Sent: "ns__f", Name: "f", Namespace: "ns"}, {Sent: "patch", Name: "patch", Custom: true, Wrapped: true}}
	if got := c.Asked().Names; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("Names = %+v, want %+v", got, want)
	}
}

func TestToolChoiceIsWritten(t *testing.T) {
	name := translate.Text("f")
	for _, tc := range []struct {
		name, want, losses string
		choice             translate.ToolChoice
		parallel           translate.Flag
		tools              []translate.Tool
	}{
		{name: "unset", tools: []translate.Tool{function("f")}},
		{name: "auto", choice: translate.ToolChoice{Mode: translate.ToolAuto}, tools: []translate.Tool{function("f")}, want: `{"type":"auto"}`},
		{name: "any", choice: translate.ToolChoice{Mode: translate.ToolAny}, tools: []translate.Tool{function("f")}, want: `{"type":"any"}`},
		{name: "none", choice: translate.ToolChoice{Mode: translate.ToolNone}, tools: []translate.Tool{function("f")}, want: `{"type":"none"}`},
		{name: "none is never parallel", choice: translate.ToolChoice{Mode: translate.ToolNone}, parallel: translate.Off, tools: []translate.Tool{function("f")}, want: `{"type":"none"}`},
		{name: "one", choice: translate.ToolChoice{Mode: translate.ToolOne, Name: name}, tools: []translate.Tool{function("f")}, want: `{"type":"tool","name":"f"}`},
		{
			name: "one in a namespace", choice: translate.ToolChoice{Mode: translate.ToolOne, Name: name, Namespace: translate.Text("ns")},
			tools: []translate.Tool{{Name: name, Namespace: translate.Text("ns")}}, want: `{"type":"tool","name":"ns__f"}`,
		},
		{
			name: "search", choice: translate.ToolChoice{Mode: translate.ToolOne, Type: translate.Text("web_search_preview")},
			tools: []translate.Tool{hostedTool("web_search")}, want: `{"type":"tool","name":"web_search"}`,
		},
		{name: "one at a time", parallel: translate.Off, tools: []translate.Tool{function("f")}, want: `{"type":"auto","disable_parallel_tool_use":true}`},
		{
			name: "one at a time, forced", choice: translate.ToolChoice{Mode: translate.ToolAny}, parallel: translate.Off, tools: []translate.Tool{function("f")},
			want: `{"type":"any","disable_parallel_tool_use":true}`,
		},
		{name: "without tools", choice: translate.ToolChoice{Mode: translate.ToolAuto}, parallel: translate.Off},
		{name: "without the tools that are hosted", choice: translate.ToolChoice{Mode: translate.ToolAuto}, tools: []translate.Tool{hostedTool("file_search")}, losses: "tools[0]"},
		{
			name: "allowed", choice: translate.ToolChoice{Mode: translate.ToolAny, Allowed: []translate.Text{name}},
			tools: []translate.Tool{function("e"), function("f")}, want: `{"type":"any"}`, losses: "tool_choice",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := conversation(t, hi)
			c.ToolChoice, c.Parallel, c.Tools = tc.choice, tc.parallel, tc.tools
			out := encoded(t, c, target)
			if got := string(out.Get("tool_choice")); got != tc.want {
				t.Errorf("tool_choice = %s, want %s", got, tc.want)
			}
			if got := params(c.Losses); got != tc.losses {
				t.Errorf("losses = %q, want %q", got, tc.losses)
			}
			if tools := out.Get("tools"); tc.choice.Allowed != nil && tools.Len() != 1 {
				t.Errorf("tools = %s, want the one that is allowed", tools)
			}
		})
	}
}

func TestToolsThatMakeNoSenseAreRefused(t *testing.T) {
	for _, tc := range []struct {
		name, param string
		choice      translate.ToolChoice
		tools       []translate.Tool
		refuse      bool
	}{
		{name: "twice", param: "tools[1]", tools: []translate.Tool{function("f"), {Name: translate.Text("f"), Index: 1}}},
		{
			name: "one that is hosted", param: "tool_choice", tools: []translate.Tool{hostedTool("file_search")},
			choice: translate.ToolChoice{Mode: translate.ToolOne, Type: translate.Text("file_search")},
		},
		{
			name: "one that is not there", param: "tool_choice", tools: []translate.Tool{function("f")},
			choice: translate.ToolChoice{Mode: translate.ToolOne, Name: translate.Text("g")},
		},
		{
			name: "any of those that are hosted", param: "tool_choice", tools: []translate.Tool{hostedTool("file_search")},
			choice: translate.ToolChoice{Mode: translate.ToolAny},
		},
		{
			name: "allowed but not there", param: "tool_choice", tools: []translate.Tool{function("f")},
			choice: translate.ToolChoice{Mode: translate.ToolAuto, Allowed: []translate.Text{translate.Text("g")}},
		},
		{name: "hosted", param: "tools[0]", tools: []translate.Tool{hostedTool("file_search")}, refuse: true},
	} {
		c, to := conversation(t, hi), target
		c.ToolChoice, c.Tools, to.RefuseHosted = tc.choice, tc.tools, tc.refuse
		if _, e := EncodeRequest(nil, c, &to); e == nil || e.Param != tc.param {
			t.Errorf("EncodeRequest with a tool %s = %v, want an error about %s", tc.name, e, tc.param)
		}
	}
}

func TestCallsWithoutToolsGetToolsThatCannotBeCalled(t *testing.T) {
	c := conversation(t, short("u: a | a: c1 | u: r1 | a: c2 | u: r2"))
	c.ToolChoice.Mode = translate.ToolAuto
	out := encoded(t, c, target)
	if got, want := string(out.Get("tools")), `[{"name":"f",`+noSchema+`}]`; got != want {
		t.Errorf("tools = %s, want %s", got, want)
	}
	if got, want := string(out.Get("tool_choice")), `{"type":"none"}`; got != want {
		t.Errorf("tool_choice = %s, want %s", got, want)
	}
}

func TestAtMostFourCacheMarksAreWritten(t *testing.T) {
	c := conversation(t, `[{"role":"system","content":[{"type":"text","text":"0","cache_control":{"type":"ephemeral"}}]},
		{"role":"user","content":[{"type":"text","text":"1","cache_control":{"type":"ephemeral","ttl":"1h"}},{"type":"text","text":" ","cache_control":{"type":"ephemeral"}},
			{"type":"text","text":"2","cache_control":{"type":"ephemeral"}}]},
		{"role":"assistant","content":[{"type":"tool_use","id":"1","name":"f","input":{},"cache_control":{"type":"ephemeral","ttl":"1h"}}]},
		{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"text","text":"3","cache_control":{"type":"ephemeral"}}]}]}]`)
	c.Tools = append(c.Tools, translate.Tool{Name: translate.Text("f"), Cache: translate.Cache5m})
	out := string(encoded(t, c, target))
	if n := strings.Count(out, "cache_control"); n != 4 {
		t.Errorf("EncodeRequest = %s, with %d marks, want 4", out, n)
	}
	for _, want := range []string{
		`{"type":"text","text":"0"}`, // the first goes, and that of the tool
		`{"type":"text","text":"1","cache_control":{"type":"ephemeral","ttl":"1h"}}`,
		`{"type":"text","text":"2","cache_control":{"type":"ephemeral"}}`,
		`"input":{},"cache_control":{"type":"ephemeral"}}`, // no longer time behind a shorter one
		`"content":[{"type":"text","text":"3"}],"cache_control":{"type":"ephemeral"}}`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("EncodeRequest = %s, want %s in it", out, want)
		}
	}
}

func TestThinkingIsNeverMarkedForTheCache(t *testing.T) {
	c := conversation(t, short("u: a | a: thought b | u: d"))
	for i := range c.Blocks {
		c.Blocks[i].Cache = translate.Cache5m
	}
	out := string(encoded(t, c, target))
	if n := strings.Count(out, "cache_control"); n != 3 || strings.Contains(out, `"signature":"Eq","cache_control"`) {
		t.Errorf("EncodeRequest = %s, want marks at the three texts", out)
	}
}
