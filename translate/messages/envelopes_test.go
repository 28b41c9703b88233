package messages

import (
	"strings"
	"testing"
)

func TestEnvelopesDoNotReachAProviderOfTheSameProtocol(t *testing.T) {
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
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, changed := WithoutEnvelopes([]byte("x"), []byte(tc.in))
			if changed != (tc.want != "") || string(got) != "x"+tc.want {
				t.Errorf("WithoutEnvelopes(%s) = %s, %v, want x%s", tc.in, got, changed, tc.want)
			}
		})
	}
}

func FuzzWithoutEnvelopes(f *testing.F) {
	f.Add(`{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"","signature":"lgw1.p."}]}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		got, changed := WithoutEnvelopes(nil, []byte(body))
		if !changed && len(got) > 0 {
			t.Errorf("WithoutEnvelopes(%q) = %q, false", body, got)
		}
		if again, more := WithoutEnvelopes(nil, got); changed && more {
			t.Errorf("WithoutEnvelopes(%q) = %q, and then %q", body, got, again)
		}
		if strings.Count(string(got), "signature") > strings.Count(body, "signature") {
			t.Errorf("WithoutEnvelopes(%q) = %q", body, got)
		}
	})
}
