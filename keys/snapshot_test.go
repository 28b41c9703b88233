package keys

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// snapshot is Snapshot, which cannot fail here.
func snapshot(t testing.TB, s *State, now time.Time) []byte {
	t.Helper()
	data, err := s.Snapshot(now)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func restore(t testing.TB, data []byte, now time.Time) *State {
	t.Helper()
	s := NewState()
	if err := s.Restore(data, now); err != nil {
		t.Fatal(err)
	}
	return s
}

// illState is a state in which something of everything is out of use.
func illState(t *testing.T) (*State, []*Key) {
	t.Helper()
	s := NewState()
	keys := []*Key{NewKey("p", "k1", canary), NewKey("p", "k2", "b"), NewKey("p", "k3", "c")}
	p := s.Pool("p", keys, Limits{})
	cool(p, keys[0], ScopeProvider, "", t0, 10*time.Second, ReasonBroken)
	cool(p, keys[0], ScopeKey, "", t0, time.Hour, ReasonDead)
	cool(p, keys[1], ScopeKeyModel, "a", t0, time.Minute, ReasonRateLimited)
	cool(p, keys[1], ScopeKeyModel, "over", t0, time.Second, ReasonRateLimited)
	outcomes(p.Health("a"), 0, threeInARow, "fff")
	p.Health("well")
	return s, keys
}

func TestRestartKeepsRestsAndBreakers(t *testing.T) {
	s, keys := illState(t)
	now := at(5 * time.Second)
	data := snapshot(t, s, now)
	wantNoSecret(t, "snapshot", string(data))

	restored := restore(t, data, now)
	if again := snapshot(t, restored, now); !bytes.Equal(again, data) {
		t.Errorf("while it waits, the snapshot is\n%s\nwant\n%s", again, data)
	}
	before := s.Pool("p", keys, Limits{})
	after := restored.Pool("p", []*Key{keys[2], keys[1], keys[0]}, Limits{}) // in another order
	for i, want := range before.Status(now) {
		if got := after.Status(now)[2-i]; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("status after the restart %v, want %v", got, want)
		}
	}
	wantState(t, after.Health("a"), 5*time.Second, BreakerOpen)
	wantState(t, after.Health("a"), 12*time.Second, BreakerHalfOpen)
	wantState(t, after.Health("well"), 5*time.Second, BreakerClosed)
	if again := snapshot(t, restored, now); !bytes.Equal(again, data) {
		t.Errorf("once there is a pool, the snapshot is\n%s\nwant\n%s", again, data)
	}
	probe, ok := after.Pick(at(time.Hour), "a", nil, keys[0].ID)
	if !ok || !probe.Probe || probe.Fail(at(time.Hour), ScopeKey, time.Minute, ReasonDead) != maxDoubled {
		t.Error("the rest of before the restart does not double")
	}
}

func TestRestoredEntriesWaitForTheirKeys(t *testing.T) {
	s, keys := illState(t)
	restored := restore(t, snapshot(t, s, t0), t0)
	restored.Pool("q", keys, Limits{}) // of another provider
	p := restored.Pool("p", keys[2:], Limits{})
	if got := picks(p, t0, "a"); got != "-" {
		t.Errorf("picked %s, want nothing while the provider rests", got)
	}
	p.Reset("")
	if got := picks(p, t0, "a"); got != "k3" {
		t.Errorf("picked %s, want k3", got)
	}
	next := restored.Pool("p", keys, Limits{}) // a later configuration
	if got := picks(next, t0, "a", "a", "b", "b"); got != "k3 k3 k2 k3" {
		t.Errorf("picks = %s, want k3 k3 k2 k3", got)
	}
	if len(restored.waiting) != 0 {
		t.Errorf("%d providers still wait, want none", len(restored.waiting))
	}
}

func TestRestoreReachesKeysInUseAndNeverShortens(t *testing.T) {
	s, keys := illState(t)
	data := snapshot(t, s, t0)
	running := NewState()
	p := running.Pool("p", keys, Limits{})
	cool(p, keys[0], ScopeProvider, "", t0, 20*time.Second, ReasonRateLimited)
	cool(p, keys[0], ScopeKey, "", t0, time.Minute, ReasonRateLimited)
	if err := running.Restore(data, t0); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(p.Status(t0)[0].Cooling)
	if want := fmt.Sprint([]Cooling{
		{Scope: ScopeProvider, Until: at(20 * time.Second), Why: ReasonRateLimited},
		{Scope: ScopeKey, Until: at(time.Hour), Why: ReasonDead},
	}); got != want {
		t.Errorf("k1 is kept out of use by %s, want %s", got, want)
	}
}

