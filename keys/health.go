package keys

import (
	"strings"
	"sync"
	"time"
)

// Health is how one model of a provider does, whichever key it is asked with: its
// breaker, how fast it answers and how much it is asked at the moment. All
// configurations of a [State] share it. It is safe for concurrent use.
//
// Faults of an upstream count here and never rest a key, so a fault that passes
// costs nobody the last key.
type Health struct {
	state *State
	model string
	named bool // by the operator; guarded by the provider's mu

	mu       sync.Mutex
	inFlight int
	failures int    // in a row
	goods    uint64 // successes ever, of which the last one ended such a row
	recent   window // since the breaker last opened, for its ratio
	used     time.Time

	streams latency // to the first content
	answers latency // to the end of whole answers, which come when the model is done

	open   bool          // or half-open, once until has passed
	opened time.Time     // when it last opened; stays when it closes
	until  time.Time     // when it may be probed; zero if it is closed
	length time.Duration // the longest that it opened for since it was closed

	visits uint64 // the number of the last probe
	probe  uint64 // the visit that probes the half-open breaker; 0 if none does
	probed time.Time
}

// overflowModel is the name under which models share one record when there are
// more than maxModels.
const overflowModel = "*"

// Health returns how the provider's model (as it calls it) does. At most 256
// models are told apart, beside those of [Pool.NamedHealth]; those beyond share one
// record. A model that nobody used for an hour makes room.
func (p *Pool) Health(model string) *Health {
	p.provider.mu.Lock()
	defer p.provider.mu.Unlock()
	return p.provider.healthOf(model)
}

// NamedHealth is Health for a model that the operator has named, so that no client
// made its name up. It has a record of its own, however many there are, and keeps
// it as long as the provider has a pool.
func (p *Pool) NamedHealth(model string) *Health {
	shared := p.provider
	shared.mu.Lock()
	defer shared.mu.Unlock()
	h := shared.health[model]
	if h == nil {
		h = shared.newHealth(model)
	}
	if !h.named {
		h.named = true
		shared.named++
	}
	return h
}

// healthOf is Health. p.mu must be held.
func (p *provider) healthOf(model string) *Health {
	if h := p.health[model]; h != nil {
		return h
	}
	if len(p.health)-p.named >= maxModels {
		p.forgetModels()
	}
	if len(p.health)-p.named >= maxModels {
		model = overflowModel // has a place of its own beyond the others
	}
	if h := p.health[model]; h != nil {
		return h
	}
	return p.newHealth(model)
}

// newHealth adds a model. p.mu must be held.
func (p *provider) newHealth(model string) *Health {
	h := &Health{state: p.state, model: strings.Clone(model)}
	p.health[h.model] = h
	return h
}

// forgetModels drops the models that were used for the last time an hour before the
// one used last. p.mu must be held.
func (p *provider) forgetModels() {
	var latest time.Time
	for _, h := range p.health {
		if used, _ := h.lastUse(); used.After(latest) {
			latest = used
		}
	}
	for name, h := range p.health {
		if used, idle := h.lastUse(); idle && !h.named && latest.Sub(used) >= forgottenAfter {
			delete(p.health, name)
		}
	}
}

// lastUse tells when somebody last asked the model, and whether nobody does now. An
// open breaker counts as asked until it ends.
func (h *Health) lastUse() (used time.Time, idle bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open && h.until.After(h.used) {
		return h.until, h.inFlight == 0
	}
	return h.used, h.inFlight == 0
}

// Visit is one attempt at a model. [Visit.Leave] ends it; before that, Succeed or
// Fail says how it went, if anybody knows, and Late what came after a success. Each
// counts once. It belongs to one attempt, is not safe for concurrent use, and is
// not to be copied once in use.
type Visit struct {
	// Probe says that the outcome decides about a half-open breaker.
	Probe bool

	// Whole is for the caller to set before Succeed: the answer is not streamed,
	// so that the time it took says little about when a stream would begin.
	Whole bool

	health  *Health // nil once it has left
	breaker *Breaker
	began   time.Time
	number  uint64 // of the probe; 0 if it is none
	stage   stage

	// What its success ended: so many failures in a row, and which of all
	// successes it was.
	ended int
	good  uint64
}

// stage is what is known about a visit.
type stage int

const (
	undecided stage = iota
	succeeded
	failed
)

// Enter begins an attempt. It is false if the breaker is open, or half-open while
// somebody else probes it (for up to 15 seconds), unless force says that there is
// nobody else to ask. A breaker that never opens (nil, say) holds back nobody, even
// if that of an earlier configuration has opened.
func (h *Health) Enter(now time.Time, b *Breaker, force bool) (Visit, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v := Visit{health: h, breaker: b, began: now}
	if h.open && b.acts() {
		switch {
		case !now.Before(h.until) && !h.probing(now):
			h.visits++
			h.probe, h.probed = h.visits, now
			v.Probe, v.number = true, h.visits
		case !force:
			return Visit{}, false
		}
	}
	h.inFlight++
	if now.After(h.used) {
		h.used = now
	}
	return v, true
}

func (h *Health) probing(now time.Time) bool {
	return h.probe != 0 && now.Before(h.probed.Add(probePatience))
}

