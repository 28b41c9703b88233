package simulated

import (
	"net/http"
	"strings"
	"testing"
)

func TestAConversationMustObeyItsService(t *testing.T) {
	sealed := seal("hm")
	const (
		chatCall      = `{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"a","arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"a","arguments":"{}"}}]}`
		chatResult    = `{"role":"tool","tool_call_id":"c1","content":"1"},{"role":"tool","tool_call_id":"c2","content":"2"}`
		messageCall   = `{"role":"assistant","content":[{"type":"tool_use","id":"t1","name":"a","input":{}},{"type":"tool_use","id":"t2","name":"a","input":{}}]}`
		messageResult = `{"type":"tool_result","tool_use_id":"t1","content":"1"},{"type":"tool_result","tool_use_id":"t2"}`
		user          = `{"role":"user","content":"x"}`
	)
	for _, tc := range []struct {
		api, conversation string
		complaint         string // "": none
	}{
		{"chat", user + `,` + chatCall + `,` + chatResult, ""},
		{"chat", user + `,` + chatCall + `,` + chatResult + `,` + user, ""},
		{"chat", user + `,` + chatCall + `,` + user, "did not have response messages: c1, c2"},
		{"chat", user + `,` + chatCall, "did not have response messages: c1, c2"},
		{"chat", user + `,{"role":"tool","tool_call_id":"c1","content":"1"}`, "must be a response"},
		{"chat", `{"role":"user","content":[{"type":"input_text","text":"x"}]}`, "Invalid value: 'input_text'"},
		{"chat", `{"role":"user","content":[{"type":"text","text":"x"},{"type":"hologram"}]}`, ""},
		{"chat", user + `,{"role":"assistant","tool_calls":[{"id":"` + strings.Repeat("x", 41) + `","type":"function","function":{"name":"a","arguments":"{}"}}]}`, "1 to 40 characters"},
		{"chat", user + `,{"role":"assistant","tool_calls":[{"id":"c","type":"function","function":{"name":"a","arguments":{}}}]}`, "expected a string"},

		{"messages", user + `,` + messageCall + `,{"role":"user","content":[` + messageResult + `,{"type":"text","text":"y"}]}`, ""},
		{"messages", user + `,` + messageCall + `,{"role":"user","content":[` + messageResult + `]},{"role":"system","content":"z"}`, ""},
		{"messages", user + `,` + messageCall + `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"t2"}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t1"}]}`, ""},
		{"messages", user + `,` + messageCall + `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"t2"}]}`, "immediately after: t1"},
		{"messages", user + `,` + messageCall + `,` + user + `,{"role":"assistant","content":"z"}`, "immediately after: t1, t2"},
		{"messages", user + `,` + messageCall + `,{"role":"user","content":[{"type":"text","text":"y"},` + messageResult + `]}`, "must come before other content"},
		{"messages", `{"role":"user","content":[` + messageResult + `]}`, "unexpected `tool_use_id`"},
		{"messages", user + `,{"role":"assistant","content":[{"type":"tool_use","id":"functions.a:0","name":"a","input":{}}]}`, "should match pattern"},
		{"messages", user + `,{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"a","input":"{}"}]}`, "valid dictionary"},
		{"messages", user + `,{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"` + sealed + `"}]}`, ""},
		{"messages", user + `,{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"` + sealed + `"}]}`, ""},
		{"messages", user + `,{"role":"assistant","content":[{"type":"redacted_thinking","data":"` + sealed + `"}]}`, ""},
		{"messages", user + `,{"role":"assistant","content":[{"type":"thinking","thinking":"hmm","signature":"` + sealed + `"}]}`, "Invalid `signature`"},
		{"messages", user + `,{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":""}]}`, "Invalid `signature`"},
		{"messages", user + `,{"role":"assistant","content":[{"type":"thinking","thinking":"hm"}]}`, "signature: Field required"},
		{"messages", user + `,{"role":"assistant","content":[{"type":"redacted_thinking","data":"x"}]}`, "Invalid `data`"},
		{"messages", `{"role":"user","content":[{"type":"text","text":""}]}`, "must be non-empty"},
		{"messages", `{"role":"user","content":[{"type":"image_url"}]}`, "Input tag 'image_url'"},
		{"messages", `{"role":"tool","content":"x"}`, "messages.0.role"},

		{"responses", user + `,{"type":"function_call","id":"fc_1","call_id":"1","name":"a","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":"x"}`, ""},
		{"responses", user + `,{"type":"function_call","id":"toolu_1","call_id":"1","name":"a","arguments":"{}"},{"type":"function_call_output","call_id":"1","output":"x"}`, "begins with 'fc'"},
		{"responses", user + `,{"type":"function_call","call_id":"1","name":"a","arguments":"{}"}`, "No tool output found for function call 1"},
		{"responses", user + `,{"type":"custom_tool_call_output","call_id":"1","output":"x"}`, "No tool call found for custom tool call output with call_id 1"},
		{"responses", user + `,{"type":"reasoning","summary":[],"encrypted_content":"` + sealed + `"}`, ""},
		{"responses", user + `,{"type":"reasoning","summary":[],"encrypted_content":"x"}`, "could not be verified"},
		{"responses", `{"role":"user","content":[{"type":"text","text":"x"}]}`, "Invalid value: 'text'"},
		{"responses", `{"type":"tool_result"}`, "Invalid value: 'tool_result'"},
	} {
		body := map[string]string{
			"chat":      `{"model":"demo","messages":[` + tc.conversation + `]}`,
			"messages":  `{"model":"demo","max_tokens":99,"messages":[` + tc.conversation + `]}`,
			"responses": `{"model":"demo","input":[` + tc.conversation + `]}`,
		}[tc.api]
		path := map[string]string{"chat": "/chat/completions"}[tc.api]
		if path == "" {
			path = "/" + tc.api
		}
		w := do(New(Config{}), "POST", path, body)
		switch {
		case tc.complaint == "" && w.Code != http.StatusOK:
			t.Errorf("%s: %s is refused: %s", tc.api, tc.conversation, w.Body)
		case tc.complaint != "" && (w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), tc.complaint)):
			t.Errorf("%s: %s: %d, %s, want %q", tc.api, tc.conversation, w.Code, w.Body, tc.complaint)
		}
	}
}

