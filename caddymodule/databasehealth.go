package caddymodule

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

// databaseHealth tells about the request log. No request depends on it, so at its
// worst it is degraded.
type databaseHealth struct {
	Status string `json:"status"` // disabled where none is kept
	// ResponseTimeMS is how long a question to it took; absent when it gave no
	// answer.
	ResponseTimeMS *float64 `json:"response_time_ms,omitempty"`
	// Error is what is wrong, in words that anybody may read. The log, and GET
	// /llm_proxy/health of the administration, say more.
	Error string `json:"error,omitempty"`
}

func (rt *runtime) databaseHealth(now time.Time) databaseHealth {
	if rt.log == nil {
		return databaseHealth{Status: "disabled"}
	}
	health := databaseHealth{Status: healthy}
	took, err := rt.logProbe.ask(rt.log, now)
	if err == nil {
		ms := milliseconds(took)
		health.ResponseTimeMS = &ms
	}
	switch stats := rt.log.Stats(); {
	case err != nil:
		health.Error = "the request log does not answer"
	case !stats.Healthy:
		health.Error = "the request log cannot be written"
	case stats.SetAside != "":
		health.Error = "the request log was damaged and has begun anew; what was in it lies beside it"
	case stats.Spill == nil:
	case !stats.Spill.Healthy:
		health.Error = "the spill of the request log cannot be written"
	case stats.Spill.SetAside != "":
		health.Error = "the spill of the request log was damaged and has begun anew; what was in it lies beside it"
	}
	if health.Error != "" {
		health.Status = degraded
	}
	return health
}

// How long a question of a health check to the request log may take, and for how
// long its answer holds: anybody may ask for the health, any number of times.
const (
	logProbeTime  = time.Second
	logProbeHolds = time.Second
)

// logProbe is the last question of a health check to the request log.
type logProbe struct {
	mu    sync.Mutex
	asked time.Time
	took  time.Duration
	err   error
}

// ask asks the log for a request that is not there, unless that was just done.
func (p *logProbe) ask(log *logging.Log, now time.Time) (took time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.asked) < logProbeHolds {
		return p.took, p.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), logProbeTime)
	defer cancel()
	began := time.Now()
	_, err = log.Request(ctx, "none")
	if errors.Is(err, logging.ErrNotFound) {
		err = nil
	}
	p.asked, p.took, p.err = now, time.Since(began), err
	return p.took, p.err
}
