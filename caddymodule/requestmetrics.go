package caddymodule

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// What is counted for each request for an answer. "asked" is the logical name of the
// model that was asked for, "model" the provider's name of the one that answered, and
// "client" the name of a configured client: all of them names that files have, so that
// clients cannot make any of these grow. Strangers are not counted at all.
var (
	requestsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_llm_proxy_requests_total",
		Help: "Requests of clients for an answer, or to count tokens, that have ended, by how: outcome is ok, error, partial (a stream broke off) or client_closed, class that of the failure or empty.",
	}, []string{"client", "asked", "provider", "protocol", "streamed", "outcome", "class"})
	fallbacksTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_llm_proxy_fallbacks_total",
		Help: "Requests that were answered by another route than the first that was to be asked, by that route and why: the class of the first failure elsewhere, or else resting, breaker or retry_budget.",
	}, []string{"asked", "provider", "model", "why"})
	requestSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "caddy_llm_proxy_request_duration_seconds",
		Help:    "Time from the arrival of a request to the end of its answer, streams included. Requests to count tokens are not timed.",
		Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600},
	}, []string{"asked", "provider", "streamed", "outcome"})
	firstContentSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "caddy_llm_proxy_time_to_first_content_seconds",
		Help:    "Time from the arrival of a request to the first content of its stream, attempts that failed included.",
		Buckets: []float64{.05, .1, .2, .3, .5, .75, 1, 1.5, 2, 3, 5, 10, 20, 30, 60, 120, 300},
	}, []string{"provider", "model"})
	betweenContentSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "caddy_llm_proxy_time_between_content_seconds",
		Help:    "Mean time between two pieces of content of a stream, which most providers send for each token: one observation for each stream, from its first content to its end.",
		Buckets: []float64{.001, .0025, .005, .01, .02, .03, .05, .075, .1, .2, .5, 1, 2.5},
	}, []string{"provider", "model"})
	overheadSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "caddy_llm_proxy_overhead_seconds",
		Help:    "Time of the gateway's own until the first byte of an answer is written: from the arrival of the request, without reading its body, until the first upstream is asked, and all of the attempt that answered but the wait between sending the request and having the bytes that were needed. Not in it: Caddy and its other handlers, network and HTTP client, attempts that failed, the rest of a stream, and requests that waited for a key.",
		Buckets: []float64{25e-6, 50e-6, 100e-6, 250e-6, 500e-6, .001, .0025, .005, .01, .025, .05, .1, .25, 1},
	}, []string{"client_protocol", "upstream_protocol", "streamed"})
	tokensTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_llm_proxy_tokens_total",
		Help: "Tokens that requests have used, by kind: input, cache_read, cache_write, output and reasoning, of which no two overlap.",
	}, []string{"client", "provider", "model", "kind"})
	costTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_llm_proxy_cost_usd_total",
		Help: "What requests have cost in US dollars, by the prices of the provider and model files.",
	}, []string{"client", "provider", "model"})
	unpricedTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_llm_proxy_requests_unpriced_total",
		Help: "Requests that have used tokens of which the files do not say the price, so that cost_usd_total lacks them.",
	}, []string{"provider", "model"})
	estimatedTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_llm_proxy_requests_estimated_total",
		Help: "Requests whose tokens are partly an estimate, because the upstream did not tell them.",
	}, []string{"provider", "model"})
)

// noModel is what metrics call a model that no file describes.
const noModel = "*"

// seriesKey is what tells the series of one request from those of another. It holds
// names of files and words of ours.
type seriesKey struct {
	client, asked, provider, model string
	protocol, upstream             translate.Protocol
	streamed                       bool
	outcome                        string
	class                          routing.Class
}

// series are the metrics of requests that have a key in common. Those that a request
// may do without come about with the first that has them.
type series struct {
	requests                       prometheus.Counter
	duration, overhead, first, gap func() prometheus.Observer
	tokens                         [tokenKinds]func() prometheus.Counter
	cost, unpriced, estimated      func() prometheus.Counter
}

// The kinds of tokens, as a label.
const tokenKinds = 5

var tokenKindNames = [tokenKinds]string{"input", "cache_read", "cache_write", "output", "reasoning"}

// requestSeries finds the series of requests: to look them up by their labels is
// several times as much work, once for each metric.
type requestSeries struct {
	mu    sync.RWMutex
	known map[seriesKey]*series
}

