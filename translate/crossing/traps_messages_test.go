package crossing_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
)

// asks is a Chat request with that conversation and those other members.
func asks(messages, members string) string {
	return `{"model":"m","messages":[` + messages + `]` + members + `}`
}

const (
	hello     = `{"role":"user","content":"hello"}`
	oneTool   = `,"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}]`
	callOfF   = `{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]}`
	resultOfF = `{"role":"tool","tool_call_id":"call_1","content":"done"}`
)

// claude is a model of the Messages API.
func claude(c translate.Capabilities) *translate.Target {
	return to(translate.Messages, func(t *translate.Target) { t.Capabilities = c })
}

var allEfforts = []string{"low", "medium", "high", "xhigh", "max"}

var messagesTraps = []trap{
	{number: 1, name: "max_tokens is required", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, ""), to: claude(translate.Capabilities{}),
			want: map[string]string{"max_tokens": "32000"}, losses: []string{},
		},
		{
			from: translate.Responses, request: `{"model":"m","input":"hello"}`, to: claude(translate.Capabilities{MaxOutputTokens: 8192}),
			want: map[string]string{"max_tokens": "8192"},
		},
		{
			from: translate.Chat, request: asks(hello, `,"max_tokens":99,"max_completion_tokens":100`), to: claude(translate.Capabilities{MaxOutputTokens: 8192}),
			want: map[string]string{"max_tokens": "100"},
		},
		{
			from: translate.Chat, request: asks(hello, `,"max_completion_tokens":9000`), to: claude(translate.Capabilities{MaxOutputTokens: 8192}),
			want: map[string]string{"max_tokens": "8192"}, losses: []string{"max_completion_tokens clamped"},
		},
	}},
	{number: 2, name: "temperature goes to 2 or to 1", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, `,"temperature":1.7`), to: bare(translate.Messages),
			want: map[string]string{"temperature": "1"}, losses: []string{"temperature clamped"},
		},
		{
			from: translate.Responses, request: `{"model":"m","input":"hello","temperature":0.70}`, to: bare(translate.Messages),
			want: map[string]string{"temperature": "0.70"}, losses: []string{},
		},
	}},
	{number: 3, name: "temperature and top_p together", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, `,"temperature":0.5,"top_p":0.9`), to: claude(translate.Capabilities{Sampling: "one"}),
			want: map[string]string{"temperature": "0.5", "top_p": "-"}, losses: []string{"top_p dropped"},
		},
	}},
	{number: 4, name: "models that refuse any sampling parameter", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, `,"temperature":0.5,"top_p":0.9`), to: claude(translate.Capabilities{Sampling: "never"}),
			want: map[string]string{"temperature": "-", "top_p": "-"}, losses: []string{"temperature dropped", "top_p dropped"},
		},
	}},
	{number: 5, name: "thinking with temperature, top_k or a forced tool", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, `,"reasoning_effort":"high","temperature":0.5,"tool_choice":"required"`+oneTool),
			to:   claude(translate.Capabilities{Thinking: "budget", ForcedTools: "not_thinking", MaxOutputTokens: 64000}),
			want: map[string]string{"thinking": `{"type":"enabled","budget_tokens":16384}`, "temperature": "-", "tool_choice.type": `"auto"`},
		},
	}},
	{number: 6, name: "thinking budgets that do not fit", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, `,"reasoning_effort":"high","max_completion_tokens":5000`), to: claude(translate.Capabilities{Thinking: "budget"}),
			want: map[string]string{"thinking.budget_tokens": "4999", "max_tokens": "5000"},
		},
		{
			from: translate.Chat, request: asks(hello, `,"reasoning_effort":"high","max_completion_tokens":1000`), to: claude(translate.Capabilities{Thinking: "budget"}),
			want: map[string]string{"thinking.budget_tokens": "-", "max_tokens": "1000"}, losses: []string{"reasoning_effort dropped"},
		},
	}},
	{number: 7, name: "each model has its own way to be told to think", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, `,"reasoning_effort":"medium"`), to: claude(translate.Capabilities{Thinking: "adaptive", Efforts: allEfforts}),
			want: map[string]string{"thinking.type": `"adaptive"`, "thinking.budget_tokens": "-", "output_config.effort": `"medium"`},
		},
		{
			from: translate.Chat, request: asks(hello, `,"reasoning_effort":"medium"`), to: claude(translate.Capabilities{Thinking: "budget"}),
			want: map[string]string{"thinking": `{"type":"enabled","budget_tokens":10000}`, "output_config.effort": "-"},
		},
		{
			from: translate.Chat, request: asks(hello, `,"reasoning_effort":"xhigh"`), to: claude(translate.Capabilities{Thinking: "adaptive", Efforts: []string{"low", "medium", "high", "max"}}),
			want: map[string]string{"output_config.effort": `"max"`},
		},
	}},
	{number: 8, name: "models that can never be forced to call a tool", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, `,"tool_choice":{"type":"function","function":{"name":"f"}}`+oneTool), to: claude(translate.Capabilities{ForcedTools: "never"}),
			want: map[string]string{"tool_choice.type": `"auto"`, "tool_choice.name": "-"}, losses: []string{"tool_choice changed"},
		},
	}},
	{number: 9, name: "prefill refused", requests: []requestCase{
		{from: translate.Chat, request: asks(hello+`,{"role":"assistant","content":"Once"}`, ""), to: claude(translate.Capabilities{Prefill: no()}), refused: "messages[1]"},
		{
			from: translate.Chat, request: asks(hello+`,{"role":"assistant","content":"Once"}`, ""), to: bare(translate.Messages),
			want: map[string]string{"messages.1.role": `"assistant"`},
		},
	}},
	{number: 10, name: "white space at the end of the final assistant text", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello+`,{"role":"assistant","content":"One. \n"},`+hello+`,{"role":"assistant","content":"Two \n\t"}`, ""), to: bare(translate.Messages),
			want: map[string]string{"messages.3.content.0.text": `"Two"`, "messages.1.content.0.text": `"One. \n"`},
		},
	}},
	{number: 11, name: "empty texts, contents and results", requests: []requestCase{
		{
			from: translate.Chat, request: asks(`{"role":"user","content":[{"type":"text","text":""},{"type":"text","text":"hello"},{"type":"text","text":" \n"}]},{"role":"assistant","content":"","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":""}}]},{"role":"tool","tool_call_id":"call_1","content":""}`, oneTool), to: bare(translate.Messages),
			want: map[string]string{"messages.0.content.#": "1", "messages.1.content.#": "1", "messages.1.content.0.input": "{}", "messages.2.content.0.content.0": "-"},
		},
	}},
	{number: 12, name: "all results in the very next user turn", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello+`,{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"call_2","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_2","content":"two"},{"role":"tool","tool_call_id":"call_1","content":"one"},{"role":"user","content":"go on"}`, oneTool), to: bare(translate.Messages),
			want: map[string]string{"messages.#": "3", "messages.2.content.#.type": `["tool_result","tool_result","text"]`},
		},
	}},
	{number: 13, name: "a user message between two results", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello+`,`+hello+`,{"role":"assistant","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"call_2","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"one"},{"role":"user","content":"wait"},{"role":"tool","tool_call_id":"call_2","content":"two"}`, oneTool), to: bare(translate.Messages),
			want: map[string]string{"messages.#.role": `["user","assistant","user"]`, "messages.0.content.#": "2", "messages.2.content.#.type": `["tool_result","tool_result","text"]`},
		},
	}},
	{number: 14, name: "a tool turn that lost its thinking", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello+`,`+callOfF+`,`+resultOfF, `,"reasoning_effort":"high"`+oneTool), to: claude(translate.Capabilities{Thinking: "budget", MaxOutputTokens: 64000}),
			want: map[string]string{"thinking.budget_tokens": "-"}, losses: []string{"reasoning_effort dropped"},
		},
	}},
	{number: 15, name: "foreign, edited or missing signatures", test: testSignatures},
	{number: 16, name: "stop sequences of white space", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, `,"stop":["\n"," ","END"]`), to: bare(translate.Messages),
			want: map[string]string{"stop_sequences": `["END"]`}, losses: []string{"stop dropped"},
		},
		{
			from: translate.Chat, request: asks(hello, `,"stop":"\n\n"`), to: bare(translate.Messages),
			want: map[string]string{"stop_sequences": "-"}, losses: []string{"stop dropped"},
		},
	}},
	{number: 17, name: "tool names that are too long, odd or double", test: testToolNames, requests: []requestCase{
		{from: translate.Chat, request: asks(hello, `,"tools":[{"type":"function","function":{"name":"f"}},{"type":"function","function":{"name":"f"}}]`), to: bare(translate.Messages), refused: "tools[1]"},
	}},
	{number: 18, name: "tool ids with dot, colon or pipe", test: testToolIDs},
	{number: 19, name: "schemas without an object at the root", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, `,"tools":[{"type":"function","function":{"name":"f","parameters":{"oneOf":[{"type":"object","properties":{"a":{"type":"string"}}},{"type":"object","properties":{"b":{"type":"string"}}}]}}}]`), to: bare(translate.Messages),
			want: map[string]string{"tools.0.input_schema.type": `"object"`, "tools.0.input_schema.oneOf": "-"},
		},
		{
			from: translate.Chat, request: asks(hello, `,"tools":[{"type":"function","function":{"name":"f","parameters":{"properties":{"a":{"type":"string"}}}}},{"type":"function","function":{"name":"g"}}]`), to: bare(translate.Messages),
			want: map[string]string{"tools.0.input_schema.type": `"object"`, "tools.0.input_schema.properties.a.type": `"string"`, "tools.1.input_schema": `{"type":"object","properties":{}}`},
		},
	}},
	{number: 20, name: "schema keywords that structured output refuses", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, `,"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,"schema":{"type":"object","properties":{"a":{"type":"string","maxLength":9,"description":"A name."},"b":{"oneOf":[{"type":"integer","minimum":3},{"type":"null"}]}},"required":["a"]}}}`), to: bare(translate.Messages),
			want: map[string]string{
				"output_config.format.type": `"json_schema"`, "output_config.format.name": "-", "output_config.format.strict": "-",
				"output_config.format.schema.additionalProperties":   "false",
				"output_config.format.schema.properties.a.maxLength": "-", "output_config.format.schema.properties.b.oneOf": "-",
				"output_config.format.schema.properties.b.anyOf.0.minimum": "-", "output_config.format.schema.required": `["a"]`,
			},
		},
	}},
	{number: 21, name: "calls in the history of a request without tools", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello+`,`+callOfF+`,`+resultOfF, ""), to: bare(translate.Messages),
			want: map[string]string{"tools.#": "1", "tools.0.name": `"f"`, "tools.0.input_schema.type": `"object"`},
		},
	}},
	{number: 22, name: "more than four marks for the cache", requests: []requestCase{
		{
			from: translate.Chat, request: asks(`{"role":"user","content":[`+strings.Repeat(`{"type":"text","text":"x","prompt_cache_breakpoint":{"mode":"explicit"}},`, 5)+`{"type":"text","text":"y","prompt_cache_breakpoint":{"mode":"explicit"}}]}`, ""), to: bare(translate.Messages),
			want: map[string]string{"messages.0.content.#.cache_control.type": `["ephemeral","ephemeral","ephemeral","ephemeral"]`, "messages.0.content.0.cache_control": "-", "messages.0.content.1.cache_control": "-"},
		},
	}},
	{number: 23, name: "marks for the cache on empty text", requests: []requestCase{
		{
			from: translate.Chat, request: asks(`{"role":"user","content":[{"type":"text","text":"hello"},{"type":"text","text":"","prompt_cache_breakpoint":{"mode":"explicit"}}]}`, ""), to: bare(translate.Messages),
			want: map[string]string{"messages.0.content.#": "1", "messages.0.content.0.text": `"hello"`},
		},
	}},
	{number: 24, name: "no parallel calls without a tool choice", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, `,"parallel_tool_calls":false`+oneTool), to: bare(translate.Messages),
			want: map[string]string{"tool_choice": `{"type":"auto","disable_parallel_tool_use":true}`},
		},
		{
			from: translate.Chat, request: asks(hello, `,"parallel_tool_calls":false`), to: bare(translate.Messages),
			want: map[string]string{"tool_choice": "-"},
		},
	}},
	{number: 25, name: "tool choice none keeps the tools", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, `,"tool_choice":"none"`+oneTool), to: bare(translate.Messages),
			want: map[string]string{"tool_choice": `{"type":"none"}`, "tools.#": "1"},
		},
	}},
	{number: 26, name: "system messages stay where they are", requests: []requestCase{
		{
			from: translate.Chat, request: asks(`{"role":"system","content":"first"},`+hello+`,{"role":"system","content":"later"}`, ""), to: bare(translate.Messages),
			want: map[string]string{"system.#.text": `["first"]`, "messages.#": "1", "messages.0.content.#": "2"}, losses: []string{"messages.role changed"},
		},
		{
			from: translate.Chat, request: asks(`{"role":"system","content":"first"},`+hello+`,{"role":"system","content":"later"}`, ""), to: claude(translate.Capabilities{SystemTurns: yes()}),
			want: map[string]string{"system.#.text": `["first"]`, "messages.#.role": `["user","system"]`}, losses: []string{},
		},
	}},
	{number: 27, name: "system takes only text", requests: []requestCase{
		{from: translate.Chat, request: asks(`{"role":"system","content":[{"type":"image_url","image_url":{"url":"https://example.com/a.png"}}]},`+hello, ""), to: bare(translate.Messages), refused: "messages[0].content[0]"},
	}},
	{number: 28, name: "a user that is an e-mail address", test: testUserIDs},
	{number: 29, name: "any JSON has no counterpart", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, `,"response_format":{"type":"json_object"}`), to: bare(translate.Messages),
			want: map[string]string{"output_config": "-", "system.#": "1"}, losses: []string{"response_format changed"},
		},
	}},
	{number: 30, name: "media types that one side does not know", requests: []requestCase{
		{
			from: translate.Chat, request: asks(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/jpg;base64,/9j/4AAQSkZJRg=="}}]}`, ""), to: bare(translate.Messages),
			want: map[string]string{"messages.0.content.0.source": `{"type":"base64","media_type":"image/jpeg","data":"/9j/4AAQSkZJRg=="}`},
		},
		{from: translate.Chat, request: asks(`{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/svg+xml;base64,PHN2Zy8+"}}]}`, ""), to: bare(translate.Messages), refused: "messages[0]"},
	}},
	{number: 31, name: "efforts that only OpenAI has", requests: []requestCase{
		{
			from: translate.Chat, request: asks(hello, `,"reasoning_effort":"minimal"`), to: claude(translate.Capabilities{Thinking: "adaptive", Efforts: allEfforts}),
			want: map[string]string{"thinking.type": `"adaptive"`, "output_config.effort": `"low"`},
		},
		{
			from: translate.Responses, request: `{"model":"m","input":"hello","reasoning":{"effort":"none"}}`, to: claude(translate.Capabilities{Thinking: "adaptive", Efforts: allEfforts}),
			want: map[string]string{"thinking.type": `"disabled"`, "output_config.effort": "-"},
		},
	}},
}

