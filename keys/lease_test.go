package keys

import (
	"sync"
	"testing"
	"time"
)

var scopes = []Scope{ScopeKeyModel, ScopeKey, ScopeProvider}

// restingPool is a pool of one key that rests from t0 on for a second.
func restingPool(scope Scope) *Pool {
	p, keys := newPool(1)
	cool(p, keys[0], scope, "a", t0, time.Second, ReasonRateLimited)
	return p
}

// pick is Pick for model a by a request of its own, which must find a key.
func pick(t *testing.T, p *Pool, now time.Duration) *Lease {
	t.Helper()
	l, ok := p.Pick(at(now), "a", nil, "")
	if !ok {
		t.Fatalf("nothing to pick at %v", now)
	}
	return &l
}

func wantNothing(t *testing.T, p *Pool, now time.Duration) {
	t.Helper()
	if _, ok := p.Pick(at(now), "a", nil, ""); ok {
		t.Errorf("a key was picked at %v, want none", now)
	}
}

func TestHerdAtTheEndOfARestGetsOneLease(t *testing.T) {
	const herd = 500
	for _, scope := range scopes {
		p := restingPool(scope)
		for round := range 5 { // each but the last probe fails
			end := p.Status(t0)[0].Cooling[0].Until
			var mu sync.Mutex
			var leases []Lease
			together(herd, func(int) {
				if l, ok := p.Pick(end, "a", new(Tried), ""); ok {
					mu.Lock()
					defer mu.Unlock()
					leases = append(leases, l)
				}
			})
			if len(leases) != 1 || !leases[0].Probe {
				t.Fatalf("%v, round %d: %d leases, want the probe alone", scope, round, len(leases))
			}
			if round < 4 {
				leases[0].Fail(end, scope, time.Second, ReasonRateLimited)
			} else if !leases[0].Succeed(end.Add(time.Second)) {
				t.Errorf("%v: the success of the probe did not recover anything", scope)
			}
		}
		for range herd {
			if l := pick(t, p, time.Hour); l.Probe {
				t.Fatalf("%v: there is a probe after the success", scope)
			}
		}
	}
}

func TestOneProbeForAllKeysOfAProvider(t *testing.T) {
	p, keys := newPool(3)
	cool(p, keys[0], ScopeProvider, "", t0, time.Second, ReasonBroken)
	probe := pick(t, p, time.Second)
	wantNothing(t, p, 2*time.Second)
	if !probe.Succeed(at(3 * time.Second)) {
		t.Error("recovered = false, want true")
	}
	for range 3 {
		if l := pick(t, p, 3*time.Second); l.Probe {
			t.Error("there is a probe after the success")
		}
	}
}

func TestReturnedProbeIsTheNextUsesToTake(t *testing.T) {
	for _, scope := range scopes {
		p := restingPool(scope)
		for range 3 {
			l := pick(t, p, time.Second)
			if !l.Probe {
				t.Fatalf("%v: no probe", scope)
			}
			wantNothing(t, p, time.Second)
			l.Return()
		}
		l := pick(t, p, time.Second)
		if rested := l.Fail(at(time.Second), scope, 0, ReasonRateLimited); rested != 0 {
			t.Errorf("%v: a rest of 0 lasts %v", scope, rested)
		}
		if l := pick(t, p, time.Second); !l.Probe {
			t.Errorf("%v: no probe after a failure that rests nothing", scope)
		}
	}
}

func TestFailingProbesDoubleTheRestUpToACap(t *testing.T) {
	for _, scope := range scopes {
		p := restingPool(scope)
		end := time.Second
		for _, want := range []time.Duration{2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900} {
			l := pick(t, p, end)
			if got := l.Fail(at(end), scope, time.Second, ReasonRateLimited); got != want*time.Second {
				t.Fatalf("%v: the probe's failure rests it for %v, want %v", scope, got, want*time.Second)
			}
			wantNothing(t, p, end+want*time.Second-1)
			end += want * time.Second
		}
		l := pick(t, p, end)
		if got := l.Fail(at(end), scope, time.Hour, ReasonRateLimited); got != time.Hour {
			t.Errorf("%v: the upstream asked for an hour, it rests for %v", scope, got)
		}
		l = pick(t, p, end+time.Hour)
		if got := l.Fail(at(end+time.Hour), scope, time.Second, ReasonRateLimited); got != maxDoubled {
			t.Errorf("%v: after an hour it rests for %v, want %v", scope, got, maxDoubled)
		}
		end += time.Hour + maxDoubled
		pick(t, p, end).Succeed(at(end + 1))
		if got := pick(t, p, end+1).Fail(at(end+1), scope, time.Second, ReasonRateLimited); got != time.Second {
			t.Errorf("%v: after a success it rests for %v, want 1s", scope, got)
		}
	}
}

