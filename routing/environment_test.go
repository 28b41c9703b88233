package routing

import (
	"slices"
	"testing"
)

func TestVariablesAreFilledIn(t *testing.T) {
	env := environmentOf([]string{"HOST=example.com", "PORT=81", "EMPTY=", "NESTED=${HOST}", "HOST=second", "_x1=y", "ODD"})
	for _, tc := range []struct {
		text, want string
		missing    []string
	}{
		{"plain", "plain", nil},
		{"", "", nil},
		{"https://${HOST}/v1", "https://example.com/v1", nil},
		{"${HOST}:${PORT}${_x1}", "example.com:81y", nil},
		{"$HOST and {HOST} and }", "$HOST and {HOST} and }", nil},
		{"${NESTED}", "${HOST}", nil},
		{"${NONE}/${HOST}/${OTHER}", "/example.com/", []string{"NONE", "OTHER"}},
		{"a${EMPTY}b", "ab", []string{"EMPTY"}},
		{"${ODD}", "", []string{"ODD"}},
		{"${NONE:-other}", "other", nil},
		{"${NONE:-http://h:1/v1}", "http://h:1/v1", nil},
		{"${EMPTY:-other}", "other", nil},
		{"${HOST:-other}", "example.com", nil},
		{"x${NONE:-}", "x", nil},
	} {
		got, missing, err := expand(tc.text, env)
		if err != nil || got != tc.want || !slices.Equal(missing, tc.missing) {
			t.Errorf("expand(%q) = %q, %v, %v, want %q, %v", tc.text, got, missing, err, tc.want, tc.missing)
		}
	}
}

func TestUnreadableVariablesAreErrors(t *testing.T) {
	for _, text := range []string{"${", "a${NAME", "${}", "${1A}", "${A B}", "${A-B}", "${A:=b}", "${:-b}", "${${A}}", "${Ä}"} {
		if got, missing, err := expand(text, environmentOf(nil)); err == nil {
			t.Errorf("expand(%q) = %q, %v, want an error", text, got, missing)
		}
	}
}
