package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddytest"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	_ "github.com/mholt/caddy-ratelimit"
)

// The tests of this package run a real Caddy, one at a time: caddytest has one
// admin port per process.
const (
	siteURL   = "http://localhost:9080"
	clientKey = "client-key-of-the-tests"
)

// setup is what a test's gateway is made of.
type setup struct {
	// providers and models are the texts of the files, by name.
	providers, models map[string]string
	// directive holds further lines of the llm_proxy block, site further
	// lines of the site, global further global options.
	directive, site, global string
	// address is the site's; siteURL by default.
	address string
	// anonymous leaves the client key out.
	anonymous bool
}

// gateway is a running Caddy with the module under test.
type gateway struct {
	t      *testing.T
	url    string
	dir    string
	config string
}

// start writes the files and runs Caddy until the test ends.
func start(t *testing.T, s setup) *gateway {
	t.Helper()
	t.Setenv("CLIENT_KEY_OF_THE_TESTS", clientKey)
	g := &gateway{t: t, url: siteURL, dir: t.TempDir()}
	if s.address != "" {
		g.url = s.address
	}
	g.writeAll("providers", s.providers)
	g.writeAll("models", s.models)
	key := "client_key tests {env.CLIENT_KEY_OF_THE_TESTS}"
	if s.anonymous {
		key = ""
	}
	g.config = fmt.Sprintf(`
{
	skip_install_trust
	admin localhost:2999
	http_port 9081
	https_port 9443
	%s
}
%s {
	%s
	llm_proxy {
		providers %s
		models %s
		%s
		%s
	}
	respond "the next handler" 404
}
`, s.global, g.url, s.site, filepath.Join(g.dir, "providers"), filepath.Join(g.dir, "models"), key, s.directive)
	tester := caddytest.NewTester(t)
	tester.InitServer(g.config, "caddyfile")
	settle(t)
	return g
}

func (g *gateway) writeAll(kind string, files map[string]string) {
	g.t.Helper()
	for name, text := range files {
		g.write(kind, name, text)
	}
}

// write puts a configuration file in place.
func (g *gateway) write(kind, name, text string) {
	g.t.Helper()
	path := filepath.Join(g.dir, kind, name+".json")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		g.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		g.t.Fatal(err)
	}
}

// reload loads the configuration again, as `caddy reload --force` does.
func (g *gateway) reload() error {
	config, err := adapt(g.config)
	if err != nil {
		return err
	}
	// Caddy closes idle connections with the old configuration, maybe just when one
	// is used again.
	defer client.CloseIdleConnections()
	return caddy.Load(config, true)
}

// request is one call to the gateway.
type request struct {
	method, path, body string
	header             map[string]string
	key                string // clientKey by default; "-" sends none
}

// response is what came back, read to its end.
type response struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

// client talks to the gateway without a time limit of its own; requests have
// contexts for that.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}

// open sends a request and returns the response with its body unread.
func (g *gateway) open(ctx context.Context, r request) (*http.Response, error) {
	if r.method == "" {
		r.method = http.MethodPost
	}
	request, err := http.NewRequestWithContext(ctx, r.method, g.url+r.path, strings.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	if r.method == http.MethodPost {
		request.Header.Set("Content-Type", "application/json")
	}
	switch r.key {
	case "":
		request.Header.Set("Authorization", "Bearer "+clientKey)
	case "-":
	default:
		request.Header.Set("Authorization", "Bearer "+r.key)
	}
	for name, value := range r.header {
		request.Header.Set(name, value)
	}
	return client.Do(request)
}

// do sends a request and reads its response.
func (g *gateway) do(r request) response {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	got, err := g.open(ctx, r)
	if err != nil {
		g.t.Fatalf("%s %s: %v", r.method, r.path, err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	return response{got.StatusCode, got.Header, string(body), err}
}

// post sends a body to a path.
func (g *gateway) post(path, body string) response {
	g.t.Helper()
	return g.do(request{path: path, body: body})
}

// want fails the test unless the status is as said.
func (r response) want(t *testing.T, status int) response {
	t.Helper()
	if r.status != status {
		t.Fatalf("status %d, want %d; body: %s", r.status, status, r.body)
	}
	return r
}

// get reads a field of a JSON body by its path of keys and indexes.
func (r response) get(t *testing.T, path ...any) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("body is not JSON: %v\n%s", err, r.body)
	}
	for _, key := range path {
		switch key := key.(type) {
		case string:
			object, ok := v.(map[string]any)
			if !ok {
				t.Fatalf("%v of %v: not an object in %s", key, path, r.body)
			}
			v = object[key]
		case int:
			list, ok := v.([]any)
			if !ok || key >= len(list) {
				t.Fatalf("%v of %v: no such element in %s", key, path, r.body)
			}
			v = list[key]
		}
	}
	return v
}

// upstream is a provider whose every request is recorded.
type upstream struct {
	*recorder
	url string
}

// call is one request that reached an upstream.
type call struct {
	path   string
	query  string
	header http.Header
	body   string
}

// recorder keeps what reaches a handler.
type recorder struct {
	mu    sync.Mutex
	calls []call
	next  http.Handler
}

// ServeHTTP implements http.Handler.
func (r *recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return // the gateway gave the attempt up while sending
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	r.calls = append(r.calls, call{request.URL.Path, request.URL.RawQuery, request.Header.Clone(), string(body)})
	r.mu.Unlock()
	r.next.ServeHTTP(w, request)
}

// all returns the calls so far.
func (r *recorder) all() []call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]call(nil), r.calls...)
}

