package rawjson

import "testing"

func TestAppendCompactKeepsWhatStandsInStrings(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"{\n  \"a b\": [ 1,\r\n\t2 ],\n  \"c\": \"d \\\" e\"\n}", `{"a b":[1,2],"c":"d \" e"}`},
		{`{"a":1}`, `{"a":1}`},
		{` true `, `true`},
		{``, ``},
		{"\"open\n", "\"open\n"},
	} {
		if got := string(AppendCompact([]byte{}, Value(tc.in))); got != tc.want {
			t.Errorf("AppendCompact(%q) = %q, want %q", tc.in, got, tc.want)
		}
	}
}
