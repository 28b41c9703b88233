package routing

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// checkModel validates a decoded model by itself and brings its values into
// the form that the rest of the package relies on. path is the file's, below
// the models directory and without ".json".
func checkModel(m *Model, d *document, path string) {
	checkModelName(d, "logical_name", m.LogicalName)
	if d.has("logical_name") {
		if strings.Contains(m.LogicalName, "*") {
			d.failAt("logical_name", "must not have '*'", "write patterns as aliases")
		}
		if m.LogicalName != path {
			d.warnAt("logical_name", fmt.Sprintf("%q is not the file's name; clients ask for %q", m.LogicalName, m.LogicalName), "")
		}
	}
	if m.DisplayName == "" {
		m.DisplayName = m.LogicalName
	}
	for i, alias := range m.Aliases {
		checkModelName(d, fmt.Sprintf("aliases[%d]", i), alias)
	}
	if d.has("model_routings") && len(m.ModelRoutings) == 0 {
		if len(m.FallbackModelRoutings) == 0 {
			d.failAt("model_routings", "is empty and there are no fallback models, so that nothing can answer", exampleOf("model_routings"))
		} else {
			d.warnAt("model_routings", "is empty; only the fallback models can answer", "")
		}
	}
	checkCapabilities(d, "capabilities", &m.Capabilities)
	checkPrices(d, "prices", m.Prices)
	checkWord(d, "on_lossy", string(m.OnLossy), string(LossyWarn), string(LossyReject), string(LossyIgnore))
	checkWord(d, "hosted_tools", string(m.HostedTools), string(HostedDrop), string(HostedRefuse))
	m.checkPolicy(d)
	for i := range m.ModelRoutings {
		m.ModelRoutings[i].check(d, fmt.Sprintf("model_routings[%d]", i))
	}
	m.checkFallbackNames(d, "fallback_model_routings", m.FallbackModelRoutings)
	m.checkFallbackNames(d, "context_window_fallbacks", m.ContextWindowFallbacks)
	m.checkFallbackNames(d, "content_policy_fallbacks", m.ContentPolicyFallbacks)
}

// maxModelName is the longest name that a file may give a model.
const maxModelName = 256

func checkModelName(d *document, field, name string) {
	switch {
	case !d.has(field):
	case name == "":
		d.failAt(field, "must not be empty", "")
	case len(name) > maxModelName:
		d.failAt(field, fmt.Sprintf("must not be longer than %d bytes", maxModelName), "")
	case strings.TrimSpace(name) != name || strings.ContainsFunc(name, isControl):
		d.failAt(field, "must not begin or end with a space or have control characters", "")
	}
}

func (m *Model) checkFallbackNames(d *document, field string, names []string) {
	for i, name := range names {
		if name == m.LogicalName && name != "" {
			d.failAt(fmt.Sprintf("%s[%d]", field, i), fmt.Sprintf("%q falls back to itself", name), "leave it out")
		}
	}
}

// checkPolicy settles the order of the routes.
func (m *Model) checkPolicy(d *document) {
	checkWord(d, "policy", string(m.Policy), policyNames...)
	m.Policy = cmp.Or(m.Policy, PolicyPriority)
	if m.Policy != PolicyPriority && m.Policy != PolicyLeastLatency {
		return
	}
	for i := range m.ModelRoutings {
		if at := fmt.Sprintf("model_routings[%d].weight", i); d.has(at) {
			d.warnAt(at, fmt.Sprintf("has no effect with the policy %q", m.Policy), `leave it out, or write "policy": "weighted"`)
		}
	}
}

// wireProtocols are the names of the protocols, in wire_protocol and translate_to.
var wireProtocols = []string{string(translate.Chat), string(translate.Responses), string(translate.Messages)}

func (r *Route) check(d *document, field string) {
	for key, value := range map[string]string{"provider": r.ProviderName, "model": r.Model} {
		if d.has(field+"."+key) && value == "" {
			d.failAt(field+"."+key, "must not be empty", "")
		}
	}
	r.WireProtocol = checkProtocol(d, field+".wire_protocol", r.WireProtocol)
	checkCapabilities(d, field+".capabilities", &r.Capabilities)
	checkPrices(d, field+".prices", r.Prices)
	names := r.APIKeyEnv[:0]
	for i, name := range r.APIKeyEnv {
		at := fmt.Sprintf("%s.api_key_env[%d]", field, i)
		switch {
		case !d.has(at):
		case !variableName(name):
			d.failAt(at, "is not the name of an environment variable", `write e.g. "OPENAI_API_KEY_2"; keys are never written into a file`)
		case slices.Contains(names, name):
			d.warnAt(at, "is there twice", "")
		default:
			names = append(names, name)
		}
	}
	r.APIKeyEnv = names
}
