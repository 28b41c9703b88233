package caddymodule

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
)

var (
	breakerOpen = prometheus.NewDesc("caddy_llm_proxy_breaker_open",
		"1 while the breaker of a provider's model is open or half open, else 0.",
		[]string{"provider", "model"}, nil)
	configOK = prometheus.NewDesc("caddy_llm_proxy_config_ok",
		"0 while the files of a gateway, at their last reload, were broken and those of before serve, else 1.", nil, nil)
	keysByState = prometheus.NewDesc("caddy_llm_proxy_keys",
		"Keys by state. One that rests for single models only is usable.",
		[]string{"provider", "state"}, nil)

	requestsInFlight = prometheus.NewDesc("caddy_llm_proxy_requests_in_flight",
		"Requests for an answer that have not ended, open streams among them.", nil, nil)
	openStreams = prometheus.NewDesc("caddy_llm_proxy_open_streams",
		"Streams that have shown content and have not ended.", nil, nil)
)

// conditions are the metrics that are not counted but asked of the handlers
// when somebody looks.
type conditions struct{}

// Describe implements prometheus.Collector.
func (conditions) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		breakerOpen, configOK, keysByState, requestsInFlight, openStreams,
		logQueued, logWritten, logDropped, logSize, logHealthy, logSpilled, logSpillSize,
	} {
		to <- desc
	}
}

// The states of keys, as a label.
const (
	keyUsable   = "usable"
	keyResting  = "resting"
	keyHalfOpen = "half_open" // one request at a time may try whether it works again
)

// stateOf is the state of a key as a whole.
func stateOf(key keys.KeyStatus) string {
	state := keyUsable
	for _, c := range key.Cooling {
		switch {
		case c.Scope == keys.ScopeKeyModel:
		case !c.HalfOpen:
			return keyResting
		default:
			state = keyHalfOpen
		}
	}
	return state
}

// Collect implements prometheus.Collector. Providers of the same name in
// different directories are counted together.
func (conditions) Collect(to chan<- prometheus.Metric) {
	type label struct{ provider, value string }
	open, count := make(map[label]float64), make(map[label]float64)
	for _, p := range live.reports(time.Now()) {
		for _, state := range []string{keyUsable, keyResting, keyHalfOpen} {
			count[label{p.Provider, state}] += 0 // none is told, too
		}
		for _, key := range p.Keys {
			count[label{p.Provider, stateOf(key)}]++
		}
		for _, model := range p.Models {
			at := label{p.Provider, p.label(model.Model)}
			value := 0.0
			if model.Breaker != keys.BreakerClosed {
				value = 1
			}
			open[at] = max(open[at], value)
		}
	}
	collectTraffic(to)
	collectLogs(to)
	to <- prometheus.MustNewConstMetric(configOK, prometheus.GaugeValue, filesAreGood(live.all()))
	for at, value := range open {
		to <- prometheus.MustNewConstMetric(breakerOpen, prometheus.GaugeValue, value, at.provider, at.value)
	}
	for at, value := range count {
		to <- prometheus.MustNewConstMetric(keysByState, prometheus.GaugeValue, value, at.provider, at.value)
	}
}

// collectTraffic tells what is under way.
func collectTraffic(to chan<- prometheus.Metric) {
	to <- prometheus.MustNewConstMetric(requestsInFlight, prometheus.GaugeValue, float64(traffic.requests.Load()))
	to <- prometheus.MustNewConstMetric(openStreams, prometheus.GaugeValue, float64(traffic.streams.Load()))
}

// filesAreGood is 1 unless the files of a handler were broken at their last
// reload.
func filesAreGood(handlers []*Handler) float64 {
	for _, h := range handlers {
		if h.broken.Load() != nil {
			return 0
		}
	}
	return 1
}
