package keys

import "slices"

// The reference says what picking promises as plainly as possible: it keeps every
// failure instead of one deadline and knows probes by themselves instead of by
// number. Times are nanoseconds after t0.

const refSecond, refNever = int64(1e9), int64(-1 << 61)

type refFailure struct {
	set, length int64
	why         Reason
	request     int // 0: nobody's
}

// refRest is a rest, or an open breaker; that lasts until it is closed.
type refRest struct {
	failures []refFailure // since it last worked, as they were reported
	probe    *refUse
	probed   int64
	lasts    bool
}

// refUse is a lease (of a key for a model, a key and a provider, by Scope) or a visit.
type refUse struct {
	ended   int // the failures in a row that its success ended
	began   int64
	request int
	rests   []*refRest
}

// sum tells of the failures until when they rest it and why, which request alone
// had part in them since it was last over, and the longest.
func (r *refRest) sum() (until int64, why Reason, owner int, longest int64) {
	until = refNever
	for _, f := range r.failures {
		if f.set >= until {
			owner = f.request
		} else if f.request != owner {
			owner = 0
		}
		if f.set+f.length > until {
			until, why = f.set+f.length, f.why
		}
		longest = max(longest, f.length)
	}
	return until, why, owner, longest
}

// at tells for how long all are held off and why, and whether there is any rest.
func (r *refRest) at(now int64) (wait int64, why Reason, exists bool) {
	until, why, _, _ := r.sum()
	switch {
	case len(r.failures) == 0 || !r.lasts && now >= max(until, r.probed)+3600*refSecond:
		return 0, "", false
	case now < until:
		return until - now, why, true
	case r.probe != nil && now < r.probed+15*refSecond:
		return refSecond, why, true
	}
	return 0, "", true
}

// fail adds a failure; that of the probe is at least twice the longest, up to most.
func (r *refRest) fail(use *refUse, f refFailure, most int64) {
	if _, _, exists := r.at(f.set); !exists {
		*r = refRest{lasts: r.lasts, probed: refNever}
	}
	if _, _, _, longest := r.sum(); r.probe == use {
		r.probe, f.length = nil, max(f.length, min(2*longest, most))
	}
	r.failures = append(r.failures, f)
}

func (r *refRest) giveBack(use *refUse) {
	if r.probe == use {
		r.probe = nil
	}
}

func (r *refRest) succeed(use *refUse, now int64) (recovered bool) {
	r.giveBack(use)
	if slices.ContainsFunc(r.failures, func(f refFailure) bool { return f.set >= use.began }) {
		return false
	}
	until, _, _, _ := r.sum()
	_, _, exists := r.at(now)
	*r = refRest{lasts: r.lasts, probed: refNever}
	return exists && now >= until
}

// begin begins a use that nothing holds off, as the probe of all that is over.
func (u *refUse) begin(force bool) (ok, probe bool) {
	for scope, r := range u.rests {
		_, _, owner, _ := r.sum()
		own := u.request != 0 && owner == u.request && scope != int(ScopeProvider)
		if wait, _, _ := r.at(u.began); wait > 0 && !own && !force {
			return false, false
		}
	}
	for _, r := range u.rests {
		if wait, _, exists := r.at(u.began); exists && wait == 0 {
			r.probe, r.probed, probe = u, u.began, true
		}
	}
	return true, probe
}

type refProvider struct {
	last  string
	rests map[string]*refRest // of "", "key", "key model"
}

func (p *refProvider) use(now int64, source, model string, request int) *refUse {
	u := &refUse{began: now, request: request}
	for _, name := range []string{source + " " + model, source, ""} {
		if p.rests[name] == nil {
			p.rests[name] = &refRest{probed: refNever}
		}
		u.rests = append(u.rests, p.rests[name])
	}
	return u
}

// pick goes over sources, of which the pool's own last counts if the provider's is
// not among them.
func (p *refProvider) pick(sources []string, own *int, now int64, model, prefer string, request int, skip map[string]bool) (*refUse, int, bool) {
	last := slices.Index(sources, p.last)
	if last < 0 {
		last = *own
	}
	for i := range len(sources) + 1 {
		slot := (last + i) % len(sources)
		if i == 0 {
			slot = slices.Index(sources, prefer)
		}
		if slot < 0 || skip[sources[slot]] {
			continue
		}
		u := p.use(now, sources[slot], model, request)
		if ok, probe := u.begin(false); ok {
			if i > 0 {
				p.last, *own = sources[slot], slot
			}
			return u, slot, probe
		}
	}
	return nil, -1, false
}
