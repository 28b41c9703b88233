package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestHealthInDetailAddsWhatTheAdministrationKnows128(t *testing.T) {
	g, _ := operated(t)
	g.config = strings.Replace(g.config, "breaker {", "log sqlite "+filepath.Join(g.dir, "requests.db")+"\n breaker {", 1)
	g.wantReload(t, "")
	g.write("models", "m", "{")
	admin(t, http.MethodPost, "/llm_proxy/reload", "").want(t, 422)
	const address = "--address=localhost:2999"
	got := run(t, "", "health", "--detailed", "--endpoint", g.url, address).want(t, 0)
	for pattern, fixed := range map[string]string{
		`(?m)^(up for +)\S+$`: "${1}12s",
		`(?m)^(version +).*$`: "${1}dev, with go1.26.8",
		`(?m)^(process +).*$`: "${1}45 MiB of memory, 67 goroutines, 89 open files",
		`is (0|1|2) B`:        "is 1 B",
	} {
		got.stdout = regexp.MustCompile(pattern).ReplaceAllString(got.stdout, fixed)
	}
	wantOutput(t, "health_detailed.txt", got.stdout, g.dir)

	var report struct {
		healthReport
		Administration *fullHealth `json:"administration"`
	}
	got = run(t, "", "health", "-d", "--json", "-e", g.url, address).want(t, 0)
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatal(err)
	}
	if report.Status != degraded || report.Administration == nil || len(report.Administration.Providers) != 3 || report.Components.Providers["a"].KeysAvailable != 2 {
		t.Errorf("health --json prints %s", got.stdout)
	}
	for _, secret := range []string{"a-limited", "a-dead", "a-good", "b-key", clientKey} {
		if strings.Contains(got.stdout, secret) {
			t.Errorf("the output tells the key %s", secret)
		}
	}
}

// The administration endpoint at the usual address may be that of another Caddy.
func TestHealthInDetailMixesNoTwoProcesses(t *testing.T) {
	g, _ := plainGateway(t, setup{})
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"status":"unhealthy","timestamp":%q,"uptime_seconds":864000}`, time.Now().UTC().Format(time.RFC3339))
	}))
	defer other.Close()
	for address, want := range map[string]string{
		other.Listener.Addr().String(): "is not that of the gateway which serves there",
		"localhost:1":                  "asking the administration endpoint at localhost:1",
	} {
		got := run(t, "", "health", "-d", "-e", g.url, "--address", address).want(t, 1, want)
		if !strings.HasPrefix(got.stdout, "healthy\n") || strings.Contains(got.stdout, "in flight") {
			t.Errorf("stdout is\n%s\nwant what the gateway itself says", got.stdout)
		}
		run(t, "", "health", "-e", g.url, "--address", address).want(t, 0)
	}
	if got := run(t, "", "health", "-d", "-e", g.url).want(t, 0); got.stderr != "" || strings.Contains(got.stdout, "in flight") {
		t.Errorf("without an administration endpoint: %s%s", got.stdout, got.stderr)
	}
}

// A container's health check names no endpoint, whatever port the gateway has.
func TestHealthIsAskedAtThePortOfTheVariable127(t *testing.T) {
	plainGateway(t, setup{address: "http://127.0.0.1:9080"})
	t.Setenv("LLM_PORT", "")
	run(t, "", "health").want(t, 1, "cannot connect to the gateway", "127.0.0.1:9876")
	t.Setenv("LLM_PORT", "9080")
	if got := run(t, "", "health").want(t, 0).stdout; got != "healthy\n" {
		t.Errorf("stdout is %q, want healthy", got)
	}
	run(t, "Hello", "chat", "m").want(t, 1, "the gateway says: missing API key")
	// start reads .env, so who asks what it serves does too.
	unset(t, "LLM_PORT")
	t.Chdir(t.TempDir())
	writeIn(t, ".", ".env", "LLM_PORT=9080\n")
	run(t, "", "health").want(t, 0)
	run(t, "Hello", "chat", "m").want(t, 1, "the gateway says: missing API key")
	run(t, "", "health", "--env-file", "gone").want(t, 2)
}

// What docker asks is a command that there is, and it waits longer than the command.
func TestTheContainersHealthCheckIsTheCommand(t *testing.T) {
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`(?s)HEALTHCHECK [^\n]*--timeout=(\w+)[^\n]*\n +CMD (\[.*?\])`).FindSubmatch(text)
	if found == nil {
		t.Fatal("the Dockerfile has no HEALTHCHECK")
	}
	var words []string
	if err := json.Unmarshal(found[2], &words); err != nil {
		t.Fatal(err)
	}
	if len(words) < 3 || words[0] != "/usr/bin/caddy" || words[1] != "llm-proxy" {
		t.Fatalf("it runs %q", words)
	}
	plainGateway(t, setup{address: "http://127.0.0.1:9080"})
	t.Setenv("LLM_PORT", "9080")
	run(t, "", words[2:]...).want(t, 0)
	if patience, err := time.ParseDuration(string(found[1])); err != nil || patience <= healthTimeout {
		t.Errorf("docker waits for %v (%v), want longer than the %v of the command", patience, err, healthTimeout)
	}
}
