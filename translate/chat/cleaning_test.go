package chat

import "testing"

func TestSignaturesOfCallsDoNotReachAProviderOfTheSameProtocol(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"nothing", `{"messages":[{"role":"user","content":"hi"}]}`, ""},
		{
			"calls and results", `{"model":"m", "messages":[{"role":"assistant","tool_calls":[{"index":0, "id":"call_1__sig_c2ln","function":{"name":"f","arguments":"{\"id\":\"a__sig_QQ\"}"}} , {"id":"call_2"}]},` +
				`{"tool_call_id":"call_1__sig_c2ln","role":"tool","content":"b__sig_QQ"}, {"role":"tool","tool_call_id":"call_2"}],"user":"c__sig_QQ"}`,
			`{"model":"m", "messages":[{"role":"assistant","tool_calls":[{"index":0, "id":"call_1","function":{"name":"f","arguments":"{\"id\":\"a__sig_QQ\"}"}} , {"id":"call_2"}]},` +
				`{"tool_call_id":"call_1","role":"tool","content":"b__sig_QQ"}, {"role":"tool","tool_call_id":"call_2"}],"user":"c__sig_QQ"}`,
		},
		{
			"signed twice", `{"messages":[{"role":"tool","tool_call_id":"a__sig_QQ__sig_QUI"}]}`,
			`{"messages":[{"role":"tool","tool_call_id":"a"}]}`,
		},
		{
			"ids of another kind", `{"messages":[{"role":"assistant","id":"a__sig_QQ","tool_calls":[{"id":"__sig_QQ"},{"id":"a__sig_"},{"id":"a__sig_Q"},{"id":"a__sig_b+c"},{"id":null}]},` +
				`{"role":"user","content":"a__sig_QQ","tool_call_id":"a__sig_QQ"},{"role":"tool","tool_call_id":"the __sig_ mark","content":"lgw1."}]}`, "",
		},
		{"no messages", `{"prompt":"a__sig_QQ"}`, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			want := "x" + tc.want
			if got, changed := Cleaned([]byte("x"), []byte(tc.in)); changed != (tc.want != "") || string(got) != want {
				t.Errorf("Cleaned(%s) = %s, %v, want %s", tc.in, got, changed, want)
			}
		})
	}
}

func FuzzCleaned(f *testing.F) {
	f.Add(`{"messages":[{"role":"assistant","tool_calls":[{"id":"c__sig_QQ"}]},{"role":"tool","tool_call_id":"c__sig_QQ__sig_QQ"}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		got, changed := Cleaned(nil, []byte(body))
		if changed == (len(got) == 0) || len(got) >= len(body) && changed {
			t.Errorf("Cleaned(%q) = %q, %v", body, got, changed)
		}
		if again, more := Cleaned(nil, got); more {
			t.Errorf("Cleaned(%q) = %q, and then %q", body, got, again)
		}
	})
}