func (s *requestSeries) of(key seriesKey) *series {
	s.mu.RLock()
	found := s.known[key]
	s.mu.RUnlock()
	if found != nil {
		return found
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known == nil {
		s.known = make(map[seriesKey]*series)
	}
	if s.known[key] == nil {
		s.known[key] = newSeries(key)
	}
	return s.known[key]
}

func newSeries(k seriesKey) *series {
	streamed := "false"
	if k.streamed {
		streamed = "true"
	}
	s := &series{
		requests: requestsTotal.WithLabelValues(k.client, k.asked, k.provider, string(k.protocol), streamed, k.outcome, string(k.class)),
		duration: sync.OnceValue(func() prometheus.Observer {
			return requestSeconds.WithLabelValues(k.asked, k.provider, streamed, k.outcome)
		}),
		first: sync.OnceValue(func() prometheus.Observer {
			return firstContentSeconds.WithLabelValues(k.provider, k.model)
		}),
		gap: sync.OnceValue(func() prometheus.Observer {
			return betweenContentSeconds.WithLabelValues(k.provider, k.model)
		}),
		overhead: sync.OnceValue(func() prometheus.Observer {
			return overheadSeconds.WithLabelValues(string(k.protocol), string(k.upstream), streamed)
		}),
		cost: sync.OnceValue(func() prometheus.Counter {
			return costTotal.WithLabelValues(k.client, k.provider, k.model)
		}),
		unpriced: sync.OnceValue(func() prometheus.Counter {
			return unpricedTotal.WithLabelValues(k.provider, k.model)
		}),
		estimated: sync.OnceValue(func() prometheus.Counter {
			return estimatedTotal.WithLabelValues(k.provider, k.model)
		}),
	}
	for i, kind := range tokenKindNames {
		s.tokens[i] = sync.OnceValue(func() prometheus.Counter {
			return tokensTotal.WithLabelValues(k.client, k.provider, k.model, kind)
		})
	}
	return s
}

// measure counts a request that has ended.
func (x *exchange) measure(now time.Time) {
	t, a := &x.trace, &x.account
	key := seriesKey{
		client: x.clientName(), asked: noModel, protocol: x.endpoint.protocol,
		streamed: a.streamed, outcome: x.outcome(), class: a.class,
	}
	if a.logical != "" {
		key.asked = a.logical
	}
	var answered *routing.Attempt
	if a.answered {
		answered = a.last()
		key.provider, key.model, key.upstream = answered.Provider, answered.Label, a.upstream
	}
	s := x.runtime.requests.of(key)
	s.requests.Inc()
	if x.endpoint.operation == translate.CountTokens {
		return // agents count often, and it says nothing of how models answer
	}
	s.duration().Observe(now.Sub(t.began).Seconds())
	if answered == nil {
		return
	}
	x.measureTokens(s)
	if why := a.fellBack(t.skipped, answered); why != "" {
		fallbacksTotal.WithLabelValues(key.asked, key.provider, key.model, why).Inc()
	}
	if t.first == 0 {
		return // a panic came first
	}
	if a.streamed {
		s.first().Observe(t.first.Seconds())
		if pieces := t.contents - t.atFirst; pieces > 0 {
			s.gap().Observe((now.Sub(t.began) - t.first).Seconds() / float64(pieces))
		}
	}
	if a.paused == 0 {
		s.overhead().Observe(x.overhead(answered).Seconds())
	}
}

// overhead is the time of the gateway's own until the answer's first byte was
// written, as the metric's help says.
func (x *exchange) overhead(answered *routing.Attempt) time.Duration {
	t := &x.trace
	before := x.account.attempts[0].Start.Sub(t.began) - t.reading
	after := t.began.Add(t.first).Sub(answered.Start.Add(answered.Duration))
	return max(before+answered.Duration-answered.Waited+after, 0)
}

// fellBack says why another route than the first one answered; empty if the first
// did. A route that no key is set for is no first one, and neither is one that could
// not take the request.
func (a *account) fellBack(skipped []routing.Skip, answered *routing.Attempt) (why string) {
	elsewhere := func(provider, model string) bool { return provider != answered.Provider || model != answered.Model }
	for i := range a.attempts {
		at := &a.attempts[i]
		if at == answered {
			break // a hedge that it has outrun may have begun later
		}
		if elsewhere(at.Provider, at.Model) {
			return string(at.Class)
		}
	}
	for i := range skipped {
		switch s := &skipped[i]; s.Why {
		case routing.SkippedResting, routing.SkippedBreaker, routing.SkippedBudget:
			if elsewhere(s.Provider, s.Model) {
				return string(s.Why)
			}
		}
	}
	return ""
}

// measureTokens counts what an answer has used, and what that costs.
func (x *exchange) measureTokens(s *series) {
	a := &x.account
	for i, n := range [tokenKinds]int64{a.tokens.Input, a.tokens.CacheRead, a.tokens.CacheWrite, a.tokens.Output, a.tokens.Reasoning} {
		if n > 0 {
			s.tokens[i]().Add(float64(n))
		}
	}
	switch {
	case a.costKnown:
		s.cost().Add(max(a.cost, 0)) // less would be a panic
	case a.tokens.Total() > 0:
		s.unpriced().Inc()
	}
	if a.estimated {
		s.estimated().Inc()
	}
}
