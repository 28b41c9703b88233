package load

import (
	"math"
	"slices"
	"time"
)

// Distribution sums up many durations.
type Distribution struct {
	Count    int
	P50, P99 time.Duration
	Max      time.Duration
}

// newDistribution sorts samples in place.
func newDistribution(samples []time.Duration) Distribution {
	if len(samples) == 0 {
		return Distribution{}
	}
	slices.Sort(samples)
	return Distribution{
		Count: len(samples),
		P50:   percentile(samples, 0.50),
		P99:   percentile(samples, 0.99),
		Max:   samples[len(samples)-1],
	}
}

// percentile is the smallest sample that a share q of all samples does not
// exceed (nearest rank). The samples must be sorted and at least one.
func percentile(sorted []time.Duration, q float64) time.Duration {
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[max(rank, 1)-1]
}
