package keys

import (
	"math"
	"testing"
	"time"
)

// admitted counts how many requests the pool lets through at now.
func admitted(p *Pool, now time.Time) int {
	n := 0
	for {
		if _, ok := p.Pick(now, "a", nil, ""); !ok {
			return n
		}
		n++
	}
}

func TestKeyTakesAMinutesWorthAndThenWhatFlowsBack(t *testing.T) {
	for _, limit := range []int{1, 5, 7, 60, 1000} {
		p := NewState().Pool("p", newKeys("p", 1), Limits{RequestsPerMinute: limit})
		if got := admitted(p, t0); got != limit {
			t.Errorf("limit %d: %d requests at once, want %d", limit, got, limit)
		}
		interval := time.Minute / time.Duration(limit)
		back, why, _, ok := p.Soonest(t0, "a")
		if !ok || why != ReasonLimit || back.Sub(t0) > interval || back.Sub(t0) < interval-time.Duration(limit) {
			t.Errorf("limit %d: Soonest = %v, %v, %v, want about %v, limit", limit, back.Sub(t0), why, ok, interval)
		}
		if got := admitted(p, back.Add(-1)); got != 0 {
			t.Errorf("limit %d: %d requests before anything flowed back, want 0", limit, got)
		}
		if got := admitted(p, back); got != 1 {
			t.Errorf("limit %d: %d requests when one flowed back, want 1", limit, got)
		}
		if got := admitted(p, back.Add(time.Minute)); got != limit {
			t.Errorf("limit %d: %d requests a minute later, want %d", limit, got, limit)
		}
	}
}

func TestEachKeyHasItsOwnLimit(t *testing.T) {
	p := NewState().Pool("p", newKeys("p", 3), Limits{RequestsPerMinute: 2})
	if got, want := picks(p, t0, "a", "b", "a", "a", "a", "a", "a", "b"), "k1 k2 k3 k1 k2 k3 - -"; got != want {
		t.Errorf("picks = %s, want %s", got, want)
	}
}

func TestLongRunRateIsTheLimit(t *testing.T) {
	p := NewState().Pool("p", newKeys("p", 1), Limits{RequestsPerMinute: 30})
	total := 0
	for second := range 600 {
		total += admitted(p, at(time.Duration(second)*time.Second))
	}
	if want := 30 + 30*10 - 1; total != want { // a full bucket, and 599 seconds' worth
		t.Errorf("%d requests in ten minutes, want %d", total, want)
	}
}

func TestUsedTokensArePaidBackBeforeTheNextPick(t *testing.T) {
	p := NewState().Pool("p", newKeys("p", 1), Limits{TokensPerMinute: 60_000}) // 1 ms each
	l, _ := p.Pick(t0, "a", nil, "")
	for _, tc := range []struct {
		tokens int64
		back   time.Duration
	}{
		{59_999, 0}, // one is left
		{1, time.Millisecond},
		{100_000, 100*time.Second + time.Millisecond}, // the answer was longer than the limit
		{0, 100*time.Second + time.Millisecond},
		{-1 << 40, 100*time.Second + time.Millisecond}, // an upstream's nonsense
	} {
		p.Charge(l.Key, t0, tc.tokens)
		if back, _, _, _ := p.Soonest(t0, "a"); !back.Equal(at(tc.back)) {
			t.Errorf("after %d more tokens: usable at %v, want %v", tc.tokens, back.Sub(t0), tc.back)
		}
	}
	wantBack(t, p, "a", 100*time.Second+time.Millisecond)
}

func TestAbsurdUsageRetiresAKeyForAnHourAtMost(t *testing.T) {
	for _, limit := range []int{1, 60_000, math.MaxInt} {
		p := NewState().Pool("p", newKeys("p", 1), Limits{TokensPerMinute: limit})
		l, _ := p.Pick(t0, "a", nil, "")
		for range 3 {
			p.Charge(l.Key, t0, math.MaxInt64)
		}
		if back, _, _, _ := p.Soonest(t0, "a"); back.After(at(maxDebt)) {
			t.Errorf("limit %d: usable at %v, want no later than %v", limit, back.Sub(t0), maxDebt)
		}
	}
}

