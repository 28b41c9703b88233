package keys

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

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
