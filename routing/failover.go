package routing

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Answer is what a client gets from the one attempt that succeeded. Close must
// be called when it has been passed on.
type Answer struct {
	// Provider and Model name the route that answered: a provider file and an
	// upstream model.
	Provider, Model string
	// Attempts are all upstream calls of the request, the last one being the
	// answer.
	Attempts []Attempt
	// Status and Header are the upstream's.
	Status int
	Header http.Header
	// Whole is a complete answer, nil for a stream.
	Whole *Body
	// Stream is an event stream that has shown content.
	Stream *Stream

	protocol  translate.Protocol
	candidate *Candidate
	key       *keys.Key
	cooling   bool // whether keys rest at all
	lent      bool
}

// Usage is what the upstream has counted, so far for a stream. It is not to be
// called after Close.
func (a *Answer) Usage() translate.Usage {
	if a.Stream != nil {
		usage, _ := a.Stream.Usage()
		return usage
	}
	usage, _ := translate.ReadUsage(a.protocol, a.Whole.Bytes())
	return usage
}

// CopyHeader copies the headers that a client may see.
func (a *Answer) CopyHeader(to http.Header) {
	for name, values := range a.Header {
		if returnedHeader(name) {
			to[name] = values
		}
	}
}

// KeepMemory says that a write of the answer failed, so that the connection may
// still read from its memory after Close; see [Stream.KeepMemory].
func (a *Answer) KeepMemory() {
	a.lent = true
	if a.Stream != nil {
		a.Stream.KeepMemory()
	}
}

// Close ends the upstream call, charges the key with what was used, and gives
// memory back.
func (a *Answer) Close() {
	if a.candidate.pool.CountsTokens() {
		a.candidate.pool.Charge(a.key, time.Now(), a.Usage().Total())
	}
	if a.Stream != nil {
		if class, _, failed := a.Stream.Failure(); failed && class == Broken && a.cooling {
			// Too late for this client, but others had better go elsewhere.
			a.candidate.pool.Cool(a.key, keys.ScopeKeyModel, a.Model, time.Now(), transientRest, keys.ReasonBroken)
		}
		a.Stream.Close()
	}
	if a.Whole != nil && !a.lent {
		a.Whole.Release()
	}
}

// Failure is why no upstream answered: what the client is told.
type Failure struct {
	// Class is what decided.
	Class Class
	// Err is the error for the client, in no protocol yet.
	Err translate.Error
	// Body is the provider's own error body where it speaks the client's
	// protocol and the mistake is the client's, so that not a word of it is
	// lost: agents read these texts. nil: encode Err.
	Body []byte
	// Permanent says that another try makes no sense until the operator has
	// done something.
	Permanent bool
	// RetryAfter is when another try makes sense, 0 when nobody knows.
	RetryAfter time.Duration
	// Attempts are all upstream calls of the request.
	Attempts []Attempt
}

// OfRequest reports whether the request itself is at fault, by the word of a
// provider or because it names no model: another upstream or an estimate would
// not help.
func (f *Failure) OfRequest() bool {
	switch f.Class {
	case InvalidRequest, ContextTooLong, ContentPolicy:
		return len(f.Attempts) > 0
	case ModelUnknown:
		return len(f.Attempts) == 0
	}
	return false
}

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
	missing  *failure // a provider was skipped that needs more than the request has
	keyless  []string // providers that were skipped for want of any key
	mute     bool     // a candidate was skipped that does not speak the protocol
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
	if missing := c.missing(w.request); missing != "" {
		w.missing = &failure{class: InvalidRequest, err: translate.Error{
			Param:   missing,
			Message: fmt.Sprintf("provider %s needs %q in the request", c.route.Provider.ID, missing),
		}}
		return nil, false
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
	walk      *walk
	candidate *Candidate
	model     string // at the provider
	last      bool   // no other candidate is queued
	tried     keys.Tried
	cycle     int
	repeats   int  // of a status in retry_on_status
	broken    bool // an attempt of this turn met a broken upstream
	repaired  *Request
}

// letGo gives back the memory of a repaired request; attempts hold it themselves.
func (t *turn) letGo() {
	if t.repaired != nil {
		t.repaired.Body.Release()
	}
}

