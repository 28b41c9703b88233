package keys

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// wantBack checks that the pool's only key is out of use for model until d after t0,
// to the nanosecond.
func wantBack(t *testing.T, p *Pool, model string, d time.Duration) {
	t.Helper()
	if d > 0 {
		if got := picks(p, at(d-1), model); got != "-" {
			t.Errorf("picked %s just before %v, want nothing", got, d)
		}
	}
	if got := picks(p, at(d), model); got == "-" {
		t.Errorf("nothing to pick at %v", d)
	}
}

func TestEachScopeRestsWhatItNames(t *testing.T) {
	for _, tc := range []struct {
		scope Scope
		model string // of the failure
		want  string // what three requests for a and then three for b get afterwards
	}{
		{ScopeKeyModel, "a", "k2 k3 k2 k3 k1 k2"},
		{ScopeKeyModel, "", "k2 k3 k2 k3 k2 k3"},
		{ScopeKey, "a", "k2 k3 k2 k3 k2 k3"},
		{ScopeProvider, "a", "- - - - - -"},
	} {
		p, keys := newPool(3)
		cool(p, keys[0], tc.scope, tc.model, t0, time.Minute, ReasonRateLimited)
		picks(p, t0, "c")
		p.provider.last = p.memories[0]
		if got := picks(p, t0, "a", "a", "a", "b", "b", "b"); got != tc.want {
			t.Errorf("scope %v, model %q: picks = %s, want %s", tc.scope, tc.model, got, tc.want)
		}
	}
}

func TestDeadKeyIsUsedForNoModel47(t *testing.T) {
	p, keys := newPool(2)
	picks(p, t0, "a")
	cool(p, keys[0], ScopeKey, "a", t0, time.Hour, ReasonDead)
	if got, want := picks(p, t0, "b", "b", "a"), "k2 k2 k2"; got != want {
		t.Errorf("picks = %s, want %s", got, want)
	}
}

func TestSecondRequestInsideTheCooldownCallsNobody49(t *testing.T) {
	p, keys := newPool(2)
	for _, k := range keys {
		cool(p, k, ScopeKeyModel, "a", t0, 180*time.Second, ReasonRateLimited)
	}
	if got := picks(p, at(179*time.Second), "a", "a"); got != "- -" {
		t.Errorf("picks = %s, want nothing", got)
	}
	if until, why, _, ok := p.Soonest(at(time.Second), "a"); !ok || !until.Equal(at(180*time.Second)) || why != ReasonRateLimited {
		t.Errorf("Soonest = %v, %v, %v, want 180s, rate_limited", until.Sub(t0), why, ok)
	}
}

func TestCooldownOfZeroRestsNothing50(t *testing.T) {
	for _, d := range []time.Duration{0, -time.Second} {
		p, keys := newPool(2)
		for _, k := range keys {
			cool(p, k, ScopeKeyModel, "a", t0, d, ReasonRateLimited)
			cool(p, k, ScopeKey, "a", t0, d, ReasonDead)
		}
		cool(p, p.keys[0], ScopeProvider, "a", t0, d, ReasonBroken)
		if got, want := picks(p, t0, "a", "a"), "k1 k2"; got != want {
			t.Errorf("after rests of %v: picks = %s, want %s", d, got, want)
		}
	}
}

func TestCooldownOfZeroDoesNotShortenARunningOne(t *testing.T) {
	p, keys := newPool(1)
	cool(p, keys[0], ScopeKeyModel, "a", t0, time.Minute, ReasonRateLimited)
	cool(p, keys[0], ScopeKeyModel, "a", at(time.Second), 0, ReasonRateLimited)
	wantBack(t, p, "a", time.Minute)
}

// cycles makes one request whose every attempt fails for why, and returns the keys
// it used.
func cycles(p *Pool, limit int, scope Scope, why Reason) string {
	var got []string
	var tried Tried
	for range limit {
		for l, ok := p.Pick(t0, "a", &tried, ""); ok; l, ok = p.Pick(t0, "a", &tried, "") {
			got = append(got, l.Key.Source)
			l.Fail(t0, scope, time.Minute, why)
		}
		if !tried.NextCycle() {
			break
		}
	}
	return strings.Join(got, " ")
}

