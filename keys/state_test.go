package keys

import (
	"fmt"
	"testing"
	"time"
)

func TestReloadKeepsCooldownsLimitsAndRotationByKey(t *testing.T) {
	s, keys := NewState(), newKeys("p", 4)
	old := s.Pool("p", keys[:3], Limits{RequestsPerMinute: 2})
	cool(old, keys[0], ScopeKey, "", t0, time.Hour, ReasonDead)
	cool(old, keys[1], ScopeKeyModel, "a", t0, time.Minute, ReasonRateLimited)
	picks(old, t0, "a", "a") // k3 twice: its limit

	// The same secrets read again are other Keys, and stand elsewhere.
	again := newKeys("p", 4)
	next := s.Pool("p", []*Key{again[3], again[2], again[1], again[0]}, Limits{RequestsPerMinute: 2})
	old.Close()
	if got, want := picks(next, t0, "a", "b", "a", "b", "b", "b"), "k4 k2 k4 k2 - -"; got != want {
		t.Errorf("after the reload: picks = %s, want %s", got, want)
	}
	if until, _, _, _ := next.Soonest(at(time.Second), "a"); !until.Equal(at(30 * time.Second)) {
		t.Errorf("after the reload: usable at %v, want 30s", until.Sub(t0))
	}
}

func TestRequestOfTheOldConfigurationStillTeachesTheNewOne(t *testing.T) {
	s, keys := NewState(), newKeys("p", 2)
	old := s.Pool("p", keys, Limits{})
	lease, _ := old.Pick(t0, "a", nil, "")
	next := s.Pool("p", newKeys("p", 2), Limits{})
	old.Close()
	lease.Fail(t0, ScopeKeyModel, time.Minute, ReasonRateLimited)
	if got, want := picks(next, t0, "a", "a"), "k2 k2"; got != want {
		t.Errorf("new configuration used %s, want %s", got, want)
	}
	if got := source(old.Pick(t0, "a", nil, "")); got != "k2" {
		t.Errorf("a request on the closed pool got %s, want k2", got)
	}
}

func TestRejectedReloadChangesNothing(t *testing.T) {
	s, keys := NewState(), newKeys("p", 2)
	running := s.Pool("p", keys, Limits{})
	cool(running, keys[0], ScopeKey, "", t0, time.Hour, ReasonDead)
	picks(running, t0, "a")
	rejected := s.Pool("p", newKeys("p", 3), Limits{})
	rejected.Close()
	rejected.Close() // once more than opened must not close somebody else's
	if got := len(s.providers["p"].memories); got != 2 {
		t.Errorf("%d keys are known, want 2", got)
	}
	if got, want := picks(running, t0, "a", "a"), "k2 k2"; got != want {
		t.Errorf("running configuration used %s, want %s", got, want)
	}
}

func TestKeysThatAreGoneDoNotPileUpOverReloads(t *testing.T) {
	s := NewState()
	shared := NewKey("p", "shared", "shared")
	var old *Pool
	for i := range 1000 {
		fresh := NewKey("p", "fresh", fmt.Sprint("secret ", i))
		next := s.Pool("p", []*Key{shared, fresh}, Limits{})
		other := s.Pool(fmt.Sprint("provider ", i), []*Key{fresh}, Limits{})
		cool(next, fresh, ScopeKey, "", t0, time.Hour, ReasonDead)
		if old != nil {
			old.Close()
		}
		other.Close()
		old = next
		if m := next.memories[1]; m.number > 2 {
			t.Fatalf("reload %d: a key has number %d, want those of gone keys to be used again", i, m.number)
		}
	}
	if len(s.providers) != 1 || len(s.providers["p"].memories) != 2 {
		t.Errorf("%d providers and %d keys are known, want 1 and 2", len(s.providers), len(s.providers["p"].memories))
	}
	old.Close()
	if len(s.providers) != 0 {
		t.Errorf("%d providers are known without any pool, want 0", len(s.providers))
	}
}

func TestMemoryEndsWithTheLastPoolOfAKey(t *testing.T) {
	s, keys := NewState(), newKeys("p", 1)
	p := s.Pool("p", keys, Limits{})
	cool(p, keys[0], ScopeKey, "", t0, time.Hour, ReasonDead)
	p.Close()
	if got := picks(s.Pool("p", keys, Limits{}), t0, "a"); got != "k1" {
		t.Errorf("picked %s, want k1", got)
	}
}
