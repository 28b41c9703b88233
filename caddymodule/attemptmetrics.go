package caddymodule

import (
	"cmp"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

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
