package routing

import (
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
)

func TestABreakerTakesFromTheBlockWhatTheProviderDoesNotSet(t *testing.T) {
	const s = time.Second
	standard := keys.Breaker{Failures: 3, Ratio: 0.5, Requests: 10, Window: 30 * s, Open: 10 * s, MaxOpen: 120 * s}
	for _, tc := range []struct {
		settings string
		want     keys.Breaker
	}{
		{`{}`, standard},
		{`null`, standard},
		{`{"failures":0,"ratio":0}`, keys.Breaker{Requests: 10, Window: 30 * s, Open: 10 * s, MaxOpen: 120 * s}},
		{`{"failures":5,"window":90}`, keys.Breaker{Failures: 5, Ratio: 0.5, Requests: 10, Window: 90 * s, Open: 10 * s, MaxOpen: 120 * s}},
		{`{"open":"5m"}`, keys.Breaker{Failures: 3, Ratio: 0.5, Requests: 10, Window: 30 * s, Open: 300 * s, MaxOpen: 300 * s}},
		{
			`{"failures":1,"ratio":1,"requests":2,"window":"3s","open":"4s","max_open":"5s"}`,
			keys.Breaker{Failures: 1, Ratio: 1, Requests: 2, Window: 3 * s, Open: 4 * s, MaxOpen: 5 * s},
		},
	} {
		c, problems, warnings := configFiles{"providers/up.json": with(t, plainProvider, "breaker", tc.settings)}.load(t, LoadOptions{})
		if len(problems)+len(warnings) > 0 {
			t.Errorf("%s: %q %q", tc.settings, problems, warnings)
			continue
		}
		p, _ := c.Provider("up")
		if got := p.Breaker.or(standard); got != tc.want {
			t.Errorf("%s = %+v, want %+v", tc.settings, got, tc.want)
		}
	}
}

func TestARouteWithoutWeightCountsOnceAndOneOfZeroNever(t *testing.T) {
	c, problems, warnings := configFiles{"models/m.json": `{"logical_name":"m","policy":"weighted","model_routings":[
		{"provider":"up","model":"a"},{"provider":"up","model":"b","weight":null},
		{"provider":"up","model":"c","weight":0},{"provider":"up","model":"d","weight":2.5}]}`}.load(t, LoadOptions{})
	if len(problems)+len(warnings) > 0 {
		t.Fatal(problems, warnings)
	}
	m, _ := c.Resolve("m")
	for i, want := range []float64{1, 1, 0, 2.5} {
		if got := m.Routes[i].share(); got != want {
			t.Errorf("share of route %d = %v, want %v", i, got, want)
		}
	}
	if m.Policy != PolicyWeighted {
		t.Errorf("policy = %q, want %q", m.Policy, PolicyWeighted)
	}
}

func TestAModelThatSaysNothingTriesItsRoutesInOrderAndNeverTwoAtOnce(t *testing.T) {
	for _, changes := range [][]string{nil, {"policy", "null", "hedge_after", "null"}} {
		c, _, _ := configFiles{"models/m.json": with(t, plainModel, changes...)}.load(t, LoadOptions{})
		m, _ := c.Resolve("m")
		if m.Policy != PolicyPriority || m.HedgeAfter != 0 {
			t.Errorf("policy = %q, hedge_after = %v, want %q and 0", m.Policy, m.HedgeAfter, PolicyPriority)
		}
	}
}
