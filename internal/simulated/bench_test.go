package simulated

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// discard is a ResponseWriter that keeps nothing, so that a benchmark measures
// the provider alone.
type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}
func (d *discard) FlushError() error           { return nil }

// bodies are small requests, with %MODEL% and %STREAM% to be filled in.
var bodies = []struct{ name, path, body string }{
	{"chat", "/v1/chat/completions", `{"model":"%MODEL%","stream":%STREAM%,"messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hello there."}]}`},
	{"responses", "/v1/responses", `{"model":"%MODEL%","stream":%STREAM%,"instructions":"Be brief.","input":"Hello there."}`},
	{"messages", "/v1/messages", `{"model":"%MODEL%","stream":%STREAM%,"max_tokens":100000,"system":"Be brief.","messages":[{"role":"user","content":"Hello there."}]}`},
}

func fill(body, model string, stream bool) string {
	return strings.NewReplacer("%MODEL%", model, "%STREAM%", strconv.FormatBool(stream)).Replace(body)
}

func benchmark(b *testing.B, model string, stream bool, ballast int) {
	for _, api := range bodies {
		b.Run(api.name, func(b *testing.B) {
			p := New(Config{})
			body := strings.Replace(fill(api.body, model, stream), "Hello", "Hello"+strings.Repeat(" there", ballast/6), 1)
			r, err := http.NewRequest(http.MethodPost, api.path, nil)
			if err != nil {
				b.Fatal(err)
			}
			w := &discard{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.header)
				r.Body = io.NopCloser(strings.NewReader(body))
				p.ServeHTTP(w, r)
			}
		})
	}
}

// A plain whole answer is meant to cost less than 20 µs.
func BenchmarkWholeAnswer(b *testing.B) { benchmark(b, "demo", false, 0) }

// A thousand events: the time per event is a thousandth of what is printed.
func BenchmarkThousandEvents(b *testing.B) { benchmark(b, "demo-bench-1000", true, 0) }

// What a request of 120 KB costs, read and hardly read.
func BenchmarkLargeRequest(b *testing.B)      { benchmark(b, "demo", false, 120_000) }
func BenchmarkLargeBenchRequest(b *testing.B) { benchmark(b, "demo-bench-1", false, 120_000) }
