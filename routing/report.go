package routing

import (
	"cmp"
	"slices"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// ProviderReport is what the operator may know about a provider's keys and
// models. It holds no secret.
type ProviderReport struct {
	Provider string             `json:"provider"`
	Keys     []keys.KeyStatus   `json:"keys"`
	Models   []keys.ModelStatus `json:"models"`
}

// Report tells about the keys and models of all providers, sorted by name.
func (r *Router) Report(now time.Time) []ProviderReport {
	reports := make([]ProviderReport, 0, len(r.providers))
	for i := range r.providers {
		status := &r.providers[i]
		reports = append(reports, ProviderReport{
			Provider: status.Provider.ID,
			Keys:     status.Keys(now),
			Models:   status.Pool.ModelStatus(now),
		})
	}
	return reports
}

// PlanReport is what would be tried now for a model.
type PlanReport struct {
	Model      string            `json:"model"`  // the logical name that answers to what was asked
	Policy     Policy            `json:"policy"` // of the model
	Candidates []CandidateReport `json:"candidates"`
}

// CandidateReport is one route of a plan.
type CandidateReport struct {
	Provider string             `json:"provider"`
	Model    string             `json:"model"`              // as the provider calls it
	Protocol translate.Protocol `json:"protocol,omitempty"` // in which it is asked; empty if it never is
	Via      string             `json:"via,omitempty"`      // the fallback model that leads here
	Purpose  Class              `json:"purpose,omitempty"`  // context_too_long or content_policy: asked after such a failure only
	Verdict  Verdict            `json:"verdict"`
	Why      SkipReason         `json:"why,omitempty"`    // with last_resort and skipped
	Detail   string             `json:"detail,omitempty"` // the same in words
	Until    *time.Time         `json:"until,omitempty"`  // when that changes by itself
	Keys     int                `json:"keys"`             // usable now

	route *Route
}

// Of reports whether the candidate is that route, whichever way it was reached.
func (c *CandidateReport) Of(r *Route) bool { return c.route == r }

// Verdict says what a request would do with a candidate.
type Verdict string

// All verdicts there are.
const (
	VerdictNext       Verdict = "next"        // asked first
	VerdictStandby    Verdict = "standby"     // asked when those before it fail
	VerdictLastResort Verdict = "last_resort" // asked when no other answers: its breaker is open
	VerdictSkipped    Verdict = "skipped"     // not asked
)

// Plan tells what would be tried now for a model that a client asks for in a
// protocol, in this order, and why the other candidates would not. Where the
// policy leaves the order to chance, this is one throw. ok is false when no
// model answers to the name.
func (r *Router) Plan(model string, client translate.Protocol, stream bool, now time.Time) (report PlanReport, ok bool) {
	m, known := r.catalog.Resolve(model)
	if !known {
		return PlanReport{}, false
	}
	p := r.plans[m]
	q := &Request{Protocol: client, Operation: translate.Generate, Model: model, Stream: stream}
	report = PlanReport{Model: m.LogicalName, Policy: cmp.Or(m.Policy, PolicyPriority), Candidates: []CandidateReport{}}
	for _, part := range []struct {
		models  *sequence
		purpose Class
	}{{&p.sequence, ""}, {&p.context, ContextTooLong}, {&p.policy, ContentPolicy}} {
		verdict := VerdictNext
		for _, c := range part.models.order(nil, conversation{}, q, now) {
			candidate := c.report(q, now)
			candidate.Purpose = part.purpose
			if candidate.Verdict == "" {
				candidate.Verdict, verdict = verdict, VerdictStandby
			}
			report.Candidates = append(report.Candidates, candidate)
		}
	}
	seen := make(map[*Model]bool)
	report.Candidates = unusable(report.Candidates, m, "", "", seen)
	for _, fallback := range m.ContextFallbacks {
		report.Candidates = unusable(report.Candidates, fallback.Model, fallback.Name, ContextTooLong, seen)
	}
	for _, fallback := range m.PolicyFallbacks {
		report.Candidates = unusable(report.Candidates, fallback.Model, fallback.Name, ContentPolicy, seen)
	}
	return report, true
}

// report tells about a candidate as a request would find it. Verdict is empty
// where nothing is in the way.
func (c *Candidate) report(q *Request, now time.Time) CandidateReport {
	name := c.upstreamModel(q)
	report := CandidateReport{
		Provider: c.route.Provider.ID,
		Model:    name,
		Protocol: c.protocolFor(q),
		Via:      c.via,
		Keys:     usableKeys(c.pool, name, now),
		route:    c.route,
	}
	skipped := func(why SkipReason, detail string) CandidateReport {
		report.Verdict, report.Why, report.Detail = VerdictSkipped, why, detail
		return report
	}
	if !c.serves(q) {
		return skipped(SkippedEndpoint, "the provider's file has no endpoint for this")
	}
	if c.pool.Len() == 0 {
		return skipped(SkippedKeyless, "no key is set in the environment; set "+c.route.keyVariable())
	}
	if at, why, _, _ := c.pool.Soonest(now, name); why != "" {
		report.Until = &at
		return skipped(SkippedResting, "every key rests, the first one to be back because of: "+string(why))
	}
	if state, until := c.healthOf(name).State(now); state == keys.BreakerOpen {
		report.Verdict, report.Why, report.Detail, report.Until = VerdictLastResort, SkippedBreaker, "its last attempts failed", &until
	}
	return report
}

// usableKeys counts the keys that a request could use, whether for a probe or not.
func usableKeys(pool *keys.Pool, model string, now time.Time) int {
	usable := 0
	for _, key := range pool.Status(now) {
		if !slices.ContainsFunc(key.Cooling, func(c keys.Cooling) bool { return !c.HalfOpen && (c.Model == "" || c.Model == model) }) {
			usable++
		}
	}
	return usable
}

// unusable appends the routes that plans leave out: those of a model and, depth
// first, those of its fallbacks.
func unusable(reports []CandidateReport, m *Model, via string, purpose Class, seen map[*Model]bool) []CandidateReport {
	if seen[m] {
		return reports
	}
	seen[m] = true
	for i := range m.ModelRoutings {
		route := &m.ModelRoutings[i]
		if slices.Contains(m.Routes, route) {
			continue
		}
		detail := "the provider cannot be used: " + route.Provider.Unusable
		switch {
		case !route.Provider.Enabled:
			detail = "the provider's file says enabled: false"
		case route.Provider.Unusable == "":
			detail = "an environment variable of the route's base_url is not set; the log of the start names it"
		}
		reports = append(reports, CandidateReport{
			Provider: route.ProviderName, Model: route.Model, Via: via, Purpose: purpose,
			Verdict: VerdictSkipped, Why: SkippedUnusable, Detail: detail, route: route,
		})
	}
	for _, fallback := range m.Fallbacks {
		reports = unusable(reports, fallback.Model, fallback.Name, purpose, seen)
	}
	return reports
}

// ResetKeys ends the rests of a provider's key with this ID, or with "" those of
// all its keys, its breakers too; with no provider, everything.
func (r *Router) ResetKeys(provider, keyID string) {
	for i := range r.providers {
		status := &r.providers[i]
		if provider != "" && provider != status.Provider.ID {
			continue
		}
		status.Pool.Reset(keyID)
		for _, pool := range status.routePools {
			pool.Reset(keyID)
		}
	}
}
