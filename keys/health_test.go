package keys

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func newHealth() *Health {
	p, _ := newPool(1)
	return p.Health("a")
}

// visit enters although the breaker may be open.
func visit(h *Health, now time.Duration, b *Breaker) *Visit {
	v, _ := h.Enter(at(now), b, true)
	return &v
}

// outcomes makes one attempt after the other, s for a success and f for a fault, a
// second apart from now on, and returns by which the breaker opened; -1: none.
func outcomes(h *Health, now time.Duration, b *Breaker, list string) int {
	for i, outcome := range list {
		v := visit(h, now, b)
		if outcome == 's' {
			v.Succeed(at(now))
		} else if v.Fail(at(now), 0) > 0 {
			return i
		}
		v.Leave()
		now += time.Second
	}
	return -1
}

func wantState(t *testing.T, h *Health, now time.Duration, want BreakerState) {
	t.Helper()
	if got, _ := h.State(at(now)); got != want {
		t.Errorf("at %v the breaker is %v, want %v", now, got, want)
	}
}

var threeInARow = &Breaker{Failures: 3, Open: 10 * time.Second, MaxOpen: 35 * time.Second}

func TestBreakerOpensWhenItHasHadEnough(t *testing.T) {
	ratio := &Breaker{Ratio: 0.5, Requests: 6, Window: 20 * time.Second, Open: time.Second}
	for _, tc := range []struct {
		name     string
		breaker  *Breaker
		outcomes string
		want     int
	}{
		{"three in a row", threeInARow, "fff", 2},
		{"a success between", threeInARow, "ffsffsff", -1},
		{"half of six", ratio, "sfsfsf", 5},
		{"less than half", ratio, "sfsfssfsfs", -1},
		{"too few", ratio, "fffff", -1},
		{"too long ago", ratio, "ffff" + strings.Repeat("s", 20) + "fff", -1},
		{"whichever comes first", &Breaker{Failures: 2, Ratio: 0.9, Requests: 3, Window: time.Minute, Open: time.Second}, "sff", 2},
		{"a ratio without a window", &Breaker{Ratio: 0.1, Requests: 1, Open: time.Second}, "ffffff", -1},
		{"for no time", &Breaker{Failures: 1}, "fff", -1},
		{"never", &Breaker{Open: time.Second, Window: time.Minute}, "ffffffffff", -1},
		{"none", nil, "ffffffffff", -1},
	} {
		if got := outcomes(newHealth(), 0, tc.breaker, tc.outcomes); got != tc.want {
			t.Errorf("%s: %s opened it at %d, want %d", tc.name, tc.outcomes, got, tc.want)
		}
	}
}

func TestOpenBreakerLetsNobodyPassButByForce(t *testing.T) {
	h := newHealth()
	outcomes(h, 0, threeInARow, "fff") // opens at 2 s
	wantState(t, h, 2*time.Second, BreakerOpen)
	if _, until := h.State(at(2 * time.Second)); !until.Equal(at(12 * time.Second)) {
		t.Errorf("open until %v, want 12s", until.Sub(t0))
	}
	if _, ok := h.Enter(at(12*time.Second-1), threeInARow, false); ok {
		t.Error("an open breaker let an attempt pass")
	}
	if _, ok := h.Enter(at(12*time.Second-1), threeInARow, true); !ok {
		t.Error("an open breaker held the last resort back")
	}
	if _, ok := h.Enter(at(12*time.Second-1), nil, false); !ok {
		t.Error("a configuration without a breaker was held back")
	}
}

