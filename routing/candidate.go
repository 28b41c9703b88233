package routing

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Candidate is one route as a plan knows it, with all that an attempt needs
// worked out at load.
type Candidate struct {
	route *Route
	// via is the name under which the route was reached as a fallback, empty
	// for a model's own routes: what "*" then stands for.
	via       string
	pool      *keys.Pool
	transport http.RoundTripper
	// endpoints are the URLs of the route, which requests share.
	endpoints map[endpointKey]*url.URL
	header    headerTemplate
	// model is what the provider is asked for, and quoted the same as JSON.
	// Both are empty where the request decides.
	model  string
	quoted []byte
	// health is that of model; nil where the request decides.
	health *keys.Health
	// breaker says when that is ill.
	breaker keys.Breaker
	// prices are those of model; nil where they are unknown or the request
	// decides.
	prices *Prices
}

// pricesOf are those of the provider's model that is asked for, nil where they are
// not known.
func (c *Candidate) pricesOf(model string) *Prices {
	if c.model != "" {
		return c.prices
	}
	return c.route.PricesFor(model)
}

// healthOf is the health of the provider's model that is asked for.
func (c *Candidate) healthOf(model string) *keys.Health {
	if c.health != nil {
		return c.health
	}
	return c.pool.Health(model)
}

// headerTemplate is what a provider's headers have in common over requests.
type headerTemplate struct {
	// fixed are the provider's additional headers, by canonical name.
	fixed map[string][]string
	// keyName is the header of the key, before and after what stands around
	// the key in it. keyName is empty for a provider that takes none.
	keyName, before, after string
}

func newHeaderTemplate(p *Provider) headerTemplate {
	t := headerTemplate{fixed: make(map[string][]string)}
	for _, h := range p.headers {
		t.fixed[http.CanonicalHeaderKey(h.name)] = []string{h.value}
	}
	if !p.Keyless() {
		t.keyName = http.CanonicalHeaderKey(p.Authentication.HeaderName)
		t.before, t.after, _ = strings.Cut(p.Authentication.HeaderFormat, keyInHeader)
	}
	return t
}

type endpointKey struct {
	protocol  translate.Protocol
	operation translate.Operation
	stream    bool
}

// protocolFor is the protocol in which the candidate is asked. Only what asks for
// an answer can be translated.
func (c *Candidate) protocolFor(q *Request) translate.Protocol {
	if q.Operation != translate.Generate {
		return q.Protocol
	}
	return c.route.ProtocolFor(q.Protocol)
}

// serves reports whether the candidate takes a request, as it is or translated.
func (c *Candidate) serves(q *Request) bool {
	_, ok := c.endpoints[endpointKey{c.protocolFor(q), q.Operation, q.Stream}]
	return ok
}

// pathFor is where the provider serves an operation in a protocol, below its
// base URL; empty where it does not.
func (p *Provider) pathFor(protocol translate.Protocol, operation translate.Operation, stream bool) string {
	switch {
	case operation == translate.Generate:
		return p.Path(protocol, stream)
	case operation == translate.Embed && protocol == translate.Chat:
		return p.Endpoints.Embeddings
	case operation == translate.CountTokens && protocol == translate.Messages:
		return p.Endpoints.CountTokens
	}
	return ""
}

// upstreamModel is the name that the provider is asked for.
func (c *Candidate) upstreamModel(q *Request) string {
	if c.model != "" {
		return c.model
	}
	if c.via != "" {
		return c.route.UpstreamModel(c.via)
	}
	return c.route.UpstreamModel(q.Model)
}

// timeouts are the waits of one attempt.
func (c *Candidate) timeouts(model string, standard Timeouts) Timeouts {
	return c.route.TimeoutsFor(model, standard)
}

// target is where a request goes.
func (c *Candidate) target(q *Request, model string) (*url.URL, error) {
	target := c.endpoints[endpointKey{q.Protocol, q.Operation, q.Stream}]
	if path := c.route.Provider.pathFor(q.Protocol, q.Operation, q.Stream); c.route.Model == "*" && strings.Contains(path, modelInPath) {
		// Only the request knows the model.
		var err error
		if target, err = EndpointURL(c.route.BaseURL, path, model); err != nil {
			return nil, err
		}
	}
	if !q.Beta || c.route.Provider.Quirks.DropBetas {
		return target, nil
	}
	beta := *target
	if beta.RawQuery != "" {
		beta.RawQuery += "&"
	}
	beta.RawQuery += "beta=true"
	return &beta, nil
}

var (
	contentJSON  = []string{"application/json"}
	acceptJSON   = []string{"application/json"}
	acceptEvents = []string{"text/event-stream"}
)