func TestMembersOfAnotherProtocolAreRefused(t *testing.T) {
	for _, tc := range []struct {
		api, member string
		refused     bool
	}{
		{"/chat/completions", `"system":"x"`, true},
		{"/chat/completions", `"max_output_tokens":9`, true},
		{"/chat/completions", `"min_p":0.1,"seed":1`, false},
		{"/messages", `"reasoning_effort":"low"`, true},
		{"/messages", `"parallel_tool_calls":true`, true},
		{"/messages", `"top_k":1,"next_year":1`, false},
		{"/responses", `"messages":[]`, true},
		{"/responses", `"max_tokens":9`, true},
		{"/responses", `"store":false`, false},
	} {
		conversation := `"messages":[{"role":"user","content":"x"}]`
		switch tc.api {
		case "/messages":
			conversation += `,"max_tokens":99`
		case "/responses":
			conversation = `"input":"x"`
		}
		w := do(New(Config{}), "POST", tc.api, `{"model":"demo",`+conversation+`,`+tc.member+`}`)
		if refused := w.Code == http.StatusBadRequest; refused != tc.refused {
			t.Errorf("%s with %s: %d, %s", tc.api, tc.member, w.Code, w.Body)
		}
	}
}

func TestUsageTellsOfThePromptCache(t *testing.T) {
	prompt := strings.Repeat("x", 4000)
	for _, tc := range []struct {
		api, body string
		want      []string
	}{
		{"/chat/completions", `"messages":[{"role":"user","content":"` + prompt + `"}]`, []string{`"prompt_tokens":1007`, `"cached_tokens":503,"cache_write_tokens":251`}},
		{"/responses", `"input":"` + prompt + `"`, []string{`"input_tokens":1001`, `"cached_tokens":500,"cache_write_tokens":250`}},
		{"/messages", `"max_tokens":99,"messages":[{"role":"user","content":"` + prompt + `"}]`, []string{
			`"input_tokens":253,"cache_creation_input_tokens":251,"cache_read_input_tokens":503`, `"ephemeral_5m_input_tokens":251`,
		}},
	} {
		for _, stream := range []string{"", `,"stream":true,"stream_options":{"include_usage":true}`} {
			if tc.api == "/messages" && stream != "" {
				stream = `,"stream":true`
			}
			w := do(New(Config{}), "POST", tc.api, `{"model":"demo-cache",`+tc.body+stream+`}`)
			for _, want := range tc.want {
				if !strings.Contains(w.Body.String(), want) {
					t.Errorf("%s: %s\nlacks %s", tc.api, w.Body, want)
				}
			}
		}
	}
}

func TestHiddenReasoningShowsOnlyItsSeal(t *testing.T) {
	for _, tc := range []struct{ api, body, want string }{
		{"/chat/completions", `"messages":[{"role":"user","content":"x"}]`, `"content"`},
		{"/responses", `"input":"x","include":["reasoning.encrypted_content"]`, `"encrypted_content":"`},
		{"/messages", `"max_tokens":999,"messages":[{"role":"user","content":"x"}]`, `"type":"redacted_thinking","data":"`},
	} {
		for _, stream := range []string{"", `,"stream":true`} {
			body := do(New(Config{}), "POST", tc.api, `{"model":"demo-hidden",`+tc.body+stream+`}`).Body.String()
			if !strings.Contains(body, tc.want) || strings.Contains(body, "Nothing has to be looked up") {
				t.Errorf("%s%s: %s", tc.api, stream, body)
			}
		}
	}
}
