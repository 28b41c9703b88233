package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// behaviour is a black-box case of the service that this project replaces, by its
// number. What some of them want is fixed rather than kept; that stands beside them.
type behaviour struct {
	row     int
	name    string
	promise func(*testing.T)
}

// operations are the cases about health, start-up and the request log.
var operations = []behaviour{
	{19, "health is healthy and has a timestamp", func(t *testing.T) {
		g, _ := plainGateway(t, setup{})
		got := g.do(request{method: "GET", path: "/health", key: "-"}).want(t, 200)
		at, err := time.Parse(time.RFC3339, got.get(t, "timestamp").(string))
		if got.get(t, "status") != "healthy" || err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("health is %s", got.body)
		}
	}},
	{20, "detailed health has its members, also where it is 503 (fixed: without a wrapper)", func(t *testing.T) {
		for key, want := range map[string]int{"upstream-key": 200, "": 503} {
			g, _ := plainGateway(t, setup{})
			t.Setenv("UP_API_KEY", key)
			g.wantReload(t, "")
			got := g.do(request{method: "GET", path: "/health/detailed", key: "-"}).want(t, want)
			wantMembers(t, members(t, got.body), "components", "status", "timestamp", "uptime_seconds")
			wantMembers(t, members(t, string(members(t, got.body)["components"])), "database", "model_config", "provider_configs", "providers")
		}
	}},
	{22, "detailed health counts the models", func(t *testing.T) {
		wantDetail(t, "model_config", "models_count", 2)
	}},
	{23, "detailed health counts the providers", func(t *testing.T) {
		wantDetail(t, "provider_configs", "providers_loaded", 2)
	}},
	{25, "a provider without keys makes it degraded (fixed: it is)", func(t *testing.T) {
		g := oneKeyless(t)
		got := g.do(request{method: "GET", path: "/health/detailed"}).want(t, 200)
		if got.get(t, "status") != "degraded" || got.get(t, "components", "providers", "b", "status") != "degraded" || got.get(t, "components", "providers", "a", "status") != "healthy" {
			t.Errorf("health is %s, want b and all degraded", got.body)
		}
	}},
	// Unhealthy would be 503, and load balancers would take a gateway out of service
	// that answers everybody.
	{26, "a database that cannot be written is told (fixed: degraded, as no request waits for it)", func(t *testing.T) {
		g, file := keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
		g.post(chatPath, chatRequest).want(t, 200)
		rows(t, "")
		state := func() string {
			got := g.do(request{method: "GET", path: "/health/detailed"}).want(t, 200)
			return fmt.Sprint(got.get(t, "status"), " ", got.get(t, "components", "database", "status"))
		}
		if now := state(); now != "healthy healthy" {
			t.Errorf("health is %s, want both healthy", now)
		}
		unlock := lockDatabase(t, file)
		g.post(chatPath, chatRequest).want(t, 200)
		comesTrue(t, "a locked database is not told", func() bool { return state() == "degraded degraded" })
		unlock()
		comesTrue(t, "that the database is back is not told", func() bool { return state() == "healthy healthy" })
	}},
	{28, "a required client key that is missing is named, and nothing starts", func(t *testing.T) {
		dir := t.TempDir()
		g := &gateway{t: t, dir: dir}
		g.write("providers", "p", provider("p", "http://127.0.0.1:1", ""))
		g.write("models", "m", model("m", "", "p/x"))
		site := filepath.Join(dir, "Caddyfile")
		if err := os.WriteFile(site, []byte("{\nadmin off\n}\nhttp://127.0.0.1:9084 {\nllm_proxy {\nproviders "+dir+"/providers\nmodels "+dir+"/models\n}\n}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, stderr, exit := runCommand(t, []string{"REQUIRE_CLIENT_API_KEY=true", "CLIENT_API_KEY="}, "run", "--config", site, "--adapter", "caddyfile")
		if exit == 0 || !strings.Contains(stderr, "CLIENT_API_KEY") {
			t.Errorf("caddy run exits with %d: %s", exit, stderr)
		}
		refusedStart(t, shippedFiles(t, t.TempDir()), []string{"REQUIRE_CLIENT_API_KEY=true"}).want(t, 2, "CLIENT_API_KEY")
	}},
	{29, "all files that are shipped are valid", func(t *testing.T) {
		got := run(t, "", "config", "validate", "--providers", "../config/providers", "--models", "../config/models").want(t, 0)
		if !regexp.MustCompile(`\nvalid: [0-9]+ models and [0-9]{2} providers, [0-9]+ warnings\n$`).MatchString(got.stdout) {
			t.Errorf("config validate prints %s", got.stdout)
		}
	}},
	{31, "without any provider's key it serves, and says in several places that it cannot answer", func(t *testing.T) {
		goodFiles(t)
		if got := run(t, "", "keys", "list", "--offline").want(t, 0); !strings.Contains(got.stdout, "without keys: p") {
			t.Errorf("keys list prints %s", got.stdout)
		}
		run(t, "", "keys", "test").want(t, 1, "no key of p is set; set P_API_KEY")
		g := oneKeyless(t, "A_API_KEY")
		got := g.do(request{method: "GET", path: "/health/detailed"}).want(t, 503)
		if got.get(t, "status") != "unhealthy" {
			t.Errorf("health is %s, want unhealthy", got.body)
		}
		g.do(request{method: "GET", path: "/health"}).want(t, 200)
		run(t, "", "health", "--endpoint", g.url, "--detailed").want(t, 1, "unhealthy")
		// That is fatal only where somebody wants it so.
		dir := t.TempDir()
		files := &gateway{t: t, dir: filepath.Join(dir, "config")}
		files.write("providers", "p", provider("p", "http://127.0.0.1:1", ""))
		files.write("models", "m", model("m", "", "p/x"))
		variables := []string{"CLIENT_API_KEY=" + canaries[0]}
		started := startIn(t, dir, variables)
		if said := started.end(t); !strings.Contains(said, "P_API_KEY") && !strings.Contains(said, "no provider") {
			t.Errorf("start says %s", said)
		}
		refusedStart(t, dir, append(variables, "FAIL_ON_STARTUP_VALIDATION=true")).want(t, 1, "key")
	}},

	{112, "a request that was answered is a row (kept, with provider, key id and attempts)", func(t *testing.T) {
		g, _ := keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
		got := g.post(chatPath, chatRequest).want(t, 200)
		row := firstRow(t, "")
		if row.ID != got.header.Get("X-Request-Id") || row.Endpoint != chatPath || row.Asked != "m" || row.Status != 200 || row.TotalMS <= 0 ||
			row.Tokens.Input != 5 || row.Tokens.Output != 2 || row.Provider != "a" || len(row.KeyID) != 8 || row.Attempts != 1 {
			t.Errorf("the row is %+v", row)
		}
	}},
	{113, "a request that failed is a row with its status and the reason, and found among the troubles", func(t *testing.T) {
		g, _ := keepingLog(t, answers(500, brokenBody), answers(500, `{"error":{"message":"out of order"}}`))
		id := g.post(chatPath, chatRequest).want(t, 502).header.Get("X-Request-Id")
		found := rows(t, "?trouble=true")
		if len(found) != 1 || found[0].ID != id || found[0].Status != 502 || found[0].Outcome != "error" {
			t.Fatalf("among the troubles are %+v", found)
		}
		if story := run(t, "", "explain", id, "--address", adminAddress).want(t, 0).stdout; !strings.Contains(story, "out of order") {
			t.Errorf("explain does not tell the reason:\n%s", story)
		}
	}},
	{115, "the usage of Messages is stored as that of Chat Completions is", func(t *testing.T) {
		const said = `{"id":"msg_1","type":"message","role":"assistant","model":"up","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","usage":{"input_tokens":10,"output_tokens":20}}`
		g, _ := keepingLog(t, answers(200, said), answers(200, said))
		g.post("/v1/messages", goodRequests["/v1/messages"]).want(t, 200)
		if row := firstRow(t, ""); row.Tokens.Input != 10 || row.Tokens.read() != 10 || row.Tokens.Output != 20 || row.Tokens.written() != 20 {
			t.Errorf("the row is %+v, want 10 and 20 tokens", row)
		}
	}},
	{116, "usage sums up rows", func(t *testing.T) {
		said := func(input, output string) http.Handler {
			return answers(200, strings.Replace(chatAnswer, `"prompt_tokens":5,"completion_tokens":2,"total_tokens":7`, `"prompt_tokens":`+input+`,"completion_tokens":`+output, 1))
		}
		g, _ := keepingLog(t, inTurn(said("10", "20"), said("15", "25")), answers(500, brokenBody))
		for range 2 {
			g.post(chatPath, chatRequest).want(t, 200)
		}
		var usage usageAnswer
		got := run(t, "", "usage", "--json", "--address", adminAddress).want(t, 0)
		if err := json.Unmarshal([]byte(got.stdout), &usage); err != nil || len(usage.Rows) != 1 {
			t.Fatalf("usage prints %s (%v)", got.stdout, err)
		}
		if sum := usage.Rows[0]; sum.Requests != 2 || sum.OK != 2 || sum.Tokens.Input != 25 || sum.Tokens.Output != 45 || sum.AverageMS <= 0 {
			t.Errorf("the sums are %+v, want 2 requests with 25 and 45 tokens", sum)
		}
	}},
}

// oneKeyless has a provider with a key, unless its variable is without one, and one
// that never has.
func oneKeyless(t *testing.T, without ...string) *gateway {
	t.Helper()
	t.Setenv("A_API_KEY", "upstream-key")
	for _, name := range without {
		t.Setenv(name, "")
	}
	return start(t, setup{
		providers: map[string]string{"a": provider("a", "http://127.0.0.1:1", ""), "b": provider("b", "http://127.0.0.1:1", "")},
		models:    map[string]string{"m": model("m", "", "a/x"), "n": model("n", "", "a/y", "b/y")},
	})
}

// wantDetail wants a part of the detailed health to be healthy, with a number.
func wantDetail(t *testing.T, component, count string, want float64) {
	t.Helper()
	got := oneKeyless(t).do(request{method: "GET", path: "/health/detailed"}).want(t, 200)
	if status, n := got.get(t, "components", component, "status"), got.get(t, "components", component, count); status != "healthy" || n != want {
		t.Errorf("%s is %v with %v, want healthy with %v", component, status, n, want)
	}
}

func TestOperationIsWhatItWasAndBetter(t *testing.T) {
	for _, b := range slices.Concat(operations, commands) {
		t.Run(strconv.Itoa(b.row)+" "+b.name, b.promise)
	}
}

// rowNumber begins a line of the tables of cases.
var rowNumber = regexp.MustCompile(`^\| ([0-9]+) \|`)

func TestNoCaseOfOperationIsForgotten(t *testing.T) {
	text, err := os.ReadFile("../../shared/original/BEHAVIOUR.md")
	if err != nil {
		t.Skipf("the list of cases is not there: %v", err)
	}
	var rows []int
	ours := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "### ") {
			section := strings.Fields(line)[1]
			ours = slices.Contains([]string{"13.2", "13.7", "13.8"}, section)
		}
		if found := rowNumber.FindStringSubmatch(line); ours && found != nil {
			n, _ := strconv.Atoi(found[1])
			rows = append(rows, n)
		}
	}
	if len(rows) != 41 {
		t.Fatalf("the list has %d cases: %v", len(rows), rows)
	}
	for _, b := range slices.Concat(operations, commands) {
		rows = slices.DeleteFunc(rows, func(n int) bool { return n == b.row })
	}
	if len(rows) > 0 {
		t.Errorf("cases without a promise: %v", rows)
	}
}
