package routing

import (
	"encoding/json"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Model is one name that clients ask for, and where it is found: one file of
// the models directory, such as config/models/gpt-5.5.json. Files may lie in
// subdirectories.
//
// A key whose value is null counts as not written.
type Model struct {
	// LogicalName is the name that clients ask for. It should be the file's
	// path below the models directory without ".json"; where they differ,
	// LogicalName counts and a warning says so. Required.
	LogicalName string `json:"logical_name" config:"required"`

	// ID is for people and tools; nothing depends on it.
	ID json.RawMessage `json:"id"`

	// DisplayName is the name to show, such as "GPT-5.5". Default:
	// LogicalName.
	DisplayName string `json:"display_name"`

	// Aliases are other names of this model. '*' in one stands for any run
	// of characters, so "claude-*" answers every name that begins so. Case
	// matters. A model's logical name goes before any alias, an alias
	// without '*' before one with it, a longer alias before a shorter one.
	Aliases []string `json:"aliases"`

	// Timeout is like RequestConfig.Timeout of a provider, for every route
	// of this model. In seconds; 0: not set.
	Timeout time.Duration `json:"timeout_seconds" config:"seconds"`

	// Timeouts bounds the waits of every route of this model. They go before
	// those of the provider.
	Timeouts Timeouts `json:"timeouts"`

	// DefaultCooldown is for how long a key rests for a model of this file
	// after a failure, where neither the route nor the provider's entry for
	// the model says so. In seconds; 0: not set.
	DefaultCooldown time.Duration `json:"default_cooldown_seconds" config:"seconds"`

	// Capabilities says what the model takes, whichever provider serves it.
	// It goes before what the providers' files say.
	Capabilities translate.Capabilities `json:"capabilities"`

	// Prices says what the model costs, whichever provider serves it. It goes
	// before what the providers' files say; the prices of two places are never
	// mixed.
	Prices *Prices `json:"prices"`

	// OnLossy says what is done about requests of which something cannot
	// cross to the provider's protocol: "warn", "reject" or "ignore". The
	// model that the client asked for decides, also where a fallback answers.
	// Default: the setting of the llm_proxy block, which is warn by default.
	OnLossy OnLossy `json:"on_lossy"`

	// HostedTools says what becomes of tools that only another vendor can
	// run, such as OpenAI's code_interpreter on a Claude: "drop" leaves them
	// out, which is a loss, "refuse" refuses the request. Agents send such
	// tools with every request, needed or not. The model that the client
	// asked for decides. Default: drop.
	HostedTools HostedTools `json:"hosted_tools"`

	// Policy is how the order of this model's own routes is found for each
	// request: "priority" tries them as they are written, "weighted" by chance,
	// "least_latency" the quicker one first, "least_busy" the one with fewer
	// requests in flight. Fallback models always come after them. A
	// conversation stays with its route where affinity is on. After loading it
	// is never empty. Default: priority.
	Policy Policy `json:"policy"`

	// HedgeAfter is how long an attempt may show nothing before a second one
	// starts beside it on the next route; the first to show content answers and
	// the other is cancelled. Both may cost money. A number of seconds or a
	// text such as "1.5s". Default: 0, which never starts one.
	HedgeAfter time.Duration `json:"hedge_after" config:"duration"`

	// ModelRoutings are the routes, in the order in which they are tried where
	// Policy does not choose another. Required; it may be empty where there are
	// fallback models.
	ModelRoutings []Route `json:"model_routings" config:"required"`

	// FallbackModelRoutings names models whose routes are tried after all of
	// this model's, depth first. Models may fall back to each other: each
	// route is tried once. An unknown name is skipped, with a warning.
	FallbackModelRoutings []string `json:"fallback_model_routings"`

	// ContextWindowFallbacks names models with a larger window, which are
	// tried when the conversation is too long for this one.
	ContextWindowFallbacks []string `json:"context_window_fallbacks"`

	// ContentPolicyFallbacks names models that are tried when a provider
	// refuses the content. Without them a refusal goes to the client.
	ContentPolicyFallbacks []string `json:"content_policy_fallbacks"`

	// File is the file's path, for messages.
	File string `json:"-"`

	// Routes are those of ModelRoutings that requests can use: their
	// provider is enabled and usable.
	Routes []*Route `json:"-"`

	// Fallbacks, ContextFallbacks and PolicyFallbacks are the three lists of
	// fallback models, without names that no model answers to.
	Fallbacks        []Fallback `json:"-"`
	ContextFallbacks []Fallback `json:"-"`
	PolicyFallbacks  []Fallback `json:"-"`

	digest Digest // of the file
}

// Route is one place where a model is found: a provider, and the name that
// the model has there.
type Route struct {
	// ID is for people and tools; nothing depends on it.
	ID json.RawMessage `json:"id"`

	// ProviderName is the provider's file name without ".json". Required.
	ProviderName string `json:"provider" config:"required"`

	// Model is the model's name at the provider. "*" stands for the name
	// that the client asked for, so that one file with the alias "claude-*"
	// passes every such name on; reached as a fallback, it stands for the
	// name in the list of fallbacks. The provider's model_mapping applies
	// afterwards. Required.
	Model string `json:"model" config:"required"`

	// WireProtocol is the protocol that requests of this route are sent in:
	// "openai", "responses" or "anthropic". Default: the client's protocol
	// where the provider speaks it, else the one that the provider's
	// endpoints.translate_to names.
	WireProtocol translate.Protocol `json:"wire_protocol"`

	// Capabilities says what the model takes here. It goes before what the
	// model's and the provider's files say.
	Capabilities translate.Capabilities `json:"capabilities"`

	// Prices says what the model costs here. It goes before what the model's and
	// the provider's files say.
	Prices *Prices `json:"prices"`

	// BaseURL takes the place of the provider's base URL, and is written
	// like it; the paths remain the provider's. The route's requests carry
	// the provider's keys there, so it has to be an address that may have
	// them. After loading it is never empty on a usable route: where the
	// file has none, it is the provider's.
	BaseURL string `json:"base_url"`

	// APIKeyEnv names the environment variables that hold this route's keys.
	// Only those keys are used then, none of the provider's.
	APIKeyEnv []string `json:"api_key_env"`

	// Timeout is like RequestConfig.Timeout of a provider, for this route.
	// In seconds; 0: not set.
	Timeout time.Duration `json:"timeout_seconds" config:"seconds"`

	// Timeouts bounds the waits of this route. They go before those of the
	// model and the provider.
	Timeouts Timeouts `json:"timeouts"`

	// Cooldown is for how long a key rests for this route's model after a
	// failure. In seconds; 0: not set.
	Cooldown time.Duration `json:"cooldown_seconds" config:"seconds"`

	// Weight is the route's share of the requests with policy "weighted": of two
	// routes with the weights 3 and 1 the first is tried first three times out
	// of four. With "least_busy" it divides the requests in flight, so that it
	// is how many this route bears where another bears one. 0 lets the route be
	// tried only when nothing else is left. At most 1000000. Default: 1.
	Weight *float64 `json:"weight" config:"max=1000000"`

	// Provider is the provider of that name; nil before loading.
	Provider *Provider `json:"-"`

	// Owner is the model that the route belongs to; nil before loading.
	Owner *Model `json:"-"`

	unreachable bool // a variable of BaseURL is not set
}

// Fallback is a model that takes over from another.
type Fallback struct {
	// Name is how the list of fallbacks names it: what a route's "*" stands
	// for when it is reached this way.
	Name string
	// Model is the model that answers to Name.
	Model *Model
}

// share is the route's weight.
func (r *Route) share() float64 {
	if r.Weight == nil {
		return 1
	}
	return *r.Weight
}

// UpstreamModel is the name to send to the provider when asked is the name
// under which the route's model was reached.
func (r *Route) UpstreamModel(asked string) string {
	name := r.Model
	if name == "*" {
		name = asked
	}
	return r.Provider.UpstreamModel(name)
}

// ProtocolFor is the protocol in which requests of a client that speaks the
// given one are sent: WireProtocol where the file names one, else the client's
// where the provider speaks it, else the one that the provider wants
// translations in.
func (r *Route) ProtocolFor(client translate.Protocol) translate.Protocol {
	switch {
	case r.WireProtocol != "":
		return r.WireProtocol
	case r.Provider.Speaks(client):
		return client
	}
	return r.Provider.Endpoints.TranslateTo
}

// keyVariable names a variable in which a key of the route would be found.
func (r *Route) keyVariable() string {
	patterns := r.Provider.KeyPatterns()
	if len(r.APIKeyEnv) > 0 {
		patterns = r.APIKeyEnv
	}
	return keys.Variable(r.Provider.ID, patterns)
}

// usable reports whether requests can be sent, but for the key.
func (r *Route) usable() bool {
	return r.Provider.Enabled && !r.Provider.headersLack && !r.unreachable && r.BaseURL != ""
}

// CooldownFor is for how long a key rests for the route's model after a
// failure, upstream being the name that was sent. The most specific setting
// counts: the route's, the provider's for this model, the owner's, the
// provider's, then standard.
func (r *Route) CooldownFor(upstream string, standard time.Duration) time.Duration {
	for _, d := range [...]time.Duration{
		r.Cooldown,
		r.Provider.Models[upstream].Cooldown,
		r.Owner.DefaultCooldown,
		r.Provider.RateLimiting.Cooldown,
	} {
		if d > 0 {
			return d
		}
	}
	return standard
}

// TimeoutsFor are the waits that bound a request of the route, upstream being
// the name that is sent. Each of the four is taken from the most specific
// place that sets it: the route, the provider's entry for this model, the
// owner, the provider, then standard. At each place timeout_seconds fills in
// first_content and idle.
func (r *Route) TimeoutsFor(upstream string, standard Timeouts) Timeouts {
	special := r.Provider.Models[upstream]
	return r.Timeouts.orSilence(r.Timeout).
		or(special.Timeouts.orSilence(special.Timeout)).
		or(r.Owner.Timeouts.orSilence(r.Owner.Timeout)).
		or(r.Provider.Timeouts.orSilence(r.Provider.RequestConfig.Timeout)).
		or(standard)
}

// Policy is how the order of a model's own routes is found for a request.
type Policy string

// The values of policy.
const (
	// PolicyPriority tries the routes in the order of the file. This is the
	// default.
	PolicyPriority Policy = "priority"
	// PolicyWeighted draws the order by the routes' weights.
	PolicyWeighted Policy = "weighted"
	// PolicyLeastLatency draws two routes and begins with the one that lately
	// showed content sooner.
	PolicyLeastLatency Policy = "least_latency"
	// PolicyLeastBusy begins with the route that has the fewest requests in
	// flight for its weight.
	PolicyLeastBusy Policy = "least_busy"
)

// policyNames lists the policies as a file may write them.
var policyNames = []string{
	string(PolicyPriority), string(PolicyWeighted), string(PolicyLeastLatency), string(PolicyLeastBusy),
}
