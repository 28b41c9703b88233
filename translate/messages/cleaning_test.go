package messages

import (
	"strings"
	"testing"
)

func TestWhatOthersSealedAndSignedDoesNotReachAProviderOfTheSameProtocol(t *testing.T) {
	thought := `{"type":"thinking","thinking":"a, \"b\"","signature":"` + sealed(`{"x":1}`) + `"}`
	redacted := `{"type": "redacted_thinking", "data": "` + sealed("") + `"}`
	const real = `{"type":"thinking","thinking":"c","signature":"EqX"}`
	for _, tc := range []struct{ name, in, want string }{
		{"nothing", `{"messages":[{"role":"user","content":"hi"}]}`, ""},
		{"real signatures", `{"messages":[{"role":"assistant","content":[` + real + `]}]}`, ""},
		{
			"one", `{"model":"m", "messages":[{"role":"user","content":"hi"},{"content":[` + thought + `, {"type":"text","text":"x"} ],"role":"assistant"}],"max_tokens":1}`,
			`{"model":"m", "messages":[{"role":"user","content":"hi"},{"content":[{"type":"text","text":"x"} ],"role":"assistant"}],"max_tokens":1}`,
		},
		{
			"several", `{"messages":[{"role":"assistant","content":[` + redacted + `,` + real + `,` + thought + `,{"type":"text","text":"x"},` + thought + `]},{"role":"user","content":"so?"}]}`,
			`{"messages":[{"role":"assistant","content":[` + real + `,{"type":"text","text":"x"}]},{"role":"user","content":"so?"}]}`,
		},
		{
			"all of a message", `{"messages":[{"role":"user","content":"a"}, {"role":"assistant","content":[` + thought + `]}, {"role":"user","content":"b"}]}`,
			`{"messages":[{"role":"user","content":"a"}, {"role":"user","content":"b"}]}`,
		},
		{
			"citations", `{"messages":[{"role":"assistant","content":[{"type":"text","text":"x","citations":[{"url":"a","encrypted_index":"lgw1.p."},{"url":"b","encrypted_index":"Eo"}]},` +
				`{"type":"text","text":"y","citations":[{"url":"a","encrypted_index":"lgw1.p."}]}]}]}`,
			`{"messages":[{"role":"assistant","content":[{"type":"text","text":"x","citations":[{"url":"b","encrypted_index":"Eo"}]},{"type":"text","text":"y","citations":[]}]}]}`,
		},
		{"spoken of", `{"messages":[{"role":"user","content":"what is lgw1.x?"},{"role":"assistant","content":[{"type":"text","text":"lgw1. is a mark"}]},{"role":"assistant","content":"lgw1."}]}`, ""},
		{"by the user", `{"messages":[{"role":"user","content":[` + thought + `]}]}`, ""},
		{"an empty message beside", `{"messages":[{"role":"assistant","content":[],"note":"lgw1."}]}`, ""},
		{
			"signed calls", `{"messages":[{"role":"assistant","content":[{"type":"tool_use", "id":"call_1__sig_c2ln","name":"f","input":{"id":"a__sig_QQ"}},{"type":"tool_use","id":"toolu_2","name":"f","input":{}}]},` +
				`{"role":"user","content":[ {"tool_use_id":"call_1__sig_c2ln","type":"tool_result","content":"b__sig_QQ"}, {"type":"tool_result","tool_use_id":"toolu_2"}]}]}`,
			`{"messages":[{"role":"assistant","content":[{"type":"tool_use", "id":"call_1","name":"f","input":{"id":"a__sig_QQ"}},{"type":"tool_use","id":"toolu_2","name":"f","input":{}}]},` +
				`{"role":"user","content":[ {"tool_use_id":"call_1","type":"tool_result","content":"b__sig_QQ"}, {"type":"tool_result","tool_use_id":"toolu_2"}]}]}`,
		},
		{
			"thinking and a signed call", `{"messages":[{"role":"assistant","content":[` + thought + `,{"type":"tool_use","id":"c__sig_QQ","name":"f","input":{}}]}]}`,
			`{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"c","name":"f","input":{}}]}]}`,
		},
		{
			"ids of another kind", `{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"__sig_QQ"},{"type":"tool_use","id":"a__sig_"},{"type":"tool_use","id":"a__sig_Q"},{"type":"tool_use","id":"a__sig_b c"}]},` +
				`{"role":"user","content":[{"type":"text","id":"a__sig_QQ","text":"a__sig_QQ"},{"type":"tool_result","tool_use_id":7,"content":"a__sig_QQ"}]}],"id":"a__sig_QQ"}`, "",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, changed := Cleaned([]byte("x"), []byte(tc.in))
			if changed != (tc.want != "") || string(got) != "x"+tc.want {
				t.Errorf("Cleaned(%s) = %s, %v, want x%s", tc.in, got, changed, tc.want)
			}
		})
	}
}

func FuzzCleaned(f *testing.F) {
	f.Add(`{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"lgw1.p."}]}]}`)
	f.Add(`{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"c__sig_QQ"}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"c__sig_QQ__sig_QQ"}]}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		got, changed := Cleaned(nil, []byte(body))
		if !changed && len(got) > 0 {
			t.Errorf("Cleaned(%q) = %q, false", body, got)
		}
		if again, more := Cleaned(nil, got); changed && more {
			t.Errorf("Cleaned(%q) = %q, and then %q", body, got, again)
		}
		if strings.Count(string(got), "signature") > strings.Count(body, "signature") {
			t.Errorf("Cleaned(%q) = %q", body, got)
		}
	})
}

func TestThinkingIsNotAskedForWhereItsThoughtsAreGone(t *testing.T) {
	const (
		user    = `{"role":"user","content":"hi"}`
		call    = `{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]}`
		thought = `{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"tool_use","id":"a","name":"f","input":{}}]}`
		result  = `{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","content":"r"},{"type":"text","text":"go on"}]}`
		words   = `{"role":"assistant","content":[{"type":"text","text":"well"}]}`
	)
	for _, tc := range []struct {
		thinking string
		messages []string
		want     bool
	}{
		{"enabled", []string{user, call, result}, true},
		{"enabled", []string{user, thought, result}, false},
		{"enabled", []string{user, thought, result, call, result}, false},
		{"enabled", []string{user, call, result, thought, result}, true},
		{"enabled", []string{user, call, result, words, user}, false},
		{"enabled", []string{user, call, result, words, user, call, result}, true},
		{"enabled", []string{user}, false},
		{"adaptive", []string{user, call, result}, false},
		{"disabled", []string{user, call, result}, false},
	} {
		body := `{"thinking":{"type":"` + tc.thinking + `"},"messages":[` + strings.Join(tc.messages, ",") + `]}`
		if got := CannotThink([]byte(body)); got != tc.want {
			t.Errorf("CannotThink(%s) = %v, want %v", body, got, tc.want)
		}
	}
}
