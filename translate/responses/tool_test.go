package responses

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

func TestToolsOfAllKinds(t *testing.T) {
	long := strings.Repeat("x", mostRepeated+1)
	const function = `{"type":"function","name":"f","description":"d","parameters":{"type":"object"},"strict":true}`
	for _, tc := range []struct{ name, body, want string }{
		{"function", `{"input":"a","tools":[` + function + `]}`, `function 0 .f d {"type":"object"} strict`},
		{"absent strict", `{"input":"a","tools":[{"type":"function","name":"f","parameters":null}]}`, `function 0 .f  null`},
		{
			"custom", `{"input":"a","tools":[{"type":"custom","name":"p","format":{"type":"grammar","syntax":"lark","definition":"s"}},{"type":"custom","name":"q","format":{"type":"text"}}]}`,
			`custom 0 .p  {"type":"grammar","syntax":"lark","definition":"s"}; custom 1 .q  `,
		},
		{
			"namespace", `{"input":"a","tools":[` + function + `,{"type":"namespace","name":"n","description":"x","tools":[{"type":"function","name":"f"},{"type":"custom","name":"g"}]}]}`,
			`function 0 .f d {"type":"object"} strict; function 1 n.f x ; custom 1 n.g x `,
		},
		{
			"namespace with a long description", `{"input":"a","tools":[{"type":"namespace","name":"n","description":"` + long + `","tools":[{"type":"function","name":"f","description":"d"},{"type":"function","name":"g","description":"e"}]}]}`,
			`function 0 n.f ` + long + "\n\n" + `d ; function 0 n.g e `,
		},
		{"hosted", `{"input":"a","tools":[{"type":"web_search"},{"type":"tool_search","execution":"client"},{"type":"mcp"}]}`, `hosted 0 web_search; hosted 1 tool_search; hosted 2 mcp`},
		{
			"tools that come later", `{"input":[{"type":"additional_tools","role":"developer","tools":[{"type":"namespace","name":"functions","tools":[{"type":"custom","name":"exec"}]}]},{"role":"user","content":"a"},
				{"type":"tool_search_output","call_id":"c","execution":"client","tools":[{"type":"function","name":"g"}]}]}`,
			`custom 0 functions.exec  ; function 0 .g  `,
		},
		{
			"a tool that is defined anew", `{"input":[{"type":"additional_tools","tools":[{"type":"function","name":"f","description":"new"}]},{"role":"user","content":"a"}],"tools":[` + function + `]}`,
			`function 0 .f new `,
		},
	} {
		var got []string
		for _, tool := range decoded(t, tc.body).Tools {
			got = append(got, toldTool(&tool))
		}
		if got := strings.Join(got, "; "); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func toldTool(tool *translate.Tool) string {
	kind := [...]string{"function", "custom", "hosted"}[tool.Kind]
	if tool.Kind == translate.HostedTool {
		return fmt.Sprintf("%s %d %s", kind, tool.Index, tool.Type)
	}
	s := fmt.Sprintf("%s %d %s.%s %s %s%s", kind, tool.Index, tool.Namespace, tool.Name, tool.Description, tool.Schema, tool.Format)
	if tool.Strict == translate.On {
		s += " strict"
	}
	return s
}

func TestTooManyToolsAreRefused(t *testing.T) {
	body := `{"input":"a","tools":[` + strings.Repeat(`{"type":"web_search"},`, translate.MostTools) + `{"type":"web_search"}]}`
	c := new(translate.Conversation)
	c.Reset(translate.Responses)
	if e := DecodeRequest(c, []byte(body)); e == nil || e.Param != "tools" {
		t.Errorf("DecodeRequest with %d tools = %v, want an error about tools", translate.MostTools+1, e)
	}
}

func TestToolChoiceForms(t *testing.T) {
	for _, tc := range []struct{ choice, want string }{
		{`"auto"`, "1"},
		{`"none"`, "2"},
		{`"required"`, "3"},
		{`{"type":"function","name":"f"}`, "4 name=f"},
		{`{"type":"custom","name":"f","namespace":"n"}`, "4 name=f ns=n custom"},
		{`{"type":"web_search"}`, "4 type=web_search"},
		{`{"type":"mcp","server_label":"s"}`, "4 type=mcp"},
		{`{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"},{"type":"web_search"}]}`, "3 allowed=f,web_search"},
		{`{"type":"allowed_tools","mode":"auto","tools":[]}`, "1 allowed="},
	} {
		choice := decoded(t, `{"input":"a","tool_choice":`+tc.choice+`}`).ToolChoice
		got := fmt.Sprint(uint8(choice.Mode))
		for _, p := range []struct {
			name string
			text translate.Text
		}{{"name", choice.Name}, {"ns", choice.Namespace}, {"type", choice.Type}} {
			if p.text != nil {
				got += " " + p.name + "=" + string(p.text)
			}
		}
		if choice.Custom {
			got += " custom"
		}
		if choice.Allowed != nil {
			var names []string
			for _, name := range choice.Allowed {
				names = append(names, string(name))
			}
			got += " allowed=" + strings.Join(names, ",")
		}
		if got != tc.want {
			t.Errorf("tool_choice %s = %s, want %s", tc.choice, got, tc.want)
		}
	}
}
