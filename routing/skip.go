package routing

import "slices"

// Skip is a candidate that was passed over.
type Skip struct {
	// Provider and Model name where it would have gone.
	Provider, Model string
	// Why says what was in the way.
	Why SkipReason
	// Param is what of the request is at fault, and Reason why, with
	// SkippedRequest only: something of it cannot cross, or is missing.
	Param, Reason string

	candidate *Candidate
	failure   *failure
}

// SkipReason says why a candidate was passed over. It serves as a label.
type SkipReason string

// All reasons there are.
const (
	SkippedRequest  SkipReason = "request"      // the request cannot be sent there
	SkippedEndpoint SkipReason = "endpoint"     // the provider does not serve the endpoint
	SkippedKeyless  SkipReason = "no_key"       // no key is set
	SkippedResting  SkipReason = "resting"      // all its keys rest
	SkippedBreaker  SkipReason = "breaker"      // the breaker of its model is open
	SkippedBudget   SkipReason = "retry_budget" // not known to be well, and no retry is left in the budget
	SkippedUnusable SkipReason = "unusable"     // disabled, or a variable of its file is not set
)

// skip notes once that a candidate is passed over. f says why the request cannot
// be sent there, if that is the reason.
func (w *walk) skip(c *Candidate, model string, why SkipReason, f *failure) {
	if slices.ContainsFunc(w.skipped, func(s Skip) bool { return s.candidate == c && s.Why == why }) {
		return
	}
	s := Skip{Provider: c.route.Provider.ID, Model: model, Why: why, candidate: c, failure: f}
	if f != nil {
		s.Param, s.Reason = f.err.Param, f.err.Message
	}
	w.skipped = append(w.skipped, s)
}

// unsendable is the last failure to send the request anywhere, nil without one.
func (w *walk) unsendable() *failure {
	for i := len(w.skipped) - 1; i >= 0; i-- {
		if f := w.skipped[i].failure; f != nil {
			return f
		}
	}
	return nil
}

// keyless names the providers that were passed over for want of any key.
func (w *walk) keyless() []string {
	var names []string
	for i := range w.skipped {
		if s := &w.skipped[i]; s.Why == SkippedKeyless && !slices.Contains(names, s.Provider) {
			names = append(names, s.Provider)
		}
	}
	return names
}

// skippedFor reports whether a candidate was passed over for a reason.
func (w *walk) skippedFor(why SkipReason) bool {
	return slices.ContainsFunc(w.skipped, func(s Skip) bool { return s.Why == why })
}
