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
	// their first ones if requests alternate between them.
	own atomic.Int64

	closed atomic.Bool
}

// Len returns the number of keys, usable or not.
func (p *Pool) Len() int { return len(p.keys) }

// Pick returns the key that comes after the one last used, by whatever request and
// for whatever model, and makes it the one last used. It skips keys that tried has
// tried, that rest (all of the provider's, for all models or for this upstream
// model) or whose limits are used up. If no key is left it returns false, and the
// rotation stays where it was. A nil tried has tried nothing.
//
// The cost does not depend on the number of keys as long as they are usable.
func (p *Pool) Pick(now time.Time, model string, tried *Tried) (*Key, bool) {
	return p.pick(now, model, tried, false)
}

// PickTransient is Pick for when nothing else can be tried: it also takes keys that
// rest, alone or with the whole provider, only because the upstream was broken or
// overloaded. Such a rest says that others should be asked first, not that this key
// will not work.
func (p *Pool) PickTransient(now time.Time, model string, tried *Tried) (*Key, bool) {
	return p.pick(now, model, tried, true)
}

func (p *Pool) pick(now time.Time, model string, tried *Tried, transient bool) (*Key, bool) {
	if len(p.keys) == 0 {
		return nil, false
	}
	if rest := p.provider.rest.Load(); rest != nil && rest.holds(now, transient) {
		return nil, false
	}
	before, first := p.advance()
	slot := first
	for range p.keys {
		m := p.memories[slot]
		if !tried.skips(m.number) && m.take(now, model, p.limits, tried.mark(), transient) {
			p.settle(first, slot)
			tried.add(m.number)
			return p.keys[slot], true
		}
		slot = p.next(slot)
	}
	p.provider.last.CompareAndSwap(p.memories[first], before)
	return nil, false
}

// advance moves the rotation on by one key, and returns the key it was at and the
// slot it is at now. It moves before anything is known about that key, so that
// concurrent requests begin at different ones.
func (p *Pool) advance() (before *memory, slot int) {
	for {
		before = p.provider.last.Load()
		slot = p.next(p.slotOf(before))
		if p.provider.last.CompareAndSwap(before, p.memories[slot]) {
			return before, slot
		}
	}
}

// settle moves the rotation from first, to which the request had advanced it, to the
// key that was picked, unless another request has moved it meanwhile.
func (p *Pool) settle(first, picked int) {
	if picked != first {
		p.provider.last.CompareAndSwap(p.memories[first], p.memories[picked])
	}
	p.own.Store(int64(picked))
}

// slotOf returns the slot of the key last used, going by this pool's own if that
// key is not in it.
func (p *Pool) slotOf(last *memory) int {
	if last != nil {
		if slot, ok := p.slots[last.id]; ok {
			return slot
		}
	}
	return int(p.own.Load())
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
