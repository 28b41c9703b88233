package routing

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// walk is one request's way through a plan.
type walk struct {
	router   *Router
	request  *Request
	plan     *plan
	ends     time.Time
	queue    []*Candidate
	at       int // the next in the queue
	attempts []Attempt
	turn     turn // of the candidate that is being asked

	told     *failure // the failure that the client hears of, should none answer
	fellBack Class    // why larger or more lenient models have been queued
	skipped  []Skip   // candidates that the request cannot be sent to
	keyless  []string // providers that were skipped for want of any key
	mute     bool     // a candidate was skipped that does not have the endpoint
	rests    rest     // of the first key that will be back
}

// rest is until when, and why, a key cannot be used.
type rest struct {
	until time.Time
	why   keys.Reason
}

// Do finds an upstream that answers. Exactly one of the results is not nil.
//
// Order: the routes of the model, keys rotating within each, then those of its
// fallback models, depth first. Nothing of an attempt reaches the client until
// it has shown content or a complete good body; after that there is no other
// attempt.
func (r *Router) Do(ctx context.Context, q *Request) (*Answer, *Failure) {
	model, known := r.catalog.Resolve(q.Model)
	if !known {
		return nil, UnknownModel(q.Model)
	}
	p := r.plans[model]
	w := &walk{router: r, request: q, plan: p, ends: time.Now().Add(p.total), queue: p.candidates}
	if answer := w.run(ctx); answer != nil {
		return answer, nil
	}
	return nil, w.failure(time.Now())
}

// run tries the queued candidates until one answers or there is no point in
// going on.
func (w *walk) run(ctx context.Context) *Answer {
	answer, stop := w.round(ctx, (*keys.Pool).Pick)
	if answer != nil || stop {
		return answer
	}
	// What was passed over only because of a transient fault may well be back:
	// a provider that might answer is better than none.
	answer, _ = w.round(ctx, (*keys.Pool).PickTransient)
	return answer
}

func (w *walk) round(ctx context.Context, choose pick) (answer *Answer, stop bool) {
	for w.at = 0; w.at < len(w.queue); {
		c := w.queue[w.at]
		w.at++
		if slices.ContainsFunc(w.attempts, func(a Attempt) bool { return a.candidate.route == c.route }) {
			continue // asked in the first round
		}
		if answer, stop := w.try(ctx, c, choose); answer != nil || stop {
			return answer, stop
		}
	}
	return nil, false
}

// pick is a way to choose a key.
type pick func(p *keys.Pool, now time.Time, model string, tried *keys.Tried) (*keys.Key, bool)

// try asks one candidate, key after key. stop means that no other candidate
// would do better.
func (w *walk) try(ctx context.Context, c *Candidate, choose pick) (answer *Answer, stop bool) {
	if !c.serves(w.request) {
		w.mute = true
		return nil, false
	}
	if c.pool.Len() == 0 {
		if !slices.Contains(w.keyless, c.route.Provider.ID) {
			w.keyless = append(w.keyless, c.route.Provider.ID)
		}
		return nil, false
	}
	if slices.ContainsFunc(w.skipped, func(s Skip) bool { return s.candidate == c }) {
		return nil, false // it would be again
	}
	t := &w.turn
	*t = turn{walk: w, candidate: c, model: c.upstreamModel(w.request), last: w.at == len(w.queue)}
	defer t.letGo()
	for len(w.attempts) < w.router.maxAttempts {
		key, ok := choose(c.pool, time.Now(), t.model, &t.tried)
		if !ok && t.cycle+1 < w.router.keyCycles && t.tried.NextCycle() {
			t.cycle++
			continue
		}
		if !ok {
			w.note(c, t.model)
			return nil, false
		}
		// Not before there is a key: while all rest, nothing is translated in vain.
		if f := t.begin(); f != nil {
			w.skip(t, f)
			return nil, false
		}
		for {
			answer, next := t.attempt(ctx, key)
			switch next {
			case sameKey:
				if len(w.attempts) < w.router.maxAttempts {
					continue
				}
			case nextRoute:
				return nil, false
			case stopHere:
				return answer, answer == nil
			}
			break
		}
	}
	w.note(c, t.model)
	return nil, true
}

// Skip is a provider that was passed over because the request cannot be sent
// there: something of it cannot cross, or is missing.
type Skip struct {
	// Provider and Model name where it would have gone.
	Provider, Model string
	// Param is what of the request is at fault, and Reason why.
	Param, Reason string

	candidate *Candidate
	failure   *failure
}

func (w *walk) skip(t *turn, f *failure) {
	w.skipped = append(w.skipped, Skip{
		Provider:  t.candidate.route.Provider.ID,
		Model:     t.model,
		Param:     f.err.Param,
		Reason:    f.err.Message,
		candidate: t.candidate,
		failure:   f,
	})
}

