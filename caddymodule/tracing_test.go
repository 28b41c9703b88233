package caddymodule

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

// wantAttributes wants a span to have these attributes; an empty text: it has none of
// that name.
func (s *otlpSpan) wantAttributes(t *testing.T, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := s.attributes[name]; got != value {
			t.Errorf("%s: %s = %q, want %q", s.name, name, got, value)
		}
	}
}

func TestCaddysTracesShowEachRequestAndItsUpstreamCalls(t *testing.T) {
	c := collect(t)
	a := serve(t, answers(500, `{"error":{"message":"no luck with: my secret prompt"}}`))
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.Contains(string(body), `"stream":true`) {
			answers(200, countedStream, "Content-Type", "text/event-stream")(w, r)
			return
		}
		answers(200, chatAnswer)(w, r)
	}))
	t.Setenv("A_API_KEY", "upstream-secret")
	t.Setenv("MISTRAL_API_KEY", "upstream-secret")
	g := start(t, setup{
		providers: map[string]string{"a": provider("a", a.url, ""), "mistral": provider("mistral", b.url, "")},
		models: map[string]string{
			"whole":  model("whole", `"prices": {"input": 500000, "output": 1000000},`, "a/down", "mistral/up"),
			"stream": model("stream", `"aliases": ["stream-*"],`, "a/down", "mistral/up"),
		},
		site: "tracing {\n span http\n}",
	})
	ask := func(model, more string) response {
		return g.do(request{path: chatPath, body: `{"model":"` + model + `",` + more + `"messages":[{"role":"user","content":"my secret prompt"}]}`, header: map[string]string{
			"Traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		}})
	}
	id := ask("whole", `"max_tokens":50,"temperature":0.5,"seed":7,"n":"my secret number",`).want(t, 200).header.Get("X-Request-Id")
	ask("stream-1", `"stream":true,`).want(t, 200)
	ask("nobody", "").want(t, 404)

	var whole *otlpSpan
	var calls []otlpSpan
	comesTrue(t, "no span of the request", func() bool {
		whole, calls = c.below("llm_proxy whole")
		return whole != nil && len(calls) == 2 && c.span(whole.parent) != nil
	})
	if caddys := c.span(whole.parent); caddys.name != "http" || caddys.trace != "0af7651916cd43dd8448eb211c80319c" || whole.trace != caddys.trace {
		t.Errorf("the request is below %q of trace %s, want Caddy's span of the client's trace", caddys.name, caddys.trace)
	}
	if whole.kind != 1 || whole.failed || whole.start == 0 || whole.end < whole.start {
		t.Errorf("the request's span is %+v", whole)
	}
	whole.wantAttributes(t, map[string]string{
		"llm_proxy.request_id": id, "llm_proxy.client": "tests", "llm_proxy.asked": "whole", "llm_proxy.attempts": "2",
		"llm_proxy.outcome": "ok", "llm_proxy.protocol": "openai", "error.type": "", "gen_ai.usage.input_tokens": "",
	})
	host, port, _ := strings.Cut(strings.TrimPrefix(b.url, "http://"), ":")
	for i, want := range []struct {
		name       string
		failed     bool
		attributes map[string]string
	}{
		{"chat down", true, map[string]string{
			"gen_ai.operation.name": "chat", "gen_ai.provider.name": "a", "gen_ai.request.model": "down",
			"error.type": "broken", "http.response.status_code": "500", "gen_ai.usage.input_tokens": "",
			"gen_ai.request.max_tokens": "50", "gen_ai.request.temperature": "0.5", "gen_ai.request.seed": "7",
			"gen_ai.request.choice.count": "", "gen_ai.request.stream": "",
		}},
		{"chat up", false, map[string]string{
			"gen_ai.operation.name": "chat", "gen_ai.provider.name": "mistral_ai", "llm_proxy.provider": "mistral", "gen_ai.request.model": "up",
			"gen_ai.response.id": "chatcmpl-1", "gen_ai.response.model": "up", "gen_ai.response.finish_reasons": "[stop]",
			"gen_ai.usage.input_tokens": "5", "gen_ai.usage.output_tokens": "2", "llm_proxy.cost_usd": "4.5",
			"server.address": host, "server.port": port, "http.response.status_code": "200", "error.type": "", "gen_ai.request.stream": "",
		}},
	} {
		call := calls[i]
		if call.name != want.name || call.kind != 3 || call.failed != want.failed || call.message != "" || call.start < whole.start || call.end > whole.end {
			t.Errorf("call %d is %+v, want %s within the request", i, call, want.name)
		}
		call.wantAttributes(t, want.attributes)
	}

	comesTrue(t, "no span of the stream", func() bool {
		_, calls = c.below("llm_proxy stream")
		return len(calls) == 2
	})
	calls[0].wantAttributes(t, map[string]string{
		"gen_ai.request.stream": "true", "error.type": "broken", "gen_ai.response.time_to_first_chunk": "",
	})
	calls[1].wantAttributes(t, map[string]string{
		"gen_ai.request.stream": "true", "gen_ai.response.id": "c1", "gen_ai.response.finish_reasons": "[stop]",
		"gen_ai.usage.input_tokens": "6", "gen_ai.usage.cache_read.input_tokens": "4", "gen_ai.usage.output_tokens": "3",
	})
	if calls[1].attributes["gen_ai.response.time_to_first_chunk"] == "" {
		t.Error("the stream's span does not tell when its first content came")
	}
	comesTrue(t, "no span of the request for a model that is not there", func() bool {
		nobody, calls := c.below("llm_proxy *")
		return nobody != nil && nobody.failed && nobody.attributes["error.type"] == "model_unknown" && len(calls) == 0
	})
	for _, span := range c.spans {
		for name, value := range span.attributes {
			if strings.Contains(value, "secret") {
				t.Errorf("%s: %s = %q", span.name, name, value)
			}
		}
	}
	for _, call := range append(a.all(), b.all()...) {
		if call.header.Get("Traceparent") != "" || call.header.Get("Tracestate") != "" {
			t.Errorf("a provider was told about our trace: %v", call.header)
		}
	}
}

// leaver is a client that leaves when it is written to.
type leaver struct{ sink }

func (*leaver) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestTracesTellHowStreamsEnd(t *testing.T) {
	events := strings.SplitAfter(countedStream, "\n\n")
	for _, tc := range []struct {
		name    string
		chunks  []string
		client  http.ResponseWriter
		failure string // error.type of both spans
		reasons string
	}{
		{"whole", events, &sink{make(http.Header)}, "", `["stop"]`},
		{"broken off", events[:1], &sink{make(http.Header)}, "broken", `["error"]`},
		{"the client left", events, &leaver{sink{make(http.Header)}}, "", ""},
	} {
		h := benchmarkHandler(t, &canned{"text/event-stream", tc.chunks})
		spans := tracetest.NewSpanRecorder()
		ctx, parent := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("caddy").Start(t.Context(), "http")
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://gateway"+chatPath, strings.NewReader(chatStreamed))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+clientKey)
		if err := h.ServeHTTP(tc.client, r, nil); err != nil {
			t.Fatal(err)
		}
		ended := spans.Ended()
		if len(ended) != 2 || ended[0].Name() != "chat up" || ended[1].Name() != "llm_proxy m" || ended[1].Parent().SpanID() != parent.SpanContext().SpanID() {
			t.Fatalf("%s: spans are %v, want a call's and then its request's", tc.name, ended)
		}
		if !ended[0].EndTime().Equal(ended[1].EndTime()) {
			t.Errorf("%s: the call ended at %v, its request at %v", tc.name, ended[0].EndTime(), ended[1].EndTime())
		}
		for _, span := range ended {
			if got := attributeOf(span, "error.type"); got != tc.failure || (span.Status().Code == codes.Error) != (tc.failure != "") {
				t.Errorf("%s: %s has error.type %q and %v, want %q", tc.name, span.Name(), got, span.Status(), tc.failure)
			}
		}
		if got := attributeOf(ended[0], "gen_ai.response.finish_reasons"); got != tc.reasons {
			t.Errorf("%s: finish reasons are %s, want %s", tc.name, got, tc.reasons)
		}
	}
}

// attributeOf is a span's attribute as a text, empty where it has none of the name.
func attributeOf(span sdktrace.ReadOnlySpan, name attribute.Key) string {
	for _, a := range span.Attributes() {
		if a.Key == name {
			return a.Value.String()
		}
	}
	return ""
}

func TestWithoutATraceTracingCostsNothing(t *testing.T) {
	x, _ := answeredExchange(t)
	x.r = (&http.Request{}).WithContext(t.Context())
	if n := testing.AllocsPerRun(100, x.startTrace); n != 0 || x.tracing != nil || x.ownTrace {
		t.Errorf("without a trace: %v allocations, %+v", n, x.tracing)
	}
}

func TestAnswersTellTheirFactsInEveryProtocol(t *testing.T) {
	for _, d := range dialects {
		var whole, stream answerFacts
		e, _ := endpointFor(d.path)
		whole.read(e.protocol, []byte(helloAnswers[d.name]))
		stream.readStream(e.protocol, []byte(d.stream))
		for form, facts := range map[string]answerFacts{"whole": whole, "streamed": stream} {
			if facts.id == "" || facts.model == "" || len(facts.reasons) != 1 {
				t.Errorf("%s, %s: %+v, want an id, a model and a reason", d.name, form, facts)
			}
		}
	}
}
