package caddymodule

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
)

const asCaddy = "CADDY_ARGUMENTS_OF_THE_TESTS"

// TestMainOfCaddy is no test: it is Caddy's main, for runs of this program as
// a child of its own tests.
func TestMainOfCaddy(t *testing.T) {
	arguments := os.Getenv(asCaddy)
	if arguments == "" {
		return
	}
	os.Args = append([]string{"caddy"}, strings.Split(arguments, "\x1f")...)
	caddycmd.Main()
	os.Exit(0)
}

// runCommand runs caddy with arguments in a process of its own.
func runCommand(t *testing.T, environ []string, arguments ...string) (stdout, stderr string, exit int) {
	t.Helper()
	cmd := command(t, arguments...)
	cmd.Env = append(cmd.Env, environ...)
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	err := cmd.Run()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return out.String(), complaint.String(), cmd.ProcessState.ExitCode()
}

// report is what a gateway says of itself.
const report = `{"status":"STATUS","timestamp":"2026-11-21T12:00:00Z","uptime_seconds":93784,"components":{
	"database":{"status":"disabled"},
	"providers":{"openai":{"status":"healthy","keys_available":2},"anthropic":{"status":"degraded","keys_available":0},"a-provider-with-a-long-name":{"status":"healthy","keys_available":11}},
	"model_config":{"status":"healthy","models_count":7},
	"provider_configs":{"status":"healthy","providers_loaded":25,"providers_enabled":3}}}`

const details = `up for     26h3m4s
models     7
providers  25, 3 enabled
  a-provider-with-a-long-name  healthy, keys available: 11
  anthropic                    degraded, keys available: 0
  openai                       healthy, keys available: 2
`

func TestHealthIsAskedByCommand(t *testing.T) {
	said := func(status string) string { return strings.Replace(report, "STATUS", status, 1) }
	for _, tc := range []struct {
		name     string
		path     string
		answer   http.Handler
		detailed bool
		out      string
		err      string
	}{
		{"healthy", "/health", answers(200, `{"status":"healthy","timestamp":"2026-11-21T12:00:00Z"}`), false, "healthy\n", ""},
		{"healthy in detail", "/health/detailed", answers(200, said("healthy")), true, "healthy\n" + details, ""},
		{"degraded still serves", "/health/detailed", answers(200, said("degraded")), true, "degraded\n" + details, ""},
		{"unhealthy", "/health/detailed", answers(503, said("unhealthy")), true, "unhealthy\n" + details, "the gateway is unhealthy"},
		{"a page", "/health", answers(200, "<html>hello</html>"), false, "", "answered status 200 and no health report; is it the gateway?"},
		{"nothing there", "/health", answers(404, "404 page not found"), false, "", "answered status 404 and no health report; is it the gateway?"},
		{"other JSON", "/health", answers(200, `{"ok":true}`), false, "", "answered status 200 and no health report; is it the gateway?"},
		{"JSON of no kind", "/health", answers(200, `"healthy"`), false, "", "no health report"},
		{"cut", "/health/detailed", answers(200, said("healthy")[:100]), true, "", "no health report"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var asked string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.Method + " " + r.URL.Path
				tc.answer.ServeHTTP(w, r)
			}))
			defer server.Close()
			// The address may end in a slash.
			for _, endpoint := range []string{server.URL, server.URL + "/"} {
				var out bytes.Buffer
				cmd := healthCommand()
				cmd.SetOut(&out)
				cmd.SetErr(io.Discard)
				arguments := []string{"--endpoint", endpoint}
				if tc.detailed {
					arguments = append(arguments, "--detailed")
				}
				cmd.SetArgs(arguments)
				err := cmd.ExecuteContext(context.Background())
				if out.String() != tc.out {
					t.Errorf("output is\n%s\nwant\n%s", out.String(), tc.out)
				}
				if (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
					t.Errorf("error is %v, want %q", err, tc.err)
				}
				if want := "GET " + tc.path; asked != want {
					t.Errorf("asked %s, want %s", asked, want)
				}
			}
		})
	}
}

func TestTheHealthCommandTakesNothingElse(t *testing.T) {
	for _, arguments := range [][]string{{"surplus"}, {"--bogus"}, {"--endpoint"}, {"--endpoint", "http://[::1"}, {"--endpoint", "127.0.0.1:1"}} {
		cmd := healthCommand()
		cmd.SetArgs(arguments)
		cmd.SetOut(io.Discard)
		cmd.SetErr(io.Discard)
		if err := cmd.ExecuteContext(context.Background()); err == nil {
			t.Errorf("%q is accepted", arguments)
		}
	}
}

// What a container's health check and an operator at a terminal see.
func TestTheHealthCommandTellsByItsExitCodeAndItsWords(t *testing.T) {
	t.Setenv("UP_API_KEY", "upstream-key")
	g := start(t, setup{
		providers: map[string]string{"up": provider("up", "http://127.0.0.1:1", ""), "keyless": provider("keyless", "http://127.0.0.1:1", "")},
		models:    map[string]string{"m": model("m", "", "up/up")},
	})
	for _, tc := range []struct {
		arguments      []string
		exit           int
		stdout, stderr string
	}{
		{[]string{"--endpoint", g.url}, 0, "healthy\n", ""},
		{[]string{"-e", g.url, "-d"}, 0, "keyless  degraded, keys available: 0", ""},
		{[]string{"-e", "http://127.0.0.1:1"}, 1, "", "cannot connect to the gateway"},
		{[]string{"-e", g.url + "/elsewhere"}, 1, "", "is it the gateway?"},
	} {
		stdout, stderr, exit := runCommand(t, nil, append([]string{"llm-proxy", "health"}, tc.arguments...)...)
		if exit != tc.exit || !strings.Contains(stdout, tc.stdout) || !strings.Contains(stderr, tc.stderr) || tc.exit == 0 && stderr != "" || strings.Count(stderr, "\n") > 1 {
			t.Errorf("%q: exit %d\nstdout: %s\nstderr: %s\nwant exit %d, %q and one line with %q", tc.arguments, exit, stdout, stderr, tc.exit, tc.stdout, tc.stderr)
		}
	}
}