func TestFurtherCyclesReuseKeysThatTheRequestItselfCooled(t *testing.T) {
	for _, tc := range []struct {
		name         string
		keys, cycles int
		scope        Scope
		why          Reason
		want         string
	}{
		{"52", 1, 2, ScopeKeyModel, ReasonRateLimited, "k1 k1"},
		{"53", 2, 3, ScopeKeyModel, ReasonRateLimited, "k1 k2 k1 k2 k1 k2"},
		{"64 in one cycle", 2, 1, ScopeKeyModel, ReasonRateLimited, "k1 k2"},
		{"64 all models", 2, 2, ScopeKey, ReasonBroken, "k1 k2 k1 k2"},
		{"64 not after 401 or 403", 2, 3, ScopeKey, ReasonDead, "k1 k2"},
		{"64 not after 401 or 403, as a failure for one model", 2, 3, ScopeKeyModel, ReasonDead, "k1 k2"},
		{"a rest of the provider ends every cycle", 2, 3, ScopeProvider, ReasonOverloaded, "k1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p, _ := newPool(tc.keys)
			if got := cycles(p, tc.cycles, tc.scope, tc.why); got != tc.want {
				t.Errorf("one request used %s, want %s", got, tc.want)
			}
			if got := picks(p, t0, "a"); got != "-" {
				t.Errorf("another request got %s, want nothing", got)
			}
		})
	}
}

func TestDeadKeyIsNeverUsedAgainEvenWithoutACooldown(t *testing.T) {
	p, keys := newPool(2)
	var tried Tried
	l, _ := p.Pick(t0, "a", &tried, "")
	l.Fail(t0, ScopeKey, 0, ReasonDead)
	l, _ = p.Pick(t0, "a", &tried, "")
	l.Fail(t0, ScopeKeyModel, 0, ReasonBroken)
	if !tried.NextCycle() {
		t.Fatal("NextCycle() = false, want true for the key that is not dead")
	}
	if got := source(p.Pick(t0, "a", &tried, "")) + " " + source(p.Pick(t0, "a", &tried, "")); got != "k2 -" {
		t.Errorf("second cycle used %s, want k2 -", got)
	}
	if got := picks(p, t0, "a", "a"); !strings.Contains(got, keys[0].Source) {
		t.Errorf("other requests used %s, want k1 among them since it does not rest", got)
	}
}

// failFor is a failure at t0 of the request that tried belongs to.
func failFor(p *Pool, tried *Tried, k *Key, scope Scope, model string, d time.Duration, why Reason) {
	l := leaseOf(p, k, model, t0)
	l.tried = tried
	l.Fail(t0, scope, d, why)
}

func TestFurtherCycleRespectsTheRestsOfOthers(t *testing.T) {
	for _, tc := range []struct {
		name  string
		other func(p *Pool, k *Key)
		want  string
	}{
		{"nobody else", func(*Pool, *Key) {}, "k1"},
		{"another request failed too", func(p *Pool, k *Key) {
			failFor(p, new(Tried), k, ScopeKeyModel, "a", time.Second, ReasonRateLimited)
		}, "-"},
		{"another request found it dead", func(p *Pool, k *Key) {
			failFor(p, new(Tried), k, ScopeKey, "a", time.Second, ReasonDead)
		}, "-"},
		{"cooled on nobody's behalf", func(p *Pool, k *Key) {
			cool(p, k, ScopeKeyModel, "a", t0, time.Second, ReasonRateLimited)
		}, "-"},
		{"the provider rests", func(p *Pool, _ *Key) {
			cool(p, p.keys[0], ScopeProvider, "a", t0, time.Second, ReasonOverloaded)
		}, "-"},
		{"failed for another model", func(p *Pool, k *Key) {
			failFor(p, new(Tried), k, ScopeKeyModel, "b", time.Second, ReasonRateLimited)
		}, "k1"},
	} {
		for _, otherFirst := range []bool{false, true} {
			p, keys := newPool(1)
			var tried Tried
			l, _ := p.Pick(t0, "a", &tried, "")
			if otherFirst {
				tc.other(p, keys[0])
			}
			l.Fail(t0, ScopeKeyModel, time.Minute, ReasonRateLimited)
			if !otherFirst {
				tc.other(p, keys[0])
			}
			tried.NextCycle()
			if got := source(p.Pick(t0, "a", &tried, "")); got != tc.want {
				t.Errorf("%s (before: %v): second cycle got %s, want %s", tc.name, otherFirst, got, tc.want)
			}
		}
	}
}