func TestOneProbeDecidesAboutAHalfOpenBreaker(t *testing.T) {
	h := newHealth()
	outcomes(h, 0, threeInARow, "fff")
	now := 12 * time.Second
	for _, wantOpen := range []time.Duration{20, 35, 35} { // doubled, up to MaxOpen
		wantState(t, h, now, BreakerHalfOpen)
		probe, ok := h.Enter(at(now), threeInARow, false)
		if _, second := h.Enter(at(now), threeInARow, false); !ok || !probe.Probe || second {
			t.Fatalf("at %v: first %v, probe %v, second %v, want true, true, false", now, ok, probe.Probe, second)
		}
		if got := probe.Fail(at(now), 0); got != wantOpen*time.Second {
			t.Fatalf("the probe's fault opens it for %v, want %vs", got, int(wantOpen))
		}
		probe.Leave()
		now += wantOpen * time.Second
	}
	undecided, _ := h.Enter(at(now), threeInARow, false)
	undecided.Leave()
	probe, ok := h.Enter(at(now), threeInARow, false)
	if !ok || !probe.Succeed(at(now+1)) {
		t.Errorf("entered %v, want the probe's success to close the breaker", ok)
	}
	wantState(t, h, now+1, BreakerClosed)
	if got := outcomes(h, now+2, threeInARow, "ff"); got != -1 {
		t.Error("faults of before the breaker opened count again")
	}
	if v := visit(h, now+5*time.Second, threeInARow); v.Fail(at(now+5*time.Second), 0) != 10*time.Second {
		t.Error("a closed breaker does not open for the first length again")
	}
}

func TestHerdAtAHalfOpenBreakerGetsOneProbe(t *testing.T) {
	h := newHealth()
	outcomes(h, 0, threeInARow, "fff")
	var entered, probes atomic.Int64
	together(500, func(int) {
		v, ok := h.Enter(at(12*time.Second), threeInARow, false)
		if ok {
			entered.Add(1)
		}
		if v.Probe {
			probes.Add(1)
		}
	})
	if entered.Load() != 1 || probes.Load() != 1 {
		t.Errorf("%d attempts passed, %d of them as probes, want 1 and 1", entered.Load(), probes.Load())
	}
}

func TestProbeOfABreakerThatTakesTooLongLetsAnotherPass(t *testing.T) {
	h := newHealth()
	outcomes(h, 0, threeInARow, "fff")
	slow, _ := h.Enter(at(12*time.Second), threeInARow, false)
	if _, ok := h.Enter(at(12*time.Second+probePatience-1), threeInARow, false); ok {
		t.Error("a second probe passed too early")
	}
	newer, ok := h.Enter(at(12*time.Second+probePatience), threeInARow, false)
	if !ok || !newer.Probe {
		t.Fatal("no other probe passed")
	}
	slow.Leave()
	if _, ok := h.Enter(at(28*time.Second), threeInARow, false); ok {
		t.Error("the end of the old probe let a third one pass")
	}
	if !newer.Succeed(at(29 * time.Second)) {
		t.Error("the success of the newer probe did not close the breaker")
	}
}

func TestWhatBeganBeforeTheBreakerOpenedSaysNothingNew(t *testing.T) {
	h := newHealth()
	var old []*Visit
	for range 8 {
		old = append(old, visit(h, 0, threeInARow))
	}
	outcomes(h, time.Second, threeInARow, "fff") // opens at 3 s
	if old[0].Succeed(at(4*time.Second)) || h.Failures() == 0 {
		t.Error("an old success closed the breaker")
	}
	if got := old[1].Fail(at(5*time.Second), time.Hour); got != 0 {
		t.Errorf("an old fault opened it for %v more", got)
	}
	if old[0].Late(at(5*time.Second)) != 0 {
		t.Error("an old late fault opened it")
	}
	probe, ok := h.Enter(at(13*time.Second), threeInARow, false)
	if !ok || !probe.Succeed(at(14*time.Second)) {
		t.Fatal("the breaker did not close")
	}
	for _, v := range old[2:] {
		if got := v.Fail(at(15*time.Second), 0); got != 0 || h.Failures() != 0 {
			t.Errorf("an attempt that hung since before the breaker opened opened it again, for %v", got)
		}
	}
}