// Succeed says that the model has begun to answer. It takes the time since Enter
// for the latency, and closes the breaker if the visit began after that opened.
// closed tells that it did.
func (v *Visit) Succeed(now time.Time) (closed bool) {
	h := v.health
	if h == nil || v.stage != undecided {
		return false
	}
	v.stage = succeeded
	h.mu.Lock()
	defer h.mu.Unlock()
	h.release(v)
	if v.Whole {
		h.answers.add(now, now.Sub(v.began))
	} else {
		h.streams.add(now, now.Sub(v.began))
	}
	if h.outdated(v) {
		return false
	}
	h.goods++
	v.ended, v.good = h.failures, h.goods
	h.failures = 0
	if h.open {
		h.shut()
		closed = true
	}
	if v.breaker.acts() {
		h.recent.add(now, v.breaker.Window, 1, 0)
	}
	return closed
}

// Fail says that the model could not be reached or failed. asked is for how long it
// asked to be left alone, if it did. If that opens the breaker, opened is for how
// long, else 0.
//
// What began before the breaker last opened has been accounted for by that: it
// neither prolongs nor reopens it. Of the rest, only a probe decides about a
// breaker that is not closed, unless the upstream itself asks for more time.
func (v *Visit) Fail(now time.Time, asked time.Duration) (opened time.Duration) {
	if v.health == nil || v.stage != undecided {
		return 0
	}
	v.stage = failed
	return v.health.fault(v, now, asked, 1)
}

// Late says that the model broke off after it had begun to answer. It counts as
// Fail does, and takes the success back: in the breaker's ratio and, if no other
// came after it, in the row of failures that it had ended. A model that begins
// every answer and finishes none is ill.
func (v *Visit) Late(now time.Time) (opened time.Duration) {
	if v.health == nil || v.stage != succeeded {
		return 0
	}
	v.stage = failed
	return v.health.fault(v, now, 0, 0)
}

// Leave ends the visit. A probe without a result is given back.
func (v *Visit) Leave() {
	h := v.health
	if h == nil {
		return
	}
	v.health = nil
	h.mu.Lock()
	defer h.mu.Unlock()
	h.release(v)
	h.inFlight--
}

// release ends the visit's probe, if it still is the one, and tells whether it was.
// h.mu must be held.
func (h *Health) release(v *Visit) bool {
	if v.number == 0 || h.probe != v.number {
		return false
	}
	h.probe = 0
	return true
}

// outdated tells whether the visit began before the breaker last opened, so that it
// says nothing new. h.mu must be held.
func (h *Health) outdated(v *Visit) bool { return !h.opened.IsZero() && !h.opened.Before(v.began) }

// fault counts a fault of so many attempts.
func (h *Health) fault(v *Visit, now time.Time, asked time.Duration, attempts int) (opened time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	probe, b := h.release(v), v.breaker
	if h.outdated(v) {
		return 0
	}
	if v.good != 0 && v.good == h.goods {
		h.failures = max(h.failures, v.ended)
	}
	h.failures++
	if !b.acts() {
		return 0
	}
	h.recent.add(now, b.Window, attempts, 1)
	d := asked
	switch {
	case h.open && probe:
		d = max(asked, b.again(h.length))
	case !h.open:
		if inWindow, faults := h.recent.sum(); b.trips(h.failures, inWindow, faults) {
			d = max(asked, b.Open)
		}
	}
	if d <= 0 {
		return 0
	}
	longer := h.open && now.Before(h.until)
	h.trip(now, d)
	if longer {
		return 0 // it was open anyway
	}
	return max(h.until.Sub(now), 0)
}

// trip opens the breaker for d, or keeps it open for that long. h.mu must be held.
func (h *Health) trip(now time.Time, d time.Duration) {
	h.open = true
	h.recent = window{}
	if now.After(h.opened) {
		h.opened = now
	}
	if until := now.Add(d); until.After(h.until) {
		h.until = until
	}
	h.length = max(h.length, d)
	h.state.changed.Add(1)
}

// shut closes the breaker. h.mu must be held.
func (h *Health) shut() {
	h.open, h.until, h.length, h.probe = false, time.Time{}, 0, 0
	h.state.changed.Add(1)
}

// reset closes the breaker and forgets what might open it.
func (h *Health) reset() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.shut()
	h.failures, h.recent = 0, window{}
	h.goods++ // what ended before is forgotten with it
}

// InFlight is how many visits have entered and not left.
func (h *Health) InFlight() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.inFlight
}

// Failures is how many attempts have failed since the last success.
func (h *Health) Failures() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failures
}

// State tells what the breaker does at now, and until when if it is open.
func (h *Health) State(now time.Time) (state BreakerState, until time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.breakerState(now)
}

// breakerState is State. h.mu must be held.
func (h *Health) breakerState(now time.Time) (state BreakerState, until time.Time) {
	switch {
	case !h.open:
		return BreakerClosed, time.Time{}
	case now.Before(h.until):
		return BreakerOpen, h.until
	}
	return BreakerHalfOpen, time.Time{}
}

// status tells about the model, ok is false if it was never asked.
func (h *Health) status(now time.Time) (status ModelStatus, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	status = ModelStatus{
		Model:     h.model,
		Failures:  h.failures,
		InFlight:  h.inFlight,
		LatencyMS: time.Duration(h.known().ns).Milliseconds(),
	}
	state, until := h.breakerState(now)
	if status.Breaker = state; state == BreakerOpen {
		status.Until = &until
	}
	return status, h.open || !h.used.IsZero()
}
