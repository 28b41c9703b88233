package caddymodule

import (
	"cmp"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
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

	breakerOpen = prometheus.NewDesc("caddy_llm_proxy_breaker_open",
		"1 while the breaker of a provider's model is open or half open, else 0.",
		[]string{"provider", "model"}, nil)
	configOK = prometheus.NewDesc("caddy_llm_proxy_config_ok",
		"0 while the files of a gateway, at their last reload, were broken and those of before serve, else 1.", nil, nil)
	keysByState = prometheus.NewDesc("caddy_llm_proxy_keys",
		"Keys by state. One that rests for single models only is usable.",
		[]string{"provider", "state"}, nil)
)

// registerMetrics adds the metrics to a configuration's registry.
func registerMetrics(registry *prometheus.Registry) error {
	for _, collector := range []prometheus.Collector{
		attemptsTotal, streamsBrokenTotal, cooldownsTotal, routeChangesTotal, retriesRefusedTotal, eventsDroppedTotal, reloadsTotal, lossesTotal, conditions{},
	} {
		err := registry.Register(collector)
		// Another llm_proxy of the same configuration may have been first.
		if !errors.As(err, new(prometheus.AlreadyRegisteredError)) && err != nil {
			return err
		}
	}
	return nil
}

// conditions are the metrics that are not counted but asked of the handlers
// when somebody looks.
type conditions struct{}

// Describe implements prometheus.Collector.
func (conditions) Describe(to chan<- *prometheus.Desc) {
	to <- breakerOpen
	to <- configOK
	to <- keysByState
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
	to <- prometheus.MustNewConstMetric(configOK, prometheus.GaugeValue, filesAreGood(live.all()))
	for at, value := range open {
		to <- prometheus.MustNewConstMetric(breakerOpen, prometheus.GaugeValue, value, at.provider, at.value)
	}
	for at, value := range count {
		to <- prometheus.MustNewConstMetric(keysByState, prometheus.GaugeValue, value, at.provider, at.value)
	}
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

// anyModel is the label of models that no file names: those of routes that take
// any name.
const anyModel = "*"

// classAnswered is the class of attempts that answered, as a label.
const classAnswered = "ok"

// routeNames are the names of a handler's upstream models, with the counter of
// the answers of each: nearly every request needs one.
type routeNames struct {
	answered map[routeName]func() prometheus.Counter
}

// routeName is a provider and its name of a model.
type routeName struct{ provider, model string }

func newRouteNames(router *routing.Router) *routeNames {
	names := &routeNames{make(map[routeName]func() prometheus.Counter)}
	for _, status := range router.Providers() {
		names.add(status.Provider.ID, anyModel)
	}
	for _, model := range router.Models() {
		for _, route := range model.Routes {
			if route.Model != anyModel {
				names.add(route.Provider.ID, route.UpstreamModel(""))
			}
		}
	}
	return names
}

// add makes a counter only with the first answer: a configuration that is
// rejected leaves none behind.
func (n *routeNames) add(provider, model string) {
	n.answered[routeName{provider, model}] = sync.OnceValue(func() prometheus.Counter {
		return attemptsTotal.WithLabelValues(provider, model, classAnswered)
	})
}

// label is what metrics call a model of a provider.
func (n *routeNames) label(provider, model string) string {
	if _, named := n.answered[routeName{provider, model}]; named {
		return model
	}
	return anyModel
}

// count counts the attempts of one request.
func (n *routeNames) count(attempts []routing.Attempt) {
	for i := range attempts {
		a := &attempts[i]
		if counter, named := n.answered[routeName{a.Provider, a.Label}]; named && a.Class == "" {
			counter().Inc()
			continue
		}
		attemptsTotal.WithLabelValues(a.Provider, a.Label, cmp.Or(string(a.Class), classAnswered)).Inc()
	}
}

// countBroken counts a stream that broke off.
func (n *routeNames) countBroken(provider, model string, class routing.Class) {
	streamsBrokenTotal.WithLabelValues(provider, n.label(provider, model), string(class)).Inc()
}

// countNotice counts what happened to a key or a route.
func (n *routeNames) countNotice(notice *routing.Notice) {
	switch notice.Kind {
	case routing.KeyCooldown:
		cooldownsTotal.WithLabelValues(notice.Provider, notice.Scope.String(), string(notice.Why)).Inc()
	case routing.RouteOpen:
		routeChangesTotal.WithLabelValues(notice.Provider, n.label(notice.Provider, notice.Model), string(keys.BreakerOpen)).Inc()
	case routing.RouteClosed:
		routeChangesTotal.WithLabelValues(notice.Provider, n.label(notice.Provider, notice.Model), string(keys.BreakerClosed)).Inc()
	case routing.RetryRefused:
		retriesRefusedTotal.Inc()
	}
}

func countLosses(client, upstream translate.Protocol, losses translate.Losses) {
	for i := range losses {
		lossesTotal.WithLabelValues(string(client), string(upstream), string(losses[i].Action)).Inc()
	}
}
