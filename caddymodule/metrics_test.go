package caddymodule

import (
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// metrics are the module's metrics as Prometheus would read them, by their names
// and labels; of histograms the _count and the _sum.
func metrics(t *testing.T) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	// A second handler of the same configuration does no harm.
	for range 2 {
		if err := registerMetrics(registry); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.GetMetric() {
			var labels []string
			for _, label := range m.GetLabel() {
				labels = append(labels, label.GetName()+"="+strconv.Quote(label.GetValue()))
			}
			of := ""
			if len(labels) > 0 {
				of = "{" + strings.Join(labels, ",") + "}"
			}
			if h := m.GetHistogram(); h != nil {
				values[family.GetName()+"_count"+of] = float64(h.GetSampleCount())
				values[family.GetName()+"_sum"+of] = h.GetSampleSum()
				continue
			}
			values[family.GetName()+of] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return values
}

func metric(t *testing.T, name string) float64 {
	t.Helper()
	return metrics(t)[name]
}

func TestMetricsTellOfAttemptsKeysAndBreakers(t *testing.T) {
	before := metrics(t)
	g, _ := operated(t)
	g.post(chatPath, strings.Replace(chatRequest, `"m"`, `"any-thing"`, 1)).want(t, 200)
	after := metrics(t)
	for name, want := range map[string]float64{
		// The first two requests open b's breaker; then a goes first.
		`caddy_llm_proxy_attempts_total{class="broken",model="down",provider="b"}`:              2,
		`caddy_llm_proxy_attempts_total{class="rate_limited",model="up",provider="a"}`:          1,
		`caddy_llm_proxy_attempts_total{class="key_dead",model="up",provider="a"}`:              1,
		`caddy_llm_proxy_attempts_total{class="ok",model="up",provider="a"}`:                    3,
		`caddy_llm_proxy_attempts_total{class="rate_limited",model="*",provider="a"}`:           1,
		`caddy_llm_proxy_attempts_total{class="ok",model="*",provider="a"}`:                     1,
		`caddy_llm_proxy_cooldowns_total{provider="a",reason="rate_limited",scope="key_model"}`: 2,
		`caddy_llm_proxy_cooldowns_total{provider="a",reason="dead",scope="key"}`:               1,
		`caddy_llm_proxy_route_changes_total{model="down",provider="b",to="open"}`:              1,
		`caddy_llm_proxy_attempts_total{class="ok",model="any-thing",provider="a"}`:             0,
		`caddy_llm_proxy_attempts_total{class="rate_limited",model="any-thing",provider="a"}`:   0,
	} {
		if got := after[name] - before[name]; got != want {
			t.Errorf("%s grew by %v, want %v", name, got, want)
		}
	}
	for name, want := range map[string]float64{
		`caddy_llm_proxy_breaker_open{model="down",provider="b"}`: 1,
		`caddy_llm_proxy_breaker_open{model="up",provider="a"}`:   0,
		`caddy_llm_proxy_breaker_open{model="*",provider="a"}`:    0,
		`caddy_llm_proxy_keys{provider="a",state="usable"}`:       2,
		`caddy_llm_proxy_keys{provider="a",state="resting"}`:      1,
		`caddy_llm_proxy_keys{provider="a",state="half_open"}`:    0,
		`caddy_llm_proxy_keys{provider="b",state="usable"}`:       1,
		`caddy_llm_proxy_keys{provider="c",state="usable"}`:       0,
	} {
		if got, told := after[name]; got != want || !told {
			t.Errorf("%s = %v (told: %t), want %v", name, got, told, want)
		}
	}
	if _, told := after[`caddy_llm_proxy_breaker_open{model="any-thing",provider="a"}`]; told {
		t.Error("a name that a client made up is a label")
	}
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}
	for name, value := range metrics(t) {
		if value < after[name] {
			t.Errorf("%s fell from %v to %v by a reload", name, after[name], value)
		}
	}
}

func TestAStreamThatBreaksOffIsCounted(t *testing.T) {
	const name = `caddy_llm_proxy_streams_broken_total{class="broken",model="up",provider="p"}`
	g, _ := oneKey(t, answers(200, `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}]}`+"\n\n", "Content-Type", "text/event-stream"), "")
	before := metric(t, name)
	g.post(chatPath, strings.Replace(chatRequest, "{", `{"stream":true,`, 1)).want(t, 200)
	if got := metric(t, name) - before; got != 1 {
		t.Errorf("%s grew by %v, want 1", name, got)
	}
}

func TestNoticesAreCountedByWhatTheyTell(t *testing.T) {
	names := &routeNames{make(map[routeName]func() prometheus.Counter)}
	names.add("noticed", "up")
	for _, tc := range []struct {
		notice routing.Notice
		metric string
	}{
		{routing.Notice{Kind: routing.KeyCooldown, Provider: "noticed", Scope: keys.ScopeProvider, Why: keys.ReasonBroken}, `caddy_llm_proxy_cooldowns_total{provider="noticed",reason="broken",scope="provider"}`},
		{routing.Notice{Kind: routing.RouteOpen, Provider: "noticed", Model: "up"}, `caddy_llm_proxy_route_changes_total{model="up",provider="noticed",to="open"}`},
		{routing.Notice{Kind: routing.RouteClosed, Provider: "noticed", Model: "up"}, `caddy_llm_proxy_route_changes_total{model="up",provider="noticed",to="closed"}`},
		{routing.Notice{Kind: routing.RouteOpen, Provider: "noticed", Model: "made-up"}, `caddy_llm_proxy_route_changes_total{model="*",provider="noticed",to="open"}`},
		{routing.Notice{Kind: routing.RetryRefused}, `caddy_llm_proxy_retries_refused_total`},
	} {
		before := metric(t, tc.metric)
		names.countNotice(&tc.notice)
		if got := metric(t, tc.metric) - before; got != 1 {
			t.Errorf("%s grew by %v, want 1", tc.metric, got)
		}
	}
}
