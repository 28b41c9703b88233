package caddymodule

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// lossCounter counts what could not cross between two protocols. What exactly it
// was is in the header and the log: as a label, names that clients make up would
// grow the metric without end.
type lossCounter struct{ vector *prometheus.CounterVec }

func newLossCounter(registry *prometheus.Registry) (lossCounter, error) {
	vector := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "caddy_llm_proxy_translation_losses_total",
		Help: "Things of requests and answers that could not cross from one protocol to another.",
	}, []string{"client_protocol", "upstream_protocol", "action"})
	err := registry.Register(vector)
	var known prometheus.AlreadyRegisteredError
	if errors.As(err, &known) {
		// Another llm_proxy of the same configuration was first.
		return lossCounter{known.ExistingCollector.(*prometheus.CounterVec)}, nil
	}
	return lossCounter{vector}, err
}

func (c lossCounter) count(client, upstream translate.Protocol, losses translate.Losses) {
	for i := range losses {
		c.vector.WithLabelValues(string(client), string(upstream), string(losses[i].Action)).Inc()
	}
}
