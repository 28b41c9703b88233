//go:build unix

package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTableShowsEveryFailureWithItsCause(t *testing.T) {
	got := table([]string{"codex", "go-anthropic"}, []string{"hello", "codex_viewimage"}, []result{
		{OK: true, Client: "go-anthropic", Scenario: "hello", Millis: 40, Stderr: "chatter"},
		{OK: true, Client: "codex", Scenario: "hello", Millis: 1960},
		{Client: "codex", Scenario: "codex_viewimage", Millis: 120_000, Problems: []string{"timed out after 120 s"}, Stderr: "stream closed\n  before it ended\n"},
	})
	want := `| client | hello | codex_viewimage |
|---|---|---|
| codex | PASS 2.0 s | FAIL 120.0 s |
| go-anthropic | PASS 0.0 s | - |

2 of 3 passed.

- codex, codex_viewimage:
  - timed out after 120 s
  - it says: stream closed before it ended
`
	if got != want {
		t.Errorf("table = %s\nwant %s", got, want)
	}
}

func TestParseRefusesWhatItWouldSkip(t *testing.T) {
	for _, test := range []struct{ args, complaint string }{
		{"", "no client is named"},
		{"-scenarios hello,helo codex", `unknown scenario "helo"`},
		{"-jobs 0 codex", "-jobs must be above 0"},
	} {
		_, err := parse(strings.Fields(test.args))
		if err == nil || !strings.Contains(err.Error(), test.complaint) {
			t.Errorf("parse(%q) = %v, want %s", test.args, err, test.complaint)
		}
	}
}

func TestCountRunsLeavesOutOtherClientsTools(t *testing.T) {
	clients := []string{"claude-code", "codex", "go-anthropic"}
	if got, want := countRuns(clients, allScenarios()), 3*len(common)+3; got != want {
		t.Errorf("countRuns(%v) = %v, want %v", clients, got, want)
	}
}

func TestCredentialForwardedFindsTheClientsKeyInAnyHeader(t *testing.T) {
	for _, test := range []struct {
		header string
		leaks  bool
	}{
		{`["Authorization","Bearer key-of-the-upstream"]`, false},
		{`["Authorization","Bearer test-key"]`, true},
		{`["X-Api-Key","test-key"]`, true},
	} {
		record := filepath.Join(t.TempDir(), "upstream.jsonl")
		lines := `{"kind":"request","path":"/v1/messages","headers":[["Host","localhost"],` + test.header + `]}
{"kind":"response","status":200}
`
		if err := os.WriteFile(record, []byte(lines), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := credentialForwarded(record); (err != nil) != test.leaks {
			t.Errorf("credentialForwarded(%s) = %v, want an error: %v", test.header, err, test.leaks)
		}
	}
}

func TestDescendantsReachIntoSessionsOfTheirOwn(t *testing.T) {
	const processes = "    1     0\n   20     1\n   30    20\n   31    20\n   40    31\n   50     1\n"
	if got, want := descendants(processes, 20), []int{30, 31, 40}; !slices.Equal(got, want) {
		t.Errorf("descendants(20) = %v, want %v", got, want)
	}
}
