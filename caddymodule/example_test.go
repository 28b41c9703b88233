package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

const (
	exampleKey  = "canary-key-of-the-example-qxjzw"
	pageOrigin  = "https://chat.example.com"
	demoAddress = "127.0.0.1:9082"
)

// runExample runs Caddyfile.example as it ships, on the ports of the tests,
// with its log in a file. change edits it first.
func runExample(t *testing.T, key string, change ...string) (*gateway, logged) {
	t.Helper()
	text, err := os.ReadFile("../Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, url: siteURL, dir: t.TempDir()}
	if err := os.CopyFS(g.dir, os.DirFS("../config")); err != nil {
		t.Fatal(err)
	}
	log := logged{path: filepath.Join(t.TempDir(), "caddy.log")}
	g.config = strings.NewReplacer(append(change,
		"127.0.0.1:9877", demoAddress,
		"	grace_period", "	admin localhost:2999\n	skip_install_trust\n	http_port 9081\n	https_port 9443\n	grace_period",
		"	log {\n", "	log {\n		output file "+log.path+"\n",
	)...).Replace(string(text))
	demo := filepath.Join(g.dir, "providers", "demo.json")
	shipped, err := os.ReadFile(demo)
	if err != nil {
		t.Fatal(err)
	}
	g.write("providers", "demo", strings.Replace(string(shipped), "127.0.0.1:9877", demoAddress, 1))
	for _, variable := range os.Environ() {
		// The machine may have real ones, for which this test shall not pay.
		if name, _, _ := strings.Cut(variable, "="); strings.Contains(name, "_API_KEY") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("LLM_PORT", "9080")
	t.Setenv("LLM_CONFIG", g.dir)
	t.Setenv("LLM_DATABASE", filepath.Join(t.TempDir(), "llm.db"))
	t.Setenv("CLIENT_API_KEY", key)
	runCaddy(t)
	g.wantReload(t, "")
	return g, log
}

// runCaddy makes sure that the process has a running Caddy.
func runCaddy(t *testing.T) {
	t.Helper()
	start(t, setup{providers: map[string]string{"none": provider("none", "http://127.0.0.1:1", "")}, models: map[string]string{"m": model("m", "", "none/x")}})
}

func TestTheExampleAnswersAsItShips(t *testing.T) {
	g, log := runExample(t, exampleKey)
	for _, at := range generators {
		body := asking(strings.Replace(goodRequests[at.path], `"hi"`, `"Hello there"`, 1), "demo")
		for _, name := range []string{"demo", "demo-tools", "demo-thinking"} {
			got := g.do(request{path: at.path, body: strings.Replace(body, `"demo"`, `"`+name+`"`, 1), key: exampleKey}).want(t, 200)
			if got.header.Get("Llm-Proxy-Provider") != "demo" || !strings.Contains(got.body, `"`+name+`"`) {
				t.Errorf("%s %s: %s", at.path, name, got.body)
			}
		}
		got := g.do(request{path: at.path, body: streamed(body), key: exampleKey}).want(t, 200)
		end := map[translate.Protocol]string{translate.Chat: "data: [DONE]\n\n", translate.Messages: "message_stop\"}\n\n", translate.Responses: "response.completed"}[at.protocol]
		if got.header.Get("Content-Type") != "text/event-stream" || !strings.Contains(got.body, end) || !strings.Contains(got.body, "Hello") {
			t.Errorf("%s streamed: %s", at.path, got.body)
		}
	}
	for path, body := range map[string]string{"/v1/embeddings": `{"model":"demo","input":"hi"}`, countPath: asking(countRequest, "demo")} {
		got := g.do(request{path: path, body: body, key: exampleKey}).want(t, 200)
		if got.header.Get("Llm-Proxy-Warnings") != "" {
			t.Errorf("%s: %v", path, got.header)
		}
	}
	if got := g.do(request{method: "GET", path: "/v1/models", key: exampleKey}).want(t, 200); !strings.Contains(got.body, `"id":"demo"`) {
		t.Errorf("models are %s", got.body)
	}
	// No provider has a key but the one that needs none.
	if got := g.do(request{method: "GET", path: "/health/detailed", key: "-"}).want(t, 200); got.get(t, "status") != degraded {
		t.Errorf("health is %s", got.body)
	}
	for _, says := range []string{"no provider key is set in the environment", "answers of the demo provider are simulated"} {
		log.line(t, says)
	}
	if got := g.do(request{method: "GET", path: "/other", key: exampleKey}).want(t, 404); !strings.Contains(got.body, "/v1/models") {
		t.Errorf("what is not served says %q", got.body)
	}
	g.do(request{path: chatPath, body: asking(chatRequest, "gpt-6.1-sol"), key: exampleKey}).wantError(t, translate.Chat, 503, true)
	g.do(request{path: chatPath, body: asking(chatRequest, "demo"), key: "wrong"}).wantError(t, translate.Chat, 401, true)
}

func TestTheExampleKeepsKeysOutOfItsLog(t *testing.T) {
	g, log := runExample(t, exampleKey)
	const other = "canary-stray-key-zwxqj"
	for _, header := range []map[string]string{
		{"X-Api-Key": exampleKey},
		{"Authorization": "Bearer " + exampleKey},
		{"X-Api-Key": exampleKey, "X-Goog-Api-Key": other, "Api-Key": other},
		{"Authorization": "Bearer " + exampleKey, "Cookie": "session=" + other, "Proxy-Authorization": "Bearer " + other},
	} {
		for _, r := range []request{
			{method: "GET", path: "/v1/models?key=" + other + "&limit=7&api_key=" + other, key: "-", header: header},
			{method: "GET", path: "/nothing?key=" + other, key: "-", header: header},
			{path: chatPath + "?key=" + other, body: asking(chatRequest, "demo"), key: "-", header: header},
			{path: chatPath, body: asking(chatRequest, "demo-500"), key: "-", header: header},
			{path: chatPath + "?api_key=" + other, body: "{", key: "-", header: header},
		} {
			g.do(r)
		}
	}
	log.line(t, "/nothing")
	log.line(t, "limit=7")
	g.do(request{method: "GET", path: "/last", key: "-", header: map[string]string{"X-Api-Key": exampleKey}})
	log.line(t, "/last")
	var all received
	all.add("the log", log.text(t))
	all.wantNone(t, exampleKey, other)
}

func TestTheExamplesRateLimitAnswersInAFormThatSDKsRead(t *testing.T) {
	const key = "key-of-the-rate-limit-test"
	t.Setenv("RATE_LIMIT_REQUESTS_PER_MINUTE", "3")
	g, _ := runExample(t, key, "# import cors", "import cors")
	for range 3 {
		g.do(request{method: "GET", path: "/v1/models", key: key}).want(t, 200)
	}
	for _, at := range generators {
		got := g.do(request{path: at.path, body: asking(goodRequests[at.path], "demo"), key: key, header: map[string]string{"Origin": pageOrigin}}).want(t, 429)
		if got.header.Get("Content-Type") != "application/json" || got.header.Get("Cache-Control") != "no-store" || got.header.Get("Retry-After") == "" {
			t.Errorf("headers are %v", got.header)
		}
		if origin := got.header.Get("Access-Control-Allow-Origin"); origin != pageOrigin {
			t.Errorf("Access-Control-Allow-Origin = %q", origin)
		}
		// Both SDKs find what they look for.
		if got.get(t, "type") != "error" || got.get(t, "error", "type") == "" || got.get(t, "error", "message") != "Too Many Requests" || got.get(t, "error", "code") != nil {
			t.Errorf("body is %s", got.body)
		}
	}
	for range 10 {
		g.do(request{method: "GET", path: "/health", key: key}).want(t, 200)
	}
	// The limit is each client's own.
	g.do(request{method: "GET", path: "/v1/models", key: "another"}).want(t, 401)
}

func TestTheExamplesPagesMayCallFromTheirOrigin(t *testing.T) {
	g, _ := runExample(t, exampleKey, "# import cors", "import cors")
	preflight := func(path, origin, method, headers string) response {
		return g.do(request{method: "OPTIONS", path: path, key: "-", header: map[string]string{
			"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers,
		}})
	}
	for _, e := range served {
		got := preflight(e.path, pageOrigin, e.method, "authorization,content-type").want(t, 204)
		for name, want := range map[string]string{
			"Access-Control-Allow-Origin": pageOrigin, "Access-Control-Allow-Methods": e.method, "Access-Control-Allow-Headers": "Authorization",
			"Access-Control-Max-Age": "600", "Vary": "Origin",
		} {
			if value := got.header.Get(name); !strings.Contains(value, want) {
				t.Errorf("preflight of %s: %s = %q, want %q", e.path, name, value, want)
			}
		}
	}
	for _, header := range []string{"authorization", "x-api-key", "content-type", "anthropic-version", "anthropic-beta", "anthropic-dangerous-direct-browser-access"} {
		if got := preflight(chatPath, pageOrigin, "POST", header); !strings.Contains(strings.ToLower(got.header.Get("Access-Control-Allow-Headers")), header) {
			t.Errorf("%s may not be sent", header)
		}
	}
	if got := preflight(chatPath, "https://evil.example.com", "POST", "authorization"); got.header.Get("Access-Control-Allow-Origin") != "" || got.status < 400 {
		t.Errorf("preflight of another origin: %d, %v", got.status, got.header)
	}
	// Whatever the answer, the page may read it.
	for _, r := range []request{
		{path: chatPath, body: asking(chatRequest, "demo")},
		{path: chatPath, body: streamed(asking(chatRequest, "demo"))},
		{path: chatPath, body: "{"},
		{path: chatPath, body: asking(chatRequest, "nobody")},
		{path: chatPath, body: asking(chatRequest, "demo-500")},
		{path: chatPath, body: asking(chatRequest, "demo"), key: "wrong"},
		{method: "DELETE", path: chatPath},
		{method: "GET", path: "/v1/models"},
		{method: "GET", path: "/nothing"},
	} {
		if r.key == "" {
			r.key = exampleKey
		}
		r.header = map[string]string{"Origin": pageOrigin}
		got := g.do(r)
		if got.header.Get("Access-Control-Allow-Origin") != pageOrigin || !strings.Contains(got.header.Get("Access-Control-Expose-Headers"), "X-Request-Id") {
			t.Errorf("%+v: status %d, %v", r, got.status, got.header)
		}
		r.header = map[string]string{"Origin": "https://evil.example.com"}
		if got := g.do(r); got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%+v: %v", r, got.header)
		}
	}
}

func TestTheExampleNeedsItsClientKey(t *testing.T) {
	g, _ := runExample(t, exampleKey)
	t.Setenv("CLIENT_API_KEY", "")
	g.wantReload(t, "env.CLIENT_API_KEY")
	g.do(request{method: "GET", path: "/v1/models", key: exampleKey}).want(t, 200)
	if err := validate(g.config); err == nil {
		t.Error("the example starts without a client key")
	}
}

// validate does what `caddy validate` does.
func validate(caddyfile string) error {
	text, err := adapt(caddyfile)
	if err != nil {
		return err
	}
	var config caddy.Config
	if err := caddy.StrictUnmarshalJSON(text, &config); err != nil {
		return err
	}
	return caddy.Validate(&config)
}
