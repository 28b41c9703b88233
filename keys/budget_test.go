package keys

import (
	"math"
	"sync/atomic"
	"testing"
	"time"
)

// taken is how often Take allows a retry at now.
func taken(b *RetryBudget, now time.Duration) int {
	n := 0
	for n < 1000 && b.Take(at(now)) {
		n++
	}
	return n
}

func TestRetriesAreBoundedByRequestsAndTime(t *testing.T) {
	for _, tc := range []struct {
		name             string
		ratio, perSecond float64
		requests         int
		after            time.Duration
		first, then      int
	}{
		{"nothing happened", 0.2, 10, 0, 0, 10, 0},
		{"a second", 0.2, 10, 0, time.Second, 10, 10},
		{"a part of a second", 0.2, 10, 0, 350 * time.Millisecond, 10, 3},
		{"an hour", 0.2, 10, 0, time.Hour, 10, 10},
		{"requests", 0.2, 10, 20, 0, 10, 4},
		{"many requests", 0.2, 10, 5000, 0, 10, 10},
		{"a tenth of ten", 0.1, 0, 10, time.Hour, 1, 1},
		{"a tenth of nine", 0.1, 0, 9, time.Hour, 1, 0},
		{"no more than one is held", 0.1, 0, 100, 0, 1, 1},
		{"time only", 0, 0.5, 100, time.Second, 1, 0},
		{"time only, enough", 0, 0.5, 100, 2 * time.Second, 1, 1},
		{"a negative ratio", -1, 10, 100, 0, 10, 0},
	} {
		b := NewRetryBudget(tc.ratio, tc.perSecond)
		if got := taken(b, 0); got != tc.first {
			t.Errorf("%s: %d retries at first, want %d", tc.name, got, tc.first)
		}
		for range tc.requests {
			b.Request()
		}
		if got := taken(b, tc.after); got != tc.then {
			t.Errorf("%s: %d retries then, want %d", tc.name, got, tc.then)
		}
	}
}

func TestABusyBudgetHoldsWhatASecondOfRequestsAdds(t *testing.T) {
	b := NewRetryBudget(0.2, 10)
	for second := range 5 {
		taken(b, time.Duration(second)*time.Second)
		for range 300 {
			b.Request()
		}
	}
	// 300 requests a second are 60 retries, and time adds 10. A minute later it
	// is no more, and after a minute without requests no more than time adds.
	if got := taken(b, 5*time.Second); got != 70 {
		t.Errorf("%d retries at 300 requests/s, want 70", got)
	}
	for range 60 * 300 {
		b.Request()
	}
	if got := taken(b, 65*time.Second); got != 70 {
		t.Errorf("%d retries after a minute of 300 requests/s, want 70", got)
	}
	if got := taken(b, 125*time.Second); got != 10 {
		t.Errorf("%d retries after a minute without requests, want 10", got)
	}
}

func TestTenthsOfRetriesAddUp(t *testing.T) {
	b := NewRetryBudget(0.1, 0)
	taken(b, 0)
	for range 10 {
		if b.Take(t0) {
			t.Fatal("a retry came too early")
		}
		b.Request()
	}
	if !b.Take(t0) {
		t.Error("no retry after ten tenths")
	}
}

func TestNoBudgetIsNoLimit(t *testing.T) {
	for _, b := range []*RetryBudget{nil, NewRetryBudget(0, 0), NewRetryBudget(-1, math.NaN())} {
		b.Request()
		if got := taken(b, 0); got != 1000 {
			t.Errorf("%d retries, want no limit", got)
		}
	}
}

// The upstream's rate in an outage is what the issue promises: 1.2 times the
// requests and 10 a second.
func TestOutageIsNotAmplified(t *testing.T) {
	const rate, seconds = 500, 60
	b := NewRetryBudget(0.2, 10)
	calls := 0
	for i := range rate * seconds {
		now := at(time.Duration(i) * time.Second / rate)
		b.Request()
		for calls++; b.Take(now); calls++ { // every attempt fails
		}
	}
	most := 1.2*rate*seconds + 10*seconds + 10
	if float64(calls) > most || float64(calls) < 0.99*most {
		t.Errorf("%d calls, want about %v and no more", calls, most)
	}
}

func TestConcurrentRetriesSpendNothingTwice(t *testing.T) {
	b := NewRetryBudget(0.5, 1)
	var got atomic.Int64
	together(8, func(int) {
		for range 1000 {
			b.Request()
			if b.Take(t0) {
				got.Add(1)
			}
		}
	})
	if n := got.Load(); n > 4001 || n < 3500 {
		t.Errorf("%d retries for 8000 requests, want about 4000 and no more than 4001", n)
	}
}

func TestTimeThatRunsBackwardsEarnsNothing(t *testing.T) {
	b := NewRetryBudget(0, 1)
	taken(b, time.Minute)
	if taken(b, 0) != 0 || taken(b, time.Minute) != 0 {
		t.Error("a retry was earned by going back")
	}
}

func TestSpareRetriesLeaveHalfToOthers(t *testing.T) {
	for _, tc := range []struct {
		perSecond   float64
		spare, then int
	}{
		{10, 5, 5},
		{3, 2, 1},
		{1, 1, 0}, // there is nothing to halve
	} {
		b := NewRetryBudget(0, tc.perSecond)
		spare := 0
		for b.TakeSpare(t0) {
			spare++
		}
		if then := taken(b, 0); spare != tc.spare || then != tc.then {
			t.Errorf("of %v a second: %d spare ones and %d then, want %d and %d", tc.perSecond, spare, then, tc.spare, tc.then)
		}
	}
	if !(*RetryBudget)(nil).TakeSpare(t0) {
		t.Error("no budget refused a retry")
	}
}
