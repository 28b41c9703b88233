package caddymodule

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// keepingLog is a gateway that keeps a request log.
func keepingLog(t *testing.T, first, second http.Handler) (*gateway, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "requests.db")
	a, b := serve(t, first), serve(t, second)
	t.Setenv("A_API_KEY", "upstream-secret-a")
	t.Setenv("B_API_KEY", "upstream-secret-b")
	g := start(t, setup{
		providers: map[string]string{"a": provider("a", a.url, ""), "b": provider("b", b.url, "")},
		models:    map[string]string{"m": model("m", "", "a/up", "b/up")},
		directive: "breaker off\n log sqlite " + file + " {\n retain 7d\n max_size 64MiB\n}",
	})
	return g, file
}

// rows are the logged requests, newest first.
func rows(t *testing.T, query string) []requestSummary {
	t.Helper()
	var answer requestsAnswer
	if err := json.Unmarshal([]byte(admin(t, http.MethodGet, "/llm_proxy/requests"+query, "").want(t, 200).body), &answer); err != nil {
		t.Fatal(err)
	}
	return answer.Requests
}

// firstRow is the first of them, of which there must be one.
func firstRow(t *testing.T, query string) requestSummary {
	t.Helper()
	all := rows(t, query)
	if len(all) == 0 {
		t.Fatalf("no rows %s; GET /llm_proxy/db tells %s", query, admin(t, http.MethodGet, "/llm_proxy/db", "").body)
	}
	return all[0]
}

func TestEveryRequestIsOneRowThatTellsWhatBecameOfIt(t *testing.T) {
	failing := answers(500, brokenBody)
	good := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		goodAnswer(r).ServeHTTP(w, r)
	})
	cut := answers(200, chatStream[:len(chatStream)/2], "Content-Type", "text/event-stream")
	mistake := answers(400, `{"error":{"message":"temperature: must be at most 2","type":"invalid_request_error"}}`)
	for _, tc := range []struct {
		name          string
		first, second http.Handler
		request       request
		want          requestSummary
		tried         []string
	}{
		{
			"a whole answer", good, failing,
			request{path: chatPath, body: chatRequest},
			requestSummary{Provider: "a", Status: 200, Outcome: "ok", Tokens: tokenCount{Input: 5, Output: 2}},
			[]string{"ok"},
		},
		{
			"an answer of the second route, streamed", failing, answers(200, chatStream, "Content-Type", "text/event-stream"),
			request{path: chatPath, body: chatStreamed},
			requestSummary{Provider: "b", Status: 200, Outcome: "ok", Streamed: true, Tokens: tokenCount{Input: 5, Output: 2}},
			[]string{"broken", "ok"},
		},
		{
			"the client's mistake", mistake, failing,
			request{path: chatPath, body: chatRequest},
			requestSummary{Status: 400, Class: "invalid_request", Outcome: "error"},
			[]string{"invalid_request"},
		},
		{
			"no answer", failing, failing,
			request{path: chatPath, body: chatRequest},
			requestSummary{Status: 502, Class: "broken", Outcome: "error"},
			[]string{"broken", "broken"},
		},
		{
			"a stream that breaks", cut, failing,
			request{path: chatPath, body: chatStreamed},
			requestSummary{Provider: "a", Status: 200, Class: "broken", Outcome: "partial", Streamed: true, Tokens: tokenCount{Input: 10, Output: 1, Estimated: true}},
			[]string{"ok"},
		},
		{
			"a body that is no JSON", good, good,
			request{path: chatPath, body: `{"model":`},
			requestSummary{Status: 400, Outcome: "error", Class: "invalid_request"},
			nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, _ := keepingLog(t, tc.first, tc.second)
			got := g.do(tc.request)
			all := rows(t, "")
			if len(all) != 1 {
				t.Fatalf("rows = %d, want 1", len(all))
			}
			row := all[0]
			if row.ID != got.header.Get("X-Request-Id") || row.Client != "tests" || len(row.ClientKey) != 8 || row.Endpoint != chatPath || row.TotalMS <= 0 {
				t.Errorf("row = %+v, want the request %s of client tests", row, got.header.Get("X-Request-Id"))
			}
			if row.BytesIn != int64(len(tc.request.body)) || row.BytesOut != int64(len(got.body)) {
				t.Errorf("bytes = %d and %d, want %d and %d", row.BytesIn, row.BytesOut, len(tc.request.body), len(got.body))
			}
			has := requestSummary{Provider: row.Provider, Status: row.Status, Class: row.Class, Outcome: row.Outcome, Streamed: row.Streamed, Tokens: row.Tokens}
			if has != tc.want {
				t.Errorf("row tells %+v, want %+v", has, tc.want)
			}
			var whole requestAnswer
			if err := json.Unmarshal([]byte(admin(t, http.MethodGet, "/llm_proxy/requests/"+row.ID, "").want(t, 200).body), &whole); err != nil {
				t.Fatal(err)
			}
			var tried []string
			for _, a := range whole.Tried {
				tried = append(tried, a.Class)
			}
			if !slices.Equal(tried, tc.tried) || row.Attempts != len(tc.tried) {
				t.Errorf("attempts = %q (%d), want %q", tried, row.Attempts, tc.tried)
			}
		})
	}
}