// reset forgets the calls so far.
func (r *recorder) reset() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = nil
}

// keysUsed are the bearer tokens of the calls so far, in order.
func (r *recorder) keysUsed() []string {
	var keys []string
	for _, c := range r.all() {
		keys = append(keys, strings.TrimPrefix(c.header.Get("Authorization"), "Bearer "))
	}
	return keys
}

// provider is the text of a provider file that speaks every protocol. extra
// holds further members, each followed by a comma.
func provider(name, url, extra string) string {
	return fmt.Sprintf(`{
	%s
	"name": %q,
	"enabled": true,
	"endpoints": {
		"base_url": %q,
		"completions": "/chat/completions",
		"responses": "/responses",
		"messages": "/messages",
		"embeddings": "/embeddings",
		"compatible_format": "openai"
	},
	"authentication": {"type": "bearer", "header_name": "Authorization", "header_format": "Bearer {api_key}"}
}`, extra, name, url+"/v1")
}

// model is the text of a model file with routes of the form "provider/model".
func model(name, extra string, routes ...string) string {
	var list []string
	for _, route := range routes {
		p, m, _ := strings.Cut(route, "/")
		list = append(list, fmt.Sprintf(`{"provider": %q, "model": %q}`, p, m))
	}
	return fmt.Sprintf(`{%s"logical_name": %q, "model_routings": [%s]}`, extra, name, strings.Join(list, ", "))
}

// adapt turns a Caddyfile into Caddy's JSON.
func adapt(caddyfile string) ([]byte, error) {
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), nil)
	return config, err
}

// serve runs an upstream until the test ends.
func serve(t *testing.T, handler http.Handler) *upstream {
	t.Helper()
	r := &recorder{next: handler}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return &upstream{r, server.URL}
}

// answers replies with a status, headers and a body.
func answers(status int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// Small whole answers and the request that asks for them.
const (
	chatRequest  = `{"model":"m","messages":[{"role":"user","content":"hi"}]}`
	chatStreamed = `{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}`
	chatAnswer   = `{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"up","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}`
	chatPath     = "/v1/chat/completions"
)

// byKey answers by the bearer token of the request.
func byKey(handlers map[string]http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if h, ok := handlers[key]; ok {
			h.ServeHTTP(w, r)
			return
		}
		answers(401, `{"error":{"message":"Incorrect API key provided: `+key+`","type":"invalid_request_error","code":"invalid_api_key"}}`).ServeHTTP(w, r)
	}
}

// inTurn answers with each of the handlers once, and with the last one from then
// on.
func inTurn(handlers ...http.Handler) http.HandlerFunc {
	var mu sync.Mutex
	n := 0
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := handlers[min(n, len(handlers)-1)]
		n++
		mu.Unlock()
		h.ServeHTTP(w, r)
	}
}

// oneKeyIsLimited answers to the second of two keys, which it sets; the first one
// has to rest for a minute.
func oneKeyIsLimited(t *testing.T) http.HandlerFunc {
	t.Helper()
	t.Setenv("P_API_KEY_1", "k1")
	t.Setenv("P_API_KEY_2", "k2")
	return byKey(map[string]http.Handler{
		"k1": answers(429, rateLimited, "Retry-After", "60"),
		"k2": answers(200, chatAnswer),
	})
}