// note remembers when a candidate that has no usable key has one again.
func (w *walk) note(c *Candidate, model string) {
	at, why, ok := c.pool.Soonest(time.Now(), model)
	if ok && why != "" && (w.rests.until.IsZero() || at.Before(w.rests.until)) {
		w.rests = rest{at, why}
	}
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
	}
	return 1
}

// next says where to go after a failed attempt.
type next int

const (
	stopHere next = iota
	sameKey
	nextKey
	nextRoute
)

// turn is one candidate's turn in a walk.
type turn struct {
	walk       *walk
	candidate  *Candidate
	model      string // at the provider
	last       bool   // no other candidate is queued
	tried      keys.Tried
	cycle      int
	repeats    int      // of a status in retry_on_status
	broken     bool     // an attempt of this turn met a broken upstream
	sent       *Request // what the candidate is asked: one of the two below or the client's
	repaired   *Request // the client's, with tool results that it lacked
	translated *Request // in the candidate's protocol
	losses     translate.Losses
}

// begin makes what the candidate is sent, unless that has been done. The failure
// says why it cannot be sent anything.
func (t *turn) begin() *failure {
	if t.sent != nil {
		return nil
	}
	if f := t.prepare(); f != nil {
		return f
	}
	if missing := t.candidate.missing(t.sent); missing != "" {
		return &failure{class: InvalidRequest, err: translate.Error{
			Param:   missing,
			Message: fmt.Sprintf("provider %s needs %q in the request", t.candidate.route.Provider.ID, missing),
		}}
	}
	return nil
}

// letGo gives back the memory of what was made for the turn; attempts hold it
// themselves.
func (t *turn) letGo() {
	t.release(&t.repaired)
	t.release(&t.translated)
}

func (t *turn) release(q **Request) {
	if *q != nil {
		(*q).Body.Release()
		*q = nil
	}
}

// attempt makes one upstream call and judges it.
func (t *turn) attempt(ctx context.Context, key *keys.Key) (*Answer, next) {
	w, c := t.walk, t.candidate
	started := time.Now()
	q := t.sent
	if q.asked != nil {
		// What one attempt's answer lost is not lost in the next one's.
		again, asked := *q, *q.asked
		again.asked, q = &asked, &again
	}
	result := call(ctx, q, c, t.model, key, t.waits(started))
	now := time.Now()
	record := Attempt{
		candidate: c,

		Provider: c.route.Provider.ID,
		Model:    t.model,
		KeyID:    key.ID,
		Start:    started,
		Duration: now.Sub(started),
		Status:   result.status,
	}
	if result.failure == nil {
		w.attempts = append(w.attempts, record)
		c.pool.Succeed(key, t.model, started, now)
		return &Answer{
			Provider:  record.Provider,
			Model:     t.model,
			Attempts:  w.attempts,
			Status:    result.status,
			Header:    result.header,
			Whole:     result.whole,
			Stream:    result.stream,
			Crossed:   q.asked != nil,
			Protocol:  q.Protocol,
			protocol:  w.request.Protocol,
			Skipped:   w.skipped,
			Silent:    t.onLossy() == LossyIgnore,
			cooling:   w.router.cooldown > 0,
			losses:    t.losses,
			asked:     q.asked,
			candidate: c,
			key:       key,
		}, stopHere
	}
	f := result.failure
	verdict := t.judge(f)
	if verdict.rest > 0 || verdict.why == keys.ReasonDead {
		c.pool.Fail(&t.tried, key, verdict.scope, t.model, now, verdict.rest, verdict.why)
	}
	record.Status, record.Class, record.Reason, record.Cooled = f.status, f.class, f.reason(), verdict.rest
	w.attempts = append(w.attempts, record)
	w.hear(f)
	if verdict.pause > 0 && (now.Add(verdict.pause).After(w.ends) || !pause(ctx, verdict.pause)) {
		return nil, stopHere
	}
	return nil, verdict.next
}

// waits are the timeouts of an attempt that starts now, within what is left of
// the request's time.
//
// An answer that is not streamed comes only when the model is done, so
// first_content cannot bound it, unless a file sets that on purpose; while
// others are left to try, one attempt may take half of what is left.
func (t *turn) waits(now time.Time) waits {
	timeouts := t.candidate.timeouts(t.model, Timeouts{})
	left, ended := max(t.walk.ends.Sub(now), 0), &errTotal
	if timeouts.Total > 0 && timeouts.Total < left {
		left, ended = timeouts.Total, &errAttempt
	}
	w := waits{
		first: cmp.Or(timeouts.FirstContent, t.walk.router.timeouts.FirstContent),
		whole: cmp.Or(timeouts.FirstContent, left),
		idle:  cmp.Or(timeouts.Idle, t.walk.router.timeouts.Idle),
		ends:  now.Add(left),
		ended: ended,
	}
	if !t.last {
		w.whole = min(w.whole, left/2)
	}
	return w
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

// jittered is d, half as long or half as long again: callers that failed
// together shall not come back together.
func jittered(d time.Duration) time.Duration {
	return d/2 + rand.N(d)
}
