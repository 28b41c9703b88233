package keys

import "time"

// Lease is one use of a key. Exactly one of Succeed, Fail, Return and Cancel ends it;
// calls after that do nothing. It belongs to one attempt of a request, is not safe for
// concurrent use, and is not to be copied once in use, since a copy does not know
// that the other has ended.
type Lease struct {
	Key *Key

	// Probe says that others wait for the outcome: a rest is over, and this use
	// finds out whether the key works again.
	Probe bool

	pool   *Pool // nil once the lease has ended
	memory *memory
	model  string
	tried  *Tried
	began  time.Time
	number uint64 // of the probe; 0 if it is none
}

// end returns the provider, locked, for the one call that ends the lease, and nil
// for all others.
func (l *Lease) end() *provider {
	if l.pool == nil {
		return nil
	}
	shared := l.pool.provider
	l.pool = nil
	shared.mu.Lock()
	return shared
}

// Succeed says that the upstream answered. That ends all rests of the key, of the
// key for the model, and of the provider, that were set before the lease began;
// what failed later is not disproved by a late answer. recovered tells that one of
// them was over and waited for just this.
func (l *Lease) Succeed(now time.Time) (recovered bool) {
	shared := l.end()
	if shared == nil {
		return false
	}
	defer shared.mu.Unlock()
	ended, recovered := shared.rest.succeed(l.began, now, l.number)
	m := l.memory
	if whole, halfOpen := m.whole.succeed(l.began, now, l.number); whole {
		ended, recovered = true, recovered || halfOpen
	}
	if one, halfOpen := m.models[l.model].succeed(l.began, now, l.number); one {
		delete(m.models, l.model)
		ended, recovered = true, recovered || halfOpen
	}
	if ended {
		shared.state.changed.Add(1)
	}
	return recovered
}

// Fail rests what scope names from now on for d, and returns for how long it rests
// now: longer than d if it rests for longer anyway, or if the lease was the probe
// of that rest. Then d is at least twice the rest before, up to 15 minutes or d,
// whichever is longer. A rest is never shortened.
//
// A d of 0 or below rests nothing and gives the probe back. ScopeKeyModel for the
// model "" is ScopeKey.
//
// The request itself may use the key in its next cycle in spite of this rest, as
// long as no other request set one too and scope is not ScopeProvider; but not if
// why is [ReasonDead], not even with a d of 0.
func (l *Lease) Fail(now time.Time, scope Scope, d time.Duration, why Reason) (rested time.Duration) {
	shared := l.end()
	if shared == nil {
		return 0
	}
	defer shared.mu.Unlock()
	if why == ReasonDead {
		l.tried.bury(l.memory.number)
	}
	if d <= 0 {
		l.giveBack(shared)
		return 0
	}
	request := l.tried.sign(shared.state)
	var r *rest
	switch {
	case scope == ScopeProvider:
		r = &shared.rest
	case scope == ScopeKey || l.model == "":
		r = &l.memory.whole
	default:
		r = l.memory.restFor(l.model, now)
	}
	r.fail(now, d, why, request, l.number)
	l.giveBack(shared) // of what else it probed this says nothing
	shared.state.changed.Add(1)
	return max(r.until.Sub(now), 0)
}

// Return says that nothing came out about the key: the client left, the fault was
// our own or the upstream's. If the lease was a probe, the next use is one.
func (l *Lease) Return() {
	if shared := l.end(); shared != nil {
		defer shared.mu.Unlock()
		l.giveBack(shared)
	}
}

// Cancel says that the key has not been used after all: it is Return, and the use
// does not count in the key's requests per minute.
func (l *Lease) Cancel() {
	pool := l.pool
	if shared := l.end(); shared != nil {
		defer shared.mu.Unlock()
		l.giveBack(shared)
		if pool.limits.RequestsPerMinute > 0 {
			l.memory.requests.putBack(pool.limits.RequestsPerMinute)
		}
	}
}

// giveBack ends what the lease probes without a result.
func (l *Lease) giveBack(shared *provider) {
	shared.rest.giveBack(l.number)
	l.memory.whole.giveBack(l.number)
	l.memory.models[l.model].giveBack(l.number)
}