// testSignatures sends back reasoning out of an envelope to its issuer, to
// another one, and reasoning that is in no envelope.
func testSignatures(t *testing.T) {
	block := `{"type":"thinking","thinking":"hm < & é","signature":"c2ln"}`
	own := string(translate.AppendEnvelope(nil, "acme", []byte(block)))
	for _, tc := range []struct{ name, seal, want string }{
		{"its issuer", own, block},
		{"another provider", string(translate.AppendEnvelope(nil, "other", []byte(block))), ""},
		{"a vendor's own", "gAAAAABo", ""},
		{"damaged", own[:len(own)-5] + "!", ""},
		{"without content", string(translate.AppendEnvelope(nil, "acme", nil)), ""},
	} {
		request := `{"model":"m","input":[{"role":"user","content":"hello"},{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"hm < & é"}],"encrypted_content":"` + tc.seal + `"},` +
			`{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi."}]},{"role":"user","content":"go on"}]}`
		r, e := crossing.Translate(nil, translate.Responses, []byte(request), bare(translate.Messages))
		if e != nil {
			t.Fatal(e)
		}
		want := `[` + tc.want + `]`
		if got := gjson.GetBytes(r.Body, `messages.1.content.#(type!=text)#`).Raw; got != want {
			t.Errorf("%s: the thinking is %s, want %s", tc.name, got, want)
		}
	}
}

