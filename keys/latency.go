package keys

import (
	"math"
	"time"
)

const (
	// smoothing is the part that a sample has in the latency when they follow
	// each other closely: about the last ten count.
	smoothing = 0.2

	// latencyTau is how fast what is known about the latency fades: a route that
	// was slow once must be asked again some time to be found fast.
	latencyTau = 2 * time.Minute
)

// latency is a smoothed latency. The zero value is not known.
type latency struct {
	ns float64 // as of at
	at time.Time
}

// add adds a sample.
func (l *latency) add(now time.Time, sample time.Duration) {
	value := float64(max(sample, 1)) // 0 means not known
	if l.ns != 0 {
		old := (1 - smoothing) * fading(now.Sub(l.at))
		value = old*l.ns + (1-old)*value
	}
	l.ns = value
	if now.After(l.at) {
		l.at = now
	}
}

// fading is what part of what was known that long ago still counts.
func fading(age time.Duration) float64 {
	return math.Exp(-float64(max(age, 0)) / float64(latencyTau))
}

// Latency is the time from [Health.Enter] to [Visit.Succeed], smoothed over the last
// streams, or over whole answers while there has been no stream. It falls by two
// thirds every 2 minutes without any, so that a model which was slow gets another
// chance. 0: not known.
func (h *Health) Latency(now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := h.known()
	return time.Duration(known.ns * fading(now.Sub(known.at)))
}

// known is the latency that says most. h.mu must be held.
func (h *Health) known() *latency {
	if h.streams.ns != 0 {
		return &h.streams
	}
	return &h.answers
}
