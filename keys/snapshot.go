package keys

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
)

// stateSave is a State as it is written down. Times are wall-clock times, because
// nothing else survives a restart.
type stateSave struct {
	Version   int                      `json:"version"`
	Providers map[string]*providerSave `json:"providers"`
}

const saveVersion = 1

type providerSave struct {
	Rest     *restSave               `json:"rest,omitempty"`
	Keys     map[string]*keySave     `json:"keys,omitempty"`     // by ID
	Breakers map[string]*breakerSave `json:"breakers,omitempty"` // by upstream model
}

type keySave struct {
	Rest   *restSave            `json:"rest,omitempty"`
	Models map[string]*restSave `json:"models,omitempty"` // by upstream model
}

type restSave struct {
	Until    time.Time `json:"until"`
	Set      time.Time `json:"set"`
	LengthMS int64     `json:"length_ms"`
	Why      Reason    `json:"why"`
}

type breakerSave struct {
	Until    time.Time `json:"until"`
	Opened   time.Time `json:"opened"`
	LengthMS int64     `json:"length_ms"`
	Failures int       `json:"failures"`
}

// Snapshot returns what [State.Restore] needs to know all rests and open breakers
// again in another process. It holds no secret.
func (s *State) Snapshot(now time.Time) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	saved := stateSave{Version: saveVersion, Providers: make(map[string]*providerSave)}
	for name, waiting := range s.waiting {
		one := newProviderSave()
		if waiting.save(one, now); one.empty() {
			delete(s.waiting, name)
			continue
		}
		saved.Providers[name] = one
	}
	for name, shared := range s.providers {
		one := saved.Providers[name]
		if one == nil {
			one = newProviderSave()
		}
		if shared.save(one, now); !one.empty() {
			saved.Providers[name] = one
		}
	}
	data, err := json.Marshal(saved)
	if err != nil {
		return nil, fmt.Errorf("writing the state of keys: %w", err)
	}
	return data, nil
}

func newProviderSave() *providerSave {
	return &providerSave{Keys: make(map[string]*keySave), Breakers: make(map[string]*breakerSave)}
}

func (one *providerSave) empty() bool {
	return one.Rest == nil && len(one.Keys) == 0 && len(one.Breakers) == 0
}

// save adds what is known about the provider to one. State.mu must be held.
func (p *provider) save(one *providerSave, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one.Rest = p.rest.save(now)
	for id, m := range p.memories {
		key := &keySave{Rest: m.whole.save(now)}
		for model, r := range m.models {
			if save := r.save(now); save != nil {
				if key.Models == nil {
					key.Models = make(map[string]*restSave)
				}
				key.Models[model] = save
			}
		}
		if key.Rest != nil || key.Models != nil {
			one.Keys[id] = key
		}
	}
	for model, h := range p.health {
		if save := h.save(now); save != nil {
			one.Breakers[model] = save
		}
	}
}

// save is nil for a rest that is over for so long that it would be gone if nobody
// had used it.
func (r *rest) save(now time.Time) *restSave {
	if !now.Before(r.until.Add(forgottenAfter)) {
		return nil
	}
	return &restSave{Until: wallTime(r.until, now), Set: wallTime(r.set, now), LengthMS: wholeMS(r.length), Why: r.why}
}

// save is nil for a breaker that is closed.
func (h *Health) save(now time.Time) *breakerSave {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.open {
		return nil
	}
	return &breakerSave{Until: wallTime(h.until, now), Opened: wallTime(h.opened, now), LengthMS: wholeMS(h.length), Failures: h.failures}
}

// wallTime is what the clock will show, going by what it shows now, at t.
func wallTime(t, now time.Time) time.Time { return now.Round(0).Add(t.Sub(now)).UTC() }

// wholeMS is d in milliseconds, rounded up so that nothing becomes nothing.
func wholeMS(d time.Duration) int64 {
	ms := d.Milliseconds()
	if time.Duration(ms)*time.Millisecond < d {
		ms++
	}
	return ms
}

