package keys

import (
	"fmt"
	"slices"
	"time"
)

func (w *world) pick(i int, model string, r *refRequest) {
	prefer, preferred := "", ""
	if w.rng.IntN(4) == 0 {
		key := w.keys[w.rng.IntN(len(w.keys))]
		prefer, preferred = key.ID, key.Source
	}
	now := w.moment()
	tried, id, skip := r.real, r.id, r.skip
	if w.rng.IntN(8) == 0 {
		tried, id, skip = nil, 0, nil
	}
	ref, slot, probe := w.ref.pick(w.sources[i], &w.own[i], now, model, preferred, id, skip)
	lease, ok := w.pools[i].Pick(at64(now), model, tried, prefer)
	w.logf("pick from %d at %v by %d for %q, prefer %q: %s, probe %v", i, time.Duration(now), id, model, preferred, source(lease, ok), lease.Probe)
	want(w, "Pick", ok, ref != nil)
	w.saw("nothing to pick", !ok)
	if !ok {
		return
	}
	wantKey := w.sources[i][slot]
	want(w, "Pick", lease.Key.Source, wantKey)
	want(w, "Lease.Probe", lease.Probe, probe)
	w.saw("probe", probe)
	if tried != nil {
		r.tried, r.skip[wantKey] = append(r.tried, wantKey), true
	}
	open := &openLease{real: lease, ref: ref, source: wantKey, model: model}
	if tried != nil {
		open.request = r
	}
	if w.leases = append(w.leases, open); len(w.leases) > 12 {
		w.leases = slices.Delete(w.leases, 0, 1) // never ends
	}
}

func (w *world) endLease() {
	if len(w.leases) == 0 {
		return
	}
	i := w.rng.IntN(len(w.leases))
	l, now := w.leases[i], w.moment()
	switch op := w.rng.IntN(10); {
	case op < 3:
		w.logf("success of %s for %q at %v", l.source, l.model, time.Duration(now))
		recovered := false
		for _, r := range l.ref.rests {
			recovered = r.succeed(l.ref, now) || recovered
		}
		want(w, "Lease.Succeed", l.real.Succeed(at64(now)), recovered)
		w.saw("recovered", recovered)
	case op < 9:
		w.fail(l, now)
	default:
		w.logf("return of %s for %q", l.source, l.model)
		l.real.Return()
		for _, r := range l.ref.rests {
			r.giveBack(l.ref)
		}
	}
	w.leases = slices.Delete(w.leases, i, i+1)
	if w.rng.IntN(4) == 0 { // what comes after the end does nothing
		l.real.Return()
		want(w, "Succeed after the end", l.real.Succeed(at64(now)), false)
		want(w, "Fail after the end", l.real.Fail(at64(now), ScopeProvider, time.Hour, ReasonDead), 0)
	}
}

func (w *world) fail(l *openLease, now int64) {
	f := refFailure{set: now, length: w.duration() - int64(w.rng.IntN(2)), why: []Reason{ReasonRateLimited, ReasonDead, ReasonOverloaded, ReasonBroken}[w.rng.IntN(4)]}
	if w.rng.IntN(50) == 0 {
		f.length = int64(time.Hour)
	}
	scope := Scope(w.rng.IntN(3))
	if scope == ScopeProvider && w.rng.IntN(3) > 0 {
		scope = ScopeKeyModel // or everything always rests
	}
	w.logf("failure of %s for %q, %v for %v at %v: %s", l.source, l.model, scope, time.Duration(f.length), time.Duration(now), f.why)
	if l.request != nil {
		f.request = l.request.id
		if f.why == ReasonDead {
			l.request.dead[l.source], l.request.skip[l.source] = true, true
		}
	}
	got := l.real.Fail(at64(now), scope, time.Duration(f.length), f.why)
	rested := int64(0)
	if f.length > 0 {
		if scope == ScopeKeyModel && l.model == "" {
			scope = ScopeKey
		}
		w.saw("doubled", l.ref.rests[scope].probe == l.ref)
		l.ref.rests[scope].fail(l.ref, f, int64(maxDoubled))
		until, _, _, _ := l.ref.rests[scope].sum()
		rested = max(until-now, 0)
	}
	for _, r := range l.ref.rests {
		r.giveBack(l.ref)
	}
	want(w, "Lease.Fail", int64(got), rested)
}