func TestOtherFailuresNeverDouble(t *testing.T) {
	for _, scope := range scopes {
		p, _ := newPool(1)
		var old []*Lease
		for range 5 {
			old = append(old, pick(t, p, 0))
		}
		for i, l := range old {
			now := time.Duration(i) * time.Second
			if got := l.Fail(at(now), scope, 10*time.Second, ReasonRateLimited); got != 10*time.Second {
				t.Errorf("%v: failure %d rests it for %v, want 10s", scope, i, got)
			}
		}
	}
}

func TestOnlyTheEndOfARestIsARecovery(t *testing.T) {
	for _, scope := range scopes {
		p := restingPool(scope)
		l := leaseOf(p, p.keys[0], "a", at(1)) // as in a further cycle of the request that failed
		if l.Succeed(at(time.Second - 1)) {
			t.Errorf("%v: a success during the rest is told as a recovery", scope)
		}
		if back, _, _, _ := p.Soonest(at(time.Second-1), "a"); !back.Equal(at(time.Second - 1)) {
			t.Errorf("%v: it did not end the rest", scope)
		}
	}
}

func TestShorterFailuresDoNotMakeDoublingBeginAnew(t *testing.T) {
	for _, scope := range scopes {
		p, _ := newPool(1)
		old, first := pick(t, p, 0), pick(t, p, 0)
		first.Fail(t0, scope, time.Minute, ReasonRateLimited)
		old.Fail(at(59*time.Second), scope, 2*time.Second, ReasonRateLimited)
		if got := pick(t, p, 61*time.Second).Fail(at(61*time.Second), scope, time.Second, ReasonRateLimited); got != 2*time.Minute {
			t.Errorf("%v: the probe's failure rests it for %v, want 2m", scope, got)
		}
	}
}

func TestLateFailureDuringAProbeOutlivesItsSuccess(t *testing.T) {
	for _, scope := range scopes {
		p, _ := newPool(1)
		old, first := pick(t, p, 0), pick(t, p, 0)
		first.Fail(at(0), scope, time.Second, ReasonRateLimited)
		probe := pick(t, p, time.Second)
		if got := old.Fail(at(2*time.Second), scope, 10*time.Second, ReasonRateLimited); got != 10*time.Second {
			t.Errorf("%v: rests for %v, want 10s: it is no probe", scope, got)
		}
		if probe.Succeed(at(3 * time.Second)) {
			t.Errorf("%v: a success that began before the failure recovered something", scope)
		}
		wantNothing(t, p, 12*time.Second-1)
		if l := pick(t, p, 12*time.Second); !l.Probe {
			t.Errorf("%v: no probe after the prolonged rest", scope)
		}
	}
}

func TestLateFailureDoesNotLetASecondProbePass(t *testing.T) {
	p := restingPool(ScopeKey)
	old := leaseOf(p, p.keys[0], "a", t0)
	probe := pick(t, p, 10*time.Second)
	old.Fail(at(11*time.Second), ScopeKey, time.Second, ReasonRateLimited)
	wantNothing(t, p, 13*time.Second) // the rest is over again, the probe is not
	if got := probe.Fail(at(14*time.Second), ScopeKey, time.Second, ReasonRateLimited); got != 2*time.Second {
		t.Errorf("the probe's failure rests it for %v, want 2s", got)
	}
}

func TestProbeThatTakesTooLongLetsOthersPass(t *testing.T) {
	for _, scope := range scopes {
		for _, tc := range []struct {
			name string
			end  func(l *Lease, now time.Time)
			want string // what two more requests get before the newer probe ends
			back time.Duration
		}{
			{"returned", func(l *Lease, _ time.Time) { l.Return() }, "- -", time.Second},
			{"failed for nothing", func(l *Lease, now time.Time) { l.Fail(now, scope, 0, ReasonBroken) }, "- -", time.Second},
			{"succeeded", func(l *Lease, now time.Time) { l.Succeed(now) }, "k1 k1", 0},
			// Not for twice as long: it was not the probe any more.
			{"failed", func(l *Lease, now time.Time) { l.Fail(now, scope, 3*time.Second, ReasonBroken) }, "- -", 3 * time.Second},
		} {
			p := restingPool(scope)
			slow := pick(t, p, time.Second)
			wantNothing(t, p, time.Second+probePatience-1)
			newer := pick(t, p, time.Second+probePatience)
			if !newer.Probe {
				t.Fatalf("%v: no probe after %v", scope, probePatience)
			}
			now := at(2*time.Second + probePatience)
			tc.end(slow, now)
			if got := picks(p, now, "a", "a"); got != tc.want {
				t.Errorf("%v, %s: others got %s, want %s", scope, tc.name, got, tc.want)
			}
			if back, _, _, _ := p.Soonest(now, "a"); back.Sub(now) != tc.back {
				t.Errorf("%v, %s: usable in %v, want %v", scope, tc.name, back.Sub(now), tc.back)
			}
			newer.Succeed(now.Add(time.Millisecond))
			if back, _, _, _ := p.Soonest(now.Add(time.Millisecond), "a"); tc.name != "failed" && back.After(now.Add(time.Millisecond)) {
				t.Errorf("%v, %s: the newer probe's success changed nothing", scope, tc.name)
			}
		}
	}
}

