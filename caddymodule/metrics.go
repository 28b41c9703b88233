package caddymodule

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// The metrics belong to the process, as Caddy's own do: each configuration
// registers the same ones, so that no counter begins again with a reload.
//
// Labels are names of files and words of ours. What clients make up would grow
// a metric without end: a model that no file names is counted as "*", and what
// exactly was lost in translation is in the header and the log only.
var (
	attemptsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_llm_proxy_attempts_total",
		Help: "Calls to upstreams, by how they ended: ok for those that answered, else the class of the failure.",
	}, []string{"provider", "model", "class"})
	streamsBrokenTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_llm_proxy_streams_broken_total",
		Help: "Streams that broke off after their first content, which attempts_total has as ok, by the class of the failure.",
	}, []string{"provider", "model", "class"})
	cooldownsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_llm_proxy_cooldowns_total",
		Help: "Rests of keys, or of whole providers, that began.",
	}, []string{"provider", "scope", "reason"})
	routeChangesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_llm_proxy_route_changes_total",
		Help: "Breakers of a provider's model that opened or closed.",
	}, []string{"provider", "model", "to"})
	retriesRefusedTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "caddy_llm_proxy_retries_refused_total",
		Help: "Requests that ended because the retry budget was used up.",
	})
	eventsDroppedTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "caddy_llm_proxy_events_dropped_total",
		Help: "Events that were not emitted because those before them took too long.",
	})
	reloadsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_llm_proxy_reloads_total",
		Help: "Reloads of provider and model files, by result: ok, or rejected because of a broken file.",
	}, []string{"result"})
	lossesTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_llm_proxy_translation_losses_total",
		Help: "Things of requests and answers that could not cross from one protocol to another.",
	}, []string{"client_protocol", "upstream_protocol", "action"})
)

// registerMetrics adds the metrics to a configuration's registry.
func registerMetrics(registry *prometheus.Registry) error {
	for _, collector := range []prometheus.Collector{
		requestsTotal, fallbacksTotal, requestSeconds, firstContentSeconds, betweenContentSeconds, overheadSeconds,
		tokensTotal, costTotal, unpricedTotal, estimatedTotal,
		attemptsTotal, streamsBrokenTotal, cooldownsTotal, routeChangesTotal, retriesRefusedTotal, lossesTotal,
		eventsDroppedTotal, reloadsTotal,
		conditions{},
	} {
		err := registry.Register(collector)
		// Another llm_proxy of the same configuration may have been first.
		if !errors.As(err, new(prometheus.AlreadyRegisteredError)) && err != nil {
			return err
		}
	}
	return nil
}

// The results of reloads, as a label.
const (
	reloadOK       = "ok"
	reloadRejected = "rejected"
)

func init() {
	// Both are told from the beginning, or the first reload would be no growth.
	for _, result := range []string{reloadOK, reloadRejected} {
		reloadsTotal.WithLabelValues(result)
	}
}
