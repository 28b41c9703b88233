package caddymodule

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// someNumber are the numbers of a health report that are different in every run.
var someNumber = regexp.MustCompile(`"(uptime_seconds|goroutines|memory_bytes|heap_bytes|open_files|response_time_ms|file_size)":[\d.e-]+`)

// fixedHealth is a health report of the administration without what is different in
// every run.
func fixedHealth(got response) response {
	got.body = someNumber.ReplaceAllString(got.body, `"$1":1`)
	got.body = regexp.MustCompile(`"go":"[^"]*"`).ReplaceAllString(got.body, `"go":"go1.26.8"`)
	return got
}

func TestTheAdministrationTellsHowEverythingIs(t *testing.T) {
	g, _ := operated(t)
	file := filepath.Join(g.dir, "requests.db")
	g.config = strings.Replace(g.config, "breaker {", "log sqlite "+file+"\n breaker {", 1)
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}
	g.post(chatPath, chatRequest).want(t, 200)
	rows(t, "") // it is written
	g.wantAdmin("health.json", fixedHealth(admin(t, http.MethodGet, "/llm_proxy/health", "").want(t, 200)))
	got := admin(t, http.MethodGet, "/llm_proxy/health", "")
	for _, secret := range []string{"a-limited", "a-dead", "a-good", "b-key", clientKey} {
		if strings.Contains(got.body, secret) {
			t.Errorf("the health report shows the key %s", secret)
		}
	}
}

func TestTheAdministrationListsTheModels(t *testing.T) {
	g, _ := operated(t)
	g.write("models", "alone", model("alone", `"display_name": "Alone", "policy": "weighted",`, "c/keyless"))
	g.write("models", "priced", model("priced", `"prices": {"input": 2, "output": 8, "cache_read": 0.5, "long_context": {"above": 200000, "input": 4, "output": 12}},`, "a/up"))
	g.write("models", "kept", `{"logical_name": "kept", "model_routings": [{"provider": "a", "model": "up", "wire_protocol": "anthropic", "weight": 0}]}`)
	admin(t, http.MethodPost, "/llm_proxy/reload", "").want(t, 200)
	g.wantAdmin("models.json", admin(t, http.MethodGet, "/llm_proxy/models", "").want(t, 200))
	got := admin(t, http.MethodGet, "/llm_proxy/models?model=any-thing", "").want(t, 200)
	if strings.Count(got.body, `"answers":`) != 1 || !strings.Contains(got.body, `{"model":"other",`) {
		t.Errorf("what answers to any-thing: %s, want other alone", got.body)
	}
	got = admin(t, http.MethodGet, "/llm_proxy/models?model=nope", "").want(t, 404)
	if !strings.Contains(got.body, `model \"nope\" is not known; GET /llm_proxy/models lists the models`) {
		t.Errorf("an unknown model: %s", got.body)
	}
}

func TestTheAdministrationCountsWhatIsUnderWay(t *testing.T) {
	s := &slowly{first: chatStream[:len(chatStream)/2], rest: chatStream[len(chatStream)/2:], goOn: make(chan struct{})}
	up := serve(t, s)
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{providers: map[string]string{"p": provider("p", up.url, "")}, models: map[string]string{"m": model("m", "", "p/up")}})
	underWay := func() (n [2]int64) {
		var health fullHealth
		if err := json.Unmarshal([]byte(admin(t, http.MethodGet, "/llm_proxy/health", "").want(t, 200).body), &health); err != nil {
			t.Fatal(err)
		}
		return [2]int64{health.RequestsInFlight, health.OpenStreams}
	}
	if got := underWay(); got != [2]int64{} {
		t.Errorf("before: %v are under way", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got, err := g.open(ctx, request{path: chatPath, body: chatStreamed})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if during := underWay(); during != [2]int64{1, 1} {
		t.Errorf("a stream is open: %v are under way, want one of each", during)
	}
	close(s.goOn)
	comesTrue(t, "the stream is never over", func() bool { return underWay() == [2]int64{} })
}

func TestBrokenFilesAreToldToTheOperatorInFull(t *testing.T) {
	g, _ := operated(t)
	g.write("models", "m", `{"logical_name": "m"}`)
	admin(t, http.MethodPost, "/llm_proxy/reload", "").want(t, 422)
	var health fullHealth
	if err := json.Unmarshal([]byte(admin(t, http.MethodGet, "/llm_proxy/health", "").want(t, 200).body), &health); err != nil {
		t.Fatal(err)
	}
	want := filepath.Join(g.dir, "models", "m.json")
	if problems := health.Handlers[0].Problems; health.Status != degraded || len(problems) != 1 || problems[0].File != want || problems[0] == (routing.Problem{File: want}) {
		t.Errorf("status is %s with %+v, want degraded with a problem of %s", health.Status, problems, want)
	}
}

func TestWithoutAHandlerNobodyIsHealthy(t *testing.T) {
	operated(t)
	loadNothing(t)
	got := admin(t, http.MethodGet, "/llm_proxy/health", "").want(t, 200)
	if got.get(t, "status") != unhealthy || !strings.Contains(got.body, `"handlers":[],"providers":[]`) {
		t.Errorf("without a handler: %s", got.body)
	}
}

// BEHAVIOUR 13.2, row 26: there the log was a part of every request, and its
// trouble a 503. Here no request waits for it.
func TestALogInTroubleDegradesTheGatewayAndNothingMore(t *testing.T) {
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	file := filepath.Join(t.TempDir(), "requests.db")
	if err := os.WriteFile(file, []byte(strings.Repeat("this is no database ", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		directive: "log sqlite " + file,
	})
	g.post(chatPath, chatRequest).want(t, 200)
	var got response
	comesTrue(t, "the damage is not told", func() bool {
		got = g.do(request{method: http.MethodGet, path: "/health/detailed", key: "-"}).want(t, 200)
		return got.get(t, "status") == degraded
	})
	database := got.get(t, "components", "database").(map[string]any)
	if ms, told := database["response_time_ms"].(float64); database["status"] != degraded || database["error"] == nil || !told || ms < 0 || ms > 1000 {
		t.Errorf("database is %v", database)
	}
	if strings.Contains(got.body, file) {
		t.Errorf("the public health report tells where files are: %s", got.body)
	}
	var health fullHealth
	if err := json.Unmarshal([]byte(admin(t, http.MethodGet, "/llm_proxy/health", "").want(t, 200).body), &health); err != nil {
		t.Fatal(err)
	}
	if log := health.Handlers[0].Log; log == nil || !strings.HasPrefix(log.SetAside, file) {
		t.Errorf("the log is %+v, want the name of the file that was set aside", log)
	}
}