func TestEntriesThatAreOverAreNotSaved(t *testing.T) {
	s, keys := illState(t)
	restored := restore(t, snapshot(t, s, t0), t0)
	s.Pool("p", keys, Limits{}).Reset("")
	const nothing = `{"version":1,"providers":{}}`
	if got := string(snapshot(t, s, t0)); got != nothing {
		t.Errorf("after a reset the snapshot is %s, want %s", got, nothing)
	}
	got := string(snapshot(t, restored, at(3*time.Hour)))
	if !strings.Contains(got, `"breakers"`) || strings.Contains(got, `"keys"`) {
		t.Errorf("three hours later the snapshot is %s, want the half-open breaker only", got)
	}
}

func TestClockThatWasWrongDoesNotRestKeysForYears(t *testing.T) {
	s, keys := illState(t)
	data := snapshot(t, s, t0)
	for _, back := range []time.Duration{time.Minute, 10 * 365 * 24 * time.Hour} {
		now := t0.Add(-back)
		p := restore(t, data, now).Pool("p", keys, Limits{})
		for _, c := range p.Status(now)[0].Cooling {
			if left := c.Until.Sub(now); c.Scope == ScopeKey && left != time.Hour || c.Scope == ScopeProvider && left != 10*time.Second {
				t.Errorf("clock set back by %v: %v rests for %v, want its own length", back, c.Scope, left)
			}
		}
		l := leaseOf(p, keys[0], "a", now.Add(1))
		l.Succeed(now.Add(2))
		if got := p.Status(now.Add(2))[0].Cooling; len(got) != 0 {
			t.Errorf("clock set back by %v: a success left %v", back, got)
		}
	}
}

func TestRestoredDeadlinesDoNotFollowTheWallClock(t *testing.T) {
	s := NewState()
	keys := newKeys("p", 1)
	now := time.Now()
	cool(s.Pool("p", keys, Limits{}), keys[0], ScopeKey, "", now, time.Hour, ReasonDead)
	until, _, _, _ := restore(t, snapshot(t, s, now), now).Pool("p", keys, Limits{}).Soonest(now, "a")
	if !strings.Contains(until.String(), " m=") || until.Sub(now) != time.Hour {
		t.Errorf("%v, in %v: want a monotonic reading, and an hour", until, until.Sub(now))
	}
}

func TestGarbageIsAnErrorThatChangesNothing(t *testing.T) {
	s, _ := illState(t)
	good := string(snapshot(t, s, t0))
	for name, data := range map[string]string{
		"nothing":             "",
		"null":                "null",
		"a list":              "[]",
		"cut":                 good[:len(good)/2],
		"twice":               good + good,
		"another version":     strings.Replace(good, `"version":1`, `"version":2`, 1),
		"an unknown key":      strings.Replace(good, `"version":1`, `"version":1,"more":2`, 1),
		"a null provider":     `{"version":1,"providers":{"p":null}}`,
		"a null key":          `{"version":1,"providers":{"p":{"keys":{"k":null}}}}`,
		"a null rest":         `{"version":1,"providers":{"p":{"keys":{"k":{"models":{"a":null}}}}}}`,
		"a null breaker":      `{"version":1,"providers":{"p":{"breakers":{"a":null}}}}`,
		"a rest of nothing":   `{"version":1,"providers":{"p":{"rest":{}}}}`,
		"an unknown reason":   strings.ReplaceAll(good, `"dead"`, `"`+canary+`"`),
		"a negative length":   strings.ReplaceAll(good, `"length_ms":`, `"length_ms":-`),
		"a length of nothing": strings.ReplaceAll(good, `"length_ms":60000`, `"length_ms":0`),
		"an endless length":   strings.ReplaceAll(good, `"length_ms":60000`, `"length_ms":9223372036854775807`),
		"negative failures":   strings.ReplaceAll(good, `"failures":`, `"failures":-`),
	} {
		changed := s.Changed()
		if data == good {
			t.Fatalf("%s: is the good one", name)
		}
		if err := s.Restore([]byte(data), t0); err == nil {
			t.Errorf("%s: Restore(%s) = nil, want an error", name, data)
		}
		if got := string(snapshot(t, s, t0)); got != good || s.Changed() != changed {
			t.Errorf("%s: the state has changed to %s", name, got)
		}
	}
}

