package caddymodule

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

const (
	rateLimited = `{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}`
	brokenBody  = `{"error":{"message":"The server had an error","type":"server_error"}}`
)

// twoProviders is a model with a route to each of two upstreams.
func twoProviders(t *testing.T, first, second http.Handler) (*gateway, *upstream, *upstream) {
	t.Helper()
	a, b := serve(t, first), serve(t, second)
	t.Setenv("A_API_KEY", "a-key")
	t.Setenv("B_API_KEY", "b-key")
	g := start(t, setup{
		providers: map[string]string{"a": provider("a", a.url, ""), "b": provider("b", b.url, "")},
		models:    map[string]string{"m": model("m", "", "a/up", "b/up")},
	})
	return g, a, b
}

// RELIABILITY B2: 200 + error body / HTML / empty / null / truncated JSON.
func TestEveryFaultBeforeContentIsMendedByTheNextRoute(t *testing.T) {
	abort := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for _, tc := range []struct {
		name   string
		fault  http.Handler
		first  int // calls to the first upstream
		stream bool
	}{
		{name: "500", fault: answers(500, brokenBody), first: 1},
		{name: "502 with HTML", fault: answers(502, "<html>bad gateway</html>", "Content-Type", "text/html"), first: 1},
		{name: "503", fault: answers(503, brokenBody), first: 1},
		{name: "529", fault: answers(529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), first: 1},
		{name: "429", fault: answers(429, rateLimited, "Retry-After", "1"), first: 1},
		{name: "401", fault: answers(401, `{"error":{"message":"bad key","code":"invalid_api_key"}}`), first: 1},
		{name: "404 model", fault: answers(404, `{"error":{"message":"no such model","code":"model_not_found"}}`), first: 1},
		{name: "redirect", fault: answers(302, "", "Location", "http://localhost:1/"), first: 1},
		{name: "200 with an error", fault: answers(200, `{"error":{"message":"upstream trouble","code":500}}`), first: 1},
		{name: "200 with HTML", fault: answers(200, "<html>hello</html>"), first: 1},
		{name: "200 empty", fault: answers(200, ""), first: 1},
		{name: "200 null", fault: answers(200, "null"), first: 1},
		{name: "200 truncated", fault: answers(200, chatAnswer[:60]), first: 1},
		{name: "200 without choices", fault: answers(200, `{"id":"x","object":"chat.completion","choices":[]}`), first: 1},
		// A single key is asked twice when the connection breaks.
		{name: "connection reset", fault: abort, first: 2},
		{name: "stream: error event first", fault: answers(200, "data: {\"error\":{\"message\":\"busy\",\"type\":\"server_error\"}}\n\n", "Content-Type", "text/event-stream"), first: 1, stream: true},
		{name: "stream: role only, then the end", fault: answers(200, "data: {\"id\":\"1\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n", "Content-Type", "text/event-stream"), first: 1, stream: true},
		{name: "stream: half of a whole answer instead", fault: answers(200, chatAnswer[:60]), first: 1, stream: true},
		{name: "stream: HTML", fault: answers(200, "<html>x</html>", "Content-Type", "text/html"), first: 1, stream: true},
		{name: "stream: 500", fault: answers(500, brokenBody), first: 1, stream: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			good, body := answers(200, chatAnswer), chatRequest
			want := chatAnswer
			if tc.stream {
				good, body = answers(200, chatStream, "Content-Type", "text/event-stream"), chatStreamed
				want = chatStream
			}
			g, a, b := twoProviders(t, tc.fault, good)
			got := g.post(chatPath, body).want(t, 200)
			if got.body != want {
				t.Errorf("body = %q, want %q", got.body, want)
			}
			if p := got.header.Get("Llm-Proxy-Provider"); p != "b" {
				t.Errorf("Llm-Proxy-Provider = %q, want b", p)
			}
			if n := len(a.all()); n != tc.first {
				t.Errorf("calls to the first upstream = %d, want %d", n, tc.first)
			}
			if n := len(b.all()); n != 1 {
				t.Errorf("calls to the second upstream = %d, want 1", n)
			}
		})
	}
}

// chatStream is a whole stream of Chat Completions.
const chatStream = `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}

data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"content":"hel"},"finish_reason":null}]}

data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":null}]}

data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}

data: [DONE]

`

func TestTheClientsOwnMistakeGoesBackAtOnceAndCoolsNothing(t *testing.T) {
	for _, status := range []int{400, 413, 422} {
		body := `{"error":{"message":"temperature: must be at most 2","type":"invalid_request_error","param":"temperature","code":null}}`
		g, a, b := twoProviders(t, answers(status, body), answers(200, chatAnswer))
		for range 2 {
			got := g.post(chatPath, chatRequest).want(t, status)
			if got.body != body {
				t.Errorf("%d: body = %s, want the provider's own", status, got.body)
			}
		}
		if len(a.all()) != 2 || len(b.all()) != 0 {
			t.Errorf("%d: calls = %d and %d, want 2 and 0", status, len(a.all()), len(b.all()))
		}
	}
}

