package keys

import (
	"cmp"
	"maps"
	"slices"
	"time"
)

// Soonest tells when the first key of the pool becomes usable for model again, and
// what keeps that key out of use until then; this is what a Retry-After can promise.
// If a key is usable now, at is now and why is empty. A key that is being probed
// after a rest is told to be usable in a second, since nobody knows. ok is false if
// the pool has no keys at all.
//
// allLimited tells that every single key is out of use because too much was asked
// of it, going by what holds it for longest: [ReasonRateLimited] or [ReasonLimit].
func (p *Pool) Soonest(now time.Time, model string) (at time.Time, why Reason, allLimited, ok bool) {
	if len(p.keys) == 0 {
		return time.Time{}, "", false, false
	}
	p.provider.mu.Lock()
	defer p.provider.mu.Unlock()
	shared, sharedWhy := p.provider.rest.blocks(now)
	allLimited = true
	for i, m := range p.memories {
		until, reason := m.blockedUntil(now, model, p.limits)
		if shared.After(until) {
			until, reason = shared, sharedWhy
		}
		if i == 0 || until.Before(at) {
			at, why = until, reason
		}
		allLimited = allLimited && reason.limited()
	}
	return at, why, allLimited, true
}

// KeyStatus is what can be told about one key. It holds no secret.
type KeyStatus struct {
	ID      string    `json:"id"`
	Source  string    `json:"source"`  // environment variable
	Cooling []Cooling `json:"cooling"` // empty if the key is usable for every model
}

// Cooling is one thing that keeps a key out of use, or that has yet to be disproved.
type Cooling struct {
	Scope Scope     `json:"scope"`
	Model string    `json:"model,omitempty"` // upstream model, with ScopeKeyModel only
	Until time.Time `json:"until"`
	Why   Reason    `json:"why"`

	// HalfOpen says that Until has passed but the key has not worked since: one
	// request at a time may try.
	HalfOpen bool `json:"half_open"`
}

// Status returns the keys in the order in which they take turns, and for each what
// keeps it out of use at now: the provider's rest, its own, its limits, and last
// those for single models by name. Rests that are over are among them until a
// success disproves them, or an hour has passed without any use.
func (p *Pool) Status(now time.Time) []KeyStatus {
	status := make([]KeyStatus, len(p.keys))
	p.provider.mu.Lock()
	defer p.provider.mu.Unlock()
	for i, key := range p.keys {
		list := []Cooling{} // not nil, which would be null in JSON
		list = p.provider.rest.cooling(list, now, ScopeProvider, "")
		status[i] = KeyStatus{ID: key.ID, Source: key.Source, Cooling: p.memories[i].cooling(list, now, p.limits)}
	}
	return status
}

// cooling adds what keeps the key itself out of use to list. provider.mu must be
// held.
func (m *memory) cooling(list []Cooling, now time.Time, limits Limits) []Cooling {
	list = m.whole.cooling(list, now, ScopeKey, "")
	if ready := m.withinLimits(limits); now.Before(ready) {
		list = append(list, Cooling{Scope: ScopeKey, Until: ready, Why: ReasonLimit})
	}
	if len(m.models) == 0 {
		return list
	}
	for _, model := range slices.Sorted(maps.Keys(m.models)) {
		list = m.models[model].cooling(list, now, ScopeKeyModel, model)
	}
	return list
}

func (r *rest) cooling(list []Cooling, now time.Time, scope Scope, model string) []Cooling {
	if r.gone(now) {
		return list
	}
	return append(list, Cooling{Scope: scope, Model: model, Until: r.until, Why: r.why, HalfOpen: r.halfOpen(now)})
}

// ModelStatus returns how the provider's models do, those that were ever asked,
// sorted by name.
func (p *Pool) ModelStatus(now time.Time) []ModelStatus {
	p.provider.mu.Lock()
	all := slices.Collect(maps.Values(p.provider.health))
	p.provider.mu.Unlock()
	status := make([]ModelStatus, 0, len(all))
	for _, h := range all {
		if one, ok := h.status(now); ok {
			status = append(status, one)
		}
	}
	slices.SortFunc(status, func(a, b ModelStatus) int { return cmp.Compare(a.Model, b.Model) })
	return status
}
