package keys

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// State is the memory about upstream keys that outlives a configuration: rests,
// rotation, what is left of limits, and how the models of providers do. It knows
// providers by name and keys by ID, never by position, so a new order of keys
// confuses nothing. It is safe for concurrent use.
//
// What is known about a key lives as long as a [Pool] has it. A new configuration
// must therefore get its pools before the old one closes its own; then the memory
// passes on, and that about keys which are gone does not pile up.
type State struct {
	requests atomic.Uint64 // the last mark given to a Tried
	changed  atomic.Uint64 // counts what a snapshot would show

	mu        sync.Mutex           // may be held when a provider's is taken, never the other way round
	providers map[string]*provider // those with a pool; guarded by mu
	waiting   map[string]*provider // restored, of which some keys had no pool so far; guarded by mu
}

// provider is what is known about one provider.
type provider struct {
	state *State

	// The pools that share it and what those know about their keys, by key ID.
	// Guarded by State.mu.
	pools    int
	memories map[string]*memory

	mu     sync.Mutex         // held for no longer than it takes to look at the keys
	last   *memory            // the key used last, by any pool, for any model; guarded by mu
	rest   rest               // of all keys; guarded by mu
	probes uint64             // the number of the last probe; guarded by mu
	health map[string]*Health // by upstream model; guarded by mu
	named  int                // how many of health the operator has named; guarded by mu
}

// memory is what is known about one key. What changes in use is guarded by the mu
// of its provider, since picking looks at several keys at once.
type memory struct {
	id     string
	number int // the smallest that no other key of the provider has: its bit in Tried
	pools  int // that have the key; guarded by State.mu

	whole    rest             // for all models
	models   map[string]*rest // for one upstream model; no more than maxModels
	requests bucket
	tokens   bucket
}

// maxModels is how many models are known apart by name, per key and per provider.
// Clients may make up names where a route takes any.
const maxModels = 256

// NewState returns a State that remembers nothing yet.
func NewState() *State {
	return &State{providers: make(map[string]*provider), waiting: make(map[string]*provider)}
}

func (s *State) newProvider() *provider {
	return &provider{state: s, memories: make(map[string]*memory), health: make(map[string]*Health)}
}

// Changed counts what happened that a snapshot would show: when it has not moved,
// there is nothing new to save.
func (s *State) Changed() uint64 { return s.changed.Load() }

// Pool returns a pool of a provider's keys for one configuration. Its keys share
// what the state remembers with all other pools of the same provider. A key that
// is listed twice counts once. Close the pool when the configuration ends.
func (s *State) Pool(name string, keys []*Key, limits Limits) *Pool {
	s.mu.Lock()
	defer s.mu.Unlock()
	shared := s.providers[name]
	if shared == nil {
		shared = s.newProvider()
		s.providers[name] = shared
	}
	shared.pools++

	pool := &Pool{state: s, name: name, provider: shared, limits: limits, slots: make(map[string]int, len(keys))}
	for _, key := range keys {
		if _, ok := pool.slots[key.ID]; ok {
			continue
		}
		pool.slots[key.ID] = len(pool.keys)
		pool.keys = append(pool.keys, key)
		pool.memories = append(pool.memories, shared.enter(key.ID))
	}
	pool.own = max(len(pool.keys)-1, 0) // so that the first key is the next
	s.adopt(name, shared)
	return pool
}

// Close says that the pool's configuration has ended. Requests that still hold the
// pool may go on using it. Closing a pool again does nothing.
func (p *Pool) Close() {
	if !p.closed.CompareAndSwap(false, true) {
		return
	}
	p.state.mu.Lock()
	defer p.state.mu.Unlock()
	for _, m := range p.memories {
		p.provider.leave(m)
	}
	if p.provider.pools--; p.provider.pools == 0 {
		delete(p.state.providers, p.name)
	}
}

// enter returns the memory about a key for one more pool. State.mu must be held.
func (p *provider) enter(keyID string) *memory {
	m := p.memories[keyID]
	if m == nil {
		m = &memory{id: keyID, number: p.freeNumber()}
		p.memories[keyID] = m
	}
	m.pools++
	return m
}

// leave takes a pool off the memory about a key. State.mu must be held.
func (p *provider) leave(m *memory) {
	if m.pools--; m.pools == 0 {
		delete(p.memories, m.id)
	}
}

// freeNumber returns the smallest number that no key has. State.mu must be held.
func (p *provider) freeNumber() int {
	taken := make([]bool, len(p.memories)+1)
	for _, m := range p.memories {
		if m.number < len(taken) {
			taken[m.number] = true
		}
	}
	return slices.Index(taken, false)
}

// restFor returns the key's rest for model, a new one if there is none. When there
// are too many, the one that ended first makes room, or if all still run the one
// that ends first: the whole key rests in its place. provider.mu must be held.
func (m *memory) restFor(model string, now time.Time) *rest {
	if r := m.models[model]; r != nil {
		return r
	}
	first := ""
	for name, r := range m.models {
		if r.gone(now) {
			delete(m.models, name)
		} else if first == "" || r.until.Before(m.models[first].until) {
			first = name
		}
	}
	if len(m.models) >= maxModels {
		if r := m.models[first]; now.Before(r.until) {
			m.whole.merge(*r)
		}
		delete(m.models, first)
	}
	if m.models == nil {
		m.models = make(map[string]*rest)
	}
	r := new(rest)
	m.models[strings.Clone(model)] = r // the name may be a part of a large request
	return r
}

// blockedUntil tells until when the key cannot be used for model, and why: now and
// "" if it can. provider.mu must be held.
func (m *memory) blockedUntil(now time.Time, model string, limits Limits) (until time.Time, why Reason) {
	until = now
	if end, reason := m.whole.blocks(now); end.After(until) {
		until, why = end, reason
	}
	if end, reason := m.models[model].blocks(now); end.After(until) {
		until, why = end, reason
	}
	if ready := m.withinLimits(limits); ready.After(until) {
		until, why = ready, ReasonLimit
	}
	return until, why
}

// withinLimits tells from when on limits allow the key one more request.
// provider.mu must be held.
func (m *memory) withinLimits(limits Limits) (ready time.Time) {
	if limits.RequestsPerMinute > 0 {
		ready = m.requests.ready(limits.RequestsPerMinute)
	}
	if limits.TokensPerMinute > 0 {
		if tokens := m.tokens.ready(limits.TokensPerMinute); tokens.After(ready) {
			ready = tokens
		}
	}
	return ready
}
