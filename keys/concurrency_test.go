package keys

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// together runs n functions at once and waits for all.
func together(n int, f func(worker int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for worker := range n {
		wg.Go(func() {
			<-start
			f(worker)
		})
	}
	close(start)
	wg.Wait()
}

func TestConcurrentRequestsShareHealthyKeysEvenly(t *testing.T) {
	const workers, each = 16, 3000
	p, keys := newPool(3)
	var counts [3]atomic.Int64
	together(workers, func(int) {
		for range each {
			l, _ := p.Pick(t0, "a", nil, "")
			counts[p.slots[l.Key.ID]].Add(1)
			l.Succeed(t0)
		}
	})
	for i := range keys {
		if got, want := counts[i].Load(), int64(workers*each/len(keys)); got != want {
			t.Errorf("%s was used %d times, want %d", keys[i].Source, got, want)
		}
	}
}

func TestConcurrentRequestsNeverExceedALimit(t *testing.T) {
	const limit = 500
	s, keys := NewState(), newKeys("p", 2)
	pools := []*Pool{
		s.Pool("p", keys, Limits{RequestsPerMinute: limit}),
		s.Pool("p", keys, Limits{RequestsPerMinute: limit}), // of another configuration
	}
	var admitted atomic.Int64
	together(16, func(worker int) {
		for range limit {
			if _, ok := pools[worker%2].Pick(t0, "a", nil, ""); ok {
				admitted.Add(1)
			}
		}
	})
	if got, want := admitted.Load(), int64(limit*len(keys)); got != want {
		t.Errorf("%d requests were let through, want %d", got, want)
	}
}

func TestConcurrentFailuresKeepTheLongestDeadline(t *testing.T) {
	for _, scope := range []Scope{ScopeKeyModel, ScopeKey, ScopeProvider} {
		p, keys := newPool(1)
		together(16, func(worker int) {
			for i := range 500 {
				cool(p, keys[0], scope, "a", t0, time.Duration(1+worker+16*i)*time.Second, ReasonRateLimited)
				succeed(p, keys[0], "a", at(-time.Second), at(time.Second)) // late answers of older requests
			}
		})
		wantBack(t, p, "a", 16*500*time.Second)
	}
}

// TestEverythingAtOnce is for the race detector, and for what must hold at any time.
func TestEverythingAtOnce(t *testing.T) {
	s, keys := NewState(), newKeys("p", 5)
	var clock atomic.Int64
	var current atomic.Pointer[Pool]
	current.Store(s.Pool("p", keys, Limits{RequestsPerMinute: 6000, TokensPerMinute: 1_000_000}))
	together(8, func(worker int) {
		rng := rand.New(rand.NewPCG(uint64(worker), 0))
		for i := range 2000 {
			now := at(time.Duration(clock.Add(int64(time.Millisecond))))
			p, model := current.Load(), fmt.Sprint("model ", rng.IntN(3))
			switch rng.IntN(50) {
			case 0:
				p.Reset("")
			case 1:
				p.Status(now)
				p.ModelStatus(now)
				if _, err := s.Snapshot(now); err != nil {
					t.Error(err)
				}
			case 2:
				if next := s.Pool("p", keys[rng.IntN(4):], Limits{}); current.CompareAndSwap(p, next) {
					p.Close()
				} else {
					next.Close()
				}
			case 3:
				p.Soonest(now, model)
			default:
				var tried Tried
				health := p.Health(model)
				visit, _ := health.Enter(now, &Breaker{Failures: 3, Open: 5 * time.Millisecond}, true)
				for l, ok := p.Pick(now, model, &tried, ""); ok; l, ok = p.Pick(now, model, &tried, "") {
					p.Charge(l.Key, now, 100)
					if rng.IntN(4) > 0 {
						l.Succeed(now)
						visit.Succeed(now)
						break
					}
					l.Fail(now, Scope(rng.IntN(3)), time.Duration(rng.IntN(20))*time.Millisecond, ReasonRateLimited)
					visit.Fail(now, 0)
				}
				visit.Leave()
			}
			if known := current.Load(); known.Len() == 0 {
				t.Errorf("step %d: pool without keys", i)
			}
		}
	})
	current.Load().Close()
	if len(s.providers) != 0 {
		t.Errorf("%d providers are known after all pools are closed, want 0", len(s.providers))
	}
}
