package chat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

func TestToolsAreWrittenWithAllThatVendorsTakeDifferently(t *testing.T) {
	const hi = `{"messages":[{"role":"user","content":"x"}],`
	const custom = `{"type":"custom","custom":{"name":"p","description":"d","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"start: A"}}}}`
	for _, tc := range []struct {
		name, tools, want string
		change            func(*translate.Quirks)
	}{
		{
			"strict is written", `"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}},{"type":"function","function":{"name":"g","strict":true}}]`,
			`"tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":false}},{"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{}},"strict":true}}]`, nil,
		},
		{
			"NoStrict", `"tools":[{"type":"function","function":{"name":"f","strict":true}}]`,
			`"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]`,
			func(q *translate.Quirks) { q.NoStrict = true },
		},
		{"no empty list", `"tools":[],"tool_choice":"auto","parallel_tool_calls":false`, "", nil},
		{
			"choice", `"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":{"type":"function","function":{"name":"f"}},"parallel_tool_calls":false`,
			`"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}},"strict":false}}],"parallel_tool_calls":false,"tool_choice":{"type":"function","function":{"name":"f"}}`, nil,
		},
		{
			"custom tool as function", `"tools":[` + custom + `],"tool_choice":{"type":"custom","custom":{"name":"p"}}`,
			`"tools":[{"type":"function","function":{"name":"p","description":"d\n\nThe input must follow this lark grammar:\nstart: A","parameters":{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false},"strict":false}}],"tool_choice":{"type":"function","function":{"name":"p"}}`, nil,
		},
		{
			"CustomTools", `"tools":[` + custom + `],"tool_choice":{"type":"custom","custom":{"name":"p"}}`, `"tools":[` + custom + `],"tool_choice":{"type":"custom","custom":{"name":"p"}}`,
			func(q *translate.Quirks) { q.CustomTools = true },
		},
		{
			"allowed tools are the only ones", `"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"g"}}]}}`,
			`"tools":[{"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{}},"strict":false}}],"tool_choice":"required"`, nil,
		},
		{
			"OpenAI knows allowed tools", `"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"g"}}]}}`,
			`"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}},{"type":"function","function":{"name":"g","parameters":{"type":"object","properties":{}}}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"g"}}]}}`,
			func(q *translate.Quirks) { q.OpenAIParameters, q.NoStrict = true, true },
		},
		{
			"CacheControl", `"tools":[{"type":"function","function":{"name":"f"},"cache_control":{"type":"ephemeral"}}]`,
			`"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}},"strict":false},"cache_control":{"type":"ephemeral"}}]`,
			func(q *translate.Quirks) { q.CacheControl = true },
		},
		{"hosted tools are left out", `"tools":[{"type":"web_search_preview"}],"tool_choice":"auto"`, "", nil},
		{
			"WebSearch", `"web_search_options":{"search_context_size":"low","user_location":{"type":"approximate","approximate":{"country":"NO"}}}`,
			`"web_search_options":{"search_context_size":"low","user_location":{"type":"approximate","approximate":{"country":"NO"}}}`,
			func(q *translate.Quirks) { q.WebSearch = true },
		},
	} {
		got := recode(t, hi+tc.tools+"}", tc.change)
		got = strings.Replace(got, messagesOf(got), "", 1)
		want := strings.TrimSuffix(`{"messages":[],`+tc.want, ",") + "}"
		if got != want {
			t.Errorf("%s: %s\nbecomes %s\nwant    %s", tc.name, tc.tools, got, want)
		}
	}
}

func TestToolNamesAreOnesThatOpenAITakesAndComeBack(t *testing.T) {
	long := strings.Repeat("n", 70)
	c := new(translate.Conversation)
	c.Reset(translate.Responses)
	c.BeginTurn(translate.User, 0, false)
	c.Add(text("x"))
	c.Tools = []translate.Tool{
		{Name: translate.Text("f"), Namespace: translate.Text("ns")},
		{Name: translate.Text(long), Index: 1},
		{Name: translate.Text("p"), Kind: translate.CustomTool, Index: 2},
	}
	out := encode(t, c, target(nil))
	asked := c.Asked()
	if len(asked.Names) != 3 {
		t.Fatalf("%d tools are known under other names, want 3: %v", len(asked.Names), asked.Names)
	}
	for i, want := range []translate.ToolName{
		{Sent: "ns__f", Name: "f", Namespace: "ns"},
		{Sent: asked.Names[1].Sent, Name: long},
		{Sent: "p", Name: "p", Custom: true, Wrapped: true},
	} {
		got := asked.Names[i]
		if got != want || len(got.Sent) > 64 || !strings.Contains(out, `"name":"`+got.Sent+`"`) {
			t.Errorf("tool %d is known as %+v, want %+v; sent in %s", i, got, want, out)
		}
	}
	c.Reset(translate.Responses)
	c.BeginTurn(translate.User, 0, false)
	c.Add(text("x"))
	c.Tools = []translate.Tool{{Name: translate.Text("ns__f")}, {Name: translate.Text("f"), Namespace: translate.Text("ns"), Index: 1}}
	if _, e := EncodeRequest(nil, c, target(nil)); e == nil || e.Param != "tools[1]" {
		t.Errorf("two tools of one name: %v, want an error about tools[1]", e)
	}
}

func TestStrictOfMessagesIsKeptWhereOpenAICanHoldIt(t *testing.T) {
	const good = `{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}`
	const open = `{"type":"object","properties":{"a":{"type":"string"}}}`
	for _, tc := range []struct {
		schema string
		strict bool
	}{{good, true}, {open, false}} {
		c := said(func(c *translate.Conversation) {
			c.BeginTurn(translate.User, 0, false)
			c.Add(text("x"))
			c.Tools = []translate.Tool{{Name: translate.Text("f"), Schema: translate.Value(tc.schema), Strict: translate.On}}
			c.Format = translate.Format{Kind: translate.FormatSchema, Schema: translate.Value(tc.schema)}
		})
		want := fmt.Sprintf(`{"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{"name":"f","parameters":%s,"strict":%v}}],`+
			`"response_format":{"type":"json_schema","json_schema":{"name":"output","schema":%s,"strict":%v}}}`, tc.schema, tc.strict, tc.schema, tc.strict)
		if got := encode(t, c, target(nil)); got != want {
			t.Errorf("request = %s\nwant      %s", got, want)
		}
		if lost := len(c.Losses) > 0; lost == tc.strict {
			t.Errorf("strict %v: losses = %v", tc.strict, c.Losses)
		}
	}
}

func TestASearchOfWhatTheVendorKeepsDoesNotGoToTheWeb(t *testing.T) {
	c := new(translate.Conversation)
	c.Reset(translate.Responses)
	c.BeginTurn(translate.User, 0, false)
	c.Add(translate.Block{Kind: translate.KindText, Text: translate.Text("hi")})
	c.Tools = []translate.Tool{{
		Kind: translate.HostedTool, Type: translate.Text("web_search"),
		Raw: translate.Value(`{"type":"web_search","external_web_access":false}`),
	}}
	to := &translate.Target{Protocol: translate.Chat, Quirks: translate.Quirks{WebSearch: true}}
	out, e := EncodeRequest(nil, c, to)
	if e != nil || strings.Contains(string(out), "web_search") {
		t.Errorf("EncodeRequest = %s, %v, want no search", out, e)
	}
	if got, want := string(c.Losses.AppendHeader(nil)), "param=tools[0];action=dropped"; got != want {
		t.Errorf("losses = %s, want %s", got, want)
	}
}
