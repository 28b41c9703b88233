package caddymodule

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

var updateCommand = flag.Bool("update-command", false, "rewrite the outputs of testdata/command")

// ran is what came of a command.
type ran struct {
	stdout, stderr string
	exit           int
}

// run runs a command of llm-proxy in this process.
func run(t *testing.T, stdin string, arguments ...string) ran {
	t.Helper()
	return runReading(t, strings.NewReader(stdin), arguments...)
}

// runReading is run with a standard input that may be a terminal.
func runReading(t *testing.T, stdin io.Reader, arguments ...string) ran {
	t.Helper()
	var stdout, stderr bytes.Buffer
	ours := &cobra.Command{Use: "llm-proxy"}
	fillCommand(ours)
	root := &cobra.Command{Use: "caddy", SilenceUsage: true}
	root.AddCommand(ours)
	root.SetArgs(append([]string{"llm-proxy"}, arguments...))
	root.SetIn(stdin)
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	exit := 0
	if err := root.ExecuteContext(t.Context()); err != nil {
		// Caddy's error that holds an exit code says nothing else.
		if exit = exitFailed; err.Error() == "exiting with status 2" {
			exit = exitUsage
		}
	}
	return ran{stdout.String(), stderr.String(), exit}
}

// want wants an exit code, and words on the standard error where it is not 0.
func (r ran) want(t *testing.T, exit int, words ...string) ran {
	t.Helper()
	if r.exit != exit {
		t.Fatalf("exit code %d, want %d\nstdout: %s\nstderr: %s", r.exit, exit, r.stdout, r.stderr)
	}
	for _, word := range words {
		if !strings.Contains(r.stderr, word) {
			t.Errorf("stderr is %q, want something with %q", r.stderr, word)
		}
	}
	return r
}

// What is different in every run.
var (
	someWait     = regexp.MustCompile(`for \d+[hms][0-9hms]*`)
	someDuration = regexp.MustCompile(`"duration_ms": \d+`)
	somePort     = regexp.MustCompile(`127\.0\.0\.1:\d+`)
)

// wantOutput wants an output to be what a file of testdata/command holds, but for
// times, ports and the test's directory.
func wantOutput(t *testing.T, file, got, dir string) {
	t.Helper()
	got = strings.ReplaceAll(got, dir, "/config")
	got = someTime.ReplaceAllString(got, `"2026-01-02T03:04:05Z"`)
	got = someLatency.ReplaceAllString(got, `"latency_ms":12`)
	got = regexp.MustCompile(`"latency_ms": \d+`).ReplaceAllString(got, `"latency_ms": 12`)
	got = someDuration.ReplaceAllString(got, `"duration_ms": 12`)
	got = someWait.ReplaceAllString(got, "for 9m59s")
	got = somePort.ReplaceAllString(got, "127.0.0.1:1234")
	path := filepath.Join("testdata", "command", file)
	if *updateCommand {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run with -update-command and look at the difference. Got:\n%s", path, got)
	}
}

// files are directories of configuration files for commands, in the working
// directory of the test, with an environment of a few variables.
func files(t *testing.T, providers, models map[string]string) *gateway {
	t.Helper()
	golden, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, dir: t.TempDir()}
	for kind, texts := range map[string]map[string]string{"config/providers": providers, "config/models": models} {
		if err := os.MkdirAll(filepath.Join(g.dir, kind), 0o755); err != nil {
			t.Fatal(err)
		}
		g.writeAll(kind, texts)
	}
	if err := os.Symlink(golden, filepath.Join(g.dir, "testdata")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(g.dir)
	for _, name := range append([]string{clientKeyVariable}, settingVariables...) {
		t.Setenv(name, "")
	}
	return g
}

// canaries are secrets that no command may print.
var canaries = []string{"canary-key-one-5eb7", "canary-key-two-91fc", "canary-header-0a2d", "canary-variable-77aa"}

// wantNoCanary wants nothing of any canary in an output.
func (r ran) wantNoCanary(t *testing.T) {
	t.Helper()
	if both := r.stdout + r.stderr; strings.Contains(both, "canary") {
		t.Errorf("the output tells a secret:\n%s", both)
	}
}

// household are files with everything that a listing may have to tell.
func household(t *testing.T) *gateway {
	t.Helper()
	g := files(t, map[string]string{
		"a": `{"name": "a", "enabled": true, "endpoints": {"base_url": "https://a.example/v1", "completions": "/chat/completions", "models": "/models"}, "authentication": {"type": "bearer", "additional_headers": {"X-Team": "blue", "X-Auth-Extra": "` + canaries[2] + `", "X-Tenant": "${A_TENANT:-none}"}}}`,
		"b": `{"name": "b", "display_name": "B", "enabled": true, "endpoints": {"base_url": "https://${B_HOST}/v1", "compatible_format": "anthropic", "messages": "/messages"}, "authentication": {"type": "api_key", "header_name": "x-api-key"}}`,
		"c": `{"name": "c", "enabled": true, "endpoints": {"base_url": "${C_URL:-http://127.0.0.1:9}", "completions": "/chat/completions"}, "authentication": {"type": "none"}}`,
		"d": `{"name": "d", "enabled": false, "endpoints": {"base_url": "https://d.example", "completions": "/chat/completions"}, "authentication": {"type": "bearer"}}`,
	}, map[string]string{
		"good":   model("good", `"aliases": ["nice-*"], "fallback_model_routings": ["spare"],`, "a/up", "a/up2", "b/up", "c/up", "c/up2"),
		"spare":  model("spare", "", "b/*"),
		"evil":   `{"logical_name": "evil", "display_name": "\u001b[2J\u009b2J", "aliases": ["cleared\u202egnp."], "model_routings": [{"provider": "c", "model": "bell"}]}`,
		"broken": `{"logical_name": "broken",`,
	})
	t.Setenv("A_API_KEY", canaries[0])
	t.Setenv("A_API_KEY_2", canaries[1])
	t.Setenv("A_API_KEY_3", canaries[0])
	t.Setenv("A_TENANT", canaries[3])
	return g
}
