package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
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
