package caddymodule

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/postgrestest"
)

// keepingServerLog is a gateway that keeps a request log on a server.
func keepingServerLog(t *testing.T, dsn string) (*gateway, string) {
	t.Helper()
	spill := filepath.Join(t.TempDir(), "spill.db")
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("A_API_KEY", "upstream-secret-a")
	t.Setenv("TESTS_DSN", dsn)
	g := start(t, setup{
		providers: map[string]string{"a": provider("a", up.url, "")},
		models:    map[string]string{"m": model("m", "", "a/up")},
		directive: "log postgres {env.TESTS_DSN} {\n retain 7d\n max_size 64MiB\n spill " + spill + "\n}",
	})
	return g, spill
}

func TestRequestLogIsKeptOnPostgres(t *testing.T) {
	server := postgrestest.Start(t)
	g, _ := keepingServerLog(t, server.DSN(t))
	g.post(chatPath, chatRequest).want(t, 200)
	all := rows(t, "")
	if len(all) != 1 || all[0].Provider != "a" || all[0].Tokens.Output != 2 {
		t.Fatalf("rows = %+v, want the request", all)
	}
	admin(t, http.MethodGet, "/llm_proxy/requests/"+all[0].ID, "").want(t, 200)

	// Requests go on while the server hangs, and are there afterwards.
	server.Freeze()
	for range 20 {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	server.Kill()
	g.post(chatPath, chatRequest).want(t, 200)
	comesTrue(t, "health does not tell of the server that is gone", func() bool {
		return g.do(request{method: http.MethodGet, path: "/health/detailed"}).get(t, "components", "database", "status") != "healthy"
	})
	server.Launch(t)
	comesTrue(t, "not every request is a row once the server is back", func() bool {
		var answer requestsAnswer
		got := admin(t, http.MethodGet, "/llm_proxy/requests", "")
		return got.status == 200 && json.Unmarshal([]byte(got.body), &answer) == nil && len(answer.Requests) == 22
	})
}

// What lies in a spill that is damaged, or cannot be opened, does not come home, however
// well the server is.
func TestHealthTellsOfTheSpill(t *testing.T) {
	dsn := postgrestest.DSN(t)
	for _, tc := range []struct {
		before func(spill string) error
		want   string
	}{
		{func(string) error { return nil }, ""},
		{func(spill string) error { return os.Mkdir(spill+"-wal", 0o700) }, "the spill of the request log cannot be written"},
		{func(spill string) error {
			return os.WriteFile(spill, []byte(strings.Repeat("no database ", 1000)), 0o600)
		}, "the spill of the request log was damaged and has begun anew; what was in it lies beside it"},
	} {
		spill := filepath.Join(t.TempDir(), "spill.db")
		if err := tc.before(spill); err != nil {
			t.Fatal(err)
		}
		t.Setenv("TESTS_DSN", dsn)
		t.Setenv("A_API_KEY", "upstream-secret-a")
		g := start(t, setup{
			providers: map[string]string{"a": provider("a", "http://127.0.0.1:1", "")},
			models:    map[string]string{"m": model("m", "", "a/up")},
			directive: "log postgres {env.TESTS_DSN} {\n spill " + spill + "\n}",
		})
		var health struct {
			Components struct {
				Database databaseHealth `json:"database"`
			} `json:"components"`
		}
		got := g.do(request{method: http.MethodGet, path: "/health/detailed"})
		if err := json.Unmarshal([]byte(got.body), &health); err != nil {
			t.Fatalf("%s: %v", got.body, err)
		}
		if said := health.Components.Database; said.Error != tc.want || (said.Status == healthy) != (tc.want == "") {
			t.Errorf("the database is %+v, want the error %q", said, tc.want)
		}
	}
}

func TestMetricsTellWhatWaitsInTheSpill(t *testing.T) {
	const waiting, size = "caddy_llm_proxy_log_spill_length", "caddy_llm_proxy_log_spill_size_bytes"
	server := postgrestest.Start(t)
	g, spill := keepingServerLog(t, server.DSN(t))
	server.Kill()
	for range 3 {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	comesTrue(t, "the spill does not have the requests", func() bool { return metrics(t)[waiting] == 3 })
	if info, err := os.Stat(spill); err != nil || metrics(t)[size] < float64(info.Size()) {
		t.Errorf("the spill has %v bytes, want at least those of %v (%v)", metrics(t)[size], info, err)
	}
	server.Launch(t)
	comesTrue(t, "the spill is not emptied", func() bool { return metrics(t)[waiting] == 0 })

	// Where no log needs one there is nothing to tell.
	g.config = strings.Replace(g.config, "log postgres {env.TESTS_DSN} {\n retain 7d\n max_size 64MiB\n spill "+spill+"\n}", "log sqlite "+filepath.Join(t.TempDir(), "requests.db"), 1)
	g.wantReload(t, "")
	if got := metrics(t); got["caddy_llm_proxy_log_size_bytes"] == 0 {
		t.Errorf("of the log in a file there is no size")
	} else if n, told := got[waiting]; told {
		t.Errorf("%s = %v without a spill, want none", waiting, n)
	}
}

// The password of a DSN is told nowhere, whatever is wrong.
func TestPasswordOfTheDatabaseIsToldNowhere(t *testing.T) {
	const secret = "canary-pw"
	g, spill := keepingServerLog(t, "postgres://someone:"+secret+"@127.0.0.1:1/db")
	g.post(chatPath, chatRequest).want(t, 200)
	for _, path := range []string{"/config/", "/llm_proxy/requests", "/llm_proxy/usage", "/llm_proxy/health", "/llm_proxy/db", "/metrics", "/debug/vars"} {
		if got := admin(t, http.MethodGet, path, ""); strings.Contains(got.body, secret) {
			t.Errorf("%s tells the password: %s", path, got.body)
		}
	}
	if got := g.do(request{method: http.MethodGet, path: "/health/detailed"}); strings.Contains(got.body, secret) {
		t.Errorf("/health/detailed tells the password: %s", got.body)
	}
	file := filepath.Join(t.TempDir(), "dsn")
	for _, tc := range []struct{ dsn, want string }{
		{"postgres://someone:" + secret + "@127.0.0.1:one/db", "log postgres: the DSN cannot be parsed"},
		{"postgres://someone:p@" + secret + "@127.0.0.1/db", "log postgres: the DSN cannot be parsed"},
		{"", "log postgres: evaluated placeholder"},
	} {
		if err := os.WriteFile(file, []byte(tc.dsn+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		config := g.config
		g.config = strings.Replace(g.config, "{env.TESTS_DSN}", "{file."+file+"}", 1)
		err := g.reload()
		g.config = config
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), secret) {
			t.Errorf("reload with the DSN %q = %v, want %q without the password", tc.dsn, err, tc.want)
		}
	}
	g.post(chatPath, chatRequest).want(t, 200) // with the old one
	if info, err := os.Stat(spill); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the spill: %v, %v, want mode 0600", info, err)
	}
}

func TestLogIsKeptInOneDatabase(t *testing.T) {
	for _, tc := range []struct {
		log  Log
		want string
	}{
		{Log{SQLite: "x.db", Postgres: "host=a"}, "one database"},
		{Log{SQLite: "x.db", Spill: "y.db"}, "write log postgres"},
		{Log{Retain: 1}, "write log sqlite <file> or log postgres <dsn>"},
		{Log{Postgres: "{env.NO_SUCH_VARIABLE}"}, "log postgres: "},
	} {
		if err := tc.log.setDefaults(); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("setDefaults of %+v = %v, want %q", tc.log, err, tc.want)
		}
	}
}