func TestProviderCooldownRestsAllKeysForAllModels59(t *testing.T) {
	p, keys := newPool(3)
	cool(p, keys[1], ScopeProvider, "a", t0, 600*time.Second, ReasonBroken)
	if got := picks(p, at(599*time.Second), "a", "b", "c"); got != "- - -" {
		t.Errorf("picks = %s, want nothing", got)
	}
	if until, why, _, _ := p.Soonest(t0, "b"); !until.Equal(at(600*time.Second)) || why != ReasonBroken {
		t.Errorf("Soonest = %v, %v, want 600s, broken", until.Sub(t0), why)
	}
	if got, want := picks(p, at(600*time.Second), "a", "b", "c"), "k1 k2 k3"; got != want {
		t.Errorf("after it: picks = %s, want %s", got, want)
	}
}

func TestKeyFailsForThatModelOnly61(t *testing.T) {
	p, keys := newPool(1)
	cool(p, keys[0], ScopeKeyModel, "a", t0, time.Minute, ReasonRateLimited)
	if got := picks(p, t0, "a", "b"); got != "- k1" {
		t.Errorf("picks = %s, want - k1", got)
	}
}

func TestCooldownLastsAsLongAsToldToTheNanosecond62(t *testing.T) {
	for _, scope := range []Scope{ScopeKeyModel, ScopeKey, ScopeProvider} {
		p, keys := newPool(1)
		cool(p, keys[0], scope, "a", t0, 500*time.Second, ReasonRateLimited)
		wantBack(t, p, "a", 500*time.Second)
	}
}

func TestB4TheLongestDeadlineWins(t *testing.T) {
	for _, scope := range []Scope{ScopeKeyModel, ScopeKey, ScopeProvider} {
		p, keys := newPool(1)
		cool := func(after, d time.Duration, why Reason) { cool(p, keys[0], scope, "a", at(after), d, why) }
		cool(0, 60*time.Second, ReasonRateLimited)
		cool(time.Second, 5*time.Second, ReasonOverloaded)
		if until, why, _, _ := p.Soonest(at(2*time.Second), "a"); !until.Equal(at(60*time.Second)) || why != ReasonRateLimited {
			t.Errorf("%v: after a shorter rest: Soonest = %v, %v, want 60s, rate_limited", scope, until.Sub(t0), why)
		}
		cool(30*time.Second, 60*time.Second, ReasonBroken)
		if until, why, _, _ := p.Soonest(at(31*time.Second), "a"); !until.Equal(at(90*time.Second)) || why != ReasonBroken {
			t.Errorf("%v: after a longer rest: Soonest = %v, %v, want 90s, broken", scope, until.Sub(t0), why)
		}
		wantBack(t, p, "a", 90*time.Second)
	}
}

func TestSuccessClearsWhatItDisproves(t *testing.T) {
	for _, scope := range []Scope{ScopeKeyModel, ScopeKey, ScopeProvider} {
		for _, tc := range []struct {
			name              string
			started, finished time.Duration
			back              time.Duration
		}{
			{"started after the failure", time.Second, 2 * time.Second, 2 * time.Second},
			{"started before the failure", -time.Second, 2 * time.Second, time.Minute},
			{"started at the same time", 0, 2 * time.Second, time.Minute},
		} {
			p, keys := newPool(1)
			cool(p, keys[0], scope, "a", t0, time.Minute, ReasonRateLimited)
			succeed(p, keys[0], "a", at(tc.started), at(tc.finished))
			if until, _, _, _ := p.Soonest(at(tc.finished), "a"); !until.Equal(at(tc.back)) {
				t.Errorf("%v, %s: usable at %v, want %v", scope, tc.name, until.Sub(t0), tc.back)
			}
		}
	}
}

