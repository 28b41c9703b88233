package routing

import (
	"strings"
	"testing"
)

func TestAFailureIsLoggedWithoutWhatItQuotes(t *testing.T) {
	for _, tc := range []struct{ message, want string }{
		{"Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 1", "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 1"},
		{"Unsupported value: 'temperature' does not support 0.5", "Unsupported value: 'temperature' does not support 0.5"},
		{"Invalid type for 'messages[0].content': expected a string", "Invalid type for 'messages[0].content': expected a string"},
		{"You didn't provide a key, and it's needed", "You didn't provide a key, and it's needed"},
		{`Unknown name "foo" at 'generation_config'`, `Unknown name "foo" at 'generation_config'`},
		{"cannot read 'tell me a secret': no", "cannot read '…': no"},
		{"cannot read 'it isn't said' here", "cannot read '…' here"},
		{`blocked: "what I said" and “what I said too”`, `blocked: "…" and “…”`},
		{"[{'type': 'missing', 'input': {'messages': [{'content': 'hello there'}]}}]", "[…]"},
		{`{"error": {"input": "a b"}} happened`, `{…} happened`},
		{"no end: 'and what was said", "no end: '…"},
		{"no end: \"and what was said", "no end: \"…"},
		{"long '" + strings.Repeat("x", 65) + "' word", "long '…' word"},
		{"index [1 2 3] of {x y}", "index [1 2 3] of {x y}"},
		{"colour \x1b[2Jfor now", "colour \x1b[2Jfor now"},
		{"empty '' and ", "empty '' and "},
		{"at the end '", "at the end '"},
		{"\xff'\xff", "\xff'\xff"},
	} {
		if got := withoutQuotes(tc.message); got != tc.want {
			t.Errorf("withoutQuotes(%q) = %q, want %q", tc.message, got, tc.want)
		}
	}
}
