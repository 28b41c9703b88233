package responses

import (
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

func TestWhatOthersSealedAndSignedDoesNotReachOpenAI(t *testing.T) {
	const (
		user    = `{"role":"user","content":"lgw1. is a word"}`
		sealed  = `{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"lgw1.acme.e30"}`
		foreign = `{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"gAAA"}`
	)
	for _, tc := range []struct{ body, want string }{
		{`{"model":"m", "input":[` + user + `, ` + sealed + `,` + foreign + `],"store":false}`, `{"model":"m", "input":[` + user + `,` + foreign + `],"store":false}`},
		{`{"input":[` + user + `]}`, ""},
		{`{"input":"lgw1."}`, ""},
		{`{"input":[` + foreign + `]}`, ""},
		{
			`{"input":[` + sealed + `,{"type":"function_call","id":"fc_1","call_id":"call_1__sig_c2ln", "name":"f","arguments":"{\"call_id\":\"a__sig_QQ\"}"},{"type":"custom_tool_call","call_id":"b__sig_QUJD","name":"p","input":"x__sig_QQ"},` +
				`{"call_id" : "call_1__sig_c2ln","type":"function_call_output","output":"y__sig_QQ"},{"type":"custom_tool_call_output","call_id":"b__sig_QUJD","output":[]}]}`,
			`{"input":[{"type":"function_call","id":"fc_1","call_id":"call_1", "name":"f","arguments":"{\"call_id\":\"a__sig_QQ\"}"},{"type":"custom_tool_call","call_id":"b","name":"p","input":"x__sig_QQ"},` +
				`{"call_id" : "call_1","type":"function_call_output","output":"y__sig_QQ"},{"type":"custom_tool_call_output","call_id":"b","output":[]}]}`,
		},
		{`{"input":[{"type":"function_call","call_id":"__sig_QQ"},{"type":"function_call","call_id":"a__sig_"},{"type":"function_call","call_id":"a__sig_b.c"},{"role":"user","content":"a__sig_QQ"}]}`, ""},
		{`{"input":"a__sig_QQ","instructions":"b__sig_QQ"}`, ""},
	} {
		out, changed := Cleaned(nil, []byte(tc.body))
		if string(out) != tc.want || changed != (tc.want != "") {
			t.Errorf("Cleaned(%s) = %s, %v, want %s", tc.body, out, changed, tc.want)
		}
	}
}

func TestThoughtsComeBackByteForByte(t *testing.T) {
	const original = `{"id":"rs_1", "type":"reasoning","summary":[{"type":"summary_text","text":"\u00e9"}],"encrypted_content":"gA\/A"}`
	// From the upstream's answer into an envelope for a client,
	asked := asking(false)
	a := translate.NewAssembler(asked, NewEncoder(asked))
	NewDecoder(a).Whole([]byte(`{"model":"m","output":[` + original + `,{"type":"message","role":"assistant","content":[{"type":"output_text","text":"b"}]}]}`))
	a.End(translate.Usage{}, false)
	var thought item
	for e := translate.Value(a.Take()).Get("output").Elements(); e.Next() && e.Index == 0; {
		thought.read(e.Value)
	}
	// and from the client's next request to the upstream.
	c := decoded(t, `{"input":[{"role":"user","content":"a"},{"type":"reasoning","summary":[],"encrypted_content":"`+string(thought.encrypted)+`"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}`)
	want := `{"model":"m-1","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"a"}]},` + original +
		`,{"type":"message","role":"assistant","content":[{"type":"output_text","text":"b"}]},{"type":"message","role":"user","content":[{"type":"input_text","text":"c"}]}],"store":false}`
	if got := written(t, c, target()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
