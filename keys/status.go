package keys

import (
	"maps"
	"slices"
	"time"
)

// Soonest tells when the first key of the pool becomes usable for model again, and
// what keeps that key out of use until then; this is what a Retry-After can promise.
// If a key is usable now, at is now and why is empty. ok is false if the pool has
// no keys at all.
func (p *Pool) Soonest(now time.Time, model string) (at time.Time, why Reason, ok bool) {
	if len(p.keys) == 0 {
		return time.Time{}, "", false
	}
	for i, m := range p.memories {
		m.mu.Lock()
		until, reason := m.blockedUntil(model, p.limits)
		m.mu.Unlock()
		if i == 0 || until.Before(at) {
			at, why = until, reason
		}
	}
	if rest := p.provider.rest.Load(); rest != nil && rest.until.After(at) {
		at, why = rest.until, rest.why
	}
	if !now.Before(at) {
		return now, "", true
	}
	return at, why, true
}

// KeyStatus is what can be told about one key. It holds no secret.
type KeyStatus struct {
	ID      string    `json:"id"`
	Source  string    `json:"source"`  // environment variable
	Cooling []Cooling `json:"cooling"` // empty if the key is usable for every model
}

// Cooling is one thing that keeps a key out of use.
type Cooling struct {
	Scope Scope     `json:"scope"`
	Model string    `json:"model,omitempty"` // upstream model, with ScopeKeyModel only
	Until time.Time `json:"until"`
	Why   Reason    `json:"why"`
}

// Status returns the keys in the order in which they take turns, and for each what
// keeps it out of use at now: the provider's rest, its own, its limits, and last
// those for single models by name.
func (p *Pool) Status(now time.Time) []KeyStatus {
	shared := []Cooling{} // not nil, which would be null in JSON
	if rest := p.provider.rest.Load(); rest != nil && now.Before(rest.until) {
		shared = append(shared, Cooling{Scope: ScopeProvider, Until: rest.until, Why: rest.why})
	}
	status := make([]KeyStatus, len(p.keys))
	for i, key := range p.keys {
		status[i] = KeyStatus{
			ID:      key.ID,
			Source:  key.Source,
			Cooling: p.memories[i].cooling(slices.Clone(shared), now, p.limits),
		}
	}
	return status
}

// cooling adds what keeps the key itself out of use to list.
func (m *memory) cooling(list []Cooling, now time.Time, limits Limits) []Cooling {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Before(m.whole.until) {
		list = append(list, Cooling{Scope: ScopeKey, Until: m.whole.until, Why: m.whole.why})
	}
	if ready := m.withinLimits(limits); now.Before(ready) {
		list = append(list, Cooling{Scope: ScopeKey, Until: ready, Why: ReasonLimit})
	}
	for _, model := range slices.Sorted(maps.Keys(m.models)) {
		if c := m.models[model]; now.Before(c.until) {
			list = append(list, Cooling{Scope: ScopeKeyModel, Model: model, Until: c.until, Why: c.why})
		}
	}
	return list
}
