package routing

import (
	"encoding/json"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Provider is one upstream service: one file of the providers directory, such
// as config/providers/openai.json. The file's name without ".json" is the
// provider's identity: routes, metrics and names of environment variables use
// it. It consists of letters, digits, '.', '_' and '-'.
//
// ${NAME} in a base URL and in a header value stands for an environment
// variable, ${NAME:-text} for one with a default; see [Load] for what happens
// when one is not set. Secrets are never written into the file itself.
//
// A key whose value is null counts as not written.
type Provider struct {
	// Name is a label for people and programs that list providers. It is
	// made of the same characters as the file's name, and no two files may
	// share one. Required.
	Name string `json:"name" config:"required"`

	// DisplayName is the name to show, such as "OpenAI". Default: Name.
	DisplayName string `json:"display_name"`

	// Enabled says whether routes may use the provider. Routes to a disabled
	// one are skipped, with a warning when the configuration is loaded.
	// Required.
	Enabled bool `json:"enabled" config:"required"`

	// APIKeys says where the provider's keys are found.
	APIKeys APIKeys `json:"api_keys"`

	// Endpoints says where the provider is and what it serves. Required.
	Endpoints Endpoints `json:"endpoints" config:"required"`

	// Authentication says how a key is presented. Required.
	Authentication Authentication `json:"authentication" config:"required"`

	// RequestConfig holds what applies to every request to the provider.
	RequestConfig RequestConfig `json:"request_config"`

	// Timeouts bounds the waits of every request to the provider. Models and
	// routes may set their own.
	Timeouts Timeouts `json:"timeouts"`

	// Quirks are the provider's habits on the wire, as far as requests that
	// are translated have to respect them.
	Quirks translate.Quirks `json:"quirks"`

	// Capabilities says what the provider's models take. Models and routes
	// may say otherwise for their own.
	Capabilities []ModelCapabilities `json:"capabilities"`

	// Prices says what the provider's models cost. Models and routes may say
	// otherwise for their own. Without it, what requests cost is not known.
	Prices []ModelPrices `json:"prices"`

	// RateLimiting holds the provider's own limits, and for how long one of
	// its keys rests after a failure.
	RateLimiting RateLimiting `json:"rate_limiting"`

	// Breaker says when a model of the provider is taken for ill, so that other
	// routes are asked first.
	Breaker BreakerSettings `json:"breaker"`

	// Models holds what applies to single models, by the name that the
	// provider gives them.
	Models map[string]ProviderModel `json:"models"`

	// ErrorHandling says what an error status of this provider means, by
	// HTTP status from 400 to 599. A status that is not listed is judged by
	// the failure classes.
	ErrorHandling map[int]ErrorRule `json:"error_handling"`

	// ProxySupport sends requests to another address that speaks for the
	// provider.
	ProxySupport ProxySupport `json:"proxy_support"`

	// ModelMapping renames models: a name that a route asks for to the name
	// that the provider knows. A name that is not listed stays as it is.
	ModelMapping map[string]string `json:"model_mapping"`

	// ProviderNotes is for people: a text, or any JSON.
	ProviderNotes json.RawMessage `json:"provider_notes"`

	// ID is the file's name without ".json".
	ID string `json:"-"`

	// File is the file's path, for messages.
	File string `json:"-"`

	// MainProtocol is what Endpoints.CompatibleFormat means.
	MainProtocol translate.Protocol `json:"-"`

	// BaseURL is where requests go: ProxySupport.BaseURLOverride where that
	// is enabled and not empty, else Endpoints.BaseURL, with its variables
	// filled in. Empty where one of them is not set.
	BaseURL string `json:"-"`

	// Unusable says why no request can go to the provider although it may be
	// enabled, such as "environment variable X is not set". Empty: nothing
	// is in the way. Where only BaseURL is missing, routes with a base URL of
	// their own work all the same.
	Unusable string `json:"-"`

	keyPatterns   []string                               // of APIKeys, none twice
	modelPatterns []modelPattern[translate.Capabilities] // of Capabilities, longest first
	pricePatterns []modelPattern[Prices]                 // of Prices, longest first
	headers       []fixedHeader                          // Authentication.AdditionalHeaders, filled in, by name
	headersLack   bool                                   // a variable of one of them is not set
	digest        Digest                                 // of the file
}

// APIKeys says which environment variables hold a provider's keys. The keys
// themselves are never written into a file.
type APIKeys struct {
	// EnvVarPatterns are names of environment variables, in the order in
	// which their keys are tried. {PROVIDER} stands for the file's name in
	// upper case, with '_' for whatever is no letter or digit; {INDEX}, once,
	// for any number, so that
	// OPENAI_API_KEY_{INDEX} finds OPENAI_API_KEY_1, OPENAI_API_KEY_2 and so
	// on, gaps allowed. Default, where no pattern is given at all:
	// {PROVIDER}_API_KEY, then {PROVIDER}_API_KEY_{INDEX}.
	EnvVarPatterns []string `json:"env_var_patterns"`

	// EnvVarPattern is one more pattern, tried last.
	EnvVarPattern string `json:"env_var_pattern"`

	// Description is for people.
	Description string `json:"description"`
}

// Endpoints says where a provider is and what it serves. Every path is joined
// with the base URL by exactly one slash. It may have a query
// (?api-version=...), and {model} in it stands for the upstream model's name.
// A protocol without a path is one that the provider does not speak.
type Endpoints struct {
	// BaseURL starts with http:// or https://, has neither user nor password
	// nor a query, and may contain ${NAME}. Required.
	BaseURL string `json:"base_url" config:"required"`

	// CompatibleFormat is the provider's main protocol: "openai" (Chat
	// Completions), "anthropic" (Messages) or "responses" (OpenAI
	// Responses); "azure" and "native" mean "openai". Default: openai.
	CompatibleFormat string `json:"compatible_format"`

	// TranslateTo is the protocol that a request is translated to when the
	// provider does not speak the client's: "openai", "responses" or
	// "anthropic". It matters where the provider speaks several, and the main
	// one is not that in which its models can do most. Default: the main
	// protocol. After loading it is never empty.
	TranslateTo translate.Protocol `json:"translate_to"`

	// Completions is the path of Chat Completions. Where CompatibleFormat
	// names another protocol that has no path of its own, this is that
	// protocol's path. Required, unless the main protocol has its own path.
	Completions string `json:"completions"`

	// Streaming is the main protocol's path for requests that stream.
	// Default: the same as for requests that do not.
	Streaming string `json:"streaming"`

	// Responses is the path of OpenAI's Responses API.
	Responses string `json:"responses"`

	// Messages is the path of Anthropic's Messages API.
	Messages string `json:"messages"`

	// CountTokens is the path of Anthropic's token counting. Without it,
	// tokens are estimated here.
	CountTokens string `json:"count_tokens"`

	// Embeddings is the path of OpenAI's embeddings.
	Embeddings string `json:"embeddings"`

	// Models is the path of the provider's list of models.
	Models string `json:"models"`
}

// Authentication says how a key is presented.
type Authentication struct {
	// Type is "bearer" (Authorization: Bearer KEY, unless HeaderName and
	// HeaderFormat say otherwise), "none" (the provider takes no key, as
	// local servers do; it is then used without any), or any other word, such
	// as "header" or "api_key", which only informs.
	Type string `json:"type"`

	// HeaderName is the header that carries the key, such as "Authorization"
	// or "x-api-key". Required, unless Type is "bearer" or "none".
	HeaderName string `json:"header_name"`

	// HeaderFormat is the header's value; {api_key} stands for the key.
	// Default: "{api_key}", or "Bearer {api_key}" where Type is "bearer" and
	// the header is Authorization.
	HeaderFormat string `json:"header_format"`

	// AdditionalHeaders are sent with every request. Their values may
	// contain ${NAME}; a header whose value ends up empty is not sent.
	AdditionalHeaders map[string]string `json:"additional_headers"`
}

// RequestConfig holds what applies to every request to a provider.
type RequestConfig struct {
	// Timeout is the longest silence of the provider that is borne: before
	// the first content, and between two reads of a stream. It stands for
	// Timeouts.FirstContent and Timeouts.Idle where those are not set. In
	// seconds; 0: not set.
	Timeout time.Duration `json:"timeout_seconds" config:"seconds"`

	// MaxRetries is how often a request is repeated with the same key after
	// a status listed in RetryOnStatus, before the failure counts. Each
	// repetition makes the client wait longer. At most 10. Default: 1, which
	// means nothing where RetryOnStatus is empty.
	MaxRetries *int `json:"max_retries" config:"max=10"`

	// RetryOnStatus lists the HTTP statuses from 400 to 599 after which the
	// same key may be tried again.
	RetryOnStatus []int `json:"retry_on_status"`

	// DefaultParameters are top-level fields of the request body that are
	// added where the client sent none of that name. They apply to requests
	// that are sent in the provider's main protocol.
	DefaultParameters Parameters `json:"default_parameters"`

	// RequiredParameters names top-level fields of the request body without
	// which a request, after DefaultParameters were added, does not go to
	// this provider.
	RequiredParameters []string `json:"required_parameters"`
}

// Retries is how often a request may be repeated with the same key.
func (c *RequestConfig) Retries() int {
	switch {
	case len(c.RetryOnStatus) == 0:
		return 0
	case c.MaxRetries == nil:
		return 1
	}
	return *c.MaxRetries
}

// Parameters are fields of a request body, in the order of the file.
type Parameters []Parameter

// Parameter is one field of a request body: its name, and its value as JSON.
type Parameter struct {
	Name  string
	Value json.RawMessage
}

// RateLimiting holds a provider's limits and its cooldown.
type RateLimiting struct {
	// Enabled says whether RequestsPerMinute and TokensPerMinute apply.
	Enabled bool `json:"enabled"`

	// RequestsPerMinute is how many requests one key may serve in a minute.
	// 0: any number.
	RequestsPerMinute int `json:"requests_per_minute"`

	// TokensPerMinute is how many tokens one key may serve in a minute. 0:
	// any number.
	TokensPerMinute int `json:"tokens_per_minute"`

	// Cooldown is for how long a key, or the whole provider, rests after a
	// failure that asks for it, where nothing more specific is set. It
	// applies whether or not Enabled is set. In seconds; 0: not set.
	Cooldown time.Duration `json:"cooldown_seconds" config:"seconds"`
}

// ProviderModel holds what applies to one model of a provider.
type ProviderModel struct {
	// Cooldown is for how long a key rests for this model after a
	// failure. In seconds; 0: not set.
	Cooldown time.Duration `json:"cooldown_seconds" config:"seconds"`

	// Timeout is like RequestConfig.Timeout, for this model.
	Timeout time.Duration `json:"timeout_seconds" config:"seconds"`

	// Timeouts is like Provider.Timeouts, for this model.
	Timeouts Timeouts `json:"timeouts"`
}

// ErrorRule says what an HTTP status means.
type ErrorRule struct {
	// Action is one of the actions below. Required.
	Action Action `json:"action" config:"required"`

	// Cooldown is for how long what the action cools rests. In seconds; 0
	// cools nothing. Not set: the cooldown of the route, model or provider
	// applies.
	Cooldown *time.Duration `json:"cooldown_seconds" config:"seconds"`
}

// Action is what an error status leads to.
type Action string

// The actions that error_handling may name.
const (
	// ActionModelKeyFailure lets the key rest for this model; the next key
	// is tried.
	ActionModelKeyFailure Action = "model_key_failure"
	// ActionGlobalKeyFailure lets the key rest for every model of the
	// provider; the next key is tried.
	ActionGlobalKeyFailure Action = "global_key_failure"
	// ActionProviderCooldown lets the whole provider rest, whatever the key;
	// the next route is tried.
	ActionProviderCooldown Action = "provider_cooldown"
	// ActionFallbackNoCooldown lets nothing rest; the next route is tried.
	ActionFallbackNoCooldown Action = "fallback_no_cooldown"
	// ActionAutoFixToolResponses completes tool calls that have no result in
	// the conversation and repeats the request once with the same key; when
	// that fails too, the next route is tried.
	ActionAutoFixToolResponses Action = "auto_fix_tool_responses"
)

// actionNames lists the actions as a file may write them.
var actionNames = []string{
	string(ActionModelKeyFailure), string(ActionGlobalKeyFailure), string(ActionProviderCooldown),
	string(ActionFallbackNoCooldown), string(ActionAutoFixToolResponses),
}

// ProxySupport sends requests to another address that speaks for a provider,
// such as a company's gateway.
type ProxySupport struct {
	// Enabled says whether BaseURLOverride applies.
	Enabled bool `json:"enabled"`

	// BaseURLOverride takes the place of Endpoints.BaseURL, and is written
	// like it. Empty: it changes nothing.
	BaseURLOverride string `json:"base_url_override"`

	// Description is for people.
	Description string `json:"description"`
}

// String returns the provider's identity. It keeps header values, which may
// come from secret variables, out of texts that are made with fmt.
func (p *Provider) String() string { return p.ID }

// Keyless reports whether the provider takes no key.
func (p *Provider) Keyless() bool { return p.Authentication.Type == "none" }

// KeyPatterns are the patterns of the environment variables that hold the
// provider's keys, in their order; nil: the default ones.
func (p *Provider) KeyPatterns() []string { return p.keyPatterns }

// UpstreamModel is the name under which the provider knows a model that a
// route asks for.
func (p *Provider) UpstreamModel(name string) string {
	if mapped, ok := p.ModelMapping[name]; ok {
		return mapped
	}
	return name
}
