package crossing_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
)

// claudeAsks is a Messages request with that conversation and those other members.
func claudeAsks(messages, members string) string {
	return `{"model":"m","max_tokens":1000,"messages":[` + messages + `]` + members + `}`
}

const (
	oneClaudeTool    = `,"tools":[{"name":"f","input_schema":{"type":"object","properties":{}}}]`
	claudeCallOfF    = `{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]}`
	claudeResultOfF  = `{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"done"}]}`
	claudeImage      = `{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgo="}}`
	openAICallOfF    = `{"type":"function_call","call_id":"call_1","name":"f","arguments":"{}"}`
	openAIResultOfF  = `{"type":"function_call_output","call_id":"call_1","output":"done"}`
	openAIHello      = `{"role":"user","content":"hello"}`
	openAIToolOfKind = `{"type":"function","name":"f","parameters":{"type":"object","properties":{}}%s}`
)

// openAI is OpenAI's own Chat Completions.
func openAI(c translate.Capabilities) *translate.Target {
	return to(translate.Chat, func(t *translate.Target) {
		t.Quirks = translate.Quirks{MaxTokensField: "max_completion_tokens", DeveloperRole: true, OpenAIParameters: true, CustomTools: true}
		t.Capabilities = c
	})
}

// vendor is another one's Chat Completions.
func vendor(q translate.Quirks) *translate.Target {
	return to(translate.Chat, func(t *translate.Target) { t.Quirks = q })
}

