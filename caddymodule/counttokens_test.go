package caddymodule

import (
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

const (
	countPath    = "/v1/messages/count_tokens"
	countRequest = `{"model":"m","system":"You are terse.","messages":[{"role":"user","content":"What is the weather in Oslo?"}],"tools":[{"name":"weather","description":"Tells the weather","input_schema":{"type":"object","properties":{"city":{"type":"string"}}}}]}`
)

// countingGateway is a gateway whose only upstream answers count_tokens as said.
func countingGateway(t *testing.T, count http.Handler) (*gateway, *upstream) {
	t.Helper()
	mux := http.NewServeMux()
	mux.Handle("POST "+countPath, count)
	mux.Handle("/", new(script))
	up := serve(t, mux)
	t.Setenv("UP_API_KEY", "upstream-key")
	return start(t, setup{
		providers: map[string]string{
			"up":      fullProvider("up", up.url, ""),
			"keyless": fullProvider("keyless", up.url, ""),
			"plain":   strings.Replace(provider("plain", up.url, ""), `"type": "bearer"`, `"type": "none"`, 1),
		},
		models: map[string]string{
			"m":     model("m", "", "up/there"),
			"plain": model("plain", "", "plain/there"),
			"nokey": model("nokey", "", "keyless/there"),
		},
	}), up
}

// wantEstimate fails the test unless the response is a plausible number that
// says what it is.
func (r response) wantEstimate(t *testing.T) {
	t.Helper()
	r.want(t, 200)
	wantMembers(t, members(t, r.body), "input_tokens")
	if n := r.get(t, "input_tokens").(float64); n < 20 || n > 500 {
		t.Errorf("estimate is %v", n)
	}
	if w := r.header.Get("Llm-Proxy-Warnings"); w != "param=input_tokens;action=estimated" {
		t.Errorf("Llm-Proxy-Warnings = %q", w)
	}
	if r.header.Get("Content-Type") != "application/json" || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers are %v", r.header)
	}
}

func TestTokensAreCountedByTheUpstreamThatCan(t *testing.T) {
	g, up := countingGateway(t, answers(200, `{"input_tokens":4711,"context_management":{"original_input_tokens":4711}}`))
	got := g.post(countPath, countRequest).want(t, 200)
	if want := `{"input_tokens":4711,"context_management":{"original_input_tokens":4711}}`; got.body != want {
		t.Errorf("body = %s, want the upstream's", got.body)
	}
	if w := got.header.Get("Llm-Proxy-Warnings"); w != "" {
		t.Errorf("Llm-Proxy-Warnings = %q", w)
	}
	calls := up.all()
	if len(calls) != 1 || calls[0].path != countPath || calls[0].body != asking(countRequest, "there") {
		t.Errorf("upstream calls are %+v", calls)
	}
}

func TestTokensAreEstimatedWhereNoUpstreamCounts(t *testing.T) {
	g, up := countingGateway(t, http.NotFoundHandler())
	// A provider without the endpoint, and one without a key.
	for _, name := range []string{"plain", "nokey"} {
		g.post(countPath, asking(countRequest, name)).wantEstimate(t)
	}
	if n := len(up.all()); n != 0 {
		t.Errorf("upstream calls = %d, want 0", n)
	}
}

// Agents ask before each turn; whatever happens to the upstream, an estimate
// serves them better than an error, and costs no key its rest.
func TestTokensAreEstimatedWhenTheUpstreamFails(t *testing.T) {
	for name, fault := range map[string]http.Handler{
		"500":     answers(500, brokenBody),
		"429":     answers(429, rateLimited, "Retry-After", "60"),
		"529":     answers(529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`),
		"404":     http.NotFoundHandler(),
		"page":    answers(200, "<html>hello</html>"),
		"nothing": answers(200, ""),
		"other":   answers(200, `{"tokens":5}`),
		"reset":   http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
	} {
		t.Run(name, func(t *testing.T) {
			g, up := countingGateway(t, fault)
			for range 2 {
				g.post(countPath, countRequest).wantEstimate(t)
			}
			if n := len(up.all()); n < 2 || n > 4 {
				t.Errorf("upstream calls = %d, want the upstream to be asked each time", n)
			}
			g.post("/v1/messages", goodRequests["/v1/messages"]).want(t, 200)
		})
	}
	t.Run("key refused", func(t *testing.T) {
		g, up := countingGateway(t, answers(401, `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`))
		for range 2 {
			g.post(countPath, countRequest).wantEstimate(t)
		}
		if n := len(up.all()); n != 1 {
			t.Errorf("upstream calls = %d, want 1: the key is dead for all", n)
		}
	})
}

func TestAClientsMistakeInCountingIsTold(t *testing.T) {
	said := `{"type":"error","error":{"type":"invalid_request_error","message":"tools.0.custom.input_schema: Field required"},"request_id":"req_1"}`
	g, up := countingGateway(t, answers(400, said))
	if got := g.post(countPath, countRequest); got.status != 400 || got.body != said {
		t.Errorf("status %d, %s; want the upstream's own 400", got.status, got.body)
	}
	for _, body := range []string{`{`, `{"model":"m"}`, `{"messages":[]}`, `{"model":"m","messages":[null]}`} {
		g.post(countPath, body).wantError(t, translate.Messages, 400, true)
	}
	g.post(countPath, asking(countRequest, "nobody")).wantError(t, translate.Messages, 404, true)
	if n := len(up.all()); n != 1 {
		t.Errorf("upstream calls = %d, want 1", n)
	}
}

func TestCountingNeverStreams(t *testing.T) {
	g, up := countingGateway(t, answers(200, `{"input_tokens":7}`))
	got := g.post(countPath, streamed(countRequest)).want(t, 200)
	if got.body != `{"input_tokens":7}` || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: %s", got.header.Get("Content-Type"), got.body)
	}
	if accept := up.all()[0].header.Get("Accept"); accept != "application/json" {
		t.Errorf("Accept = %q", accept)
	}
}
