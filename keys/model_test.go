package keys

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"
)

// events is how many random events the model check makes; 0: a million, or a tenth
// of that under the race detector.
var events = flag.Int("events", 0, "random events of the model check")

// refRequest is a request in both worlds.
type refRequest struct {
	id         int
	real       *Tried
	skip, dead map[string]bool
	tried      []string // in this cycle
}

func newRequest(id int) *refRequest {
	return &refRequest{id: id, real: new(Tried), skip: make(map[string]bool), dead: make(map[string]bool)}
}

// nextCycle tells whether a key that was tried in this cycle is not dead.
func (r *refRequest) nextCycle() bool {
	again := slices.ContainsFunc(r.tried, func(source string) bool { return !r.dead[source] })
	r.tried = nil
	clear(r.skip)
	for source := range r.dead {
		r.skip[source] = true
	}
	return again
}

// openLease is a lease in both worlds, on its way.
type openLease struct {
	real    Lease
	ref     *refUse
	source  string
	model   string
	request *refRequest
}

type openVisit struct {
	real    Visit
	ref     *refUse
	health  *Health
	refOf   *refHealth
	breaker *Breaker
	decided bool
	good    bool
}

// world runs the real thing and the reference side by side.
type world struct {
	t   *testing.T
	rng *rand.Rand
	now int64
	// Time passes in small steps, so that much happens before anything is over.
	busy bool

	state   *State
	pools   []*Pool
	keys    []*Key // all there ever are
	leases  []*openLease
	visits  []*openVisit
	ref     *refProvider
	health  map[string]*refHealth
	sources [][]string // of pools
	own     []int      // of pools

	requests []*refRequest
	nextID   int
	log      []string
	seen     map[string]int // what happened how often
}

var modelNames = []string{"a", "b", "c", ""}

var breakers = []*Breaker{
	{Failures: 3, Open: 10 * time.Second, MaxOpen: time.Minute},
	{Ratio: 0.5, Requests: 4, Window: 20 * time.Second, Open: 5 * time.Second},
	{Failures: 5, Ratio: 0.75, Requests: 3, Window: time.Minute, Open: time.Second, MaxOpen: 20 * time.Second},
	{},
	nil,
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 0)), state: NewState(), keys: newKeys("p", 5),
		requests: make([]*refRequest, 5), seen: make(map[string]int), busy: seed%2 == 1,
	}
	w.forget()
	w.reload()
	return w
}

func (w *world) forget() {
	w.ref = &refProvider{rests: make(map[string]*refRest)}
	w.health = make(map[string]*refHealth)
}

// reload replaces the configuration by two pools of some of the keys in any order.
func (w *world) reload() {
	w.logf("reload")
	old := w.pools
	forget := w.rng.IntN(4) == 0 // close the old configuration first
	closeAll := func() {
		for _, p := range old {
			p.Close()
		}
	}
	if forget {
		closeAll()
		w.forget()
	}
	w.pools, w.sources, w.own = nil, nil, nil
	listed := make(map[string]bool)
	for range 2 {
		var keys []*Key
		var sources []string
		for _, i := range w.rng.Perm(len(w.keys))[:1+w.rng.IntN(4)] {
			keys = append(keys, w.keys[i])
			sources = append(sources, w.keys[i].Source)
			listed[w.keys[i].Source] = true
		}
		w.pools = append(w.pools, w.state.Pool("p", keys, Limits{}))
		w.sources, w.own = append(w.sources, sources), append(w.own, len(sources)-1)
	}
	if !forget {
		closeAll()
	}
	for _, key := range w.keys {
		for _, model := range modelNames {
			if !listed[key.Source] {
				delete(w.ref.rests, key.Source+" "+model)
				delete(w.ref.rests, key.Source)
			}
		}
	}
	for i := range w.requests {
		w.renew(i)
	}
}

func (w *world) renew(i int) {
	w.nextID++
	w.requests[i] = newRequest(w.nextID)
}

func (w *world) logf(format string, args ...any) {
	if w.log = append(w.log, fmt.Sprintf("%v: ", time.Duration(w.now))+fmt.Sprintf(format, args...)); len(w.log) > 60 {
		w.log = w.log[1:]
	}
}

// want fails the test unless got is want.
func want[T comparable](w *world, what string, got, want T) {
	if got != want {
		w.t.Helper()
		for _, line := range w.log {
			w.t.Log(line)
		}
		w.t.Fatalf("%s = %v, want %v", what, got, want)
	}
}

func (w *world) saw(what string, happened bool) {
	if happened {
		w.seen[what]++
	}
}

func at64(now int64) time.Time { return at(time.Duration(now)) }

// duration is often one of a few, so that things coincide.
func (w *world) duration() int64 {
	return int64([]time.Duration{
		0, 1, time.Millisecond, time.Second, time.Second, 5 * time.Second, 10 * time.Second,
		probePatience, probePatience - 1, time.Minute, time.Duration(w.rng.Int64N(int64(20 * time.Second))),
	}[w.rng.IntN(11)])
}

// moment is now, or for those who are slow to report some time before.
func (w *world) moment() int64 {
	if w.rng.IntN(6) == 0 {
		return w.now - w.duration()
	}
	return w.now
}

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
