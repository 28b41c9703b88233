package keys

// refHealth is what breakers promise, said as plainly as refRest says it of rests:
// it keeps every attempt instead of counters.
type refHealth struct {
	attempts            [][3]int64 // since it last opened: part of the window, attempts, faults
	epoch, part, latest int64
	inRow, inFlight     int
	good                *refUse // the last success
	opened              int64   // last
	open                refRest // while the breaker is not closed
}

// count counts attempts and faults, and tells whether the window has too many.
func (h *refHealth) count(now, attempts, faults int64, b *Breaker) bool {
	part := int64(b.Window / 10)
	if part == 0 {
		return false
	}
	if h.part != part {
		h.attempts, h.epoch, h.part, h.latest = nil, now, part, 0
	}
	h.latest = max(h.latest, (now-h.epoch)/part)
	h.attempts = append(h.attempts, [3]int64{h.latest, attempts, faults})
	attempts, faults = 0, 0
	for _, a := range h.attempts {
		if a[0] > h.latest-10 {
			attempts, faults = attempts+a[1], faults+a[2]
		}
	}
	return b.Ratio > 0 && attempts >= int64(b.Requests) && float64(faults) >= b.Ratio*float64(attempts)
}

func (h *refHealth) enter(now int64, b *Breaker, force bool) (u *refUse, ok, probe bool) {
	u = &refUse{began: now, rests: []*refRest{&h.open}}
	if !b.acts() {
		u.rests = nil
	}
	if ok, probe = u.begin(force); ok {
		h.inFlight++
	}
	return u, ok, probe
}

func (h *refHealth) succeed(u *refUse, now int64, b *Breaker) (closed bool) {
	if h.open.giveBack(u); h.opened >= u.began {
		return false
	}
	u.ended, h.inRow, h.good = h.inRow, 0, u
	closed = len(h.open.failures) > 0
	h.open = refRest{lasts: true, probed: refNever}
	if b.acts() {
		h.count(now, 1, 0, b)
	}
	return closed
}

func (h *refHealth) fault(u *refUse, now, asked, attempts int64, b *Breaker) (opened int64) {
	probe := h.open.probe == u
	if h.opened >= u.began {
		h.open.giveBack(u)
		return 0
	}
	if h.good == u {
		h.inRow = max(h.inRow, u.ended)
	}
	if h.inRow++; !b.acts() {
		h.open.giveBack(u)
		return 0
	}
	trips := h.count(now, attempts, 1, b) || b.Failures > 0 && h.inRow >= b.Failures
	before, _, _, _ := h.open.sum()
	if len(h.open.failures) == 0 && trips {
		asked = max(asked, int64(b.Open))
	}
	if asked <= 0 && !probe {
		return 0
	}
	h.open.fail(u, refFailure{set: now, length: asked}, int64(max(b.Open, b.MaxOpen)))
	h.attempts, h.part, h.opened = nil, 0, max(h.opened, now)
	if after, _, _, _ := h.open.sum(); now >= before {
		return max(after-now, 0)
	}
	return 0
}