func TestB4LateSuccessDoesNotClearAYoungerFailure(t *testing.T) {
	for _, scope := range []Scope{ScopeKeyModel, ScopeKey, ScopeProvider} {
		p, keys := newPool(1)
		cool(p, keys[0], scope, "a", t0, 60*time.Second, ReasonRateLimited)
		cool(p, keys[0], scope, "a", at(10*time.Second), 5*time.Second, ReasonRateLimited)
		succeed(p, keys[0], "a", at(5*time.Second), at(11*time.Second))
		wantBack(t, p, "a", 60*time.Second)
	}
}

func TestSuccessForOneModelSaysNothingAboutAnother(t *testing.T) {
	p, keys := newPool(2)
	cool(p, keys[0], ScopeKeyModel, "a", t0, time.Minute, ReasonRateLimited)
	cool(p, keys[1], ScopeKeyModel, "a", t0, time.Minute, ReasonRateLimited)
	succeed(p, keys[0], "b", at(time.Second), at(2*time.Second))
	if got := picks(p, at(3*time.Second), "a"); got != "-" {
		t.Errorf("picked %s, want nothing", got)
	}
	succeed(p, keys[0], "a", at(time.Second), at(2*time.Second))
	if got := picks(p, at(3*time.Second), "a", "a"); got != "k1 k1" {
		t.Errorf("picks = %s, want k1 k1", got)
	}
}

func TestResetFreesOneKeyOrAll(t *testing.T) {
	p, keys := newPool(2)
	coolAll := func() {
		for _, k := range keys {
			cool(p, k, ScopeKey, "", t0, time.Hour, ReasonDead)
			cool(p, k, ScopeKeyModel, "a", t0, time.Hour, ReasonRateLimited)
		}
	}
	coolAll()
	for _, tc := range []struct {
		id    string
		count int
		want  string
	}{
		{"nonsense", 0, "- -"}, {keys[1].ID, 1, "k2 k2"}, {"", 2, "k1 k2"},
	} {
		if got := p.Reset(tc.id); got != tc.count {
			t.Errorf("Reset(%q) = %d, want %d", tc.id, got, tc.count)
		}
		if got := picks(p, t0, "a", "a"); got != tc.want {
			t.Errorf("after Reset(%q): picks = %s, want %s", tc.id, got, tc.want)
		}
	}
	cool(p, p.keys[0], ScopeProvider, "", t0, time.Hour, ReasonBroken)
	p.Reset(keys[0].ID)
	if got := picks(p, t0, "a"); got != "-" {
		t.Errorf("Reset of one key ended the rest of the provider: picked %s", got)
	}
	p.Reset("")
	if got := picks(p, t0, "a"); got == "-" {
		t.Error("Reset of all keys left the rest of the provider")
	}
}

func TestRestsThatNobodyUsedForAnHourAreForgotten(t *testing.T) {
	for _, scope := range []Scope{ScopeKeyModel, ScopeKey, ScopeProvider} {
		for _, tc := range []struct {
			name   string
			probed time.Duration // 0: never
			now    time.Duration
			want   bool // a probe
		}{
			{"just over", 0, time.Second, true},
			{"nearly an hour", 0, time.Hour + time.Second - 1, true},
			{"an hour", 0, time.Hour + time.Second, false},
			{"an hour after the end, but not after the probe", time.Minute, time.Hour + time.Second, true},
			{"an hour after the probe", time.Minute, time.Hour + time.Minute, false},
		} {
			p, keys := newPool(1)
			cool(p, keys[0], scope, "a", t0, time.Second, ReasonRateLimited)
			if tc.probed > 0 {
				picks(p, at(tc.probed), "a")
			}
			shown := len(p.Status(at(tc.now))[0].Cooling) > 0
			lease, ok := p.Pick(at(tc.now), "a", nil, "")
			if !ok || lease.Probe != tc.want || shown != tc.want {
				t.Errorf("%v, %s: picked %v, probe %v, shown %v, want true, %v, %v", scope, tc.name, ok, lease.Probe, shown, tc.want, tc.want)
			}
			if rested := lease.Fail(at(tc.now), scope, time.Second, ReasonRateLimited); (rested > time.Second) != tc.want {
				t.Errorf("%v, %s: the next failure rests it for %v, doubled %v", scope, tc.name, rested, tc.want)
			}
		}
	}
}

