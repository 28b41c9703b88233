package load

import (
	"testing"
	"time"
)

func TestPercentilesAreSamples(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100 - i) // falling: they have to be sorted
	}
	for _, tc := range []struct {
		samples []time.Duration
		want    Distribution
	}{
		{nil, Distribution{}},
		{[]time.Duration{7}, Distribution{Count: 1, P50: 7, P99: 7, Max: 7}},
		{[]time.Duration{3, 1}, Distribution{Count: 2, P50: 1, P99: 3, Max: 3}},
		{[]time.Duration{9, 1, 5}, Distribution{Count: 3, P50: 5, P99: 9, Max: 9}},
		{hundred, Distribution{Count: 100, P50: 50, P99: 99, Max: 100}},
	} {
		if got := newDistribution(tc.samples); got != tc.want {
			t.Errorf("newDistribution(%d samples) = %+v, want %+v", len(tc.samples), got, tc.want)
		}
	}
}
