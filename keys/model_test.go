package keys

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

// events is how many random events the model check makes; 0: a million, or a tenth
// of that under the race detector.
var events = flag.Int("events", 0, "random events of the model check")

func (w *world) step() {
	i := w.rng.IntN(2)
	model := modelNames[w.rng.IntN(len(modelNames))]
	r := w.requests[w.rng.IntN(len(w.requests))]
	switch op := w.rng.IntN(1000); {
	case op < 200:
		w.pick(i, model, r)
	case op < 380:
		w.endLease()
	case op < 520:
		w.enter(i, model)
	case op < 720:
		w.tellVisit()
	case op < 900:
		if d := w.duration(); w.busy {
			w.now += min(d, int64(2*time.Second))
		} else {
			w.now += d
		}
	case op < 902 && !w.busy:
		w.now += int64([]time.Duration{20 * time.Minute, time.Hour, 26 * time.Hour}[w.rng.IntN(3)])
	case op < 940:
		w.logf("next cycle of %d", r.id)
		ref := r.nextCycle()
		want(w, "NextCycle", r.real.NextCycle(), ref)
	case op < 980:
		w.renew(w.rng.IntN(len(w.requests)))
	case op < 983:
		w.reset(i)
	case op < 984:
		w.reload()
	case op < 985:
		w.restart()
	default:
		w.compareStatus(i)
	}
	w.compareSoonest(w.rng.IntN(2), model)
}

func (w *world) compareSoonest(i int, model string) {
	soonest, why, allLimited := int64(-refNever), Reason(""), true
	for _, source := range w.sources[i] {
		rests := w.ref.use(w.now, source, model, 0).rests
		wait, reason := int64(0), Reason("")
		for _, scope := range []Scope{ScopeKey, ScopeKeyModel, ScopeProvider} {
			if d, because, _ := rests[scope].at(w.now); d > wait {
				wait, reason = d, because
			}
		}
		if wait < soonest {
			soonest, why = wait, reason
		}
		allLimited = allLimited && reason == ReasonRateLimited
	}
	gotAt, gotWhy, gotLimited, ok := w.pools[i].Soonest(at64(w.now), model)
	want(w, "Soonest", fmt.Sprint(gotAt.Sub(t0), gotWhy, gotLimited, ok), fmt.Sprint(time.Duration(w.now+soonest), why, allLimited, true))
}

func (w *world) compareStatus(i int) {
	for slot, status := range w.pools[i].Status(at64(w.now)) {
		var list []string
		add := func(scope Scope, model string) {
			r := w.ref.use(w.now, w.sources[i][slot], model, 0).rests[scope]
			until, why, _, _ := r.sum()
			if _, _, exists := r.at(w.now); exists {
				list = append(list, fmt.Sprint(scope, model, time.Duration(until), why, until <= w.now))
			}
		}
		add(ScopeProvider, "")
		add(ScopeKey, "")
		for _, model := range modelNames[:3] {
			add(ScopeKeyModel, model)
		}
		var got []string
		for _, c := range status.Cooling {
			got = append(got, fmt.Sprint(c.Scope, c.Model, c.Until.Sub(t0), c.Why, c.HalfOpen))
		}
		want(w, "Status", fmt.Sprint(got), fmt.Sprint(list))
	}
}

func TestPoolAgreesWithASimpleReference(t *testing.T) {
	total := *events
	if total == 0 {
		total = 1_000_000
		if raceEnabled {
			total /= 10
			t.Logf("%d events only, because of the race detector", total)
		}
	}
	const seeds = 20
	seen := make(map[string]int)
	for seed := range uint64(seeds) {
		w := newWorld(t, seed)
		for range total / seeds {
			w.step()
		}
		for what, n := range w.seen {
			seen[what] += n
		}
	}
	t.Logf("%d events agree, among them %v", total, seen)
	for _, what := range []string{"probe", "recovered", "doubled", "nothing to pick", "probe of a breaker", "held back by a breaker", "opened", "closed"} {
		if seen[what] < total/1000 {
			t.Errorf("%q happened %d times in %d events: the check checks little", what, seen[what], total)
		}
	}
}

func TestReferencesAreSmall(t *testing.T) {
	for name, most := range map[string]int{"reference_test.go": 150, "reference_breaker_test.go": 90} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if lines := bytes.Count(text, []byte("\n")); lines > most {
			t.Errorf("%s has %d lines, want at most %d: a reference must be read at a glance", name, lines, most)
		}
	}
}