func TestAClientThatLeavesIsARowToo(t *testing.T) {
	s := &slowly{first: chatStream[:len(chatStream)/2], goOn: make(chan struct{})}
	g, _ := keepingLog(t, s, s)
	conn, reader := g.dial(request{path: chatPath, body: chatStreamed})
	readUntil(t, reader, "hel")
	conn.Close()
	comesTrue(t, "no row of the client that left", func() bool {
		all := rows(t, "")
		return len(all) == 1 && all[0].Outcome == "client_closed" && all[0].Provider == "a"
	})
}

func TestWhoMayNotAskLeavesNoRow(t *testing.T) {
	g, _ := keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
	g.do(request{path: chatPath, body: chatRequest, key: "wrong"}).want(t, 401)
	if all := rows(t, ""); len(all) != 0 {
		t.Errorf("rows = %+v, want none: strangers could fill the disk", all)
	}
}

func TestTheLogHoldsNeitherPromptsNorKeys(t *testing.T) {
	g, file := keepingLog(t, byKey(nil), answers(200, strings.Replace(chatAnswer, "hello", "a secret answer", 1)))
	g.post(chatPath, strings.Replace(chatRequest, "hi", "a secret prompt", 1)).want(t, 200)
	rows(t, "")
	for _, path := range []string{file, file + "-wal"} {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"a secret prompt", "a secret answer", "upstream-secret", clientKey} {
			if strings.Contains(string(text), secret) {
				t.Errorf("%s holds %q", filepath.Base(path), secret)
			}
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", filepath.Base(path), info.Mode(), err)
		}
	}
}

func TestUsageIsTheSumOfTheRowsAndOutlivesReloads(t *testing.T) {
	g, _ := keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
	for range 3 {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}
	g.post(chatPath, chatRequest).want(t, 200)
	var usage usageAnswer
	if err := json.Unmarshal([]byte(admin(t, http.MethodGet, "/llm_proxy/usage?by=client&since=1h", "").want(t, 200).body), &usage); err != nil {
		t.Fatal(err)
	}
	if len(usage.Rows) != 1 || usage.Rows[0].Name != "tests" || usage.Rows[0].Requests != 4 || usage.Rows[0].OK != 4 ||
		usage.Rows[0].Tokens != (tokenCount{Input: 20, Output: 8}) || usage.Rows[0].Attempts != 4 {
		t.Errorf("usage = %+v, want four requests of client tests with 20 and 8 tokens", usage.Rows)
	}
	if health := g.do(request{method: http.MethodGet, path: "/health/detailed"}).want(t, 200); health.get(t, "components", "database", "status") != "healthy" {
		t.Errorf("health = %s", health.body)
	}
	for query, want := range map[string]int{"?limit=2": 2, "?client=tests": 4, "?client=other": 0, "?trouble=true": 0, "?outcome=ok&since=1h": 4, "?until=1h": 0} {
		if n := len(rows(t, query)); n != want {
			t.Errorf("rows of %s = %d, want %d", query, n, want)
		}
	}
}

func TestQuestionsToTheLogThatMakeNoSenseAreRefused(t *testing.T) {
	g, _ := keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
	for path, want := range map[string]int{
		"/llm_proxy/requests?limit=0": 400, "/llm_proxy/requests?since=yesterday": 400, "/llm_proxy/requests?trouble=x": 400,
		"/llm_proxy/requests?order=1;drop": 400, "/llm_proxy/requests/nobody": 404, "/llm_proxy/usage?by=key;--": 400,
	} {
		admin(t, http.MethodGet, path, "").want(t, want)
	}
	g.config = strings.Replace(g.config, "log sqlite", "# log sqlite", 1)
	g.config = strings.Replace(g.config, "retain 7d\n max_size 64MiB\n}", "", 1)
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}
	if got := admin(t, http.MethodGet, "/llm_proxy/usage", "").want(t, 404); !strings.Contains(got.body, "log sqlite") {
		t.Errorf("without a log: %s", got.body)
	}
}