// attempt makes one upstream call and judges it.
func (t *turn) attempt(ctx context.Context, key *keys.Key) (*Answer, next) {
	w, c := t.walk, t.candidate
	started := time.Now()
	q := w.request
	if t.repaired != nil {
		q = t.repaired
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
			protocol:  w.request.Protocol,
			cooling:   w.router.cooldown > 0,
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
		idle:  cmp.Or(timeouts.Idle, t.walk.router.timeouts.Idle),
		ends:  now.Add(left),
		ended: ended,
	}
	if !t.walk.request.Stream {
		w.first = cmp.Or(timeouts.FirstContent, left)
		if !t.last {
			w.first = min(w.first, left/2)
		}
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

// failure is what the client is told when nothing answered.
func (w *walk) failure(now time.Time) *Failure {
	f := &Failure{Attempts: w.attempts}
	if !w.rests.until.IsZero() {
		f.RetryAfter = max(w.rests.until.Sub(now), time.Second)
	}
	if w.told == nil && w.rests.until.IsZero() {
		w.told = w.missing
	}
	if w.told == nil {
		return w.untried(f)
	}
	told := w.told
	f.Class = told.class
	f.Err = translate.Error{
		Status:  told.class.statusFor(told.standsFor()),
		Type:    told.err.Type,
		Code:    told.err.Code,
		Param:   told.err.Param,
		Message: told.message(),
	}
	switch told.class {
	case ContextTooLong:
		// The code makes the words those that the client's agents know.
		f.Err.Code, f.RetryAfter = "context_length_exceeded", 0
		if translate.SaysContextTooLong(w.request.Protocol, told.err) {
			f.Body = told.body
		}
	case InvalidRequest, ContentPolicy:
		f.Body, f.RetryAfter = told.body, 0
	case RateLimited:
		if f.RetryAfter == 0 {
			f.RetryAfter = max(told.resetAfter, time.Second)
		}
	case KeyDead:
		// What the provider said may name the account, and is nothing that
		// the caller could mend.
		f.Err = translate.Error{Status: told.class.statusFor(told.standsFor()), Message: "the provider refused this gateway's key; its operator has been told by the log"}
	case Broken:
		// What rests for a transient fault is asked again when nothing else is
		// left, so a client need not wait that long.
		f.Err.Type, f.Err.Code = "", ""
		f.RetryAfter = max(told.resetAfter, time.Second)
	case ModelUnknown:
		f.Err.Code = "model_not_found"
	}
	return f
}

// untried tells why not a single attempt was made.
func (w *walk) untried(f *Failure) *Failure {
	switch {
	case w.rests.why == keys.ReasonRateLimited || w.rests.why == keys.ReasonLimit:
		f.Class = RateLimited
		f.Err = translate.Error{Status: http.StatusTooManyRequests, Message: "every upstream key for this model is rate limited; try again later"}
	case w.rests.why != "":
		f.Class = Broken
		f.Err = translate.Error{Status: http.StatusServiceUnavailable, Message: "every upstream for this model is resting after failures; try again later"}
	case len(w.keyless) > 0:
		f.Class, f.Permanent = Local, true
		f.Err = translate.Error{
			Status:  http.StatusServiceUnavailable,
			Code:    "no_upstream_key",
			Message: "no upstream key is set for model " + strconv.Quote(w.request.Model) + " (provider " + strings.Join(w.keyless, ", ") + ")",
		}
	case w.mute:
		f.Class = InvalidRequest
		f.Err = w.wrongProtocol()
	default:
		f.Class, f.Permanent = Local, true
		f.Err = translate.Error{
			Status:  http.StatusServiceUnavailable,
			Code:    "no_usable_route",
			Message: "no route of model " + strconv.Quote(w.request.Model) + " is usable; the operator's log says why",
		}
	}
	return f
}

// wrongProtocol tells where the model can be asked instead.
func (w *walk) wrongProtocol() translate.Error {
	var paths []string
	for _, p := range w.plan.protocols() {
		switch p {
		case translate.Chat:
			paths = append(paths, "/v1/chat/completions")
		case translate.Responses:
			paths = append(paths, "/v1/responses")
		case translate.Messages:
			paths = append(paths, "/v1/messages")
		}
	}
	message := "no provider of model " + strconv.Quote(w.request.Model) + " serves this endpoint"
	if len(paths) > 0 {
		message += "; it can be asked at " + strings.Join(paths, " and ")
	}
	return translate.Error{Status: http.StatusBadRequest, Code: "unsupported_endpoint", Param: "model", Message: message}
}

// UnknownModel is the failure of a request for a model that no file describes.
func UnknownModel(name string) *Failure {
	return &Failure{
		Class: ModelUnknown,
		Err: translate.Error{
			Status:  http.StatusNotFound,
			Code:    "model_not_found",
			Param:   "model",
			Message: "model " + strconv.Quote(shortened(name)) + " does not exist here; GET /v1/models lists the models",
		},
	}
}

// shortened keeps a name that a client made up from filling logs and answers.
func shortened(name string) string {
	if len(name) <= 128 {
		return name
	}
	return name[:128] + "..."
}