func TestNoLimitIsNoLimit(t *testing.T) {
	for _, limits := range []Limits{{}, {RequestsPerMinute: -1, TokensPerMinute: -5}} {
		p := NewState().Pool("p", newKeys("p", 1), limits)
		for range 10_000 {
			l, ok := p.Pick(t0, "a", nil, "")
			if !ok {
				t.Fatalf("limits %+v keep a key out of use", limits)
			}
			p.Charge(l.Key, t0, 1_000_000)
		}
	}
}

func TestLimitHoldsInFurtherCyclesToo(t *testing.T) {
	p := NewState().Pool("p", newKeys("p", 1), Limits{RequestsPerMinute: 2})
	if got, want := cycles(p, 5, ScopeKeyModel, ReasonRateLimited), "k1 k1"; got != want {
		t.Errorf("one request of 5 cycles used %s, want %s", got, want)
	}
}

func TestSkippedKeyIsNotCharged(t *testing.T) {
	p := NewState().Pool("p", newKeys("p", 2), Limits{RequestsPerMinute: 1})
	cool(p, p.keys[0], ScopeKeyModel, "a", t0, time.Second, ReasonRateLimited)
	var tried Tried
	p.Pick(t0, "a", &tried, "") // k2
	if got, want := source(p.Pick(t0, "a", &tried, "")), "-"; got != want {
		t.Fatalf("second pick = %s, want %s", got, want)
	}
	if got, want := picks(p, at(time.Second), "a"), "k1"; got != want {
		t.Errorf("after the rest: %s, want %s", got, want)
	}
}

func TestUsedUpLimitLeavesTheProbeToOthers(t *testing.T) {
	s, keys := NewState(), newKeys("p", 1)
	limited, free := s.Pool("p", keys, Limits{RequestsPerMinute: 1}), s.Pool("p", keys, Limits{})
	limited.Pick(at(time.Second), "b", nil, "")
	for _, scope := range []Scope{ScopeKeyModel, ScopeKey, ScopeProvider} {
		cool(free, keys[0], scope, "a", t0, time.Second, ReasonRateLimited)
		if got := source(limited.Pick(at(time.Second), "a", nil, "")); got != "-" {
			t.Errorf("%v: the limited pool gave %s, want nothing", scope, got)
		}
		lease, ok := free.Pick(at(time.Second), "a", nil, "")
		if !ok || !lease.Probe {
			t.Errorf("%v: Pick = %v, probe %v, want the probe", scope, ok, lease.Probe)
		}
		lease.Succeed(at(2 * time.Second))
	}
}

func TestACancelledLeaseDoesNotCountInTheLimits(t *testing.T) {
	now := time.Now()
	for _, perMinute := range []int{1, 3, 7, 60, 1000} {
		pool := NewState().Pool("p", []*Key{NewKey("p", "K", "s")}, Limits{RequestsPerMinute: perMinute})
		for i := range 3 * perMinute {
			lease, ok := pool.Pick(now, "m", nil, "")
			if !ok {
				t.Fatalf("%d a minute: Pick %d found no key, want those before to be cancelled", perMinute, i)
			}
			lease.Cancel()
			lease.Cancel() // does nothing
			lease.Return() // nor does this
		}
		for i := range perMinute {
			if _, ok := pool.Pick(now, "m", nil, ""); !ok {
				t.Fatalf("%d a minute: Pick %d found no key", perMinute, i)
			}
		}
		if _, ok := pool.Pick(now, "m", nil, ""); ok {
			t.Errorf("%d a minute: one more than that was picked", perMinute)
		}
	}
}

func TestACancelledLeaseGivesItsProbeBack(t *testing.T) {
	now := time.Now()
	pool := NewState().Pool("p", []*Key{NewKey("p", "K", "s")}, Limits{})
	lease, _ := pool.Pick(now, "m", nil, "")
	lease.Fail(now, ScopeKey, time.Second, ReasonRateLimited)
	now = now.Add(2 * time.Second)
	for range 3 {
		probe, ok := pool.Pick(now, "m", nil, "")
		if !ok || !probe.Probe {
			t.Fatalf("Pick after the rest = %v, %v, want a probe", probe.Probe, ok)
		}
		probe.Cancel()
	}
}