var openAITraps = []trap{
	{number: 32, name: "strict has two defaults", requests: []requestCase{
		{from: translate.Chat, request: asks(hello, oneTool), to: bare(translate.Responses), want: map[string]string{"tools.0.strict": "false"}},
		{from: translate.Messages, request: claudeAsks(hello, oneClaudeTool), to: bare(translate.Responses), want: map[string]string{"tools.0.strict": "false"}},
		{from: translate.Responses, request: `{"model":"m","input":"hello","tools":[` + fmt.Sprintf(openAIToolOfKind, `,"strict":false`) + `]}`, to: bare(translate.Chat), want: map[string]string{"tools.0.function.strict": "false"}},
		{
			from: translate.Messages, request: claudeAsks(hello, `,"tools":[{"name":"f","strict":true,"input_schema":{"type":"object","properties":{"a":{"type":"string"}}}}]`), to: bare(translate.Chat),
			want: map[string]string{"tools.0.function.strict": "false"}, losses: []string{"tools[0].strict changed"},
		},
		{
			from: translate.Messages, request: claudeAsks(hello, `,"tools":[{"name":"f","strict":true,"input_schema":{"type":"object","properties":{"a":{"type":"string"}}}}]`), to: bare(translate.Responses),
			want: map[string]string{"tools.0.strict": "false"}, losses: []string{"tools[0].strict changed"},
		},
	}},
	{number: 33, name: "store has two defaults", requests: []requestCase{
		{from: translate.Chat, request: asks(hello, ""), to: bare(translate.Responses), want: map[string]string{"store": "false"}},
		{from: translate.Messages, request: claudeAsks(hello, ""), to: bare(translate.Responses), want: map[string]string{"store": "false"}},
		{from: translate.Chat, request: asks(hello, `,"store":true`), to: permissive(translate.Responses), want: map[string]string{"store": "true"}},
	}},
	{number: 34, name: "metadata without store", requests: []requestCase{
		{from: translate.Responses, request: `{"model":"m","input":"hello","metadata":{"a":"b"}}`, to: openAI(translate.Capabilities{}), want: map[string]string{"metadata": "-"}, losses: []string{}},
		{from: translate.Responses, request: `{"model":"m","input":"hello","metadata":{"a":"b"}}`, to: bare(translate.Chat), want: map[string]string{"metadata": "-"}, losses: []string{}},
	}},
	{number: 35, name: "two names for the bound of the answer", requests: []requestCase{
		{from: translate.Responses, request: `{"model":"m","input":"hello","max_output_tokens":100}`, to: openAI(translate.Capabilities{}), want: map[string]string{"max_completion_tokens": "100", "max_tokens": "-"}},
		{from: translate.Messages, request: claudeAsks(hello, ""), to: bare(translate.Chat), want: map[string]string{"max_completion_tokens": "-", "max_tokens": "1000"}},
	}},
	{number: 36, name: "answers of less than 16 tokens", requests: []requestCase{
		{from: translate.Chat, request: asks(hello, `,"max_tokens":5`), to: bare(translate.Responses), want: map[string]string{"max_output_tokens": "16"}, losses: []string{"max_completion_tokens clamped"}},
		{from: translate.Messages, request: `{"model":"m","max_tokens":1,"messages":[` + hello + `]}`, to: bare(translate.Responses), want: map[string]string{"max_output_tokens": "16"}, losses: []string{"max_tokens clamped"}},
	}},
	{number: 37, name: "models of Chat that cannot reason with tools", requests: []requestCase{
		{
			from: translate.Responses, request: `{"model":"m","input":"hello","reasoning":{"effort":"high"},"tools":[` + fmt.Sprintf(openAIToolOfKind, "") + `]}`,
			to:     openAI(translate.Capabilities{ToolsWithReasoning: no(), Efforts: []string{"none", "low", "medium", "high"}}),
			want:   map[string]string{"reasoning_effort": `"none"`},
			losses: []string{"reasoning.effort changed"},
		},
	}, elsewhere: []string{"routing.TestOpenAIIsAskedInResponsesByClientsOfOthers"}},
	{number: 38, name: "vendors that know no developers", requests: []requestCase{
		{from: translate.Responses, request: `{"model":"m","input":[{"role":"developer","content":"Be brief."},` + openAIHello + `]}`, to: bare(translate.Chat), want: map[string]string{"messages.0.role": `"system"`}},
		{from: translate.Responses, request: `{"model":"m","input":[{"role":"developer","content":"Be brief."},` + openAIHello + `]}`, to: openAI(translate.Capabilities{}), want: map[string]string{"messages.0.role": `"developer"`}},
	}},
	{number: 39, name: "images that a tool returns", requests: []requestCase{
		{
			from: translate.Messages, request: claudeAsks(hello+`,{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{}},{"type":"tool_use","id":"toolu_2","name":"f","input":{}}]},`+
				`{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"text","text":"look"},`+claudeImage+`]},{"type":"tool_result","tool_use_id":"toolu_2","content":"two"},{"type":"text","text":"go on"}]}`, oneClaudeTool), to: bare(translate.Chat),
			want: map[string]string{"messages.#.role": `["user","assistant","tool","tool","user"]`, `messages.4.content.#(type==image_url).image_url.url`: `"data:image/png;base64,iVBORw0KGgo="`, `messages.2.content.#(type==image_url)`: "-"},
		},
		{
			from: translate.Messages, request: claudeAsks(hello+`,`+claudeCallOfF+`,{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[`+claudeImage+`]}]}`, oneClaudeTool), to: bare(translate.Responses),
			want: map[string]string{`input.#(type==function_call_output).output.0.type`: `"input_image"`},
		},
	}},
	{number: 40, name: "tool names of more than 64 characters", test: testLongNames},
	{number: 41, name: "more than 128 tools", test: testManyTools},
	{number: 42, name: "tool ids of more than 40 characters", test: testLongIDs},
	{number: 43, name: "item ids of calls", requests: []requestCase{
		{
			from: translate.Messages, request: claudeAsks(hello+`,`+claudeCallOfF+`,`+claudeResultOfF, oneClaudeTool), to: bare(translate.Responses),
			want: map[string]string{"input.#(type==function_call).id": "-", "input.#(type==function_call).call_id": `"toolu_1"`, "input.#(type==function_call_output).call_id": `"toolu_1"`},
		},
	}},
	{number: 44, name: "reasoning items go with what follows them", test: testReasoningItems},
	{number: 45, name: "encrypted reasoning is for its issuer", test: testEncryptedReasoning},
	{number: 46, name: "any JSON needs the word in the input", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, `,"response_format":{"type":"json_object"}`), to: bare(translate.Responses),
			want: map[string]string{"text.format": `{"type":"json_object"}`, "input.#": "2", "input.1.content.0.text": `"Answer in JSON."`},
		},
		{
			from: translate.Chat, request: asks(`{"role":"user","content":"hello, in Json"}`, `,"response_format":{"type":"json_object"}`), to: bare(translate.Responses),
			want: map[string]string{"text.format": `{"type":"json_object"}`, "input.#": "1"}, losses: []string{},
		},
	}},
	{number: 47, name: "results without calls, and calls without results", requests: []requestCase{
		{from: translate.Responses, request: `{"model":"m","input":[` + openAIHello + `,` + openAIResultOfF + `]}`, to: bare(translate.Chat), refused: "input[1]"},
		{from: translate.Responses, request: `{"model":"m","input":[` + openAIHello + `,` + openAIResultOfF + `]}`, to: bare(translate.Messages), refused: "input[1]"},
		{from: translate.Messages, request: claudeAsks(hello+`,`+claudeResultOfF, oneClaudeTool), to: bare(translate.Responses), refused: "messages[1]"},
		{from: translate.Responses, request: `{"model":"m","input":[` + openAIHello + `,` + openAICallOfF + `,` + openAIHello + `]}`, to: bare(translate.Chat), refused: "input[1]"},
		{from: translate.Messages, request: claudeAsks(hello+`,`+claudeCallOfF+`,`+hello, oneClaudeTool), to: bare(translate.Responses), refused: "messages[1]"},
		{from: translate.Chat, request: asks(hello+`,`+callOfF+`,`+hello, oneTool), to: bare(translate.Messages), refused: "messages[1]"},
	}},
	{number: 48, name: "stop sequences that are refused", requests: []requestCase{
		{from: translate.Messages, request: claudeAsks(hello, `,"stop_sequences":["END"]`), to: bare(translate.Responses), want: map[string]string{"stop": "-"}, losses: []string{"stop_sequences dropped"}},
		{from: translate.Messages, request: claudeAsks(hello, `,"stop_sequences":["END"]`), to: openAI(translate.Capabilities{Stop: no()}), want: map[string]string{"stop": "-"}, losses: []string{"stop_sequences dropped"}},
		{from: translate.Messages, request: claudeAsks(hello, `,"stop_sequences":["1","2","3","4","5"]`), to: bare(translate.Chat), want: map[string]string{"stop": `["1","2","3","4"]`}, losses: []string{"stop_sequences clamped"}},
	}},
	{number: 49, name: "users of more than 64 characters", test: testLongUsers},
	{number: 50, name: "cache_control where nobody knows it", requests: []requestCase{
		{from: translate.Messages, request: claudeAsks(`{"role":"user","content":[{"type":"text","text":"hello","cache_control":{"type":"ephemeral"}}]}`, ""), to: bare(translate.Chat), want: map[string]string{`messages.#.content.#.cache_control|@flatten`: "[]"}, losses: []string{}},
		{from: translate.Messages, request: claudeAsks(`{"role":"user","content":[{"type":"text","text":"hello","cache_control":{"type":"ephemeral"}}]}`, ""), to: vendor(translate.Quirks{CacheControl: true}), want: map[string]string{"messages.0.content.0.cache_control.type": `"ephemeral"`}},
	}},
	{number: 51, name: "the billing header in the instructions", requests: []requestCase{
		{from: translate.Messages, request: claudeAsks(hello, `,"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=1; cch=2;"},{"type":"text","text":"Be brief."}]`), to: bare(translate.Chat), want: map[string]string{"messages.0": `{"role":"system","content":"Be brief."}`}, losses: []string{}},
	}},
	{number: 52, name: "reasoning that has to come back with calls", test: testReasoningContent},
	{number: 53, name: "signatures of calls", test: testCallSignatures},
	{number: 54, name: "only some of the tools allowed", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, `,"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"g"}}]}}`), to: bare(translate.Messages),
			want: map[string]string{"tools.#.name": `["g"]`, "tool_choice.type": `"any"`}, losses: []string{"tool_choice changed"},
		},
		{
			from: translate.Chat, request: asks(hello, `,"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"g"}}],"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[{"type":"function","function":{"name":"g"}}]}}`), to: bare(translate.Responses),
			want: map[string]string{"tools.#": "2", "tool_choice": `{"type":"allowed_tools","mode":"auto","tools":[{"type":"function","name":"g"}]}`}, losses: []string{},
		},
	}},
	{number: 55, name: "empty arguments", requests: []requestCase{
		{from: translate.Responses, request: `{"model":"m","input":[` + openAIHello + `,{"type":"function_call","call_id":"call_1","name":"f","arguments":""},` + openAIResultOfF + `]}`, to: bare(translate.Chat), want: map[string]string{"messages.1.tool_calls.0.function.arguments": `"{}"`}},
		{from: translate.Messages, request: claudeAsks(hello+`,`+claudeCallOfF+`,`+claudeResultOfF, oneClaudeTool), to: bare(translate.Chat), want: map[string]string{"messages.1.tool_calls.0.function.arguments": `"{}"`}},
	}},
	{number: 56, name: "no content beside calls", requests: []requestCase{
		{from: translate.Messages, request: claudeAsks(hello+`,`+claudeCallOfF+`,`+claudeResultOfF, oneClaudeTool), to: bare(translate.Chat), want: map[string]string{"messages.1.content": "null"}},
		{from: translate.Messages, request: claudeAsks(hello+`,`+claudeCallOfF+`,`+claudeResultOfF, oneClaudeTool), to: vendor(translate.Quirks{EmptyContent: true}), want: map[string]string{"messages.1.content": `""`}},
	}},
}

