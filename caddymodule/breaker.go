package caddymodule

import (
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// Breaker says when a provider's model is taken for ill, so that other routes
// are asked first. It is asked all the same when nothing else is left.
type Breaker struct {
	// How many attempts in a row have to fail. 0 never counts them. Default: 3.
	Failures *int `json:"failures,omitempty"`

	// Which part of the attempts within the window has to fail, from 0 to 1. 0
	// never counts them. With failures 0 too there is no breaker. Default: 0.5.
	Ratio *float64 `json:"ratio,omitempty"`

	// From how many attempts within the window on the ratio counts. Default: 10.
	Requests int `json:"requests,omitempty"`

	// How far the ratio looks back; at least 1s. Default: 30s.
	Window caddy.Duration `json:"window,omitempty"`

	// For how long the model is passed over before one request tries it again;
	// at least 1s. Each trial that fails doubles it. Default: 10s.
	Open caddy.Duration `json:"open,omitempty"`

	// The longest that the model is passed over. Default: 2m, or open if that
	// is longer.
	MaxOpen caddy.Duration `json:"max_open,omitempty"`
}

// RetryBudget bounds how many attempts beyond their requests' first may go to
// upstreams that are not known to be well, so that an outage is not amplified.
// A request that would exceed it goes on with the routes that are well, and ends
// with the failure that it has where there is none.
type RetryBudget struct {
	// How many each request earns for all; 0.2 is one for five requests.
	// Default: 0.2.
	Ratio *float64 `json:"ratio,omitempty"`

	// How many are earned each second beside that. Default: 10.
	PerSecond *float64 `json:"per_second,omitempty"`

	// Whether there is no bound but max_attempts. The other two then have no
	// effect. Default: false.
	Off bool `json:"off,omitempty"`
}

// State says where the memory about keys and upstreams is kept.
type State struct {
	// The file that it is saved to, so that keys which rest when the process
	// ends still rest when it starts again. It holds no secret. A relative path
	// is below the working directory; placeholders such as {env.STATE_DIR} are
	// filled in. Empty: memory alone, which reloads do not clear.
	File string `json:"file,omitempty"`
}

// standardBreaker is the breaker of a handler that says nothing of it.
var standardBreaker = keys.Breaker{
	Failures: 3,
	Ratio:    0.5,
	Requests: 10,
	Window:   30 * time.Second,
	Open:     10 * time.Second,
	MaxOpen:  2 * time.Minute,
}

// The times that a breaker may be set to.
const (
	shortestBreak = caddy.Duration(time.Second)
	longestBreak  = caddy.Duration(24 * time.Hour)
)

// The retry budget of a handler that says nothing of it, and the largest one.
const (
	standardRetryRatio, maxRetryRatio         = 0.2, 100
	standardRetriesASecond, maxRetriesASecond = 10, 1_000_000
)

// setDefaults fills in what is not set, and makes sure that what is set can work.
func (b *Breaker) setDefaults() error {
	if b.Failures == nil {
		b.Failures = new(standardBreaker.Failures)
	}
	if b.Ratio == nil {
		b.Ratio = new(standardBreaker.Ratio)
	}
	if b.Requests == 0 {
		b.Requests = standardBreaker.Requests
	}
	for _, field := range []struct {
		name     string
		value    *caddy.Duration
		fallback time.Duration
	}{
		{"window", &b.Window, standardBreaker.Window},
		{"open", &b.Open, standardBreaker.Open},
		{"max_open", &b.MaxOpen, max(standardBreaker.MaxOpen, time.Duration(b.Open))},
	} {
		if *field.value == 0 {
			*field.value = caddy.Duration(field.fallback)
		}
		if *field.value < shortestBreak || *field.value > longestBreak {
			return fmt.Errorf("breaker: %s must be from 1s to 24h; to have none write off", field.name)
		}
	}
	switch {
	case *b.Failures < 0:
		return errors.New("breaker: failures must not be negative; 0 never counts them")
	case !(*b.Ratio >= 0 && *b.Ratio <= 1):
		return errors.New("breaker: ratio must be from 0 to 1; 0 never counts it")
	case b.Requests < 1:
		return errors.New("breaker: requests must be at least 1")
	case b.MaxOpen < b.Open:
		return errors.New("breaker: max_open must not be shorter than open")
	}
	return nil
}

// options is the breaker as routing takes it.
func (b *Breaker) options() keys.Breaker {
	return keys.Breaker{
		Failures: *b.Failures,
		Ratio:    *b.Ratio,
		Requests: b.Requests,
		Window:   time.Duration(b.Window),
		Open:     time.Duration(b.Open),
		MaxOpen:  time.Duration(b.MaxOpen),
	}
}

// setDefaults fills in what is not set, and makes sure that what is set can work.
func (r *RetryBudget) setDefaults() error {
	if r.Off {
		return nil
	}
	if r.Ratio == nil {
		r.Ratio = new(standardRetryRatio)
	}
	if r.PerSecond == nil {
		r.PerSecond = new(float64(standardRetriesASecond))
	}
	switch {
	case !(*r.Ratio >= 0 && *r.Ratio <= maxRetryRatio):
		return fmt.Errorf("retry_budget: the ratio must be from 0 to %d", maxRetryRatio)
	case !(*r.PerSecond >= 0 && *r.PerSecond <= maxRetriesASecond):
		return fmt.Errorf("retry_budget: the number per second must be from 0 to %d", maxRetriesASecond)
	case *r.Ratio == 0 && *r.PerSecond == 0:
		return errors.New("retry_budget: 0 and 0 would allow no retry; write max_attempts 1 for that, or off to have no bound")
	}
	return nil
}

// options is the budget as routing takes it: both zero is no bound.
func (r *RetryBudget) options() routing.Retries {
	if r.Off {
		return routing.Retries{}
	}
	return routing.Retries{Ratio: *r.Ratio, PerSecond: *r.PerSecond}
}

// setResilience fills in what happens when upstreams fail.
func (h *Handler) setResilience() error {
	if h.Breaker == nil {
		h.Breaker = new(Breaker)
	}
	if err := h.Breaker.setDefaults(); err != nil {
		return err
	}
	if h.RetryBudget == nil {
		h.RetryBudget = new(RetryBudget)
	}
	if err := h.RetryBudget.setDefaults(); err != nil {
		return err
	}
	if h.Affinity == nil {
		h.Affinity = new(true)
	}
	if h.Wait < 0 {
		return errors.New("wait: must not be negative; 0 answers at once")
	}
	return nil
}
