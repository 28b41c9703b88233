package caddymodule

import (
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// live are the handlers of the process, over all configurations. The
// administration API and the metrics are Caddy's and outlive configurations, so
// they look here for whom to ask.
var live handlerList

// handlerList holds handlers from the end of their Provision to their Cleanup.
// While one configuration takes over from another both are there, and for a
// moment one that is then rejected; what they know about the same keys is the
// same, so it is told once.
type handlerList struct {
	mu       sync.RWMutex
	handlers []*Handler // in the order of their provisioning
}

func (l *handlerList) add(h *Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handlers = append(l.handlers, h)
}

func (l *handlerList) remove(h *Handler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handlers = slices.DeleteFunc(l.handlers, func(other *Handler) bool { return other == h })
}

func (l *handlerList) all() []*Handler {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return slices.Clone(l.handlers)
}

// providerReport is what the handlers know about one provider.
type providerReport struct {
	// Directory is the absolute path of the provider files. Handlers that
	// share it share what they remember about keys.
	Directory string `json:"directory"`
	routing.ProviderReport

	names []*routeNames // of the handlers that know the provider
}

// label is what metrics call a model of the provider.
func (p *providerReport) label(model string) string {
	for _, names := range p.names {
		if label := names.label(p.Provider, model); label != anyModel {
			return label
		}
	}
	return anyModel
}

// reports tells about the providers of all handlers, each of a directory once,
// sorted by name.
func (l *handlerList) reports(now time.Time) []providerReport {
	merged := []providerReport{} // not nil, which would be null in JSON
	for _, h := range l.all() {
		rt := h.current.Load()
		directory := absolute(h.Providers)
		for _, report := range rt.router.Report(now) {
			known := slices.IndexFunc(merged, func(p providerReport) bool {
				return p.Directory == directory && p.Provider == report.Provider
			})
			if known < 0 {
				merged = append(merged, providerReport{directory, report, []*routeNames{rt.names}})
				continue
			}
			merged[known].join(report)
			merged[known].names = append(merged[known].names, rt.names)
		}
	}
	slices.SortStableFunc(merged, func(a, b providerReport) int { return strings.Compare(a.Provider, b.Provider) })
	return merged
}

// join adds the keys and models that only another handler has.
func (p *providerReport) join(other routing.ProviderReport) {
	for _, key := range other.Keys {
		if !slices.ContainsFunc(p.Keys, func(k keys.KeyStatus) bool { return k.ID == key.ID }) {
			p.Keys = append(p.Keys, key)
		}
	}
	for _, model := range other.Models {
		if !slices.ContainsFunc(p.Models, func(m keys.ModelStatus) bool { return m.Model == model.Model }) {
			p.Models = append(p.Models, model)
		}
	}
}

// absolute is the name under which a directory's keys are remembered.
func absolute(directory string) string {
	path, err := filepath.Abs(directory)
	if err != nil {
		// The working directory is gone. Loading would have failed.
		return directory
	}
	return path
}
