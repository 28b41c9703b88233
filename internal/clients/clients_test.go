//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// matrix is the outcome of a small run.
var matrix = []result{
	{OK: true, Client: "codex", Upstream: openai, Scenario: "hello", Millis: 1960},
	{Client: "codex", Upstream: anthropic, Scenario: "hello", Millis: 120_000, Problems: []string{"timed out after 120 s"}, Stderr: "stream closed before it ended"},
	{OK: true, Client: "codex-gpt", Upstream: anthropic, Scenario: "hello"},
	{OK: true, Client: "go-anthropic", Upstream: openai, Scenario: "hello", Millis: 40},
}

func TestTableCountsEveryClientOnEveryUpstream(t *testing.T) {
	got := table([]string{"codex", "codex-gpt", "go-anthropic"}, []upstream{openai, anthropic}, matrix)
	want := `client        openai  anthropic
codex         1/1     0/1
codex-gpt     -       1/1
go-anthropic  1/1     -
all           2/2     1/2
`
	if got != want {
		t.Errorf("table = %s\nwant %s", got, want)
	}
}

func TestMarkdownHasOneRowPerFamily(t *testing.T) {
	got := markdown([]upstream{openai, anthropic}, matrix)
	want := `| client | Chat Completions | Messages |
|---|---|---|
| Codex | 1/1 | 1/2 |
| anthropic-sdk-go | 1/1 | - |
`
	if got != want {
		t.Errorf("markdown = %s\nwant %s", got, want)
	}
}

func TestEveryFailureIsListedWithItsCause(t *testing.T) {
	got := complaints(matrix)
	want := `3 of 4 passed.

- codex on anthropic, hello:
  - timed out after 120 s
  - it says: stream closed before it ended
`
	if got != want {
		t.Errorf("complaints = %s\nwant %s", got, want)
	}
}

func TestResultsFileHasOneLinePerRun(t *testing.T) {
	name := filepath.Join(t.TempDir(), "results.jsonl")
	if err := writeResults(name, matrix); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	lines := slices.Collect(strings.Lines(string(text)))
	if len(lines) != len(matrix) {
		t.Fatalf("%d lines, want %d", len(lines), len(matrix))
	}
	var got result
	if err := json.Unmarshal([]byte(lines[1]), &got); err != nil || got.Upstream != anthropic || got.OK || len(got.Problems) != 1 {
		t.Errorf("line 2 = %s, %v", lines[1], err)
	}
}

func TestParseRefusesWhatItWouldSkip(t *testing.T) {
	for _, test := range []struct{ args, complaint string }{
		{"", "no client is named"},
		{"-scenarios hello,helo codex", `unknown scenario "helo"`},
		{"-upstream openai,gemini codex", `unknown upstream "gemini"`},
		{"-jobs 0 codex", "-jobs must be above 0"},
	} {
		_, err := parse(strings.Fields(test.args))
		if err == nil || !strings.Contains(err.Error(), test.complaint) {
			t.Errorf("parse(%q) = %v, want %s", test.args, err, test.complaint)
		}
	}
}

func TestAllUpstreamsAreOneOfEachProtocol(t *testing.T) {
	got, err := parseUpstreams("own,all")
	if want := []upstream{own, openai, responses, anthropic}; !slices.Equal(got, want) || err != nil {
		t.Errorf("parseUpstreams = %q, %v, want %q", got, err, want)
	}
}

func TestCountRunsLeavesOutOtherClientsTools(t *testing.T) {
	o := options{clients: []string{"claude-code", "codex", "go-anthropic"}, scenarios: allScenarios(), upstreams: ofProtocol}
	if got, want := countRuns(o), 3*(3*len(common)+3); got != want {
		t.Errorf("countRuns = %v, want %v", got, want)
	}
}

func TestEveryUpstreamHasFilesThatLoad(t *testing.T) {
	for _, u := range upstreams {
		dir := t.TempDir()
		files, err := fs.Sub(gatewayFiles, "gateway/"+string(u))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(dir, files); err != nil {
			t.Fatal(err)
		}
		_, warnings, err := routing.Load(routing.LoadOptions{
			ProvidersDir: filepath.Join(dir, "providers"),
			ModelsDir:    filepath.Join(dir, "models"),
			Environ:      []string{"UPSTREAM_URL=http://127.0.0.1:1", "UPSTREAM_API_KEY=" + upstreamKey},
		})
		if err != nil || len(warnings) > 0 {
			t.Errorf("%s: %v, %v", u, err, warnings)
		}
	}
}

func TestWhatTheUpstreamSaidMustComeBackToIt(t *testing.T) {
	whole := result{Thinking: "2 of 2", Warnings: []string{"request 1: mid-conversation system message"}}
	if err := errors.Join(whole.changed(), whole.forgotten()); err != nil {
		t.Errorf("problems = %v, want none", err)
	}
	lossy := result{Thinking: "1 of 2", Warnings: []string{"call 0 (Bash): arguments differ in the history: {}, sent {}"}}
	if lossy.changed() == nil || lossy.forgotten() == nil {
		t.Errorf("changed, forgotten = %v, %v, want errors", lossy.changed(), lossy.forgotten())
	}
	for _, test := range []struct {
		pairing
		want bool
	}{
		{pairing{"claude-code", responses}, true},
		{pairing{"codex", compatible}, true},
		{pairing{"codex", openai}, false},
		{pairing{"opencode-chat", anthropic}, false},
		{pairing{"ai-compat-ns", own}, false},
	} {
		if got := test.keepsThinking(); got != test.want {
			t.Errorf("%v: keepsThinking = %v, want %v", test.pairing, got, test.want)
		}
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

func TestLossesAreThoseOfTheRunAtHand(t *testing.T) {
	log := gatewayLog{name: filepath.Join(t.TempDir(), "gateway.log")}
	for _, test := range []struct {
		written string
		want    []string
	}{
		{`Using config
{"msg":"lost in translation","losses":"param=seed;action=dropped, param=n;action=changed"}
{"msg":"lost in translation","losses":"param=seed;action=dropped"}
{"msg":"lost in`, []string{"param=seed;action=dropped", "param=n;action=changed"}},
		{` translation","losses":"param=user;action=dropped"}
`, []string{"param=user;action=dropped"}},
		{"", nil},
	} {
		file, err := os.OpenFile(log.name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.WriteString(test.written); err != nil {
			t.Fatal(err)
		}
		file.Close()
		if got, err := log.losses(); !slices.Equal(got, test.want) || err != nil {
			t.Errorf("losses = %q, %v, want %q", got, err, test.want)
		}
	}
}

func TestDescendantsReachIntoSessionsOfTheirOwn(t *testing.T) {
	const processes = "    1     0\n   20     1\n   30    20\n   31    20\n   40    31\n   50     1\n"
	if got, want := descendants(processes, 20), []int{30, 31, 40}; !slices.Equal(got, want) {
		t.Errorf("descendants(20) = %v, want %v", got, want)
	}
}
