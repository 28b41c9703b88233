package keys

import "time"

// Breaker says when a provider's model is taken for ill, so that others are asked
// first. The zero value never does.
type Breaker struct {
	// Failures opens the breaker when so many attempts in a row failed. 0: never.
	Failures int
	// Ratio, from 0 to 1, opens it when that part of the attempts within Window
	// failed, once there were Requests of them. 0: never.
	Ratio    float64
	Requests int
	Window   time.Duration
	// Open is for how long it stays open the first time. Each probe that fails
	// doubles that, up to MaxOpen.
	Open, MaxOpen time.Duration
}

// BreakerState is what a breaker does with attempts.
type BreakerState string

// The states of a breaker.
const (
	BreakerClosed   BreakerState = "closed"    // lets all pass
	BreakerOpen     BreakerState = "open"      // lets none pass while others can be asked
	BreakerHalfOpen BreakerState = "half_open" // lets one pass, whose outcome decides
)

// ModelStatus is what can be told about a provider's model.
type ModelStatus struct {
	Model    string       `json:"model"` // as the provider calls it
	Breaker  BreakerState `json:"breaker"`
	Until    *time.Time   `json:"until,omitempty"` // with BreakerOpen only
	Failures int          `json:"failures"`        // in a row, the last attempts
	InFlight int          `json:"in_flight"`
	// LatencyMS is the smoothed time to the first content, in milliseconds; 0:
	// not known.
	LatencyMS int64 `json:"latency_ms"`
}