func TestLastResortThatSucceedsClosesTheBreaker(t *testing.T) {
	h := newHealth()
	outcomes(h, 0, threeInARow, "fff")
	forced := visit(h, 3*time.Second, threeInARow)
	if visit(h, 3*time.Second, threeInARow).Fail(at(4*time.Second), 0) != 0 {
		t.Error("a fault of the last resort opened what was open")
	}
	if _, until := h.State(at(4 * time.Second)); !until.Equal(at(12 * time.Second)) {
		t.Errorf("a fault of the last resort prolonged it until %v", until.Sub(t0))
	}
	if !forced.Succeed(at(5 * time.Second)) {
		t.Error("a success of the last resort did not close the breaker")
	}
	wantState(t, h, 5*time.Second, BreakerClosed)
	// What the old opening still had to run does not count any more.
	outcomes(h, 6*time.Second, &Breaker{Failures: 1, Open: time.Second}, "f")
	wantState(t, h, 7*time.Second, BreakerHalfOpen)
}

func TestClosedBreakerStartsAnew(t *testing.T) {
	b := &Breaker{Ratio: 0.5, Requests: 4, Window: time.Hour, Open: 5 * time.Second, MaxOpen: time.Hour}
	h := newHealth()
	if got := outcomes(h, 0, b, "ffff"); got != 3 {
		t.Fatalf("opened at %d, want 3", got)
	}
	probe := visit(h, 9*time.Second, b)
	if !visit(h, 10*time.Second, b).Succeed(at(11 * time.Second)) {
		t.Fatal("the last resort's success did not close the breaker")
	}
	if got := outcomes(h, 12*time.Second, b, "fff"); got != 2 {
		t.Errorf("opened again at %d, want 2: with the success, the fourth since it was closed", got)
	}
	if _, until := h.State(at(14 * time.Second)); !until.Equal(at(19 * time.Second)) {
		t.Errorf("open until %v, want 19s", until.Sub(t0))
	}
	if _, ok := h.Enter(at(19*time.Second), b, false); !ok {
		t.Error("the probe of before holds others back")
	}
	if got := probe.Fail(at(20*time.Second), 0); got != 0 {
		t.Errorf("the probe of before opened it for %v", got)
	}
}

