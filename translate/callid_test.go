package translate

import (
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

var legalID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)

func TestCallIDsAreFitForAllProtocols(t *testing.T) {
	for _, tc := range []struct{ id, want string }{
		{"call_abc", "call_abc"},
		{"toolu_01-A", "toolu_01-A"},
		{strings.Repeat("x", 40), strings.Repeat("x", 40)},
		{"functions.f:0", "call_xZnVuY3Rpb25zLmY6MA"},
		{`a\u002eb`, "call_xYS5i"},
		{strings.Repeat("x", 41), "call_h"},
		{"functions.a_tool_with_a_long_name:12", "call_h"},
		{"call_abc__sig_c2ln", "call_abc"},
		{"call_abc__sig_c2ln__sig_c2ln", "call_abc"},
		{"call_1__sig_Q", "call_1__sig_Q"},
	} {
		got := string(AppendCallID(nil, Text(tc.id)))
		if got != tc.want && !(tc.want == "call_h" && strings.HasPrefix(got, tc.want)) || !legalID.MatchString(got) {
			t.Errorf("AppendCallID(%s) = %s, want %s", tc.id, got, tc.want)
		}
		if again := string(AppendCallID(nil, Text(got))); again != got {
			t.Errorf("AppendCallID(%s) = %s, want it unchanged", got, again)
		}
	}
	if a, b := AppendCallID(nil, Text(strings.Repeat("x", 41))), AppendCallID(nil, Text(strings.Repeat("x", 42))); string(a) == string(b) {
		t.Errorf("two ids became one, %s", a)
	}
}

func TestVendorsGetTheirOwnIDsBack(t *testing.T) {
	for _, tc := range []struct{ id, want string }{
		{"functions.f:0", "functions.f:0"},
		{`say \"é\"`, `say \"é\"`},
		{"call_abc", "call_abc"},
	} {
		client := AppendCallID(nil, Text(tc.id))
		if got := string(AppendOwnCallID(nil, Text(client))); got != tc.want {
			t.Errorf("AppendOwnCallID(%s) = %s, want %s", client, got, tc.want)
		}
	}
}

func TestIDsThatOnlyLookWrappedStay(t *testing.T) {
	for _, id := range []string{"call_xY4fQ0aaB1c2D3e4F5g6H7i8", "call_x", "call_xAAAA", "call_x!", "call_xYWJj"} {
		if got := string(AppendOwnCallID(nil, Text(id))); got != id {
			t.Errorf("AppendOwnCallID(%s) = %s", id, got)
		}
	}
}

func TestSignaturesComeBackWithTheirCall(t *testing.T) {
	var c Conversation
	const signature = `AbC+/=\"é`
	for _, id := range []string{"call_1", "functions.f:0"} {
		signed := AppendSignedCallID(nil, Text(id), Text(signature))
		if got := c.CallSignature(signed); string(got) != signature {
			t.Errorf("CallSignature(%s) = %s, want %s", signed, got, signature)
		}
		if got, want := string(AppendCallID(nil, signed)), string(AppendCallID(nil, Text(id))); got != want {
			t.Errorf("AppendCallID(%s) = %s, want %s", signed, got, want)
		}
		if got := string(AppendOwnCallID(nil, signed)); got != id {
			t.Errorf("AppendOwnCallID(%s) = %s, want %s", signed, got, id)
		}
	}
	for _, id := range []string{"call_1", "call_1__sig_!", "call_1__sig_", "call_1__sig_Q", "__sig_QQ"} {
		if got := c.CallSignature(Text(id)); got != nil {
			t.Errorf("CallSignature(%s) = %s, want none", id, got)
		}
		if got := string(AppendOwnCallID(nil, Text(id))); got != id {
			t.Errorf("AppendOwnCallID(%s) = %s, want it as it is", id, got)
		}
	}
}

func FuzzCallID(f *testing.F) {
	f.Add("functions.f:0", "s")
	f.Add("call_xx\n", "")
	f.Add("a__sig_QQ__sig_QQ", "s")
	f.Fuzz(func(t *testing.T, id, signature string) {
		text := rawjson.Of(id)
		got := AppendCallID(nil, text)
		if !legalID.Match(got) {
			t.Fatalf("AppendCallID(%s) = %s", text, got)
		}
		if again := AppendCallID(nil, got); string(again) != string(got) {
			t.Errorf("AppendCallID(%s) = %s", got, again)
		}
		signed := AppendSignedCallID(nil, text, rawjson.Of(signature))
		if back := AppendCallID(nil, signed); string(back) != string(got) {
			t.Errorf("AppendCallID(%s) = %s, want %s", signed, back, got)
		}
		own := AppendOwnCallID(nil, got)
		if !rawjson.Valid(rawjson.AppendText(nil, own)) {
			t.Errorf("AppendOwnCallID(%s) = %s", got, own)
		}
	})
}