// testLongNames sends tools under names that OpenAI takes, the same in each
// request, and tells their calls by the client's names.
func testLongNames(t *testing.T) {
	long := "mcp__" + strings.Repeat("server", 12) + "__tool"
	for _, p := range []translate.Protocol{translate.Chat, translate.Responses} {
		request := claudeAsks(hello+`,`+strings.ReplaceAll(claudeCallOfF, `"f"`, `"`+long+`"`)+`,`+claudeResultOfF, `,"tools":[{"name":"`+long+`","input_schema":{"type":"object"}},{"name":"`+long+`2","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"`+long+`"}`)
		r, e := crossing.Translate(nil, translate.Messages, []byte(request), bare(p))
		if e != nil {
			t.Fatal(e)
		}
		tool, call, choice, answer, at := "tools.#.function.name", "messages.1.tool_calls.0.function.name", "tool_choice.function.name",
			`{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"%s","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`, "content.0.name"
		if p == translate.Responses {
			tool, call, choice = "tools.#.name", "input.#(type==function_call).name", "tool_choice.name"
			answer = `{"id":"r","object":"response","created_at":1,"status":"completed","model":"m","output":[{"id":"fc_1","type":"function_call","call_id":"call_1","name":"%s","arguments":"{}","status":"completed"}]}`
		}
		names := gjson.GetBytes(r.Body, tool).Array()
		sent := names[0].String()
		if len(sent) > 64 || sent == names[1].String() || !strings.HasPrefix(sent, long[:55]) {
			t.Errorf("%s: the tools are sent as %v", apiName(p), names)
		}
		wantAt(t, r.Body, call, `"`+sent+`"`)
		wantAt(t, r.Body, choice, `"`+sent+`"`)
		wantAt(t, answerOf(t, r.Asked, fmt.Appendf(nil, answer, sent)), at, `"`+long+`"`)
	}
}

