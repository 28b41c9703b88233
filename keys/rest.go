package keys

import (
	"fmt"
	"time"
)

// Scope is what a rest takes out of use.
type Scope int

// From the narrowest scope to the widest.
const (
	ScopeKeyModel Scope = iota // one key, for one upstream model
	ScopeKey                   // one key, for all models
	ScopeProvider              // all keys of the provider
)

// String returns key_model, key or provider.
func (s Scope) String() string {
	switch s {
	case ScopeProvider:
		return "provider"
	case ScopeKey:
		return "key"
	default:
		return "key_model"
	}
}

// MarshalText returns what String does.
func (s Scope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what MarshalText writes.
func (s *Scope) UnmarshalText(text []byte) error {
	for _, known := range []Scope{ScopeKeyModel, ScopeKey, ScopeProvider} {
		if string(text) == known.String() {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("scope %q is not known", text)
}

// Reason says why a key is out of use. It serves as a label, so use no others than these.
type Reason string

// All reasons there are.
const (
	ReasonRateLimited Reason = "rate_limited" // the upstream said to slow down
	ReasonDead        Reason = "dead"         // the upstream refused the key itself or its account
	ReasonOverloaded  Reason = "overloaded"   // the upstream has no capacity
	ReasonBroken      Reason = "broken"       // the upstream failed or could not be reached
	ReasonLimit       Reason = "limit"        // our own Limits for the key are used up
)

// limited tells whether the reason is that too much was asked of the key.
func (r Reason) limited() bool { return r == ReasonRateLimited || r == ReasonLimit }

const (
	// probePatience is how long a probe without a result holds others back. One
	// that takes longer still counts when it ends, but a model that thinks for
	// minutes must not keep a key from everybody else.
	probePatience = 15 * time.Second

	// maxDoubled bounds what rests grow to by failing probes.
	maxDoubled = 15 * time.Minute

	// forgottenAfter is when a rest that is over but never disproved ceases to
	// matter: what went wrong so long before the last use says nothing.
	forgottenAfter = time.Hour
)

// rest is one rest of a key, of a key for one model or of a provider, or several
// that overlap. Once it is over it is half-open until a success disproves it: only
// one use at a time passes, the probe. The zero value rests nothing.
type rest struct {
	until  time.Time     // the latest deadline of all failures that made it
	set    time.Time     // the latest failure that made it
	length time.Duration // the longest that a failure rested it for since it last worked; until is never further off
	why    Reason        // of the failure that until comes from

	// The request whose failures alone made it; 0 if several requests share in it
	// or nobody asked to know.
	by uint64

	probe  uint64    // the lease that probes it; 0 if none does
	probed time.Time // when the last probe began
}

// gone tells whether nothing remains of the rest. A nil rest is gone.
func (r *rest) gone(now time.Time) bool {
	return r == nil || r.until.IsZero() || !now.Before(r.lastUse().Add(forgottenAfter))
}

// lastUse is when the rest last kept somebody off or let a probe pass.
func (r *rest) lastUse() time.Time {
	if r.probed.After(r.until) {
		return r.probed
	}
	return r.until
}

// halfOpen tells whether the rest is over and a success has yet to disprove it.
func (r *rest) halfOpen(now time.Time) bool { return !r.gone(now) && !now.Before(r.until) }

// probing tells whether somebody is finding out about the half-open rest.
func (r *rest) probing(now time.Time) bool {
	return r.probe != 0 && now.Before(r.probed.Add(probePatience))
}

// admits tells whether the request (0: any) may pass, and whether as the probe.
// Rests that a request alone has made do not bind it.
func (r *rest) admits(now time.Time, request uint64) (ok, probe bool) {
	switch {
	case r.gone(now):
		return true, false
	case now.Before(r.until) || r.probing(now):
		return request != 0 && r.by == request, false
	}
	return true, true
}

// blocks tells until when nobody passes and why. While a probe is under way that
// cannot be known; by the time that is told somebody may as well ask again. A time
// that is not after now means that nothing blocks.
func (r *rest) blocks(now time.Time) (until time.Time, why Reason) {
	switch {
	case r.gone(now):
		return time.Time{}, ""
	case r.until.After(now):
		return r.until, r.why
	case r.probing(now):
		return now.Add(time.Second), r.why
	}
	return time.Time{}, ""
}

// begin makes the lease with this number the probe.
func (r *rest) begin(probe uint64, now time.Time) { r.probe, r.probed = probe, now }

// giveBack ends the probe by the lease with this number without a result. It does
// nothing if another is the probe by now, nor on a nil rest.
func (r *rest) giveBack(probe uint64) bool {
	if r == nil || probe == 0 || r.probe != probe {
		return false
	}
	r.probe = 0
	return true
}

// fail adds a failure of the lease with this probe number (0: it is no probe) and
// request (0: any). If that was the probe, the rest was too short.
func (r *rest) fail(now time.Time, d time.Duration, why Reason, request, probe uint64) {
	if r.gone(now) {
		*r = rest{}
	}
	if r.giveBack(probe) {
		d = max(d, 2*min(r.length, maxDoubled/2))
	}
	if !now.Before(r.until) {
		r.by = request // those who failed before it was over have no part in it
	}
	r.merge(rest{until: now.Add(d), set: now, length: d, why: why, by: request})
}

// merge makes r last as long as both do. The longest deadline wins, so that the
// short rest of one request cannot end the long one of another early.
func (r *rest) merge(other rest) {
	if other.until.IsZero() {
		return
	}
	if r.until.IsZero() {
		r.by = other.by
	}
	if r.by != other.by {
		r.by = 0
	}
	if other.until.After(r.until) {
		r.until, r.why = other.until, other.why
	}
	if other.set.After(r.set) {
		r.set = other.set
	}
	r.length = max(r.length, other.length)
}

// succeed ends the rest if it was set before the lease began, and tells whether it
// did and whether that ended a half-open state. A success that began before the
// latest failure is only a late answer and disproves nothing. A nil rest stays.
func (r *rest) succeed(began, now time.Time, probe uint64) (ended, recovered bool) {
	r.giveBack(probe)
	if r == nil || r.until.IsZero() || !r.set.Before(began) {
		return false, false
	}
	recovered = r.halfOpen(now)
	*r = rest{}
	return true, recovered
}
