package routing

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// walk is one request's way through a plan.
type walk struct {
	router       *Router
	request      *Request
	plan         *plan
	ends         time.Time
	conversation conversation

	mu       sync.Mutex // guards what a hedge may split
	queue    []*Candidate
	at       int   // the next in the queue
	fellBack Class // why larger or more lenient models have been queued

	made       *atomic.Int32 // upstream calls, of the hedge too
	attempts   []Attempt
	since      int          // the first attempt since the request last waited
	turn       turn         // of the candidate that is being asked
	passed     []*Candidate // passed over for their breaker
	lastResort bool         // it is their turn now
	refused    bool         // the retry budget was used up

	told     *failure // the failure that the client hears of, should none answer
	mistaken bool     // what the client wrote is what was refused
	skipped  []Skip   // candidates that were passed over, and why
	rests    rest     // of the first key that will be back

	calls    atomic.Int32
	arranged [8]*Candidate // room for a queue of this request's own
}

// rest is until when, and why, keys cannot be used.
type rest struct {
	until   time.Time
	limited bool // by nothing but limits, all of them
}

// Do finds an upstream that answers. Exactly one of the results is not nil.
//
// Order: the routes of the model as its policy has them, keys rotating within
// each, then those of its fallback models, depth first. Nothing of an attempt
// reaches the client until it has shown content or a complete good body; after
// that there is no other attempt.
func (r *Router) Do(ctx context.Context, q *Request) (*Answer, *Failure) {
	model, known := r.catalog.Resolve(q.Model)
	if !known {
		return nil, UnknownModel(q.Model)
	}
	p := r.plans[model]
	now := time.Now()
	w := &walk{router: r, request: q, plan: p, ends: now.Add(p.total)}
	w.made = &w.calls
	w.conversation = r.conversationOf(q, now)
	r.retries.Request()
	for waited := time.Duration(0); ; {
		w.enqueue(p.order(w.arranged[:0], w.conversation, q, now))
		answer := w.hedged(ctx)
		if answer != nil {
			answer.Logical, answer.Paused = p.model.LogicalName, waited
			return answer, nil
		}
		now = time.Now()
		d, worth := w.worthWaiting(now, r.wait-waited)
		if !worth || !pause(ctx, d) {
			if ctx.Err() != nil {
				w.hear(cancelled(context.Cause(ctx)))
			}
			if w.refused {
				r.notify(Notice{Kind: RetryRefused})
			}
			failure := w.failure(now)
			failure.Logical = p.model.LogicalName
			return nil, failure
		}
		waited += d
		now = time.Now()
		w.forget()
	}
}

// run tries the queued candidates until one answers or there is no point in
// going on.
func (w *walk) run(ctx context.Context) *Answer {
	answer, stop := w.round(ctx)
	if answer != nil || stop || len(w.passed) == 0 {
		return answer
	}
	// What was passed over because it seemed ill may well be back: a provider
	// that might answer is better than none.
	w.lastResort = true
	w.leastIllFirst(w.passed)
	w.enqueue(w.passed)
	answer, _ = w.round(ctx)
	return answer
}

// leastIllFirst orders the routes of each model by how often they have failed
// lately: what is left of the retry budget goes where it may help. One success
// there closes the breaker, and then others need none of it.
func (w *walk) leastIllFirst(candidates []*Candidate) {
	failures := func(c *Candidate) int { return c.healthOf(c.upstreamModel(w.request)).Failures() }
	for len(candidates) > 0 {
		n := 1
		for n < len(candidates) && candidates[n].via == candidates[0].via {
			n++
		}
		slices.SortStableFunc(candidates[:n], func(a, b *Candidate) int { return cmp.Compare(failures(a), failures(b)) })
		candidates = candidates[n:]
	}
}

func (w *walk) round(ctx context.Context) (answer *Answer, stop bool) {
	for {
		c, last := w.next()
		if c == nil {
			return nil, false
		}
		if answer, stop := w.try(ctx, c, last); answer != nil || stop {
			return answer, stop
		}
	}
}

// next takes a candidate from the queue; last says that no other is left there.
func (w *walk) next() (c *Candidate, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.at < len(w.queue) {
		c := w.queue[w.at]
		w.at++
		if !slices.ContainsFunc(w.attempts[w.since:], func(a Attempt) bool { return a.candidate.route == c.route }) {
			return c, w.at == len(w.queue)
		}
	}
	return nil, true
}