func testManyTools(t *testing.T) {
	for n, refused := range map[int]string{128: "", 129: "tools"} {
		var tools []string
		for i := range n {
			tools = append(tools, fmt.Sprintf(`{"name":"f%d","input_schema":{"type":"object"}}`, i))
		}
		for _, p := range []translate.Protocol{translate.Chat, translate.Responses} {
			c := requestCase{from: translate.Messages, request: claudeAsks(hello, `,"tools":[`+strings.Join(tools, ",")+`]`), to: openAI(translate.Capabilities{}), refused: refused}
			c.to.Protocol = p
			t.Run(fmt.Sprintf("%d tools for %s", n, apiName(p)), c.run)
		}
	}
}

func testLongIDs(t *testing.T) {
	long := "toolu_" + strings.Repeat("x", 60)
	for _, p := range []translate.Protocol{translate.Chat, translate.Responses} {
		request := strings.ReplaceAll(claudeAsks(hello+`,`+claudeCallOfF+`,`+claudeResultOfF, oneClaudeTool), "toolu_1", long)
		r, e := crossing.Translate(nil, translate.Messages, []byte(request), bare(p))
		if e != nil {
			t.Fatal(e)
		}
		call, result := "messages.1.tool_calls.0.id", "messages.2.tool_call_id"
		if p == translate.Responses {
			call, result = "input.#(type==function_call).call_id", "input.#(type==function_call_output).call_id"
		}
		id := gjson.GetBytes(r.Body, call).String()
		if id == "" || len(id) > 40 {
			t.Errorf("%s: the id became %q", apiName(p), id)
		}
		wantAt(t, r.Body, result, `"`+id+`"`)
	}
}

