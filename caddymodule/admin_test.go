package caddymodule

import (
	"bytes"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var updateAdmin = flag.Bool("update-admin", false, "rewrite the answers of testdata/admin")

// admin sends a request to Caddy's administration endpoint.
func admin(t *testing.T, method, path, body string) response {
	t.Helper()
	request, err := http.NewRequest(method, "http://localhost:2999"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	got, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	return response{got.StatusCode, got.Header, string(text), err}
}

// What is different in every run.
var (
	someTime    = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[^"]*"`)
	someLatency = regexp.MustCompile(`"latency_ms":\d+`)
)

// wantAdmin wants an answer of the administration to be what a file of
// testdata/admin holds, but for times and the test's directory.
func (g *gateway) wantAdmin(file string, got response) {
	g.t.Helper()
	text := strings.ReplaceAll(got.body, g.dir, "/config")
	text = someTime.ReplaceAllString(text, `"2026-01-02T03:04:05Z"`)
	text = someLatency.ReplaceAllString(text, `"latency_ms":12`)
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(text), "", "  "); err != nil {
		g.t.Fatalf("%v: %s", err, got.body)
	}
	path := filepath.Join("testdata", "admin", file)
	if *updateAdmin {
		if err := os.WriteFile(path, pretty.Bytes(), 0o644); err != nil {
			g.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		g.t.Fatal(err)
	}
	if pretty.String() != string(want) {
		g.t.Errorf("%s differs; run with -update-admin and look at the difference. Got:\n%s", path, pretty.String())
	}
}

// operated is a gateway in trouble: one key of a is rate limited and another
// dead, and the breaker of b's model is open.
func operated(t *testing.T) (*gateway, *upstream) {
	t.Helper()
	a := serve(t, byKey(map[string]http.Handler{
		"a-good":    answers(200, chatAnswer),
		"a-limited": answers(429, rateLimited, "Retry-After", "600"),
	}))
	b := serve(t, answers(500, brokenBody))
	t.Setenv("A_API_KEY_1", "a-limited")
	t.Setenv("A_API_KEY_2", "a-dead")
	t.Setenv("A_API_KEY_3", "a-good")
	t.Setenv("B_API_KEY", "b-key")
	g := start(t, setup{
		providers: map[string]string{
			"a": provider("a", a.url, ""),
			"b": provider("b", b.url, ""),
			"c": provider("c", b.url, ""),
		},
		models: map[string]string{
			"m":     model("m", `"fallback_model_routings": ["other"], "context_window_fallbacks": ["long"],`, "b/down", "a/up", "c/keyless"),
			"other": model("other", `"aliases": ["any-*"],`, "a/*"),
			"long":  model("long", "", "a/long"),
		},
		directive: "breaker {\n failures 2\n open 1h\n}",
	})
	for range 3 {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	return g, a
}

func TestTheAdministrationShowsWhatKeysAndRoutesDo(t *testing.T) {
	g, _ := operated(t)
	for _, tc := range []struct{ file, path string }{
		{"keys.json", "/llm_proxy/keys"},
		{"keys_of_one.json", "/llm_proxy/keys?provider=b"},
		{"plan.json", "/llm_proxy/plan?model=m"},
		{"plan_messages.json", "/llm_proxy/plan?model=any-thing&protocol=anthropic&stream=true&handler=0"},
	} {
		got := admin(t, http.MethodGet, tc.path, "").want(t, 200)
		if ct := got.header.Get("Content-Type"); ct != "application/json" {
			t.Errorf("GET %s: Content-Type %q", tc.path, ct)
		}
		g.wantAdmin(tc.file, got)
		for _, secret := range []string{"a-limited", "a-dead", "a-good", "b-key", clientKey} {
			if strings.Contains(got.body, secret) {
				t.Errorf("GET %s shows the key %s", tc.path, secret)
			}
		}
	}
}

func TestAResetKeyIsAskedAtOnce(t *testing.T) {
	g, a := operated(t)
	limited := resting(t, "a", "rate_limited")
	for _, tc := range []struct {
		name, path, body string
		reset            string
		asked            string // a key that is asked again
	}{
		{"one key, by the query", "/llm_proxy/keys/reset?provider=a&key=" + limited, "", "1", "a-limited"},
		{"one key, by the body", "/llm_proxy/keys/reset", `{"provider": "a", "key": "` + limited + `"}`, "1", "a-limited"},
		{"one key, by both", "/llm_proxy/keys/reset?provider=a", `{"key": "` + limited + `"}`, "1", "a-limited"},
		{"a provider", "/llm_proxy/keys/reset?provider=a", "", "3", "a-dead"},
		{"everything", "/llm_proxy/keys/reset", "", "4", "a-dead"},
	} {
		got := admin(t, http.MethodPost, tc.path, tc.body).want(t, 200)
		if want := `{"reset":` + tc.reset + `}`; strings.TrimSpace(got.body) != want {
			t.Errorf("%s: %s, want %s", tc.name, got.body, want)
		}
		a.reset()
		for range 3 {
			g.post(chatPath, chatRequest).want(t, 200)
		}
		if used := a.keysUsed(); !strings.Contains(strings.Join(used, " "), tc.asked) {
			t.Errorf("%s: %s was not asked again, only %v", tc.name, tc.asked, used)
		}
	}
}

// resting is the public name of a provider's key that rests for a reason.
func resting(t *testing.T, provider, why string) string {
	t.Helper()
	answer := admin(t, http.MethodGet, "/llm_proxy/keys?provider="+provider, "").want(t, 200)
	var shape struct {
		Providers []struct {
			Keys []struct {
				ID      string
				Cooling []struct{ Why string }
			}
		}
	}
	if err := json.Unmarshal([]byte(answer.body), &shape); err != nil {
		t.Fatal(err)
	}
	for _, key := range shape.Providers[0].Keys {
		for _, c := range key.Cooling {
			if c.Why == why {
				return key.ID
			}
		}
	}
	t.Fatalf("no key rests for %s: %s", why, answer.body)
	return ""
}

func TestTheAdministrationRefusesWhatItDoesNotUnderstand(t *testing.T) {
	_, _ = operated(t)
	for _, tc := range []struct {
		method, path, body string
		status             int
		says               string
	}{
		{"GET", "/llm_proxy/keys?provider=nope", "", 404, `provider \"nope\" is not known; GET /llm_proxy/keys lists them`},
		{"GET", "/llm_proxy/keys?provder=a", "", 400, `parameter \"provder\"`},
		{"POST", "/llm_proxy/keys", "", 405, "method not allowed"},
		{"GET", "/llm_proxy/plan", "", 400, "model is missing"},
		{"GET", "/llm_proxy/plan?model=nope", "", 404, `model \"nope\" is not known; GET /v1/models`},
		{"GET", "/llm_proxy/plan?model=m&handler=7", "", 404, `model \"m\" is not known to handler \"7\"`},
		{"GET", "/llm_proxy/plan?model=m&protocol=grpc", "", 400, `\"grpc\" is none of [openai responses anthropic]`},
		{"GET", "/llm_proxy/plan?model=m&stream=perhaps", "", 400, `\"perhaps\" is neither true nor false`},
		{"GET", "/llm_proxy/plan?model=m&model=n", "", 400, `parameter \"model\"`},
		{"PUT", "/llm_proxy/plan?model=m", "", 405, "method not allowed"},
		{"GET", "/llm_proxy/keys/reset", "", 405, "this takes POST"},
		{"POST", "/llm_proxy/keys/reset?provider=nope", "", 404, `provider \"nope\" is not known; GET /llm_proxy/keys lists them`},
		{"POST", "/llm_proxy/keys/reset?provider=a&key=12345678", "", 404, `no key \"12345678\" of provider \"a\" is known`},
		{"POST", "/llm_proxy/keys/reset?key=12345678", "", 404, `no key \"12345678\" is known`},
		{"POST", "/llm_proxy/keys/reset", `{"provider": "a", "key": "a-dead"}`, 404, `no key with that id of provider \"a\"`},
		{"POST", "/llm_proxy/keys/reset", `{"provder": "a"}`, 400, `unknown field \"provder\"`},
		{"POST", "/llm_proxy/keys/reset", `provider=a`, 400, "reading the body"},
		{"POST", "/llm_proxy/keys/reset?provider=a", `{"provider": "b"}`, 400, "two different providers"},
	} {
		got := admin(t, tc.method, tc.path, tc.body)
		if got.status != tc.status || !strings.HasPrefix(got.body, `{"error":"`) || !strings.Contains(got.body, tc.says) {
			t.Errorf("%s %s %s: %d %s, want %d with %s", tc.method, tc.path, tc.body, got.status, got.body, tc.status, tc.says)
		}
		if strings.Contains(got.body, "a-dead") {
			t.Errorf("%s %s: the answer repeats a secret: %s", tc.method, tc.path, got.body)
		}
		allow := map[string]string{"/llm_proxy/keys/reset": "POST"}[tc.path]
		if allow == "" {
			allow = "GET"
		}
		if got.status == 405 && got.header.Get("Allow") != allow {
			t.Errorf("%s %s: Allow %q, want %q", tc.method, tc.path, got.header.Get("Allow"), allow)
		}
	}
}

func TestReloadsLeaveTheAdministrationWithTheRunningHandlers(t *testing.T) {
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	before := admin(t, http.MethodGet, "/llm_proxy/keys", "").want(t, 200).body
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}
	broken := *g
	broken.config = strings.Replace(g.config, "llm_proxy {", "llm_proxy {\n client_key x {env.NOT_SET_BY_THE_TESTS}", 1)
	if err := broken.reload(); err == nil {
		t.Fatal("a broken configuration was loaded")
	}
	if after := admin(t, http.MethodGet, "/llm_proxy/keys", "").want(t, 200).body; after != before {
		t.Errorf("after reloads:\n%swant\n%s", after, before)
	}
	if n := len(live.all()); n != 1 {
		t.Errorf("%d handlers are live, want 1", n)
	}
	loadNothing(t)
	if after := admin(t, http.MethodGet, "/llm_proxy/keys", "").want(t, 200).body; after != "{\"providers\":[]}\n" {
		t.Errorf("without a handler: %s", after)
	}
}

func TestSeveralBlocksShareTheKeysThatTheyHaveInCommon(t *testing.T) {
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	t.Setenv("Q_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	other := &gateway{t: t, dir: t.TempDir()}
	other.write("providers", "p", provider("p", up.url, ""))
	other.write("providers", "q", provider("q", up.url, ""))
	other.write("models", "m", model("m", "", "q/up"))
	other.write("models", "n", model("n", "", "q/up"))
	block := "handle_path %s/* {\n llm_proxy {\n allow_anonymous\n providers %s/providers\n models %s/models\n }\n }\n"
	g.config = strings.Replace(g.config, "respond ",
		strings.NewReplacer("%s/providers", g.dir+"/providers", "%s/models", g.dir+"/models", "%s", "/same").Replace(block)+
			strings.NewReplacer("%s/providers", other.dir+"/providers", "%s/models", other.dir+"/models", "%s", "/other").Replace(block)+
			"respond ", 1)
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}
	keys := admin(t, http.MethodGet, "/llm_proxy/keys", "").want(t, 200)
	for _, tc := range []struct {
		dir, provider string
	}{{g.dir, "p"}, {other.dir, "p"}, {other.dir, "q"}} {
		one := `{"directory":"` + tc.dir + `/providers","provider":"` + tc.provider + `"`
		if n := strings.Count(keys.body, one); n != 1 {
			t.Errorf("%s is told %d times, want once: %s", one, n, keys.body)
		}
	}
	if got := admin(t, http.MethodPost, "/llm_proxy/keys/reset?provider=p", ""); strings.TrimSpace(got.body) != `{"reset":2}` {
		t.Errorf("reset of p in two directories: %s", got.body)
	}
	for path, want := range map[string]int{"?model=m": 3, "?model=n": 1, "?model=m&handler=0": 1} {
		got := admin(t, http.MethodGet, "/llm_proxy/plan"+path, "").want(t, 200)
		if n := strings.Count(got.body, `"handler":`); n != want {
			t.Errorf("plan%s: %d plans, want %d: %s", path, n, want, got.body)
		}
	}
}
