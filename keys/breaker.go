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

// acts tells whether the breaker ever opens. A nil breaker does not.
func (b *Breaker) acts() bool { return b != nil && (b.Failures > 0 || b.Ratio > 0) }

// again is for how long the breaker stays open when a probe failed after it had
// been open for last.
func (b *Breaker) again(last time.Duration) time.Duration {
	most := max(b.MaxOpen, b.Open)
	return 2 * min(last, most/2)
}

// trips tells whether that is more than the breaker bears: so many failures in a
// row, so many attempts and faults within Window.
func (b *Breaker) trips(inRow, attempts, faults int) bool {
	if b.Failures > 0 && inRow >= b.Failures {
		return true
	}
	return b.Ratio > 0 && attempts >= max(b.Requests, 1) && float64(faults) >= b.Ratio*float64(attempts)
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

// windowParts is into how many parts a window is divided. It moves on by one part
// at a time, so it is up to a tenth shorter than it should be.
const windowParts = 10

// window counts attempts and faults of the last time. The zero value has seen none.
type window struct {
	part   time.Duration // how long one is
	begin  time.Time     // of the very first part
	latest int           // number of the latest part, from 0
	parts  [windowParts]struct{ attempts, faults int }
}

// add counts what happened at now in a window of this span. A window of another span
// begins anew; one of no span never sees anything.
func (w *window) add(now time.Time, span time.Duration, attempts, faults int) {
	part := span / windowParts
	if part <= 0 {
		return
	}
	if w.part != part {
		*w = window{part: part, begin: now}
	}
	w.moveTo(now)
	w.parts[w.latest%windowParts].attempts += attempts
	w.parts[w.latest%windowParts].faults += faults
}

// moveTo empties the parts between the latest one and that of now. Time that runs
// backwards, as it may between callers, moves nothing.
func (w *window) moveTo(now time.Time) {
	number := int(now.Sub(w.begin) / w.part)
	for range min(number-w.latest, windowParts) {
		w.latest++
		w.parts[w.latest%windowParts] = struct{ attempts, faults int }{}
	}
	w.latest = max(w.latest, number)
}

// sum returns all that was counted.
func (w *window) sum() (attempts, faults int) {
	for _, part := range w.parts {
		attempts += part.attempts
		faults += part.faults
	}
	return attempts, faults
}