func (w *world) enter(i int, model string) {
	ref := w.health[model]
	if ref == nil {
		ref = &refHealth{opened: refNever, open: refRest{lasts: true, probed: refNever}}
		w.health[model] = ref
	}
	v := &openVisit{health: w.pools[i].Health(model), refOf: ref, breaker: breakers[slices.Index(modelNames, model)]}
	if w.rng.IntN(20) == 0 { // another configuration's
		v.breaker = breakers[w.rng.IntN(len(breakers))]
	}
	now, force := w.moment(), w.rng.IntN(4) == 0
	real, ok := v.health.Enter(at64(now), v.breaker, force)
	use, refOK, probe := ref.enter(now, v.breaker, force)
	w.logf("enter %q at %v, force %v, breaker %v: %v, probe %v", model, time.Duration(now), force, v.breaker, ok, real.Probe)
	want(w, "Health.Enter", ok, refOK)
	want(w, "Visit.Probe", real.Probe, probe)
	w.saw("held back by a breaker", !ok)
	w.saw("probe of a breaker", probe)
	if v.real, v.ref = real, use; ok {
		w.visits = append(w.visits, v)
	}
	if len(w.visits) > 12 {
		w.visits = slices.Delete(w.visits, 0, 1) // never leaves
	}
	w.compareHealth(v)
}

func (w *world) tellVisit() {
	if len(w.visits) == 0 {
		return
	}
	i := w.rng.IntN(len(w.visits))
	v, now, ref := w.visits[i], w.moment(), w.visits[i].refOf
	asked := int64(0)
	if w.rng.IntN(4) == 0 {
		asked = w.duration()
	}
	switch op := w.rng.IntN(20); {
	case op < 6:
		until, _, _, _ := ref.open.sum()
		closed := !v.decided && ref.succeed(v.ref, now, v.breaker)
		w.logf("success of a visit at %v: closed %v", time.Duration(now), closed)
		want(w, "Visit.Succeed", v.real.Succeed(at64(now)), closed)
		v.good, v.decided = v.good || !v.decided, true
		w.saw("closed", closed)
		w.saw("closed early", closed && now < until)
	case op < 11:
		opened := int64(0)
		if !v.decided {
			opened = ref.fault(v.ref, now, asked, 1, v.breaker)
		}
		w.logf("fault of a visit at %v, asked %v: opened %v", time.Duration(now), time.Duration(asked), time.Duration(opened))
		want(w, "Visit.Fail", int64(v.real.Fail(at64(now), time.Duration(asked))), opened)
		v.decided = true
		w.saw("opened", opened > 0)
	case op < 13:
		opened := int64(0)
		if v.good {
			opened = ref.fault(v.ref, now, 0, 0, v.breaker)
		}
		w.logf("late fault of a visit at %v: opened %v", time.Duration(now), time.Duration(opened))
		want(w, "Visit.Late", int64(v.real.Late(at64(now))), opened)
		v.good = false
	default:
		w.logf("leave")
		v.real.Leave()
		v.real.Leave() // once more does nothing
		ref.open.giveBack(v.ref)
		ref.inFlight--
		w.visits = slices.Delete(w.visits, i, i+1)
	}
	w.compareHealth(v)
}

func (w *world) compareHealth(v *openVisit) {
	state, until := v.health.State(at64(w.now))
	wantState, wantUntil := BreakerClosed, time.Time{}
	if end, _, _, _ := v.refOf.open.sum(); w.now < end {
		wantState, wantUntil = BreakerOpen, at64(end)
	} else if len(v.refOf.open.failures) > 0 {
		wantState = BreakerHalfOpen
	}
	want(w, "Health.State", fmt.Sprint(state, until), fmt.Sprint(wantState, wantUntil))
	want(w, "Health.InFlight", v.health.InFlight(), v.refOf.inFlight)
	want(w, "Health.Failures", v.health.Failures(), v.refOf.inRow)
}

func (w *world) reset(i int) {
	slot := w.rng.IntN(len(w.sources[i])+1) - 1
	w.logf("reset of slot %d", slot)
	if slot >= 0 {
		want(w, "Reset", w.pools[i].Reset(w.pools[i].keys[slot].ID), 1)
	} else {
		want(w, "Reset", w.pools[i].Reset(""), len(w.sources[i]))
		w.ref.use(w.now, "", "", 0) // so that there is the provider's rest
		*w.ref.rests[""] = refRest{probed: refNever}
		for _, h := range w.health {
			h.attempts, h.part, h.inRow, h.good, h.open = nil, 0, 0, nil, refRest{lasts: true, probed: refNever}
		}
	}
	for j, source := range w.sources[i] {
		if slot < 0 || slot == j {
			for _, model := range modelNames {
				for _, r := range w.ref.use(w.now, source, model, 0).rests[:ScopeProvider] {
					*r = refRest{probed: refNever}
				}
			}
		}
	}
}

// restart checks that another process would know the same.
func (w *world) restart() {
	before, err := w.state.Snapshot(at64(w.now))
	if err != nil {
		w.t.Fatal(err)
	}
	state := NewState()
	if err := state.Restore(before, at64(w.now)); err != nil {
		w.t.Fatal(err)
	}
	if w.rng.IntN(2) == 0 {
		state.Pool("p", w.pools[0].keys, Limits{})
	}
	after, err := state.Snapshot(at64(w.now))
	if err != nil {
		w.t.Fatal(err)
	}
	want(w, "restored state", string(after), string(before))
}
