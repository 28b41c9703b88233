package keys

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// State is the memory about upstream keys that outlives a configuration: cooldowns,
// rotation and what is left of limits. It knows providers by name and keys by ID,
// never by position, so a new order of keys confuses nothing. It is safe for
// concurrent use.
//
// What is known about a key lives as long as a [Pool] has it. A new configuration
// must therefore get its pools before the old one closes its own; then the memory
// passes on, and that about keys which are gone does not pile up.
type State struct {
	requests atomic.Uint64 // the last mark given to a Tried

	mu        sync.Mutex
	providers map[string]*provider // those with a pool; guarded by mu
}

// provider is what is known about one provider.
type provider struct {
	last atomic.Pointer[memory]   // the key used last, by any pool, for any model
	rest atomic.Pointer[cooldown] // the rest of all keys; nil if there is none

	// The pools that share it and what those know about their keys, by key ID.
	// Guarded by State.mu.
	pools    int
	memories map[string]*memory
}

// memory is what is known about one key.
type memory struct {
	id     string
	number int // the smallest that no other key of the provider has: its bit in Tried
	pools  int // that have the key; guarded by State.mu

	mu       sync.Mutex
	whole    cooldown            // for all models
	models   map[string]cooldown // for one upstream model; those that are over go at the next failure
	requests bucket
	tokens   bucket
}

// NewState returns a State that remembers nothing yet.
func NewState() *State {
	return &State{providers: make(map[string]*provider)}
}

// Pool returns a pool of a provider's keys for one configuration. Its keys share
// what the state remembers with all other pools of the same provider. A key that
// is listed twice counts once. Close the pool when the configuration ends.
func (s *State) Pool(name string, keys []*Key, limits Limits) *Pool {
	s.mu.Lock()
	defer s.mu.Unlock()
	shared := s.providers[name]
	if shared == nil {
		shared = &provider{memories: make(map[string]*memory)}
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
	pool.own.Store(int64(len(pool.keys) - 1)) // so that the first key is the next
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

// blockedUntil tells until when the key cannot be used for model, and why. A time
// that is not after now means that it can. m.mu must be held.
func (m *memory) blockedUntil(model string, limits Limits) (until time.Time, why Reason) {
	until, why = m.whole.until, m.whole.why
	if c := m.models[model]; c.until.After(until) {
		until, why = c.until, c.why
	}
	if ready := m.withinLimits(limits); ready.After(until) {
		until, why = ready, ReasonLimit
	}
	return until, why
}

// withinLimits tells from when on limits allow the key one more request. m.mu must
// be held.
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

// take uses the key for one request if that is possible at now; with transient even
// if it rests for a transient reason. Rests that request set itself do not count.
func (m *memory) take(now time.Time, model string, limits Limits, request uint64, transient bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.whole.holds(now, transient) && !m.whole.own(request) {
		return false
	}
	if c, ok := m.models[model]; ok && c.holds(now, transient) && !c.own(request) {
		return false
	}
	if now.Before(m.withinLimits(limits)) {
		return false
	}
	if limits.RequestsPerMinute > 0 {
		m.requests.take(now, 1, limits.RequestsPerMinute)
	}
	return true
}