// A lease can probe the provider, its key and the key for the model at once.
func TestProbeOfThreeRestsDecidesAboutWhatItsOutcomeSaysSomething(t *testing.T) {
	for _, tc := range []struct {
		name string
		end  func(l *Lease)
		want string // what is half-open or rests afterwards
	}{
		{"success", func(l *Lease) { l.Succeed(at(2 * time.Second)) }, ""},
		{"return", func(l *Lease) { l.Return() }, "provider? key? key_model? "},
		{"failure for the model", func(l *Lease) { l.Fail(at(time.Second), ScopeKeyModel, time.Second, ReasonRateLimited) }, "provider? key? key_model "},
		{"failure of the key", func(l *Lease) { l.Fail(at(time.Second), ScopeKey, time.Second, ReasonDead) }, "provider? key key_model? "},
		{"failure of the provider", func(l *Lease) { l.Fail(at(time.Second), ScopeProvider, time.Second, ReasonBroken) }, "provider key? key_model? "},
	} {
		p, keys := newPool(2)
		for _, scope := range scopes {
			cool(p, keys[0], scope, "a", t0, time.Second, ReasonRateLimited)
		}
		l, _ := p.Pick(at(time.Second), "a", nil, keys[0].ID)
		tc.end(&l)
		got := ""
		for _, c := range p.Status(at(2 * time.Second))[0].Cooling {
			got += c.Scope.String()
			if c.HalfOpen {
				got += "?"
			}
			got += " "
		}
		if got != tc.want {
			t.Errorf("after a %s: %q, want %q", tc.name, got, tc.want)
		}
		p.provider.rest, p.memories[1].whole = rest{}, rest{}
		if l, ok := p.Pick(at(4*time.Second), "a", nil, keys[0].ID); !ok || l.Key != keys[0] || l.Probe != (tc.want != "") {
			t.Errorf("after a %s: picked %v, probe %v, want the key, as the probe if any rest is left", tc.name, l.Key, l.Probe)
		}
	}
}

func TestLeaseEndsOnce(t *testing.T) {
	p := restingPool(ScopeKeyModel)
	l := pick(t, p, time.Second)
	l.Return()
	next := pick(t, p, time.Second)
	if l.Succeed(at(2*time.Second)) || l.Fail(at(2*time.Second), ScopeProvider, time.Hour, ReasonDead) != 0 {
		t.Error("a lease that was returned had another effect")
	}
	l.Return()
	wantNothing(t, p, 2*time.Second)
	if !next.Succeed(at(2 * time.Second)) {
		t.Error("the success of the probe recovered nothing")
	}
	var zero Lease
	zero.Return()
	if zero.Succeed(t0) || zero.Fail(t0, ScopeKey, time.Hour, ReasonDead) != 0 {
		t.Error("a lease of nothing had an effect")
	}
}

func TestOwnRestBindsNoRequestEvenWhileOthersProbe(t *testing.T) {
	p, _ := newPool(1)
	var tried Tried
	l, _ := p.Pick(t0, "a", &tried, "")
	l.Fail(t0, ScopeKeyModel, time.Second, ReasonRateLimited)
	tried.NextCycle()
	pick(t, p, time.Second)
	l, ok := p.Pick(at(time.Second), "a", &tried, "")
	if !ok || l.Probe {
		t.Errorf("Pick = %v, probe %v, want the key, not as the probe", ok, l.Probe)
	}
}

func TestUsingKeysAllocatesNothing(t *testing.T) {
	p, keys := newPool(3)
	cool(p, keys[0], ScopeKeyModel, "other", t0, time.Hour, ReasonRateLimited)
	cool(p, keys[1], ScopeKey, "", t0, time.Second, ReasonRateLimited)
	breaker := &Breaker{Failures: 3, Ratio: 0.5, Requests: 10, Window: time.Minute, Open: time.Second}
	now := at(time.Minute)
	allocs := testing.AllocsPerRun(1000, func() {
		now = now.Add(time.Second)
		var tried Tried
		for range 2 {
			l, ok := p.Pick(now, "a", &tried, keys[0].ID)
			if !ok {
				t.Fatal("no key")
			}
			health := p.Health("a")
			visit, ok := health.Enter(now, breaker, false)
			if !ok {
				t.Fatal("the breaker is open")
			}
			visit.Succeed(now)
			l.Succeed(now)
			visit.Leave()
		}
		l, _ := p.Pick(now, "a", &tried, "")
		l.Return()
		p.Soonest(now, "a")
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want 0", allocs)
	}
}