// enqueue makes these the candidates to ask next, instead of what is queued.
func (w *walk) enqueue(candidates []*Candidate) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue, w.at = candidates, 0
}

// exhausted reports whether the request has caused as many calls as it may.
func (w *walk) exhausted() bool { return int(w.made.Load()) >= w.router.maxAttempts }

// try asks one candidate, key after key. stop means that no other candidate
// would do better.
func (w *walk) try(ctx context.Context, c *Candidate, last bool) (answer *Answer, stop bool) {
	model := c.upstreamModel(w.request)
	if !c.serves(w.request) {
		w.skip(c, model, SkippedEndpoint, nil)
		return nil, false
	}
	if c.pool.Len() == 0 {
		w.skip(c, model, SkippedKeyless, nil)
		return nil, false
	}
	if slices.ContainsFunc(w.skipped, func(s Skip) bool { return s.candidate == c && s.failure != nil }) {
		return nil, false // it would be again
	}
	t := &w.turn
	*t = turn{walk: w, candidate: c, model: model, health: c.healthOf(model), last: last}
	defer t.letGo()
	for !w.exhausted() {
		now := time.Now()
		lease, ok := c.pool.Pick(now, model, &t.tried, w.conversation.keyAt(c))
		if !ok && t.cycle+1 < w.router.keyCycles && t.tried.NextCycle() {
			t.cycle++
			continue
		}
		if !ok {
			w.note(c, model)
			return nil, false
		}
		answer, next := t.ask(ctx, &lease, now)
		switch next {
		case nextRoute:
			w.note(c, model) // a rule may have put all of them to rest
			return nil, false
		case stopHere:
			return answer, answer == nil
		}
	}
	w.note(c, model)
	return nil, true
}

// note remembers when a candidate that has no usable key has one again.
func (w *walk) note(c *Candidate, model string) {
	at, why, limited, ok := c.pool.Soonest(time.Now(), model)
	if !ok || why == "" {
		return
	}
	if len(w.attempts) == w.since || w.attempts[len(w.attempts)-1].candidate != c {
		w.skip(c, model, SkippedResting, nil)
	}
	w.rests = w.rests.and(rest{at, limited})
}

// and is what is left when neither of two kinds of keys can be used.
func (r rest) and(other rest) rest {
	switch {
	case other.until.IsZero():
		return r
	case r.until.IsZero():
		return other
	case other.until.Before(r.until):
		r.until = other.until
	}
	r.limited = r.limited && other.limited
	return r
}

// hear keeps the failure that tells the client most: its own mistake before
// anything else, then what the last provider said. One that merely did not know
// the model, or that has a bad key, is told only when there is nothing else.
func (w *walk) hear(f *failure) {
	if w.told == nil || f.class.weight() >= w.told.class.weight() {
		w.told = f
	}
}

func (c Class) weight() int {
	switch c {
	case ClientGone:
		return 6
	case InvalidRequest, ContextTooLong, ContentPolicy:
		return 5
	case Broken:
		return 4
	case RateLimited:
		return 3
	case KeyDead:
		return 2
	case Superseded:
		return 0
	}
	return 1
}

// worthWaiting tells for how long the request should wait before it tries again,
// if it may wait for at most that long: when nothing stands in its way but keys
// that will soon be back.
func (w *walk) worthWaiting(now time.Time, most time.Duration) (d time.Duration, worth bool) {
	if most <= 0 || w.rests.until.IsZero() || w.exhausted() {
		return 0, false
	}
	if w.told != nil && w.told.class != RateLimited && w.told.class != KeyDead && w.told.class != ModelUnknown {
		return 0, false
	}
	d = w.rests.until.Sub(now)
	if d > most || now.Add(d).After(w.ends) {
		return 0, false
	}
	return max(d, time.Millisecond), true
}

// forget begins anew after a wait.
func (w *walk) forget() {
	w.since, w.passed, w.lastResort = len(w.attempts), nil, false
	w.rests, w.told, w.fellBack, w.skipped, w.refused = rest{}, nil, "", nil, false
}

// pause waits, unless the client leaves first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
