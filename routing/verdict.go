package routing

import (
	"slices"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

// backoff is the pause before the same key is asked again, before jitter.
const backoff = 250 * time.Millisecond

// verdict is what follows from a failure.
type verdict struct {
	next  next
	scope keys.Scope
	rest  time.Duration
	why   keys.Reason
	pause time.Duration
}

// judge decides by the failure's class, unless the provider's file has a rule
// for the status.
func (t *turn) judge(f *failure) verdict {
	if t.walk.request.Operation == translate.CountTokens && (f.class == RateLimited || f.class == Broken) {
		// Providers limit counting apart from answering, and an estimate takes
		// its place at once: no key rests for it.
		return verdict{next: nextRoute}
	}
	config := &t.candidate.route.Provider.RequestConfig
	if slices.Contains(config.RetryOnStatus, f.status) && t.repeats < config.Retries() {
		t.repeats++
		return verdict{next: sameKey, pause: jittered(backoff << (t.repeats - 1))}
	}
	if rule, ok := t.candidate.route.Provider.ErrorHandling[f.status]; ok && f.class == Classify(f.status, translate.Error{}) {
		// A rule is about a status. Where the body says something else, such
		// as a bad key with status 400, the class knows better.
		return t.byRule(rule, f)
	}
	switch f.class {
	case InvalidRequest:
		if t.sent.asked != nil && t.walk.speaksLater() {
			// What it dislikes may be our translation.
			return verdict{next: nextRoute}
		}
		return verdict{next: stopHere}
	case ContextTooLong:
		return verdict{next: t.walk.fallBack(ContextTooLong, &t.walk.plan.context)}
	case ContentPolicy:
		return verdict{next: t.walk.fallBack(ContentPolicy, &t.walk.plan.policy)}
	case KeyDead:
		return verdict{next: nextKey, scope: keys.ScopeKey, rest: t.keyRest(), why: keys.ReasonDead}
	case RateLimited:
		if f.exceedsLimit() {
			// Nor would it fit tomorrow: other routes may have a larger limit,
			// and smaller requests can use the key.
			return verdict{next: nextRoute}
		}
		return verdict{next: nextKey, scope: keys.ScopeKeyModel, rest: t.modelRest(f), why: keys.ReasonRateLimited}
	case ModelUnknown:
		return verdict{next: nextRoute}
	case Broken:
		return t.byBreakage(f)
	}
	return verdict{next: stopHere}
}

// speaksLater reports whether a candidate is still to be asked that takes the
// client's request as it is.
func (w *walk) speaksLater() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.queue[w.at:], func(c *Candidate) bool {
		return c.protocolFor(w.request) == w.request.Protocol && c.serves(w.request)
	})
}

// byBreakage asks one more key, because one instance may fail where another
// works, and then goes to the next route. A connection that broke before any
// answer is tried once more with the only key there is: an idle connection that
// the upstream was just closing looks the same. No key rests for it: the breaker
// counts.
func (t *turn) byBreakage(f *failure) verdict {
	v := verdict{next: nextKey}
	switch {
	case t.broken:
		v.next = nextRoute
	case t.candidate.pool.Len() == 1 && f.status == 0 && !f.undialed:
		v.next = sameKey
	}
	t.broken = true
	return v
}

// byRule does what the provider's error_handling says.
func (t *turn) byRule(rule ErrorRule, f *failure) verdict {
	v := verdict{next: nextKey, why: reasonFor(f.class)}
	switch rule.Action {
	case ActionModelKeyFailure:
		v.scope, v.rest = keys.ScopeKeyModel, t.modelRest(f)
	case ActionGlobalKeyFailure:
		v.scope, v.rest = keys.ScopeKey, t.keyRest()
	case ActionProviderCooldown:
		v.next, v.scope, v.rest = nextRoute, keys.ScopeProvider, t.keyRest()
	case ActionFallbackNoCooldown:
		return verdict{next: nextRoute}
	case ActionAutoFixToolResponses:
		if !t.repair() || t.prepare() != nil {
			return verdict{next: nextRoute}
		}
		return verdict{next: sameKey}
	}
	if rule.Cooldown != nil {
		v.rest = *rule.Cooldown
	}
	return v
}

func reasonFor(class Class) keys.Reason {
	switch class {
	case KeyDead:
		return keys.ReasonDead
	case RateLimited:
		return keys.ReasonRateLimited
	}
	return keys.ReasonBroken
}

// modelRest is how long a key rests for a model: as long as the upstream asks,
// else as the files say. A cooldown of 0 in the block switches that off; only
// a rule with a time of its own still rests a key then.
func (t *turn) modelRest(f *failure) time.Duration {
	switch {
	case t.walk.router.cooldown == 0:
		return 0
	case f.resetAfter > 0:
		return f.resetAfter
	}
	return t.candidate.route.CooldownFor(t.model, t.walk.router.cooldown)
}

// keyRest is how long a key, or a whole provider, rests for all models.
func (t *turn) keyRest() time.Duration {
	if d := t.candidate.route.Provider.RateLimiting.Cooldown; d > 0 && t.walk.router.cooldown > 0 {
		return d
	}
	return t.walk.router.cooldown
}

// fallBack queues the candidates for a failure that only another kind of model
// can mend. Without any it is the client's to deal with.
func (w *walk) fallBack(why Class, models *sequence) next {
	switch {
	case w.fellBack == why:
		return nextRoute // the queue holds nothing but such models
	case w.fellBack != "" || len(models.candidates) == 0:
		return stopHere
	}
	// Only those: the routes left of this model would say the same.
	queue := models.order(nil, w.conversation, w.request, time.Now())
	w.mu.Lock()
	w.fellBack, w.queue, w.at = why, queue, 0
	w.mu.Unlock()
	w.passed = nil
	return nextRoute
}

// withToolResults is the request with an empty result for each tool call that
// has none.
func (q *Request) withToolResults() (*Request, bool) {
	text, changed := translate.CompleteToolResults(q.Protocol, q.Body.Bytes())
	if !changed {
		return nil, false
	}
	body := NewBody(len(text))
	body.bytes = append(body.bytes, text...)
	repaired, err := q.withBody(body)
	if err != nil {
		body.Release()
		return nil, false
	}
	return repaired, true
}

// withBody is the request with another body, which it then owns.
func (q *Request) withBody(body *Body) (*Request, error) {
	changed := *q
	changed.Body = body
	changed.Object = new(strictjson.Object)
	if err := changed.Object.Parse(body.Bytes()); err != nil {
		return nil, err
	}
	return &changed, nil
}
