package routing

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// next says where to go after an attempt.
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
	health     *keys.Health
	last       bool // no other candidate is queued
	tried      keys.Tried
	cycle      int
	repeats    int      // of a status in retry_on_status
	begun      bool     // an attempt of this turn has been made
	broken     bool     // one met a broken upstream
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

// ask asks with one key from now on, more than once where the verdict is to do so.
func (t *turn) ask(ctx context.Context, lease *keys.Lease, now time.Time) (*Answer, next) {
	w := t.walk
	made := len(w.attempts)
	// Gives back what came to no verdict, also if it panicked; otherwise this
	// does nothing.
	defer func() {
		if len(w.attempts) == made {
			lease.Cancel()
		} else {
			lease.Return()
		}
	}()
	for {
		// A turn that has begun goes on, also if its own failures opened the breaker:
		// the further attempts that it has may be what answers.
		visit, pass := t.health.Enter(now, &t.candidate.breaker, w.lastResort || t.begun)
		if !pass {
			w.passed = append(w.passed, t.candidate)
			w.skip(t.candidate, t.model, SkippedBreaker, nil)
			return nil, nextRoute
		}
		answer, next := t.visit(ctx, lease, visit)
		if next != sameKey || w.exhausted() {
			return answer, next
		}
		now = time.Now()
	}
}

// visit makes one attempt, if the request can be sent there and may be.
func (t *turn) visit(ctx context.Context, lease *keys.Lease, visit keys.Visit) (answer *Answer, next next) {
	defer func() {
		if answer == nil {
			visit.Leave()
		}
	}()
	// Not before there is a key: while all rest, nothing is translated in vain.
	if f := t.begin(); f != nil {
		t.walk.skip(t.candidate, t.model, SkippedRequest, f)
		return nil, nextRoute
	}
	if !t.mayRetry(time.Now()) {
		// Routes that are well do not need the budget.
		t.walk.refused = true
		if !t.begun {
			t.walk.skip(t.candidate, t.model, SkippedBudget, nil)
		}
		return nil, nextRoute
	}
	if int(t.walk.made.Add(1)) > t.walk.router.maxAttempts {
		return nil, stopHere
	}
	t.begun = true
	return t.attempt(ctx, lease, &visit)
}

// wellUpTo is how many failures in a row leave a provider's model well enough to
// be asked again freely. One alone says little: in a storm, where each provider
// fails now and then, retries are what saves requests. In an outage there are soon
// two.
const wellUpTo = 1

// mayRetry reports whether the request may make another attempt. Providers that
// are not known to be well share the retry budget, so that an outage does not get
// more requests than there are. A further attempt at the same broken upstream is
// the least likely to help, so it leaves some of the budget to other routes.
func (t *turn) mayRetry(now time.Time) bool {
	if len(t.walk.attempts) == 0 || t.health.Failures() <= wellUpTo {
		return true
	}
	if t.broken {
		return t.walk.router.retries.TakeSpare(now)
	}
	return t.walk.router.retries.Take(now)
}

// attempt makes one upstream call and judges it.
func (t *turn) attempt(ctx context.Context, lease *keys.Lease, visit *keys.Visit) (*Answer, next) {
	w, c := t.walk, t.candidate
	started := time.Now()
	q := t.sent
	if q.asked != nil {
		// What one attempt's answer lost is not lost in the next one's.
		again, asked := *q, *q.asked
		again.asked, q = &asked, &again
	}
	result := call(ctx, q, c, t.model, lease.Key, t.waits(started))
	now := time.Now()
	record := Attempt{
		candidate: c,

		Provider: c.route.Provider.ID,
		Model:    t.model,
		Label:    cmp.Or(c.model, "*"),
		KeyID:    lease.Key.ID,
		Start:    started,
		Duration: now.Sub(started),
		Waited:   result.waited,
		Status:   result.status,
	}
	if result.failure == nil {
		w.attempts = append(w.attempts, record)
		t.succeeded(lease, visit, now)
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
			operation: w.request.Operation,
			Skipped:   w.skipped,
			Silent:    t.onLossy() == LossyIgnore,
			losses:    t.losses,
			asked:     q.asked,
			router:    w.router,
			candidate: c,
			key:       lease.Key,
			visit:     *visit,
		}, stopHere
	}
	f := result.failure
	verdict := t.judge(f)
	record.Status, record.Class, record.Reason = f.status, f.class, f.reason()
	record.Cooled = t.failed(f, verdict, lease, visit, now)
	w.attempts = append(w.attempts, record)
	w.hear(f)
	w.mistaken = verdict.next == stopHere && f.class.ofRequest() && (f.class != InvalidRequest || t.sent.asked == nil)
	if verdict.pause > 0 && (now.Add(verdict.pause).After(w.ends) || !pause(ctx, verdict.pause)) {
		return nil, stopHere
	}
	return nil, verdict.next
}

// succeeded tells the key and the provider's health of an answer. A count of tokens
// is none: providers limit and serve counting apart from answering, so it disproves
// nothing, and how fast it came says nothing about the model.
func (t *turn) succeeded(lease *keys.Lease, visit *keys.Visit, now time.Time) {
	r, c := t.walk.router, t.candidate
	if t.walk.request.Operation == translate.CountTokens {
		return
	}
	if lease.Succeed(now) {
		r.notify(Notice{Kind: KeyRecovered, Provider: c.route.Provider.ID, Model: t.model, KeyID: lease.Key.ID})
	}
	visit.Whole = !t.walk.request.Stream
	if visit.Succeed(now) {
		r.notify(Notice{Kind: RouteClosed, Provider: c.route.Provider.ID, Model: t.model})
	}
	r.remember(t.walk.conversation, c, t.model, lease.Key.ID, now)
}

// failed does the same of a failure, and returns how long the key rests for it.
// Only faults of the upstream count in the breaker: whoever says no, is well.
func (t *turn) failed(f *failure, v verdict, lease *keys.Lease, visit *keys.Visit, now time.Time) (cooled time.Duration) {
	r, c := t.walk.router, t.candidate
	if f.class == Broken && t.walk.request.Operation != translate.CountTokens {
		if opened := visit.Fail(now, f.resetAfter); opened > 0 {
			r.notify(Notice{Kind: RouteOpen, Provider: c.route.Provider.ID, Model: t.model, For: opened})
		}
	}
	if v.rest <= 0 && v.why != keys.ReasonDead {
		return 0
	}
	if cooled = lease.Fail(now, v.scope, v.rest, v.why); cooled > 0 {
		r.notify(Notice{
			Kind: KeyCooldown, Provider: c.route.Provider.ID, Model: t.model, KeyID: lease.Key.ID,
			Scope: v.scope, Why: v.why, For: cooled,
		})
	}
	return cooled
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

// jittered is d, half as long or half as long again: callers that failed
// together shall not come back together.
func jittered(d time.Duration) time.Duration {
	return d/2 + rand.N(d)
}