func TestChangedMovesWhenThereIsSomethingToSave(t *testing.T) {
	s, keys := NewState(), newKeys("p", 1)
	p := s.Pool("p", keys, Limits{RequestsPerMinute: 100, TokensPerMinute: 1000})
	h := p.Health("a")
	var lease, old Lease
	for _, step := range []struct {
		name string
		do   func()
		want bool
	}{
		{"pick", func() { lease, _ = p.Pick(t0, "a", nil, "") }, false},
		{"success of a good key", func() { lease.Succeed(at(1)) }, false},
		{"charge", func() { p.Charge(keys[0], t0, 10) }, false},
		{"rest of nothing", func() { cool(p, keys[0], ScopeKey, "a", t0, 0, ReasonDead) }, false},
		{"failure", func() { cool(p, keys[0], ScopeKey, "a", t0, time.Second, ReasonDead) }, true},
		{"probe", func() { old = leaseOf(p, keys[0], "a", t0); lease, _ = p.Pick(at(time.Second), "a", nil, "") }, false},
		{"late answer", func() { old.Succeed(at(time.Second)) }, false},
		{"recovery", func() { lease.Succeed(at(2 * time.Second)) }, true},
		{"fault", func() { visit(h, 0, threeInARow).Fail(t0, 0) }, false},
		{"breaker opens", func() { outcomes(h, 0, threeInARow, "ff") }, true},
		{"breaker closes", func() { visit(h, time.Minute, threeInARow).Succeed(at(time.Minute)) }, true},
		{"success", func() { visit(h, time.Minute, threeInARow).Succeed(at(time.Minute)) }, false},
		{"reset", func() { p.Reset("") }, true},
		{"snapshot", func() { snapshot(t, s, t0) }, false},
	} {
		before := s.Changed()
		if step.do(); (s.Changed() != before) != step.want {
			t.Errorf("%s: Changed went from %d to %d, want moved = %v", step.name, before, s.Changed(), step.want)
		}
	}
}

// FuzzRestore feeds it anything: an error changes nothing, and what is taken can be
// written down and read again.
func FuzzRestore(f *testing.F) {
	f.Add([]byte(`{"version":1,"providers":{"p":{"rest":{"until":"2026-11-01T12:00:10Z","set":"2026-11-01T12:00:00Z","length_ms":10000,"why":"broken"},` +
		`"keys":{"89a1db21":{"rest":{"until":"2026-11-01T13:00:00Z","set":"2026-11-01T12:00:00Z","length_ms":3600000,"why":"dead"},` +
		`"models":{"a":{"until":"2026-11-01T11:59:00Z","set":"2026-11-01T11:00:00Z","length_ms":1,"why":"rate_limited"}}}},` +
		`"breakers":{"a":{"until":"2026-11-01T12:01:00Z","opened":"2026-11-01T12:00:30Z","length_ms":30000,"failures":5}}}}}`))
	f.Add([]byte(`{"version":1,"providers":{"":{"keys":{"x":{"models":{"m":{"until":"0001-01-02T00:00:00Z","set":"9999-12-31T23:59:59Z","length_ms":1,"why":"limit"}}}}}}}`))
	f.Add([]byte(`{"version":1,"providers":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, keys := NewState(), newKeys("p", 2)
		p := s.Pool("p", keys, Limits{})
		empty := snapshot(t, s, t0)
		if err := s.Restore(data, t0); err != nil {
			if got := snapshot(t, s, t0); !bytes.Equal(got, empty) {
				t.Fatalf("Restore(%q) = %v, but the state is now %s", data, err, got)
			}
			return
		}
		once := snapshot(t, s, t0)
		if twice := snapshot(t, restore(t, once, t0), t0); !bytes.Equal(twice, once) {
			t.Fatalf("restored once: %s\nrestored twice: %s", once, twice)
		}
		if until, _, _, _ := p.Soonest(t0, "a"); until.Before(t0) {
			t.Errorf("Soonest = %v, which is past", until)
		}
		p.ModelStatus(t0)
	})
}
