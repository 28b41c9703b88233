package routing

import "testing"

func TestNearest(t *testing.T) {
	keys := []string{"base_url", "completions", "compatible_format", "messages", "models"}
	for _, tc := range []struct{ typed, want string }{
		{"base_ulr", "base_url"},
		{"baseurl", "base_url"},
		{"BASE_URL", ""},
		{"chat_completions", "completions"},
		{"message", "messages"},
		{"model", "models"},
		{"compatible-format", "compatible_format"},
		{"x", ""},
		{"", ""},
		{"timeout", ""},
	} {
		if got := nearest(tc.typed, keys); got != tc.want {
			t.Errorf("nearest(%q) = %q, want %q", tc.typed, got, tc.want)
		}
	}
}

func TestTyposAreCounted(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"abc", "abc", 0},
		{"abc", "", 3},
		{"abc", "acb", 1},
		{"abc", "bc", 1},
		{"abc", "abxc", 1},
		{"abc", "axc", 1},
		{"ulr", "url", 1},
	} {
		if got := typos(tc.a, tc.b); got != tc.want {
			t.Errorf("typos(%q, %q) = %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}
