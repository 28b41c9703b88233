package keys

import (
	"maps"
	"time"
)

// Scope is what a cooldown takes out of use.
type Scope int

// From the narrowest scope to the widest.
const (
	ScopeKeyModel Scope = iota // one key, for one upstream model
	ScopeKey                   // one key, for all models
	ScopeProvider              // all keys of the provider
)

// String returns key_model, key or provider.
func (s Scope) String() string {
	switch s {
	case ScopeProvider:
		return "provider"
	case ScopeKey:
		return "key"
	default:
		return "key_model"
	}
}

// MarshalText returns what String does.
func (s Scope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reason says why a key is out of use. It serves as a label, so use no others than these.
type Reason string

// All reasons there are.
const (
	ReasonRateLimited Reason = "rate_limited" // the upstream said to slow down
	ReasonDead        Reason = "dead"         // the upstream refused the key itself or its account
	ReasonOverloaded  Reason = "overloaded"   // the upstream has no capacity
	ReasonBroken      Reason = "broken"       // the upstream failed or could not be reached
	ReasonLimit       Reason = "limit"        // our own Limits for the key are used up
)

// transient tells whether the reason lies with the upstream and not with the key.
func (r Reason) transient() bool { return r == ReasonBroken || r == ReasonOverloaded }

// cooldown is one rest, or several that overlap. The zero value rests nothing.
type cooldown struct {
	until time.Time // the latest deadline of all failures that made it
	firm  time.Time // the same without those for a transient reason
	set   time.Time // the latest failure that made it
	why   Reason    // of the failure that until comes from

	// The request whose failures alone made it; 0 if several requests share in it
	// or nobody asked to know.
	by uint64
}

// joined returns c with another failure. The longest deadline wins, so that the
// short backoff of one request cannot end the long one of another early.
func (c cooldown) joined(failure cooldown) cooldown {
	if !failure.set.Before(c.until) {
		return failure // c is over
	}
	if c.by != failure.by {
		c.by = 0
	}
	if failure.until.After(c.until) {
		c.until, c.why = failure.until, failure.why
	}
	if failure.firm.After(c.firm) {
		c.firm = failure.firm
	}
	if failure.set.After(c.set) {
		c.set = failure.set
	}
	return c
}

// own tells whether the cooldown is of this one request's making.
func (c cooldown) own(request uint64) bool { return request != 0 && c.by == request }

// holds tells whether the cooldown keeps a key out of use at now. Those who would
// use it in spite of transient failures are held by the others only.
func (c cooldown) holds(now time.Time, transient bool) bool {
	if transient {
		return now.Before(c.firm)
	}
	return now.Before(c.until)
}

// over tells whether nothing remains of the cooldown: its time has come, or it was
// set before an attempt started that then succeeded. A success that started
// earlier than the failure is only a late answer and disproves nothing.
func (c cooldown) over(now, started time.Time) bool {
	return !now.Before(c.until) || c.set.Before(started)
}

// Cool rests a key, or with ScopeProvider all of them (k is not looked at then),
// from now on for d. A rest that already runs is prolonged if the new one ends
// later, and never shortened. ScopeKeyModel without a model is ScopeKey. A d of 0
// or below does nothing, nor does a key that is not of this pool.
func (p *Pool) Cool(k *Key, scope Scope, model string, now time.Time, d time.Duration, why Reason) {
	p.cool(k, scope, model, d, cooldown{set: now, why: why})
}

// Fail is [Pool.Cool] on behalf of the request that tried belongs to. In its next
// cycle that request may use the key in spite of this rest, as long as no other
// request set one too; but not if why is [ReasonDead], not even with a d of 0.
// Others are bound by the rest as by any other.
func (p *Pool) Fail(tried *Tried, k *Key, scope Scope, model string, now time.Time, d time.Duration, why Reason) {
	if tried != nil {
		if tried.request == 0 {
			tried.request = p.state.requests.Add(1)
		}
		if m := p.memoryOf(k); m != nil && why == ReasonDead {
			tried.dead.add(m.number)
		}
	}
	p.cool(k, scope, model, d, cooldown{set: now, why: why, by: tried.mark()})
}

func (p *Pool) cool(k *Key, scope Scope, model string, d time.Duration, failure cooldown) {
	if d <= 0 {
		return
	}
	failure.until = failure.set.Add(d)
	if !failure.why.transient() {
		failure.firm = failure.until
	}
	if scope == ScopeProvider {
		p.provider.cool(failure)
		return
	}
	if scope == ScopeKey {
		model = ""
	}
	if m := p.memoryOf(k); m != nil {
		m.cool(model, failure)
	}
}

// Succeed clears what the success of an attempt disproves: the rests of the key, of
// the key for model and of the provider, each only if it was set before the attempt
// started.
func (p *Pool) Succeed(k *Key, model string, started, now time.Time) {
	p.provider.succeed(started, now)
	if m := p.memoryOf(k); m != nil {
		m.succeed(model, started, now)
	}
}

// Reset clears the rests of the key with this ID, or with "" those of all keys of
// the pool and of the provider itself. It returns how many keys that were, whether
// they rested or not. Limits stay as they are, since the upstream still counts.
func (p *Pool) Reset(keyID string) int {
	if keyID == "" {
		p.provider.rest.Store(nil)
	}
	count := 0
	for _, m := range p.memories {
		if keyID == "" || keyID == m.id {
			m.reset()
			count++
		}
	}
	return count
}

// cool adds a failure to the provider's rest.
func (p *provider) cool(failure cooldown) {
	for {
		old, next := p.rest.Load(), failure
		if old != nil {
			next = old.joined(failure)
		}
		if p.rest.CompareAndSwap(old, &next) {
			return
		}
	}
}

func (p *provider) succeed(started, now time.Time) {
	if rest := p.rest.Load(); rest != nil && rest.over(now, started) {
		// If it was swapped meanwhile, there is a younger failure.
		p.rest.CompareAndSwap(rest, nil)
	}
}

// cool adds a failure to the key's rest for model, or for all models if that is "".
func (m *memory) cool(model string, failure cooldown) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if model == "" {
		m.whole = m.whole.joined(failure)
		return
	}
	maps.DeleteFunc(m.models, func(_ string, c cooldown) bool { return !failure.set.Before(c.until) })
	if m.models == nil {
		m.models = make(map[string]cooldown)
	}
	m.models[model] = m.models[model].joined(failure)
}

func (m *memory) succeed(model string, started, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.whole.over(now, started) {
		m.whole = cooldown{}
	}
	if c, ok := m.models[model]; ok && c.over(now, started) {
		delete(m.models, model)
	}
}

func (m *memory) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.whole = cooldown{}
	clear(m.models)
}