// reasoningItem is a reasoning item as its issuer wrote it.
const reasoningItem = `{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"Z0FBQQ=="}`

// thought is a thinking block of a Messages client with that item in it.
func thought(provider string) string {
	return `{"type":"thinking","thinking":"hm","signature":"` + string(translate.AppendEnvelope(nil, provider, []byte(reasoningItem))) + `"}`
}

func testReasoningItems(t *testing.T) {
	for _, tc := range []struct{ name, content, want string }{
		{"before a call", thought("acme") + `,{"type":"tool_use","id":"toolu_1","name":"f","input":{}}`, `["reasoning","function_call"]`},
		{"with nothing behind it", `{"type":"text","text":"Hi."},` + thought("acme"), `["message"]`},
		{"alone", thought("acme"), `[]`},
	} {
		request := claudeAsks(hello+`,{"role":"assistant","content":[`+tc.content+`]},{"role":"user","content":[{"type":"text","text":"go on"}]}`, "")
		if strings.Contains(tc.content, "tool_use") {
			request = claudeAsks(hello+`,{"role":"assistant","content":[`+tc.content+`]},`+claudeResultOfF, oneClaudeTool)
		}
		r, e := crossing.Translate(nil, translate.Messages, []byte(request), bare(translate.Responses))
		if e != nil {
			t.Fatal(e)
		}
		var types []string
		for _, item := range gjson.GetBytes(r.Body, "input").Array() {
			if item.Get("role").String() != "user" && item.Get("type").String() != "function_call_output" {
				types = append(types, `"`+item.Get("type").String()+`"`)
			}
		}
		if got := `[` + strings.Join(types, ",") + `]`; got != tc.want {
			t.Errorf("%s: the assistant's items are %s, want %s", tc.name, got, tc.want)
		}
	}
}

func testEncryptedReasoning(t *testing.T) {
	for provider, want := range map[string]string{"acme": `[` + reasoningItem + `]`, "other": `[]`} {
		request := claudeAsks(hello+`,{"role":"assistant","content":[`+thought(provider)+`,{"type":"text","text":"Hi."}]},`+hello, "")
		r, e := crossing.Translate(nil, translate.Messages, []byte(request), bare(translate.Responses))
		if e != nil {
			t.Fatal(e)
		}
		wantAt(t, r.Body, "input.#(type==reasoning)#", want)
	}
}

