package keys

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// The reference says what State and Pool promise, as plainly as possible: it keeps
// every failure instead of one deadline, looks at every key instead of the next
// one, and fills its buckets instead of computing when they are full. Times are
// nanoseconds after t0.

type refFailure struct {
	set, until int64
	why        Reason
	request    int // 0: nobody's
}

// refRest is failures that overlap, in the order in which they were reported.
type refRest []refFailure

func (r refRest) until() (until int64, why Reason) {
	for i, f := range r {
		if i == 0 || f.until > until {
			until, why = f.until, f.why
		}
	}
	return until, why
}

func (r *refRest) fail(f refFailure) {
	if until, _ := r.until(); f.set >= until {
		*r = nil
	}
	*r = append(*r, f)
}

func (r *refRest) succeed(started, now int64) {
	until, _ := r.until()
	younger := slices.ContainsFunc(*r, func(f refFailure) bool { return f.set >= started })
	if now >= until || !younger {
		*r = nil
	}
}

// rests tells until when the request is bound; ok is false if it is not.
func (r refRest) rests(now int64, request int) (until int64, why Reason, ok bool) {
	until, why = r.until()
	others := slices.ContainsFunc(r, func(f refFailure) bool { return request == 0 || f.request != request })
	return until, why, others && now < until
}

// firm returns the failures that say something about the key, not the upstream. As
// for the rest of them, the request is bound if one of the failures is another's.
func (r refRest) firm(request int) (firm refRest) {
	if _, _, others := r.rests(-1<<62, request); !others {
		return nil
	}
	for _, f := range r {
		if f.why == ReasonRateLimited || f.why == ReasonDead {
			f.request = 0
			firm = append(firm, f)
		}
	}
	return firm
}

// refBucket is a bucket that leaks: level is what it takes to empty, in nanoseconds.
type refBucket struct{ level, asOf int64 }

func (b *refBucket) at(now int64) int64 { return max(0, b.level-(now-b.asOf)) }

func (b *refBucket) add(now, level int64) {
	b.level, b.asOf = min(b.at(now)+level, int64(maxDebt)), now
}

// wait tells how long it takes until another unit fits.
func (b *refBucket) wait(now int64, perMinute int) int64 {
	if perMinute == 0 {
		return 0
	}
	return max(0, b.at(now)+int64(time.Minute)/int64(perMinute)-int64(time.Minute))
}

type refKey struct {
	whole            refRest
	models           map[string]*refRest
	requests, tokens refBucket
}

func (k *refKey) model(name string) *refRest {
	if k.models[name] == nil {
		k.models[name] = new(refRest)
	}
	return k.models[name]
}

type refProvider struct {
	rest refRest
	last string // source
	keys map[string]*refKey
}

type refPool struct {
	sources []string
	own     int
	limits  Limits
}

// wait tells how long a key is out of use for a request, and why.
func (p *refProvider) wait(pool *refPool, source, model string, now int64, request int, transient bool) (wait int64, why Reason) {
	k := p.keys[source]
	for _, r := range []refRest{k.whole, *k.model(model)} {
		if transient {
			r = r.firm(request)
		}
		if until, reason, ok := r.rests(now, request); ok && until-now > wait {
			wait, why = until-now, reason
		}
	}
	for _, w := range []int64{k.requests.wait(now, pool.limits.RequestsPerMinute), k.tokens.wait(now, pool.limits.TokensPerMinute)} {
		if w > wait {
			wait, why = w, ReasonLimit
		}
	}
	return wait, why
}

func (p *refProvider) pick(pool *refPool, now int64, model string, r *refRequest, transient bool) string {
	rest := p.rest
	if transient {
		rest = rest.firm(0)
	}
	if _, _, rests := rest.rests(now, 0); rests {
		return "-"
	}
	last := slices.Index(pool.sources, p.last)
	if last < 0 {
		last = pool.own
	}
	for i := range pool.sources {
		slot := (last + 1 + i) % len(pool.sources)
		source := pool.sources[slot]
		if r.tried[source] || r.dead[source] {
			continue
		}
		if wait, _ := p.wait(pool, source, model, now, r.id, transient); wait > 0 {
			continue
		}
		r.tried[source] = true
		p.last, pool.own = source, slot
		if limit := pool.limits.RequestsPerMinute; limit > 0 {
			p.keys[source].requests.add(now, int64(time.Minute)/int64(limit))
		}
		return source
	}
	return "-"
}