// Restore adds the rests and open breakers of a snapshot to the state; what runs
// already is prolonged, never shortened. They wait until there is a [Pool] of that
// provider and key. Data that is no snapshot is an error and changes nothing.
//
// A rest ends no later than its own length from now, whatever the clock showed when
// it was written down.
func (s *State) Restore(data []byte, now time.Time) error {
	saved, err := readSave(data)
	if err != nil {
		return fmt.Errorf("reading the state of keys: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, one := range saved.Providers {
		if s.waiting[name] == nil {
			s.waiting[name] = s.newProvider()
		}
		s.waiting[name].restore(one, now)
		if shared := s.providers[name]; shared != nil {
			s.adopt(name, shared)
		}
	}
	s.changed.Add(1)
	return nil
}

func readSave(data []byte) (*stateSave, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	saved := new(stateSave)
	if err := decoder.Decode(saved); err != nil {
		return nil, err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after its end")
	}
	if saved.Version != saveVersion {
		return nil, fmt.Errorf("version is %d, want %d", saved.Version, saveVersion)
	}
	for name, one := range saved.Providers {
		if one == nil || !one.valid() {
			return nil, fmt.Errorf("provider %q: not what was written", name)
		}
	}
	return saved, nil
}

func (one *providerSave) valid() bool {
	ok := one.Rest == nil || one.Rest.valid()
	for id, key := range one.Keys {
		ok = ok && id != "" && key != nil && (key.Rest == nil || key.Rest.valid())
		if !ok {
			return false
		}
		for model, r := range key.Models {
			ok = ok && model != "" && r != nil && r.valid()
		}
	}
	for _, b := range one.Breakers {
		ok = ok && b != nil && validTimes(b.Until, b.Opened, b.LengthMS) && b.Failures >= 0
	}
	return ok
}

func (r *restSave) valid() bool {
	switch r.Why {
	case ReasonRateLimited, ReasonDead, ReasonOverloaded, ReasonBroken, ReasonLimit:
		return validTimes(r.Until, r.Set, r.LengthMS)
	}
	return false
}

// validTimes tells whether that can be a deadline, when it was set and how long it
// was.
func validTimes(until, set time.Time, lengthMS int64) bool {
	return !until.IsZero() && !set.IsZero() && lengthMS > 0 && lengthMS <= int64(math.MaxInt64/time.Millisecond)
}

// restore adds what was saved to a provider that waits. State.mu must be held.
func (p *provider) restore(one *providerSave, now time.Time) {
	if one.Rest != nil {
		p.rest.merge(one.Rest.rest(now))
	}
	for id, key := range one.Keys {
		m := p.memories[id]
		if m == nil {
			m = &memory{id: id}
			p.memories[id] = m
		}
		if key.Rest != nil {
			m.whole.merge(key.Rest.rest(now))
		}
		for model, r := range key.Models {
			m.restFor(model, now).merge(r.rest(now))
		}
	}
	for model, b := range one.Breakers {
		until, opened, length := restoredTimes(b.Until, b.Opened, b.LengthMS, now)
		p.healthOf(model).reopen(until, opened, length, b.Failures)
	}
}

func (r *restSave) rest(now time.Time) rest {
	until, set, length := restoredTimes(r.Until, r.Set, r.LengthMS, now)
	return rest{until: until, set: set, length: length, why: r.Why}
}

// restoredTimes turns times of the wall clock into such as now is, on which no jump
// of the clock has an effect. A clock that was set back since may not make a rest
// longer than it was, nor have it begin in what is now the future, where no success
// could disprove it.
func restoredTimes(until, set time.Time, lengthMS int64, now time.Time) (time.Time, time.Time, time.Duration) {
	length := time.Duration(lengthMS) * time.Millisecond
	return now.Add(min(until.Sub(now), length)), now.Add(min(set.Sub(now), 0)), length
}

// adopt passes on what waits for the provider and for those keys that it has.
// State.mu must be held.
func (s *State) adopt(name string, shared *provider) {
	waiting := s.waiting[name]
	if waiting == nil {
		return
	}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	shared.rest.merge(waiting.rest)
	waiting.rest = rest{}
	for id, m := range waiting.memories {
		live := shared.memories[id]
		if live == nil {
			continue
		}
		live.whole.merge(m.whole)
		for model, r := range m.models {
			live.restFor(model, r.set).merge(*r)
		}
		delete(waiting.memories, id)
	}
	for model, h := range waiting.health {
		shared.healthOf(model).reopen(h.until, h.opened, h.length, h.failures)
	}
	clear(waiting.health)
	if len(waiting.memories) == 0 {
		delete(s.waiting, name)
	}
}

// reopen opens the breaker as it was before.
func (h *Health) reopen(until, opened time.Time, length time.Duration, failures int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.open = true
	if until.After(h.until) {
		h.until = until
	}
	if opened.After(h.opened) {
		h.opened = opened
	}
	h.length = max(h.length, length)
	h.failures = max(h.failures, failures, 1)
}