func TestUpstreamThatAsksForTimeGetsIt(t *testing.T) {
	for _, tc := range []struct {
		name    string
		breaker *Breaker
		before  string
		asked   time.Duration
		want    time.Duration
	}{
		{"first fault", threeInARow, "", 5 * time.Second, 5 * time.Second},
		{"less than the breaker", threeInARow, "ff", 5 * time.Second, 10 * time.Second},
		{"more than the breaker", threeInARow, "ff", time.Minute, time.Minute},
		{"no breaker", &Breaker{}, "ff", time.Minute, 0},
	} {
		h := newHealth()
		outcomes(h, 0, tc.breaker, tc.before)
		if got := visit(h, time.Minute, tc.breaker).Fail(at(time.Minute), tc.asked); got != tc.want {
			t.Errorf("%s: opened for %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestLateFaultsCountAndTakeTheSuccessBack(t *testing.T) {
	b := &Breaker{Ratio: 0.9, Requests: 4, Window: time.Minute, Open: time.Second}
	h := newHealth()
	for i := range 4 {
		v := visit(h, time.Duration(i), b)
		v.Succeed(at(time.Duration(i)))
		if h.Failures() != 0 {
			t.Error("not well after a success")
		}
		opened := v.Late(at(time.Duration(i)))
		if h.Failures() == 0 || (opened > 0) != (i == 3) {
			t.Errorf("late fault %d: well %v, opened for %v, want the fourth of four to open it", i, h.Failures() == 0, opened)
		}
	}
}

func TestAModelThatFinishesNoAnswerIsIll(t *testing.T) {
	h := newHealth()
	for i := range 3 {
		v := visit(h, time.Duration(i), threeInARow)
		v.Succeed(at(time.Duration(i)))
		if opened := v.Late(at(time.Duration(i))); (opened > 0) != (i == 2) {
			t.Errorf("broken answer %d opened it for %v, want the third in a row to", i, opened)
		}
	}
}

func TestALateFaultDoesNotUndoYoungerSuccesses(t *testing.T) {
	h := newHealth()
	for i := range 2 {
		v := visit(h, time.Duration(i), threeInARow)
		v.Fail(at(time.Duration(i)), 0)
	}
	long, short := visit(h, 3, threeInARow), visit(h, 4, threeInARow)
	long.Succeed(at(5))
	short.Succeed(at(6))
	if opened := long.Late(at(7)); opened != 0 {
		t.Errorf("opened for %v, although another answer has come since", opened)
	}
}

func TestWholeAnswersDoNotMakeStreamsLookSlow(t *testing.T) {
	h := newHealth()
	answer := func(whole bool, took time.Duration) {
		v := visit(h, 0, nil)
		v.Whole = whole
		v.Succeed(at(took))
		v.Leave()
	}
	answer(true, time.Minute)
	if got := h.Latency(at(time.Minute)); got != time.Minute {
		t.Errorf("latency of a whole answer = %v, want 1m while there is no other", got)
	}
	answer(false, time.Second)
	answer(true, time.Minute)
	if got := h.Latency(at(time.Second)); got != time.Second {
		t.Errorf("latency = %v, want the stream's 1s", got)
	}
}

func TestOutcomesOfAVisitCountOnce(t *testing.T) {
	h := newHealth()
	v := visit(h, 0, threeInARow)
	if v.Late(t0) != 0 || h.Failures() != 0 {
		t.Error("late without a success counted")
	}
	for range 5 {
		v.Fail(t0, 0)
	}
	wantState(t, h, 0, BreakerClosed)
	if v.Succeed(t0); h.Failures() == 0 {
		t.Error("a success after the fault counted")
	}
	v.Leave()
	v.Leave()
	if got := h.InFlight(); got != 0 {
		t.Errorf("InFlight = %d, want 0", got)
	}
	v.Late(t0)
	var zero Visit
	zero.Leave()
	if zero.Succeed(t0) || zero.Fail(t0, time.Hour) != 0 || zero.Late(t0) != 0 {
		t.Error("a visit of nothing had an effect")
	}
}

func TestLatencyFollowsTheLastSamplesAndFades(t *testing.T) {
	h := newHealth()
	now := time.Duration(0)
	sample := func(latency time.Duration) {
		v := visit(h, now, nil)
		v.Succeed(at(now + latency))
		v.Leave()
		now += latency
	}
	wantAbout := func(what string, want time.Duration) {
		t.Helper()
		if got := h.Latency(at(now)); math.Abs(float64(got-want)) > 0.02*float64(want) {
			t.Errorf("%s: latency %v, want about %v", what, got, want)
		}
	}
	wantAbout("nothing known", 0)
	sample(time.Second)
	wantAbout("one sample", time.Second)
	for range 20 {
		sample(100 * time.Millisecond)
	}
	wantAbout("twenty faster ones", 110*time.Millisecond)
	now += latencyTau
	wantAbout("idle for tau, which leaves 1/e", 40470*time.Microsecond)
	now += 20 * time.Minute
	sample(5 * time.Second)
	wantAbout("the first sample after a while", 5*time.Second)
	now += 24 * time.Hour
	wantAbout("a day later", 0)
	if now = 0; h.Latency(at(-time.Hour)) != h.Latency(at(0)) {
		t.Error("latency grows into the past")
	}
}

func TestModelsBeyond256ShareOneRecordUntilOthersAreForgotten(t *testing.T) {
	p, _ := newPool(1)
	real := p.Health("real")
	visit(real, 0, nil).Leave()
	for i := range 1000 {
		v := visit(p.Health(fmt.Sprint("made up ", i)), time.Duration(i)*time.Second, nil)
		v.Leave()
	}
	if got := len(p.provider.health); got != maxModels+1 {
		t.Errorf("%d records, want %d", got, maxModels+1)
	}
	if p.Health("one more") != p.Health("another") || p.Health("one more") == real {
		t.Error("models beyond the limit do not share a record of their own")
	}
	if p.Health("real") != real {
		t.Error("a model that was there first has lost its record")
	}
	busy := visit(p.Health("made up 5"), 5*time.Second, nil) // stays
	visit(p.Health("one more"), 3*time.Hour, nil)
	p.Health("after hours")
	// The busy one, the shared one and the new one are left.
	if got := len(p.provider.health); got != 3 {
		t.Errorf("%d records are left, want 3", got)
	}
	if busy.Leave(); p.Health("made up 5").InFlight() != 0 {
		t.Error("the record of a model in use was dropped")
	}
}

func TestModelStatusTellsHowModelsDo(t *testing.T) {
	p, _ := newPool(1)
	p.Health("never asked")
	outcomes(p.Health("z"), 0, threeInARow, "fff")
	v := visit(p.Health("a"), 0, nil)
	v.Succeed(at(1500 * time.Millisecond))
	got, err := json.Marshal(p.ModelStatus(at(3 * time.Second)))
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"model":"a","breaker":"closed","failures":0,"in_flight":1,"latency_ms":1500},` +
		`{"model":"z","breaker":"open","until":"2026-11-01T12:00:12Z","failures":3,"in_flight":1,"latency_ms":0}]`
	if string(got) != want {
		t.Errorf("ModelStatus:\n%s\nwant\n%s", got, want)
	}
	if p.Reset(""); len(p.ModelStatus(at(3*time.Second))) != 2 || p.ModelStatus(at(3 * time.Second))[1].Breaker != BreakerClosed {
		t.Error("Reset left a breaker open")
	}
	empty, _ := newPool(1)
	if got, _ := json.Marshal(empty.ModelStatus(t0)); string(got) != "[]" {
		t.Errorf("ModelStatus of a new pool = %s, want []", got)
	}
}

func TestResetOfOneKeyLeavesBreakers(t *testing.T) {
	p, keys := newPool(1)
	outcomes(p.Health("a"), 0, threeInARow, "fff")
	p.Reset(keys[0].ID)
	wantState(t, p.Health("a"), 3*time.Second, BreakerOpen)
}

func TestHealthIsSharedByConfigurations(t *testing.T) {
	s, keys := NewState(), newKeys("p", 1)
	old, next := s.Pool("p", keys, Limits{}), s.Pool("p", keys, Limits{})
	if old.Health("a") != next.Health("a") {
		t.Error("two pools of a provider know a model apart")
	}
	if s.Pool("q", keys, Limits{}).Health("a") == old.Health("a") {
		t.Error("two providers share a model")
	}
}

func BenchmarkHealth(b *testing.B) {
	breaker := &Breaker{Failures: 5, Ratio: 0.5, Requests: 20, Window: time.Minute, Open: time.Second}
	attempt := func(h *Health, now time.Time) {
		v, ok := h.Enter(now, breaker, false)
		if !ok {
			b.Fatal("the breaker is open")
		}
		v.Succeed(now)
		v.Leave()
	}
	b.Run("lookup", func(b *testing.B) {
		p, _ := newPool(3)
		b.ReportAllocs()
		for b.Loop() {
			p.Health("gpt-5")
		}
	})
	b.Run("attempt", func(b *testing.B) {
		h, now := newHealth(), t0
		b.ReportAllocs()
		for b.Loop() {
			now = now.Add(time.Millisecond)
			attempt(h, now)
		}
	})
	b.Run("attempts in parallel", func(b *testing.B) {
		h := newHealth()
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				attempt(h, t0)
			}
		})
	})
}

func TestModelsThatTheOperatorNamesKeepTheirRecords(t *testing.T) {
	p, _ := newPool(1)
	var named []*Health
	for i := range 2 * maxModels {
		named = append(named, p.NamedHealth(fmt.Sprint("named ", i)))
	}
	for i := range 3 * maxModels {
		visit(p.Health(fmt.Sprint("made up ", i)), time.Duration(i)*time.Minute, nil).Leave()
	}
	for i, h := range named {
		name := fmt.Sprint("named ", i)
		if p.Health(name) != h || p.NamedHealth(name) != h || h.model != name {
			t.Fatalf("%s has another record than at first, or none of its own", name)
		}
	}
	if got, most := len(p.provider.health), 3*maxModels+1; got > most {
		t.Errorf("%d records, want at most %d", got, most)
	}
}