func (p *refProvider) soonest(pool *refPool, now int64, model string) (wait int64, why Reason) {
	for i, source := range pool.sources {
		if w, reason := p.wait(pool, source, model, now, 0, false); i == 0 || w < wait {
			wait, why = w, reason
		}
	}
	if until, reason, rests := p.rest.rests(now, 0); rests && until-now > wait {
		wait, why = until-now, reason
	}
	return wait, why
}

// refRequest is a request in both worlds.
type refRequest struct {
	id          int
	real        Tried
	tried, dead map[string]bool
}

func newRequest(id int) *refRequest {
	return &refRequest{id: id, tried: make(map[string]bool), dead: make(map[string]bool)}
}

// nextCycle tells whether a key that was tried in this cycle is not dead.
func (r *refRequest) nextCycle() bool {
	again := false
	for source := range r.tried {
		again = again || !r.dead[source]
	}
	clear(r.tried)
	return again
}

// world runs the real thing and the reference side by side.
type world struct {
	t   *testing.T
	rng *rand.Rand
	now int64

	state *State
	pools []*Pool
	keys  []*Key // all there ever are

	ref      *refProvider
	refPools []*refPool

	requests []*refRequest
	nextID   int
	log      []string
}

var modelNames = []string{"a", "b", "c"}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, rng: rand.New(rand.NewPCG(seed, 0)), state: NewState(), keys: newKeys("p", 6),
		ref: &refProvider{keys: make(map[string]*refKey)}, requests: make([]*refRequest, 4),
	}
	w.reload()
	return w
}