// RELIABILITY P6: trouble of the log neither fails nor slows a request.
func TestALogThatCannotBeWrittenHarmsNoRequest(t *testing.T) {
	g, file := keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
	g.post(chatPath, chatRequest).want(t, 200)
	rows(t, "")
	lock := lockDatabase(t, file)
	began := time.Now()
	for range 50 {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	if took := time.Since(began); took > slowed(2*time.Second) {
		t.Errorf("50 requests took %v while the database was locked", took)
	}
	lock()
	comesTrue(t, "the rows of the time of the lock are not written", func() bool { return len(rows(t, "?limit=100")) == 51 })
}

// lockDatabase holds the write lock of a database until the returned function is
// called.
func lockDatabase(t *testing.T, file string) (unlock func()) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := db.Exec("ROLLBACK"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALogIsWrittenAsTheManualSays(t *testing.T) {
	for _, tc := range []struct{ directive, problem string }{
		{"log off", ""},
		{"log sqlite x.db", ""},
		{"log sqlite x.db {\n retain 1h\n max_size 1MiB\n}", ""},
		{"log", "log is written as"},
		{"log sqlite", "log is written as"},
		{"log sqlite \"a b.db\"", ""},
		{"log postgres", "log is written as"},
		{"log postgres {env.DSN}", ""},
		{"log postgres \"host=a password={env.PW}\" {\n retain 1h\n max_size 1MiB\n spill x.db\n}", ""},
		{"log postgres x {\n spill\n}", "wrong argument count"},
		{"log mysql x", "log is written as"},
		{"log sqlite x.db {\n retain 1s\n}", "at least 1m"},
		{"log sqlite x.db {\n max_size none\n}", "max_size: 'none' is no size"},
		{"log sqlite x.db {\n bodies full\n}", ""},
		{"log sqlite x.db {\n bodies redacted {\n max_size 1MiB\n sample 10%\n retain 2d\n}\n retain 7d\n}", ""},
		{"log sqlite x.db {\n bodies off\n}", ""},
		{"log sqlite x.db {\n bodies\n}", "wrong argument count"},
		{"log sqlite x.db {\n bodies some\n}", "'some' is none of [off redacted full]"},
		{"log sqlite x.db {\n bodies full\n bodies off\n}", "bodies is written twice"},
		{"log sqlite x.db {\n bodies full {\n max_size 1GiB\n}\n}", "max_size: must be at most 8.0 MiB"},
		{"log sqlite x.db {\n bodies full {\n sample 0\n}\n}", "sample: must be above 0"},
		{"log sqlite x.db {\n bodies full {\n sample 200%\n}\n}", "sample: must be above 0"},
		{"log sqlite x.db {\n bodies full {\n sample NaN\n}\n}", "is no share"},
		{"log sqlite x.db {\n bodies full {\n retain 1s\n}\n}", "at least 1m"},
		{"log sqlite x.db {\n bodies full {\n prompts on\n}\n}", "unrecognized setting 'prompts' of bodies"},
		{"log sqlite x.db {\n prompts full\n}", "unrecognized setting 'prompts' of log"},
		{"log off\n log off", "written twice"},
	} {
		_, err := adapt("localhost {\n llm_proxy {\n" + tc.directive + "\n}\n}")
		if tc.problem == "" && err != nil || tc.problem != "" && (err == nil || !strings.Contains(err.Error(), tc.problem)) {
			t.Errorf("%q: %v, want %q", tc.directive, err, tc.problem)
		}
	}
}

func TestALogThatCouldKeepNothingIsRefused(t *testing.T) {
	g, file := keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
	g.config = strings.Replace(g.config, "max_size 64MiB", "max_size 64KiB", 1)
	g.wantReload(t, "log: max_size: must be at least 1.0 MiB")
	for members, want := range map[string]string{
		`"retain": 1000000000`: "log: retain: must be at least 1m0s",
		`"max_size": "1KiB"`:   "log: max_size: must be at least 1.0 MiB",
	} {
		config, err := adapt(g.config)
		if err != nil {
			t.Fatal(err)
		}
		config = bytes.Replace(config, []byte(`"max_size":65536,"retain":604800000000000`), []byte(members), 1)
		if err := caddy.Load(config, true); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", members, err, want)
		}
	}
	g.post(chatPath, chatRequest).want(t, 200)
	if len(rows(t, "")) != 1 {
		t.Errorf("%s is no longer kept", file)
	}
}
