package caddymodule

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/simulated"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// grown returns by how much each metric has grown since before.
func grown(t *testing.T, before map[string]float64) map[string]float64 {
	t.Helper()
	grown := make(map[string]float64)
	for name, value := range metrics(t) {
		if value != before[name] {
			grown[name] = value - before[name]
		}
	}
	return grown
}

func TestEveryRequestIsCountedByWhatBecameOfIt(t *testing.T) {
	a := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("User-Agent") {
		case "a fails":
			answers(500, brokenBody)(w, r)
		case "cut":
			answers(200, chatStream[:len(chatStream)/2], "Content-Type", "text/event-stream")(w, r)
		case "mistake":
			answers(400, `{"error":{"message":"temperature: must be at most 2","type":"invalid_request_error"}}`)(w, r)
		case "stream":
			answers(200, countedStream, "Content-Type", "text/event-stream")(w, r)
		default:
			answers(200, chatAnswer)(w, r)
		}
	}))
	b := serve(t, answers(200, chatAnswer))
	t.Setenv("A_API_KEY", "k")
	t.Setenv("B_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"a": provider("a", a.url, ""), "b": provider("b", b.url, ""), "nokey": provider("nokey", b.url, "")},
		models: map[string]string{
			"m":   model("m", `"aliases": ["m-*"], "prices": {"input": 500000, "output": 1000000},`, "nokey/up", "a/up", "b/other"),
			"any": model("any", `"aliases": ["any-*"],`, "b/*"),
		},
		directive: "breaker off",
	})
	const (
		counted = `caddy_llm_proxy_requests_total{asked="%s",class="%s",client="tests",outcome="%s",protocol="openai",provider="%s",streamed="%s"}`
		tokens  = `caddy_llm_proxy_tokens_total{client="tests",kind="%s",model="%s",provider="%s"}`
	)
	for _, tc := range []struct {
		name string
		request
		counted []any
		grow    map[string]float64
	}{
		{
			"a whole answer",
			request{body: chatRequest},
			[]any{"m", "", "ok", "a", "false"},
			map[string]float64{
				fmt.Sprintf(tokens, "input", "up", "a"):  5,
				fmt.Sprintf(tokens, "output", "up", "a"): 2,
				`caddy_llm_proxy_request_duration_seconds_count{asked="m",outcome="ok",provider="a",streamed="false"}`:                      1,
				`caddy_llm_proxy_overhead_seconds_count{client_protocol="openai",streamed="false",upstream_protocol="openai"}`:              1,
				`caddy_llm_proxy_cost_usd_total{client="tests",model="up",provider="a"}`:                                                    4.5,
				`caddy_llm_proxy_requests_unpriced_total{model="up",provider="a"}`:                                                          0,
				`caddy_llm_proxy_requests_estimated_total{model="up",provider="a"}`:                                                         0,
				`caddy_llm_proxy_fallbacks_total{asked="m",model="up",provider="a",why="no_key"}`:                                           0,
				`caddy_llm_proxy_time_to_first_content_seconds_count{model="up",provider="a"}`:                                              0,
				`caddy_llm_proxy_requests_total{asked="m",class="",client="",outcome="ok",protocol="openai",provider="a",streamed="false"}`: 0,
			},
		},
		{
			"an alias, streamed",
			request{body: strings.Replace(chatStreamed, `"m"`, `"m-1"`, 1), header: map[string]string{"User-Agent": "stream"}},
			[]any{"m", "", "ok", "a", "true"},
			map[string]float64{
				fmt.Sprintf(tokens, "input", "up", "a"):                                                                       2,
				fmt.Sprintf(tokens, "cache_read", "up", "a"):                                                                  4,
				fmt.Sprintf(tokens, "output", "up", "a"):                                                                      3,
				`caddy_llm_proxy_time_to_first_content_seconds_count{model="up",provider="a"}`:                                1,
				`caddy_llm_proxy_overhead_seconds_count{client_protocol="openai",streamed="true",upstream_protocol="openai"}`: 1,
			},
		},
		{
			"a stream that breaks",
			request{body: chatStreamed, header: map[string]string{"User-Agent": "cut"}},
			[]any{"m", "broken", "partial", "a", "true"},
			map[string]float64{
				`caddy_llm_proxy_streams_broken_total{class="broken",model="up",provider="a"}`: 1,
				`caddy_llm_proxy_requests_estimated_total{model="up",provider="a"}`:            1,
			},
		},
		{
			"the second route",
			request{body: chatRequest, header: map[string]string{"User-Agent": "a fails"}},
			[]any{"m", "", "ok", "b", "false"},
			map[string]float64{`caddy_llm_proxy_fallbacks_total{asked="m",model="other",provider="b",why="broken"}`: 1},
		},
		{
			"a mistake",
			request{body: chatRequest, header: map[string]string{"User-Agent": "mistake"}},
			[]any{"m", "invalid_request", "error", "", "false"},
			nil,
		},
		{
			"a body that is no JSON", request{body: `{"model":`}, []any{"*", "invalid_request", "error", "", "false"}, nil,
		},
		{
			"a model that nobody knows",
			request{body: strings.Replace(chatRequest, `"m"`, `"made-up"`, 1)},
			[]any{"*", "model_unknown", "error", "", "false"},
			nil,
		},
		{
			"a model that a client made up",
			request{body: strings.Replace(chatRequest, `"m"`, `"any-thing"`, 1)},
			[]any{"any", "", "ok", "b", "false"},
			map[string]float64{
				fmt.Sprintf(tokens, "input", "*", "b"):                            5,
				`caddy_llm_proxy_requests_unpriced_total{model="*",provider="b"}`: 1,
			},
		},
	} {
		before := metrics(t)
		tc.path = chatPath
		g.do(tc.request)
		name := fmt.Sprintf(counted, tc.counted...)
		comesTrue(t, tc.name+": not counted as "+name, func() bool { return grown(t, before)[name] == 1 })
		after := grown(t, before)
		for metric, want := range tc.grow {
			if after[metric] != want {
				t.Errorf("%s: %s grew by %v, want %v", tc.name, metric, after[metric], want)
			}
		}
		for metric, by := range after {
			if strings.HasPrefix(metric, "caddy_llm_proxy_requests_total") && metric != name {
				t.Errorf("%s: %s grew by %v", tc.name, metric, by)
			}
		}
	}
}