// reload replaces the configuration by one or two pools of some of the keys in any
// order.
func (w *world) reload() {
	w.logf("reload")
	forget := w.rng.IntN(4) == 0 // close the old configuration first
	closeAll := func(pools []*Pool) {
		for _, p := range pools {
			p.Close()
		}
	}
	old := w.pools
	if forget {
		closeAll(old)
		w.ref.keys = make(map[string]*refKey)
		w.ref.rest, w.ref.last = nil, ""
	}
	w.pools, w.refPools = nil, nil
	listed := make(map[string]bool)
	for range 1 + w.rng.IntN(2) {
		limits := Limits{}
		if w.rng.IntN(2) == 0 {
			limits = Limits{RequestsPerMinute: []int{0, 6, 60}[w.rng.IntN(3)], TokensPerMinute: []int{0, 60_000}[w.rng.IntN(2)]}
		}
		var keys []*Key
		var sources []string
		for _, i := range w.rng.Perm(len(w.keys))[:1+w.rng.IntN(len(w.keys))] {
			keys = append(keys, w.keys[i])
			sources = append(sources, w.keys[i].Source)
			listed[w.keys[i].Source] = true
		}
		w.pools = append(w.pools, w.state.Pool("p", keys, limits))
		w.refPools = append(w.refPools, &refPool{sources: sources, own: len(sources) - 1, limits: limits})
	}
	if !forget {
		closeAll(old)
	}
	for source := range listed {
		if w.ref.keys[source] == nil {
			w.ref.keys[source] = &refKey{models: make(map[string]*refRest)}
		}
	}
	for source := range w.ref.keys {
		if !listed[source] {
			delete(w.ref.keys, source)
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

func (w *world) failf(format string, args ...any) {
	w.t.Helper()
	for _, line := range w.log {
		w.t.Log(line)
	}
	w.t.Fatalf(format, args...)
}

// duration is often one of a few, so that things coincide.
func (w *world) duration() time.Duration {
	return []time.Duration{0, 1, time.Millisecond, time.Second, time.Second, 5 * time.Second, 10 * time.Second, time.Minute, time.Duration(w.rng.Int64N(int64(20 * time.Second)))}[w.rng.IntN(9)]
}

// moment is now, or for attempts that were slow to report some time before.
func (w *world) moment() int64 {
	if w.rng.IntN(4) == 0 {
		return w.now - int64(w.duration())
	}
	return w.now
}

func (w *world) step() {
	i := w.rng.IntN(len(w.pools))
	pool, refPool := w.pools[i], w.refPools[i]
	slot := w.rng.IntN(len(pool.keys))
	key, refKey := pool.keys[slot], w.ref.keys[refPool.sources[slot]]
	model := modelNames[w.rng.IntN(len(modelNames))]
	r := w.requests[w.rng.IntN(len(w.requests))]

	switch op := w.rng.IntN(1000); {
	case op < 400:
		transient := w.rng.IntN(4) == 0
		pick := pool.Pick
		if transient {
			pick = pool.PickTransient
		}
		want := w.ref.pick(refPool, w.now, model, r, transient)
		got := source(pick(at(time.Duration(w.now)), model, &r.real))
		w.logf("pick by %d for %s, transient %v: %s", r.id, model, transient, got)
		if got != want {
			w.failf("pick by %d for %s, transient %v = %s, want %s", r.id, model, transient, got, want)
		}
	case op < 600:
		w.fail(pool, key, refKey, model, r)
	case op < 700:
		started, now := w.moment(), w.moment()
		w.logf("success of %s for %s, started %v, now %v", key.Source, model, time.Duration(started), time.Duration(now))
		pool.Succeed(key, model, at(time.Duration(started)), at(time.Duration(now)))
		w.ref.rest.succeed(started, now)
		refKey.whole.succeed(started, now)
		refKey.model(model).succeed(started, now)
	case op < 750:
		now, tokens := w.moment(), w.rng.Int64N(90_000)-5_000
		w.logf("charge of %d to %s", tokens, key.Source)
		pool.Charge(key, at(time.Duration(now)), tokens)
		if refPool.limits.TokensPerMinute > 0 && tokens > 0 {
			refKey.tokens.add(now, tokens*int64(time.Minute)/int64(refPool.limits.TokensPerMinute))
		}
	case op < 900:
		w.now += int64(w.duration())
	case op < 940:
		want := r.nextCycle()
		w.logf("next cycle of %d", r.id)
		if got := r.real.NextCycle(); got != want {
			w.failf("NextCycle of %d = %v, want %v", r.id, got, want)
		}
	case op < 990:
		w.renew(w.rng.IntN(len(w.requests)))
	case op < 997:
		w.reset(pool, refPool)
	default:
		w.reload()
		return
	}
	w.compareSoonest(pool, refPool)
}

func (w *world) fail(pool *Pool, key *Key, refKey *refKey, model string, r *refRequest) {
	reason := []Reason{ReasonRateLimited, ReasonDead, ReasonOverloaded, ReasonBroken}[w.rng.IntN(4)]
	scope := Scope(w.rng.IntN(3))
	if scope == ScopeProvider && w.rng.IntN(3) > 0 {
		scope = ScopeKeyModel // or everything always rests
	}
	if w.rng.IntN(10) == 0 {
		model = ""
	}
	now, d := w.moment(), w.duration()-time.Duration(w.rng.IntN(2))
	failure := refFailure{set: now, until: now + int64(d), why: reason}
	if w.rng.IntN(3) == 0 {
		w.logf("rest of %s, %v, %q for %v at %v: %s", key.Source, scope, model, d, time.Duration(now), reason)
		pool.Cool(key, scope, model, at(time.Duration(now)), d, reason)
	} else {
		w.logf("failure of %d with %s, %v, %q for %v at %v: %s", r.id, key.Source, scope, model, d, time.Duration(now), reason)
		pool.Fail(&r.real, key, scope, model, at(time.Duration(now)), d, reason)
		failure.request = r.id
		if reason == ReasonDead {
			r.dead[key.Source] = true
		}
	}
	switch {
	case d <= 0:
	case scope == ScopeProvider:
		w.ref.rest.fail(failure)
	case scope == ScopeKey || model == "":
		refKey.whole.fail(failure)
	default:
		refKey.model(model).fail(failure)
	}
}

func (w *world) reset(pool *Pool, refPool *refPool) {
	slot := w.rng.IntN(len(pool.keys)+1) - 1
	w.logf("reset of slot %d", slot)
	if slot >= 0 {
		pool.Reset(pool.keys[slot].ID)
	} else {
		pool.Reset("")
		w.ref.rest = nil
	}
	for i, source := range refPool.sources {
		if slot < 0 || slot == i {
			w.ref.keys[source].whole = nil
			clear(w.ref.keys[source].models)
		}
	}
}

func (w *world) compareSoonest(pool *Pool, refPool *refPool) {
	for _, model := range modelNames {
		wait, why := w.ref.soonest(refPool, w.now, model)
		got, reason, ok := pool.Soonest(at(time.Duration(w.now)), model)
		if !ok || int64(got.Sub(t0)) != w.now+wait || reason != why {
			w.failf("Soonest for %s = %v, %q, %v, want %v, %q", model, got.Sub(t0), reason, ok, time.Duration(w.now+wait), why)
		}
	}
}

func TestPoolAgreesWithASimpleReference(t *testing.T) {
	const seeds, steps = 5, 50_000
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := newWorld(t, seed)
			for range steps {
				w.step()
			}
		})
	}
}