func testLongUsers(t *testing.T) {
	user := `{\"device_id\":\"` + strings.Repeat("0", 64) + `\",\"session_id\":\"1\"}`
	request := claudeAsks(hello, `,"metadata":{"user_id":"`+user+`"}`)
	var told []string
	for _, target := range []*translate.Target{openAI(translate.Capabilities{}), permissive(translate.Responses)} {
		r, e := crossing.Translate(nil, translate.Messages, []byte(request), target)
		if e != nil {
			t.Fatal(e)
		}
		got := gjson.GetBytes(r.Body, "safety_identifier").String() + gjson.GetBytes(r.Body, "user").String()
		if got == "" || len(got) > 64 {
			t.Errorf("%s: the user is %q", apiName(target.Protocol), got)
		}
		told = append(told, got)
	}
	if told[0] != told[1] {
		t.Errorf("the same user is %q and %q", told[0], told[1])
	}
}

// testReasoningContent sends reasoning back to a vendor that wants it on all turns
// with calls or on none.
func testReasoningContent(t *testing.T) {
	turn := func(id, thinking string) string {
		return strings.ReplaceAll(`{"role":"assistant","content":[`+thinking+`{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},`+claudeResultOfF, "toolu_1", id)
	}
	think := `{"type":"thinking","thinking":"hm","signature":"` + string(translate.AppendEnvelope(nil, "acme", nil)) + `"},`
	for _, tc := range []struct{ name, turns, want string }{
		{"all", turn("a", think) + `,` + turn("b", think), `["hm","hm"]`},
		{"one lacks it", turn("a", think) + `,` + turn("b", ""), `["hm",""]`},
		{"none", turn("a", "") + `,` + turn("b", ""), `[]`},
	} {
		r, e := crossing.Translate(nil, translate.Messages, []byte(claudeAsks(hello+`,`+tc.turns, oneClaudeTool)), vendor(translate.Quirks{ReasoningField: "reasoning_content"}))
		if e != nil {
			t.Fatal(e)
		}
		if got := gjson.GetBytes(r.Body, `messages.#.reasoning_content`).Raw; got != tc.want {
			t.Errorf("%s: reasoning_content = %s, want %s", tc.name, got, tc.want)
		}
	}
}

// testCallSignatures takes a vendor's signature of a call through a client that
// has no place for it but the id.
func testCallSignatures(t *testing.T) {
	gemini := vendor(translate.Quirks{ThoughtSignatures: true})
	answer := []byte(`{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"function-call-1","type":"function","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"Ab+/=="}}}]},"finish_reason":"tool_calls"}]}`)
	for _, client := range others(translate.Chat) {
		said := answerOf(t, asking(pair{translate.Chat, client}, false), answer)
		id := gjson.GetBytes(said, "content.0.id").String() + gjson.GetBytes(said, "output.0.call_id").String()
		request := strings.ReplaceAll(claudeAsks(hello+`,`+claudeCallOfF+`,`+claudeResultOfF, oneClaudeTool), "toolu_1", id)
		if client == translate.Responses {
			request = strings.ReplaceAll(`{"model":"m","input":[`+openAIHello+`,`+openAICallOfF+`,`+openAIResultOfF+`]}`, "call_1", id)
		}
		r, e := crossing.Translate(nil, client, []byte(request), gemini)
		if e != nil {
			t.Fatal(e)
		}
		wantAt(t, r.Body, "messages.1.tool_calls.0.extra_content.google.thought_signature", `"Ab+/=="`)
		wantAt(t, r.Body, "messages.1.tool_calls.0.id", `"function-call-1"`)
		wantAt(t, r.Body, "messages.2.tool_call_id", `"function-call-1"`)
	}
}
