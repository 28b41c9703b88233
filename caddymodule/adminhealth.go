package caddymodule

import (
	"net/http"
	"net/url"
	"os"
	goruntime "runtime"
	gometrics "runtime/metrics"
	"slices"
	"sync/atomic"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// traffic is what the handlers of the process have in hand, over all
// configurations.
var traffic struct {
	requests atomic.Int64 // for an answer, streams included
	streams  atomic.Int64
}

// fullHealth is the body of GET /llm_proxy/health.
type fullHealth struct {
	// Status is the worst of the handlers'; without any it is unhealthy.
	Status        string    `json:"status"`
	Timestamp     time.Time `json:"timestamp"`
	UptimeSeconds int64     `json:"uptime_seconds"`
	Version       string    `json:"version"`

	// RequestsInFlight are those for an answer, OpenStreams among them.
	RequestsInFlight int64 `json:"requests_in_flight"`
	OpenStreams      int64 `json:"open_streams"`

	Process processHealth `json:"process"`
	// Handlers are the llm_proxy blocks, in the order of their numbers.
	Handlers []handlerHealth `json:"handlers"`
	// Providers are those of all handlers, as GET /llm_proxy/keys tells them.
	Providers []providerReport `json:"providers"`
}

// processHealth is what the process takes.
type processHealth struct {
	Go         string `json:"go"`
	Goroutines uint64 `json:"goroutines"`
	// MemoryBytes is what Go holds of the system, HeapBytes what lives in it.
	MemoryBytes uint64 `json:"memory_bytes"`
	HeapBytes   uint64 `json:"heap_bytes"`
	// OpenFiles counts file descriptors, where the system tells; else 0.
	OpenFiles int `json:"open_files,omitempty"`
}

// handlerHealth is what one llm_proxy block has to tell.
type handlerHealth struct {
	// Handler is the block's number, as in a plan.
	Handler int `json:"handler"`
	// Status and Components are those of the block's GET /health/detailed.
	Status     string           `json:"status"`
	Components healthComponents `json:"components"`
	// ProviderDirectory and ModelDirectory are absolute paths.
	ProviderDirectory string `json:"provider_directory"`
	ModelDirectory    string `json:"model_directory"`
	// Clients are the names of those that may ask; Anonymous: so may everybody.
	Clients   []string `json:"clients"`
	Anonymous bool     `json:"anonymous"`
	// Problems are those of files that the last reload found broken, so that
	// they were not taken.
	Problems []routing.Problem `json:"problems"`
	// Warnings are about files that were.
	Warnings []routing.Problem `json:"warnings"`
	// Log is the state of the block's request log, null where none is kept.
	Log *logging.Stats `json:"log"`
}

// showHealth answers GET /llm_proxy/health.
func showHealth(*http.Request, url.Values) (any, error) {
	now := time.Now()
	answer := fullHealth{
		Status:           unhealthy,
		Timestamp:        now.UTC(),
		UptimeSeconds:    int64(now.Sub(started).Seconds()),
		Version:          version,
		RequestsInFlight: traffic.requests.Load(),
		OpenStreams:      traffic.streams.Load(),
		Process:          process(),
		Handlers:         []handlerHealth{},
		Providers:        live.reports(now),
	}
	for number, h := range live.all() {
		one := h.fullHealth(number, now)
		if number == 0 || worse(one.Status, answer.Status) {
			answer.Status = one.Status
		}
		answer.Handlers = append(answer.Handlers, one)
	}
	return answer, nil
}

// worse reports whether one health state is worse than another.
func worse(one, other string) bool {
	order := []string{healthy, degraded, unhealthy}
	return slices.Index(order, one) > slices.Index(order, other)
}

func (h *Handler) fullHealth(number int, now time.Time) handlerHealth {
	rt := h.current.Load()
	public := h.healthOf(rt, now)
	health := handlerHealth{
		Handler:           number,
		Status:            public.Status,
		Components:        public.Components,
		ProviderDirectory: absolute(h.Providers),
		ModelDirectory:    absolute(h.Models),
		Clients:           orEmpty(h.clients.Names()),
		Anonymous:         h.AllowAnonymous,
		Problems:          []routing.Problem{},
		Warnings:          orEmpty(rt.warnings),
	}
	if broken := h.broken.Load(); broken != nil {
		health.Problems = *broken
	}
	if rt.log != nil {
		stats := rt.log.Stats()
		health.Log = &stats
	}
	return health
}

// orEmpty is a list that JSON has as one also where it is empty, and not as null.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// process asks Go, which tells these without stopping anything.
func process() processHealth {
	samples := []gometrics.Sample{
		{Name: "/sched/goroutines:goroutines"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
	}
	gometrics.Read(samples)
	health := processHealth{
		Go:          goruntime.Version(),
		Goroutines:  samples[0].Value.Uint64(),
		MemoryBytes: samples[1].Value.Uint64(),
		HeapBytes:   samples[2].Value.Uint64(),
	}
	if files, err := os.ReadDir("/proc/self/fd"); err == nil {
		health.OpenFiles = len(files)
	}
	return health
}
