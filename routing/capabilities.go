package routing

import (
	"cmp"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// ModelCapabilities says what some of a provider's models take. It matters for
// requests that are translated; what is sent in the client's own protocol stays
// as it is.
type ModelCapabilities struct {
	// Models are parts of upstream model names: "claude-opus-4-7" stands for
	// us.anthropic.claude-opus-4-7 and claude-opus-4-7@20260416 alike. Where
	// several match a name, the longest decides alone, whichever entry it is
	// of; of two that are equally long the first by the alphabet. "*" is for
	// all other names. Case matters. One may be written without a list.
	// Required.
	Models []string `json:"models" config:"required,single"`

	translate.Capabilities
}

// anyModel is the pattern for all models that no other one matches.
const anyModel = "*"

// modelPattern is one of the patterns by which a provider's file says something of
// its models.
type modelPattern[Value any] struct {
	part  string // of the model's name; empty for anyModel
	value *Value
}

// newModelPatterns are the patterns of one entry.
func newModelPatterns[Value any](models []string, value *Value) []modelPattern[Value] {
	patterns := make([]modelPattern[Value], len(models))
	for i, pattern := range models {
		patterns[i] = modelPattern[Value]{strings.TrimPrefix(pattern, anyModel), value}
	}
	return patterns
}

// longestFirst brings patterns into the order in which they are tried.
func longestFirst[Value any](a, b modelPattern[Value]) int {
	return cmp.Or(cmp.Compare(len(b.part), len(a.part)), cmp.Compare(a.part, b.part))
}

// capabilitiesOf are those that the provider's file has for a model.
func (p *Provider) capabilitiesOf(upstream string) *translate.Capabilities {
	for i := range p.modelPatterns {
		if strings.Contains(upstream, p.modelPatterns[i].part) {
			return p.modelPatterns[i].value
		}
	}
	return &noCapabilities
}

// noCapabilities are those of a model about which nothing is said.
var noCapabilities translate.Capabilities

// CapabilitiesFor are those of the model that the route leads to, upstream being
// the name that is sent. Each is taken from the most specific place that sets
// it: the route, the owner, the provider's entry for that name.
func (r *Route) CapabilitiesFor(upstream string) translate.Capabilities {
	return r.Capabilities.Or(r.Owner.Capabilities).Or(*r.Provider.capabilitiesOf(upstream))
}