func TestDBStatsAndResetOnPostgres(t *testing.T) {
	server := postgrestest.Start(t)
	g, _ := keepingServerLog(t, server.DSN(t))
	for range 3 {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	const address = "--address=localhost:2999"
	got := run(t, "", "db", "stats", address).want(t, 0).stdout
	if !strings.HasPrefix(got, "database   postgres, ") || !strings.Contains(got, "\nrequests   3 from ") || !strings.Contains(got, "\ntokens     15 input, ") {
		t.Errorf("db stats prints\n%s", got)
	}
	got = run(t, "", "db", "reset", "--confirm", address).want(t, 0).stdout
	if !strings.HasPrefix(got, "deleted 3 requests from ") {
		t.Errorf("db reset prints %s", got)
	}
	g.post(chatPath, chatRequest).want(t, 200)
	if all := rows(t, ""); len(all) != 1 {
		t.Errorf("%d rows after the reset, want 1", len(all))
	}

	server.Kill()
	g.post(chatPath, chatRequest).want(t, 200)
	comesTrue(t, "db stats does not tell of the server that is gone", func() bool {
		said := run(t, "", "db", "stats", address)
		return said.exit == 1 && strings.Contains(said.stdout, "not writing") && strings.Contains(said.stdout, "trouble ")
	})
	run(t, "", "db", "reset", "--confirm", address).want(t, 1)
}