// Agents count tokens often; that would make the quantiles of answers look good.
func TestToCountTokensIsNoAnswer(t *testing.T) {
	up := serve(t, answers(200, `{"input_tokens":7}`))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": strings.Replace(provider("p", up.url, ""), `"messages": "/messages",`, `"messages": "/messages", "count_tokens": "/messages/count_tokens",`, 1)},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	before := metrics(t)
	g.post("/v1/messages/count_tokens", chatRequest).want(t, 200)
	const counted = `caddy_llm_proxy_requests_total{asked="m",class="",client="tests",outcome="ok",protocol="anthropic",provider="p",streamed="false"}`
	comesTrue(t, "not counted", func() bool { return grown(t, before)[counted] == 1 })
	for name, by := range grown(t, before) {
		for _, of := range []string{"_seconds_", "tokens", "cost", "unpriced", "estimated"} {
			if strings.Contains(name, of) {
				t.Errorf("%s grew by %v", name, by)
			}
		}
	}
}

// RELIABILITY C3 and C23.
func TestNobodyCanMakeMetricsGrow(t *testing.T) {
	g, _ := operated(t)
	g.post(chatPath, strings.Replace(chatRequest, `"m"`, `"any-0"`, 1))
	g.post(chatPath, strings.Replace(chatRequest, `"m"`, `"nobody-0"`, 1)).want(t, 404)
	before := metrics(t)
	for i := range 50 {
		g.post(chatPath, strings.Replace(chatRequest, `"m"`, fmt.Sprintf(`"any-%d"`, i), 1))
		g.post(chatPath, strings.Replace(chatRequest, `"m"`, fmt.Sprintf(`"nobody-%d"`, i), 1)).want(t, 404)
		g.do(request{path: chatPath, body: chatRequest, key: fmt.Sprintf("wrong-%d", i)}).want(t, 401)
	}
	for name := range metrics(t) {
		if _, there := before[name]; !there {
			t.Errorf("a client has made %s", name)
		}
	}
}

// The gateway's own time is told apart from the upstream's, whatever that takes.
func TestOverheadIsWithoutTheUpstreamsTime(t *testing.T) {
	const delay, gap = 400 * time.Millisecond, 20 * time.Millisecond
	up := serve(t, simulated.New(simulated.Config{}))
	t.Setenv("P_API_KEY", "k")
	slow := fmt.Sprintf("p/demo-slow-%d-%d", delay.Milliseconds(), gap.Milliseconds())
	g := start(t, setup{providers: map[string]string{"p": provider("p", up.url, "")}, models: map[string]string{"m": model("m", "", slow)}})
	for _, tc := range []struct{ name, path, body, protocol, streamed string }{
		{"whole", chatPath, chatRequest, "openai", "false"},
		{"streamed", chatPath, chatStreamed, "openai", "true"},
		{"translated", "/v1/messages", `{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}`, "anthropic", "false"},
		{"translated stream", "/v1/messages", `{"model":"m","max_tokens":100,"stream":true,"messages":[{"role":"user","content":"hi"}]}`, "anthropic", "true"},
	} {
		if strings.HasPrefix(tc.name, "translated") {
			g.write("providers", "p", strings.Replace(provider("p", up.url, ""), `"messages": "/messages",`, "", 1))
			admin(t, http.MethodPost, "/llm_proxy/reload", "").want(t, 200)
		}
		before := metrics(t)
		g.post(tc.path, tc.body).want(t, 200)
		of := fmt.Sprintf(`{client_protocol="%s",streamed="%s",upstream_protocol="openai"}`, tc.protocol, tc.streamed)
		total := fmt.Sprintf(`caddy_llm_proxy_request_duration_seconds_sum{asked="m",outcome="ok",provider="p",streamed="%s"}`, tc.streamed)
		comesTrue(t, tc.name+": not counted", func() bool { return grown(t, before)["caddy_llm_proxy_overhead_seconds_count"+of] == 1 })
		after := grown(t, before)
		if took := after[total]; took < delay.Seconds() {
			t.Errorf("%s: took %v s, want at least %v", tc.name, took, delay)
		}
		overhead := after["caddy_llm_proxy_overhead_seconds_sum"+of]
		if overhead <= 0 || overhead > slowed(delay/8).Seconds() {
			t.Errorf("%s: the overhead is %v s, want much less than the upstream's %v", tc.name, overhead, delay)
		}
		t.Logf("%s: overhead %.0f us", tc.name, overhead*1e6)
		if tc.streamed == "false" {
			continue
		}
		route := fmt.Sprintf(`{model="%s",provider="p"}`, strings.TrimPrefix(slow, "p/"))
		if first := after["caddy_llm_proxy_time_to_first_content_seconds_sum"+route]; first < delay.Seconds() || first > slowed(2*delay).Seconds() {
			t.Errorf("%s: the first content came after %v s, want %v", tc.name, first, delay)
		}
		if between := after["caddy_llm_proxy_time_between_content_seconds_sum"+route]; between < gap.Seconds()*.8 || between > slowed(3*gap).Seconds() {
			t.Errorf("%s: %v s are between two pieces, want %v", tc.name, between, gap)
		}
	}
}