// headers are what the provider gets: those of the client that an allow list
// names, its own, and the key. Its own go first, but for two: a client's
// Anthropic-Version, because the body was written for it, and Anthropic-Beta,
// where both count.
func (c *Candidate) headers(q *Request, key *keys.Key) http.Header {
	h := make(http.Header, 8)
	for name, values := range q.Header {
		if q.forwards(name) {
			h[name] = values
		}
	}
	if c.route.Provider.Quirks.DropBetas {
		delete(h, "Anthropic-Beta")
	}
	for name, values := range c.header.fixed {
		sent, both := h[name]
		switch {
		case both && name == "Anthropic-Version":
		case both && name == "Anthropic-Beta":
			h[name] = append(slices.Clip(values), sent...)
		default:
			h[name] = values
		}
	}
	h["Content-Type"] = contentJSON
	h["Accept"] = acceptJSON
	if q.Stream {
		h["Accept"] = acceptEvents
	}
	if c.header.keyName != "" {
		h[c.header.keyName] = []string{c.header.before + key.Secret() + c.header.after}
	}
	if _, sent := h["Anthropic-Version"]; !sent && q.Protocol == translate.Messages {
		// The API refuses requests without one; whoever speaks it by hand
		// tends to forget it.
		h["Anthropic-Version"] = anthropicVersion
	}
	h[HopHeader] = hops[min(q.Hop, MaxHops)]
	if _, sent := h["User-Agent"]; !sent {
		h["User-Agent"] = userAgent
	}
	return h
}

// HopHeader counts the gateways of this kind that a request has passed, so that
// a base_url which leads back here ends after MaxHops rounds and not when all
// sockets are used up.
const (
	HopHeader = "Llm-Proxy-Hop"
	MaxHops   = 3
)

// hops are the header's values by the number of gateways passed before this one.
var hops = [MaxHops + 1][]string{{"1"}, {"2"}, {"3"}, {"4"}}

var (
	anthropicVersion = []string{"2023-06-01"}
	userAgent        = []string{"caddy-llm-proxy"}
)

// edits are what the route changes in the client's body: the model's name, the
// stream flag of the endpoints that always stream, and the provider's defaults
// for what the client did not send.
func (c *Candidate) edits(q *Request, model string) []edit {
	var edits []edit
	var added []byte
	if q.asked == nil { // a translation is made with the model's name in it
		switch _, m, named := q.Object.Get("model"); {
		case !named:
			added = append(append(added, `,"model":`...), c.quotedModel(model)...)
		case model != q.clientModel():
			edits = append(edits, edit{m.Start, m.End, c.quotedModel(model)})
		}
	}
	if q.ForceStream {
		if _, m, sent := q.Object.Get("stream"); sent {
			edits = append(edits, edit{m.Start, m.End, []byte("true")})
		} else {
			added = append(added, `,"stream":true`...)
		}
	}
	if c.route.Provider.Quirks.DropBetas && q.Object != nil && q.Protocol == translate.Messages {
		edits = q.withoutBetas(edits)
	}
	if q.Operation == translate.Generate && q.Protocol == c.route.Provider.MainProtocol {
		for _, p := range c.route.Provider.RequestConfig.DefaultParameters {
			if q.has(p.Name) || q.asked != nil && fitted(p.Name) {
				continue
			}
			added = append(added, ',')
			added = append(added, quoted(p.Name)...)
			added = append(added, ':')
			added = append(added, p.Value...)
		}
	}
	if len(added) > 0 {
		if q.Object != nil && len(q.Object.Members) == 0 {
			added = added[1:] // the comma
		}
		end := bytes.LastIndexByte(q.Body.Bytes(), '}')
		edits = append(edits, edit{end, end, added})
	}
	if len(edits) > 1 {
		slices.SortFunc(edits, func(a, b edit) int { return a.start - b.start })
	}
	return edits
}

// fitted reports whether a parameter is one that a translation has adapted to the
// model: where such a one is missing, the model does not take it.
func fitted(name string) bool {
	switch name {
	case "max_tokens", "max_completion_tokens", "max_output_tokens", "temperature", "top_p", "top_k",
		"stop", "stop_sequences", "thinking", "reasoning", "reasoning_effort", "output_config":
		return true
	}
	return false
}

// quotedModel is the name that the provider is asked for, as JSON.
func (c *Candidate) quotedModel(model string) []byte {
	if c.quoted != nil {
		return c.quoted
	}
	return quoted(model)
}

// quoted is a text as JSON.
func quoted(text string) []byte {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // no string fails
	}
	return b
}

// missing names a parameter that the provider requires and the request lacks.
func (c *Candidate) missing(q *Request) string {
	config := &c.route.Provider.RequestConfig
	if q.Operation != translate.Generate {
		return ""
	}
	for _, name := range config.RequiredParameters {
		if q.has(name) || name == "model" { // which every attempt names
			continue
		}
		isDefault := func(p Parameter) bool { return p.Name == name }
		if q.Protocol == c.route.Provider.MainProtocol && slices.ContainsFunc(config.DefaultParameters, isDefault) {
			continue
		}
		return name
	}
	return ""
}