func TestRateLimitOnOneKeyIsAnsweredByTheNextInOneCleanStream(t *testing.T) {
	up := serve(t, byKey(map[string]http.Handler{
		"k1": answers(429, rateLimited, "Retry-After", "30"),
		"k2": answers(200, chatStream, "Content-Type", "text/event-stream"),
	}))
	t.Setenv("P_API_KEY_1", "k1")
	t.Setenv("P_API_KEY_2", "k2")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	for range 3 {
		got := g.post(chatPath, chatStreamed).want(t, 200)
		if got.body != chatStream || got.err != nil {
			t.Fatalf("stream = %q, %v; want the second key's, whole", got.body, got.err)
		}
	}
	if used := up.keysUsed(); !slices.Equal(used, []string{"k1", "k2", "k2", "k2"}) {
		t.Errorf("keys used = %v, want the first one to rest after its 429", used)
	}
}

func TestKeysRotate(t *testing.T) {
	up := serve(t, answers(200, chatAnswer))
	for _, i := range []string{"1", "2", "3"} {
		t.Setenv("P_API_KEY_"+i, "k"+i)
	}
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	for range 4 {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	if used := up.keysUsed(); !slices.Equal(used, []string{"k1", "k2", "k3", "k1"}) {
		t.Errorf("keys used = %v, want k1 k2 k3 k1", used)
	}
}

func TestAttemptsFollowTheDocumentedOrder(t *testing.T) {
	up := serve(t, answers(500, brokenBody))
	t.Setenv("P_API_KEY_1", "p1")
	t.Setenv("P_API_KEY_2", "p2")
	t.Setenv("Q_API_KEY", "q1")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, ""), "q": provider("q", up.url, "")},
		models: map[string]string{
			"m":   model("m", `"fallback_model_routings": ["fb1", "fb2"],`, "p/first", "q/second"),
			"fb1": model("fb1", `"fallback_model_routings": ["m", "fb3"],`, "q/third"),
			"fb2": model("fb2", "", "q/fifth"),
			"fb3": model("fb3", "", "q/fourth"),
		},
	})
	got := g.post(chatPath, chatRequest).want(t, 502)
	if n := got.header.Get("Llm-Proxy-Attempts"); n != "6" {
		t.Errorf("Llm-Proxy-Attempts = %s, want 6", n)
	}
	var order []string
	for _, c := range up.all() {
		_, rest, _ := strings.Cut(c.body, `"model":"`)
		name, _, _ := strings.Cut(rest, `"`)
		order = append(order, strings.TrimPrefix(c.header.Get("Authorization"), "Bearer ")+" "+name)
	}
	want := []string{"p1 first", "p2 first", "q1 second", "q1 third", "q1 fourth", "q1 fifth"}
	if !slices.Equal(order, want) {
		t.Errorf("attempts = %q, want %q", order, want)
	}
}

func TestWhenEverythingRestsTheAnswerComesAtOnceWithRetryAfter(t *testing.T) {
	up := serve(t, answers(429, rateLimited, "Retry-After", "40"))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	for i := range 3 {
		got := g.post(chatPath, chatRequest).want(t, 429)
		if after := got.header.Get("Retry-After"); after != "40" && after != "39" {
			t.Errorf("request %d: Retry-After = %q, want about 40", i, after)
		}
		if kind := got.get(t, "error", "message"); kind == "" {
			t.Errorf("request %d: no message in %s", i, got.body)
		}
	}
	if n := len(up.all()); n != 1 {
		t.Errorf("upstream calls = %d, want 1", n)
	}
}

func TestADeadKeyNeverShowsAndTheClientIsNotBlamed(t *testing.T) {
	up := serve(t, byKey(nil))
	t.Setenv("P_API_KEY", "sk-upstream-secret")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	for _, path := range []string{chatPath, "/v1/messages", "/v1/responses"} {
		body := chatRequest
		if path == "/v1/responses" {
			body = `{"model":"m","input":"hi"}`
		}
		got := g.post(path, body)
		if got.status != 502 && got.status != 503 {
			t.Errorf("%s: status %d, want 502 or 503", path, got.status)
		}
		if strings.Contains(got.body, "sk-upstream-secret") {
			t.Errorf("%s: the upstream key is in the answer: %s", path, got.body)
		}
	}
	if n := len(up.all()); n != 1 {
		t.Errorf("upstream calls = %d, want 1: a dead key rests for every model and protocol", n)
	}
}

// One client's large request must not take the keys from all others.
func TestARequestThatNoLimitCanHoldRestsNoKey(t *testing.T) {
	tooLarge := answers(429, `{"error":{"message":"Request too large for up in organization org-1 on tokens per min (TPM): Limit 30000, Requested 40000. The input or output tokens must be reduced in order to run successfully.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`)
	g, a, b := twoProviders(t, tooLarge, answers(200, chatAnswer))
	for range 3 {
		if got := g.post(chatPath, chatRequest).want(t, 200); got.header.Get("Llm-Proxy-Provider") != "b" {
			t.Errorf("answered by %s, want b", got.header.Get("Llm-Proxy-Provider"))
		}
	}
	if len(a.all()) != 3 || len(b.all()) != 3 {
		t.Errorf("calls = %d and %d, want 3 and 3", len(a.all()), len(b.all()))
	}
}