func TestWaitingForAKeyIsNoOverhead(t *testing.T) {
	up := serve(t, inTurn(answers(429, rateLimited, "Retry-After", "1"), answers(200, chatAnswer)))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")}, models: map[string]string{"m": model("m", "", "p/up")},
		directive: "wait 5s",
	})
	before := metrics(t)
	g.post(chatPath, chatRequest).want(t, 200)
	const counted = `caddy_llm_proxy_requests_total{asked="m",class="",client="tests",outcome="ok",protocol="openai",provider="p",streamed="false"}`
	comesTrue(t, "not counted", func() bool { return grown(t, before)[counted] == 1 })
	for name, by := range grown(t, before) {
		if strings.HasPrefix(name, "caddy_llm_proxy_overhead") || strings.HasPrefix(name, "caddy_llm_proxy_fallbacks") {
			t.Errorf("%s grew by %v", name, by)
		}
	}
}

// A log ends with the last configuration that has it; what it has counted does not.
func TestCountersOfTheLogOutliveTheLog(t *testing.T) {
	g, file := keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
	before := metrics(t)
	for range 3 {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	rows(t, "")
	const written, healthy = "caddy_llm_proxy_log_written_total", "caddy_llm_proxy_log_healthy"
	if after := metrics(t); after[written]-before[written] != 3 || after[healthy] != 1 || after["caddy_llm_proxy_log_size_bytes"] == 0 {
		t.Errorf("after three requests: written %v more, healthy %v, %v bytes", after[written]-before[written], after[healthy], after["caddy_llm_proxy_log_size_bytes"])
	}
	whole := metrics(t)[written]
	g.config = strings.Replace(g.config, file, filepath.Join(t.TempDir(), "other.db"), 1)
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}
	g.post(chatPath, chatRequest).want(t, 200)
	rows(t, "")
	comesTrue(t, "the counter has forgotten the log of before", func() bool { return metrics(t)[written] == whole+1 })
	loadNothing(t)
	after := metrics(t)
	if _, told := after[healthy]; told || after[written] != whole+1 {
		t.Errorf("without a log: healthy is told: %t, written %v, want %v", told, after[written], whole+1)
	}
}

func TestCountingAGoodRequestAllocatesNothing(t *testing.T) {
	x, now := answeredExchange(t)
	x.measure(now)
	if n := testing.AllocsPerRun(100, func() { x.measure(now) }); n != 0 {
		t.Errorf("counting a request allocates %v times, want never", n)
	}
}

// answeredExchange is a request that was answered well and ends now.
func answeredExchange(tb testing.TB) (x *exchange, now time.Time) {
	tb.Helper()
	h := benchmarkHandler(tb, new(canned))
	client, _ := h.clients.Lookup(clientKey)
	e, _ := endpointFor(chatPath)
	now = time.Now()
	began := now.Add(-time.Second)
	x = &exchange{handler: h, runtime: h.current.Load(), endpoint: e, client: client}
	x.trace = trace{began: began, first: time.Second / 2, status: 200, contents: 101, atFirst: 1}
	x.account = account{
		model: "m", logical: "m", done: true, answered: true, streamed: true, upstream: translate.Chat,
		attempts: []routing.Attempt{{Provider: "p", Model: "up", Label: "up", Start: began, Duration: time.Second / 2, Waited: time.Second / 3}},
		tokens:   translate.Usage{Input: 1000, CacheRead: 500, CacheWrite: 1, Output: 200, Reasoning: 10},
	}
	return x, now
}

func BenchmarkMeasure(b *testing.B) {
	x, now := answeredExchange(b)
	b.ReportAllocs()
	for b.Loop() {
		x.measure(now)
	}
}