func TestModelNamesThatClientsMakeUpDoNotPileUp(t *testing.T) {
	p, keys := newPool(1)
	m := p.memories[0]
	fail := func(model string, after, d time.Duration) {
		cool(p, keys[0], ScopeKeyModel, model, at(after), d, ReasonRateLimited)
	}
	for i := range 1000 {
		fail(fmt.Sprint("made up ", i), time.Duration(i)*10*time.Second, 3*time.Second)
	}
	if got := len(m.models); got != maxModels {
		t.Errorf("%d rests are kept, want the latest %d", got, maxModels)
	}
	if _, ok := m.models["made up 999"]; !ok || m.whole != (rest{}) {
		t.Errorf("the latest rest is there: %v, the whole key rests: %v", ok, m.whole)
	}
	fail("after a day", 24*time.Hour, time.Minute)
	if got := len(m.models); got != 1 {
		t.Errorf("%d rests are kept after a day, want 1", got)
	}
}

func TestKeyThatRestsForTooManyModelsRestsAsAWhole(t *testing.T) {
	p, keys := newPool(1)
	for i := range maxModels + 1 {
		d := time.Duration(maxModels-i+1) * time.Minute // the last but one ends first
		cool(p, keys[0], ScopeKeyModel, fmt.Sprint(i), t0, d, ReasonRateLimited)
	}
	wantBack(t, p, "another", 2*time.Minute)
	wantBack(t, p, "0", (maxModels+1)*time.Minute)
	if got := len(p.memories[0].models); got != maxModels {
		t.Errorf("%d rests are kept, want %d", got, maxModels)
	}
}

func TestB4JumpsOfTheWallClockDoNotMatter(t *testing.T) {
	now := time.Now()
	p := NewState().Pool("p", newKeys("p", 1), Limits{RequestsPerMinute: 1})
	p.Pick(now, "a", nil, "")
	limited, _, _, _ := p.Soonest(now, "a")
	cool(p, p.keys[0], ScopeKey, "", now, time.Hour, ReasonDead)
	cooled, _, _, _ := p.Soonest(now, "a")
	for _, until := range []time.Time{limited, cooled} {
		if !strings.Contains(until.String(), " m=") {
			t.Errorf("%v has lost its monotonic reading", until)
		}
	}
}

func TestScopesAndProblemsHaveNames(t *testing.T) {
	for got, want := range map[string]string{
		ScopeKeyModel.String(): "key_model", ScopeKey.String(): "key", ScopeProvider.String(): "provider",
		ProblemNone.String(): "none", ProblemMissing.String(): "missing", ProblemAmbiguous.String(): "ambiguous",
	} {
		if got != want {
			t.Errorf("String() = %q, want %q", got, want)
		}
	}
}

func TestAScopeIsReadAsItIsWritten(t *testing.T) {
	for _, scope := range []Scope{ScopeKeyModel, ScopeKey, ScopeProvider} {
		text, err := scope.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		got := Scope(-1)
		if err := got.UnmarshalText(text); err != nil || got != scope {
			t.Errorf("UnmarshalText(%q) = %v, %v, want %v", text, got, err, scope)
		}
	}
	if err := new(Scope).UnmarshalText([]byte("world")); err == nil {
		t.Error("an unknown scope is read")
	}
}