// testToolNames sends tools under names that Messages takes, and tells their calls
// by the client's names.
func testToolNames(t *testing.T) {
	long := strings.Repeat("n", 130)
	for _, name := range []string{long + "1", long + "2", "a.b", "a:b", "a b"} {
		request := asks(hello, `,"tools":[{"type":"function","function":{"name":"`+name+`"}}]`)
		r, e := crossing.Translate(nil, translate.Chat, []byte(request), bare(translate.Messages))
		if e != nil {
			t.Fatal(e)
		}
		sent := gjson.GetBytes(r.Body, "tools.0.name").String()
		if len(sent) > 128 || strings.ContainsAny(sent, ".: ") {
			t.Errorf("%q is sent as %q", name, sent)
		}
		answer := `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"tool_use","id":"toolu_1","name":"` + sent + `","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1}}`
		wantAt(t, answerOf(t, r.Asked, []byte(answer)), "choices.0.message.tool_calls.0.function.name", `"`+name+`"`)
	}
}

// testToolIDs crosses with ids that Messages refuses: call and result alike, and
// always in the same way.
func testToolIDs(t *testing.T) {
	seen := map[string]bool{}
	for _, id := range []string{"functions.x:0", "functions.x:1", "call_1|fc_2", "a.b", strings.Repeat("i", 50), strings.Repeat("i", 51)} {
		request := asks(hello+`,`+strings.ReplaceAll(callOfF+`,`+resultOfF, "call_1", id), oneTool)
		r, e := crossing.Translate(nil, translate.Chat, []byte(request), bare(translate.Messages))
		if e != nil {
			t.Fatal(e)
		}
		call := gjson.GetBytes(r.Body, "messages.1.content.0.id").String()
		result := gjson.GetBytes(r.Body, "messages.2.content.0.tool_use_id").String()
		if call != result || call == "" || len(call) > 40 || strings.ContainsAny(call, ".:|") || seen[call] {
			t.Errorf("%q became %q in the call and %q in its result", id, call, result)
		}
		seen[call] = true
	}
}

// testUserIDs sends who the user is without what could be used to write to him.
func testUserIDs(t *testing.T) {
	for _, tc := range []struct {
		user string
		same bool
	}{{"user-1", true}, {"someone@example.com", false}, {"+49 89 1234567", false}} {
		r, e := crossing.Translate(nil, translate.Chat, fmt.Appendf(nil, `{"model":"m","messages":[%s],"user":%q}`, hello, tc.user), bare(translate.Messages))
		if e != nil {
			t.Fatal(e)
		}
		if got := gjson.GetBytes(r.Body, "metadata.user_id").String(); (got == tc.user) != tc.same || got == "" {
			t.Errorf("the user %q became %q", tc.user, got)
		}
	}
}
