package keys

import (
	"sync/atomic"
	"time"
)

// Pool is the keys of one provider in one configuration. All that it learns about
// them is kept in the [State] it comes from. It is safe for concurrent use.
type Pool struct {
	state    *State
	name     string // of the provider
	provider *provider
	limits   Limits

	keys     []*Key
	memories []*memory      // of keys, at the same index
	slots    map[string]int // key ID -> index in keys

	// The index of the key that this pool used last. It only counts while the
	// provider's last key is one of another pool (a route may have keys of its
	// own): going by that alone, two pools without a common key would both stay on
	// their first ones if requests alternate between them. Guarded by provider.mu.
	own int

	closed atomic.Bool
}

// Len returns the number of keys, usable or not.
func (p *Pool) Len() int { return len(p.keys) }

// Pick leases the key that comes after the one last used, by whatever request and
// for whatever model, and makes it the one last used. It passes over keys that
// tried has tried, that rest (all of the provider's, for all models or for this
// upstream model), that are being probed after a rest, or whose limits are used up.
// If no key is left it returns false, and the rotation stays where it was. A nil
// tried has tried nothing.
//
// prefer is the ID of a key that is taken before all others if it is usable; the
// rotation stays where it was then, too. "" prefers none.
//
// The cost does not depend on the number of keys as long as they are usable.
func (p *Pool) Pick(now time.Time, model string, tried *Tried, prefer string) (Lease, bool) {
	if len(p.keys) == 0 {
		return Lease{}, false
	}
	shared := p.provider
	shared.mu.Lock()
	defer shared.mu.Unlock()
	ok, probe := shared.rest.admits(now, 0)
	if !ok {
		return Lease{}, false
	}
	if prefer != "" {
		if slot, known := p.slots[prefer]; known {
			if lease, ok := p.lease(slot, now, model, tried, probe); ok {
				return lease, true
			}
		}
	}
	slot := p.slotOf(shared.last)
	for range p.keys {
		slot = p.next(slot)
		if lease, ok := p.lease(slot, now, model, tried, probe); ok {
			shared.last, p.own = p.memories[slot], slot
			return lease, true
		}
	}
	return Lease{}, false
}

// lease uses a key if that is possible at now; probe says that it would probe the
// provider's rest. provider.mu must be held.
func (p *Pool) lease(slot int, now time.Time, model string, tried *Tried, probe bool) (Lease, bool) {
	m := p.memories[slot]
	if tried.skips(m.number) {
		return Lease{}, false
	}
	request, one := tried.mark(), m.models[model]
	wholeAdmits, wholeProbe := m.whole.admits(now, request)
	if !wholeAdmits {
		return Lease{}, false
	}
	oneAdmits, oneProbe := one.admits(now, request)
	if !oneAdmits || now.Before(m.withinLimits(p.limits)) {
		return Lease{}, false
	}
	if p.limits.RequestsPerMinute > 0 {
		m.requests.take(now, 1, p.limits.RequestsPerMinute)
	}
	tried.add(m.number)
	lease := Lease{Key: p.keys[slot], pool: p, memory: m, model: model, tried: tried, began: now}
	if probe || wholeProbe || oneProbe {
		p.provider.probes++
		lease.Probe, lease.number = true, p.provider.probes
	}
	if probe {
		p.provider.rest.begin(lease.number, now)
	}
	if wholeProbe {
		m.whole.begin(lease.number, now)
	}
	if oneProbe {
		one.begin(lease.number, now)
	}
	return lease, true
}

// slotOf returns the slot of the key last used, going by this pool's own if that
// key is not in it. provider.mu must be held.
func (p *Pool) slotOf(last *memory) int {
	if last != nil && last != p.memories[p.own] {
		if slot, ok := p.slots[last.id]; ok {
			return slot
		}
	}
	return p.own
}

func (p *Pool) next(slot int) int {
	if slot++; slot < len(p.keys) {
		return slot
	}
	return 0
}

// memoryOf returns what is known about a key, nil if it is not of this pool.
func (p *Pool) memoryOf(k *Key) *memory {
	if k == nil {
		return nil
	}
	if slot, ok := p.slots[k.ID]; ok {
		return p.memories[slot]
	}
	return nil
}

// Reset ends the rests of the key with this ID, or with "" those of all keys of the
// pool and of the provider itself, and closes the provider's breakers. It returns
// how many keys that were, whether they rested or not. Limits stay as they are,
// since the upstream still counts.
func (p *Pool) Reset(keyID string) int {
	shared := p.provider
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if keyID == "" {
		shared.rest = rest{}
		for _, h := range shared.health {
			h.reset()
		}
	}
	count := 0
	for _, m := range p.memories {
		if keyID == "" || keyID == m.id {
			m.whole = rest{}
			clear(m.models)
			count++
		}
	}
	p.state.changed.Add(1)
	return count
}
