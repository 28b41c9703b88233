package routing

import (
	"testing"
	"time"
)

func TestTheMostSpecificTimeoutCounts(t *testing.T) {
	const s = time.Second
	standard := Timeouts{Connect: 1 * s, FirstContent: 2 * s, Idle: 3 * s, Total: 4 * s}
	for _, tc := range []struct {
		name   string
		change func(r *Route)
		want   Timeouts
	}{
		{"nothing set", func(*Route) {}, standard},
		{"provider's timeout_seconds", func(r *Route) { r.Provider.RequestConfig.Timeout = 60 * s }, Timeouts{1 * s, 60 * s, 60 * s, 4 * s}},
		{"provider's timeouts before it", func(r *Route) {
			r.Provider.RequestConfig.Timeout = 60 * s
			r.Provider.Timeouts = Timeouts{Connect: 10 * s, Idle: 11 * s}
		}, Timeouts{10 * s, 60 * s, 11 * s, 4 * s}},
		{"the model before the provider", func(r *Route) {
			r.Provider.Timeouts = Timeouts{Connect: 10 * s, FirstContent: 10 * s, Idle: 10 * s, Total: 10 * s}
			r.Owner.Timeout = 20 * s
		}, Timeouts{10 * s, 20 * s, 20 * s, 10 * s}},
		{"the provider's entry before the model", func(r *Route) {
			r.Owner.Timeouts = Timeouts{FirstContent: 20 * s, Total: 20 * s}
			r.Provider.Models = map[string]ProviderModel{"up": {Timeout: 30 * s, Timeouts: Timeouts{Total: 31 * s}}, "other": {Timeout: 99 * s}}
		}, Timeouts{1 * s, 30 * s, 30 * s, 31 * s}},
		{"the route before all", func(r *Route) {
			r.Provider.Models = map[string]ProviderModel{"up": {Timeout: 30 * s}}
			r.Owner.Timeout = 20 * s
			r.Timeout = 40 * s
			r.Timeouts = Timeouts{Idle: 41 * s}
		}, Timeouts{1 * s, 40 * s, 41 * s, 4 * s}},
	} {
		r := &Route{Provider: &Provider{}, Owner: &Model{}}
		tc.change(r)
		if got := r.TimeoutsFor("up", standard); got != tc.want {
			t.Errorf("%s: TimeoutsFor = %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestTheMostSpecificCooldownCounts58(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		route, entry, model, provider, want time.Duration
	}{
		{50 * s, 200 * s, 300 * s, 100 * s, 50 * s},
		{0, 200 * s, 300 * s, 100 * s, 200 * s},
		{0, 0, 300 * s, 100 * s, 300 * s},
		{0, 0, 0, 100 * s, 100 * s},
		{0, 0, 0, 0, 7 * s},
	} {
		r := &Route{
			Cooldown: tc.route,
			Owner:    &Model{DefaultCooldown: tc.model},
			Provider: &Provider{
				RateLimiting: RateLimiting{Cooldown: tc.provider},
				Models:       map[string]ProviderModel{"up": {Cooldown: tc.entry}, "other": {Cooldown: 99 * s}},
			},
		}
		if got := r.CooldownFor("up", 7*s); got != tc.want {
			t.Errorf("CooldownFor(%+v) = %v, want %v", tc, got, tc.want)
		}
	}
}

func TestAStarStandsForTheNameThatWasAsked(t *testing.T) {
	mapping := map[string]string{"asked": "mapped", "written": "also mapped"}
	for _, tc := range []struct {
		model   string
		mapping map[string]string
		want    string
	}{
		{"written", nil, "written"},
		{"*", nil, "asked"},
		{"written", mapping, "also mapped"},
		{"*", mapping, "mapped"},
		{"a*", nil, "a*"},
	} {
		r := &Route{Model: tc.model, Provider: &Provider{ModelMapping: tc.mapping}}
		if got := r.UpstreamModel("asked"); got != tc.want {
			t.Errorf("UpstreamModel of %q with %v = %q, want %q", tc.model, tc.mapping, got, tc.want)
		}
	}
}

func TestRetriesNeedAStatus(t *testing.T) {
	number := func(n int) *int { return &n }
	for _, tc := range []struct {
		retries  *int
		statuses []int
		want     int
	}{
		{nil, nil, 0},
		{number(3), nil, 0},
		{nil, []int{503}, 1},
		{number(3), []int{503}, 3},
		{number(0), []int{503}, 0},
	} {
		c := RequestConfig{MaxRetries: tc.retries, RetryOnStatus: tc.statuses}
		if got := c.Retries(); got != tc.want {
			t.Errorf("Retries of %v after %v = %d, want %d", tc.retries, tc.statuses, got, tc.want)
		}
	}
}
