package caddymodule

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	benchprocess "github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/process"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// canned is a transport that answers at once, so that the benchmarks below show
// what the gateway itself costs.
type canned struct {
	contentType string
	chunks      []string // one per read
}

func (c *canned) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return nil, err
	}
	r.Body.Close()
	return &http.Response{
		StatusCode:    200,
		Header:        http.Header{"Content-Type": {c.contentType}},
		Body:          &chunked{chunks: c.chunks},
		ContentLength: -1,
	}, nil
}

type chunked struct{ chunks []string }

func (c *chunked) Read(p []byte) (int, error) {
	if len(c.chunks) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.chunks[0])
	c.chunks = c.chunks[1:]
	return n, nil
}

func (c *chunked) Close() error { return nil }

// sink is a client that takes everything.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}
func (s *sink) FlushError() error           { return nil }

func (s *sink) SetReadDeadline(time.Time) error { return nil }

func benchmarkHandler(b testing.TB, transport http.RoundTripper) *Handler {
	b.Helper()
	g := &gateway{t: &testing.T{}, dir: b.TempDir()}
	g.write("providers", "p", provider("p", "http://upstream", ""))
	g.write("models", "m", model("m", "", "p/up"))
	environ := []string{"P_API_KEY=k"}
	catalog, _, err := routing.Load(routing.LoadOptions{ProvidersDir: g.dir + "/providers", ModelsDir: g.dir + "/models", Environ: environ})
	if err != nil {
		b.Fatal(err)
	}
	h := &Handler{MaxBody: 32 << 20, MaxAttempts: 8, clients: keys.NewClients(), logger: zap.NewNop()}
	if err := h.clients.Add("bench", clientKey); err != nil {
		b.Fatal(err)
	}
	rt := new(runtime)
	rt.refs.Store(1)
	rt.router, _, err = routing.New(routing.Options{
		Catalog: catalog, Keys: keys.NewState(), Environ: environ, MaxAttempts: 8, Cooldown: time.Minute,
		Breaker: standardBreaker, Retries: routing.Retries{Ratio: standardRetryRatio, PerSecond: standardRetriesASecond}, Affinity: new(routing.Affinity),
		Timeouts:  routing.Timeouts{Connect: time.Second, FirstContent: time.Minute, Idle: time.Minute, Total: time.Minute},
		Transport: func(*routing.Provider, time.Duration) (http.RoundTripper, error) { return transport, nil },
	})
	if err != nil {
		b.Fatal(err)
	}
	rt.names = newRouteNames(rt.router)
	h.current.Store(rt)
	return h
}

// keepLog lets a handler keep a request log until the benchmark ends.
func keepLog(b *testing.B, h *Handler) {
	b.Helper()
	log, err := logging.Open(logging.Options{Path: filepath.Join(b.TempDir(), "requests.db"), Queue: 1 << 16, QueueBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = log.Close() })
	h.current.Load().log = log
}

func benchmarkServe(b *testing.B, transport http.RoundTripper, body string) {
	serveRequests(b, benchmarkHandler(b, transport), body)
}

// benchmarkLogged is the same with a request log. What its writer does is in the CPU
// time, for which there is a metric, and not in the time of a request.
func benchmarkLogged(b *testing.B, transport http.RoundTripper, body string) {
	h := benchmarkHandler(b, transport)
	keepLog(b, h)
	serveRequests(b, h, body)
}

func serveRequests(b *testing.B, h *Handler, body string) {
	replacer := caddy.NewReplacer()
	// As Caddy does for each request.
	replacer.Map(func(string) (any, bool) { return nil, false })
	fresh := *replacer
	ctx := context.WithValue(b.Context(), caddy.ReplacerCtxKey, replacer)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://gateway"+chatPath, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header = http.Header{
		"Authorization": {"Bearer " + clientKey}, "Content-Type": {"application/json"},
		"User-Agent": {"bench"}, "Accept": {"*/*"}, "Accept-Encoding": {"gzip"},
	}
	r.ContentLength = int64(len(body))
	w := &sink{header: make(http.Header)}
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	before, unknown := benchprocess.CPU(os.Getpid())
	number := 0
	for b.Loop() {
		clear(w.header)
		*replacer = fresh
		// As Caddy's, or the log would take all for one request.
		number++
		replacer.Set("http.request.uuid", strconv.Itoa(number))
		r.Body = io.NopCloser(strings.NewReader(body))
		if err := h.ServeHTTP(w, r, nil); err != nil {
			b.Fatal(err)
		}
	}
	if log := h.current.Load().log; log != nil {
		if err := log.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	if after, err := benchprocess.CPU(os.Getpid()); unknown == nil && err == nil {
		b.ReportMetric(float64(after-before)/float64(number), "cpu-ns/op")
	}
}

func BenchmarkServeSmallWholeAnswer(b *testing.B) {
	benchmarkServe(b, &canned{"application/json", []string{chatAnswer}}, chatRequest)
}

func BenchmarkServeSmallWholeAnswerLogged(b *testing.B) {
	benchmarkLogged(b, &canned{"application/json", []string{chatAnswer}}, chatRequest)
}

// streamOf100Events answers with one event per read.
func streamOf100Events() *canned {
	chunks := make([]string, 0, 103)
	for range 100 {
		chunks = append(chunks, `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":null}]}`+"\n\n")
	}
	chunks = append(chunks, `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\n", "data: [DONE]\n\n")
	return &canned{"text/event-stream", chunks}
}

func BenchmarkServeStreamOf100Events(b *testing.B) {
	benchmarkServe(b, streamOf100Events(), chatStreamed)
}

func BenchmarkServeStreamOf100EventsLogged(b *testing.B) {
	benchmarkLogged(b, streamOf100Events(), chatStreamed)
}

func BenchmarkServeAgentRequestOf120KB(b *testing.B) {
	turn := `{"role":"user","content":"` + strings.Repeat("The quick brown fox jumps over the lazy dog.\\n", 60) + `"},`
	var body bytes.Buffer
	body.WriteString(`{"model":"m","max_tokens":1000,"messages":[`)
	for body.Len() < 120<<10 {
		body.WriteString(turn)
	}
	body.WriteString(`{"role":"user","content":"hi"}]}`)
	benchmarkServe(b, &canned{"application/json", []string{chatAnswer}}, body.String())
}
