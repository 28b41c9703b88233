package routing

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Options is what a Router is built from.
type Options struct {
	// Catalog holds the loaded files.
	Catalog *Catalog
	// Keys remembers how keys did, over configurations.
	Keys *keys.State
	// Environ is the environment in which keys are found, as os.Environ
	// returns it.
	Environ []string
	// Transport makes, or finds, the connections to a provider. connect
	// bounds the opening of one.
	Transport func(p *Provider, connect time.Duration) (http.RoundTripper, error)
	// Timeouts, Cooldown and MaxAttempts hold where no file says otherwise.
	Timeouts    Timeouts
	Cooldown    time.Duration
	MaxAttempts int
	// OnLossy is what is done about losses of translations, where the model
	// does not say. Default: LossyWarn.
	OnLossy OnLossy
	// ModelEcho is which model's name translated answers bear. Default:
	// EchoUpstream.
	ModelEcho ModelEcho
	// KeyCycles is how often one request may go through a route's keys; at
	// least 1.
	KeyCycles int
	// Breaker says when a provider's model is asked last.
	Breaker keys.Breaker
	// Retries bounds attempts beyond a request's first.
	Retries Retries
	// Wait is how long a request may wait for a key when all rest. 0: it is
	// answered at once.
	Wait time.Duration
	// Affinity remembers, over configurations, who answered a conversation.
	// nil: each request goes wherever its turn leads.
	Affinity *Affinity
	// Notify hears what happens to keys and routes. It is called on the way of
	// requests, so it must not wait. nil: nobody listens.
	Notify func(Notice)
}

// Retries is how many attempts beyond the first of their requests may go to
// upstreams that are not known to be well, so that an outage is not amplified.
type Retries struct {
	// Ratio is that many per request, such as 0.2.
	Ratio float64
	// PerSecond is that many more.
	PerSecond float64
}

// Router knows every way from a model's name to an upstream. It is immutable
// but for the memory about keys, and safe for concurrent use.
type Router struct {
	catalog     *Catalog
	plans       map[*Model]*plan
	pools       []*keys.Pool
	secrets     []string // the keys in them
	providers   []ProviderStatus
	timeouts    Timeouts
	cooldown    time.Duration
	maxAttempts int
	keyCycles   int
	onLossy     OnLossy
	modelEcho   ModelEcho
	retries     *keys.RetryBudget
	wait        time.Duration
	affinity    *Affinity // nil: none
	notify      func(Notice)
}

// plan is what may be tried for one model, worked out once at load: its own
// routes, then those of its fallback models, depth first, each route once.
type plan struct {
	model *Model
	sequence
	// context and policy hold the further candidates for conversations that
	// are too long, and for content that a provider refused.
	context, policy sequence
	// total bounds a request to the model, all attempts included.
	total time.Duration
}

// ProviderStatus is what health reports tell about a provider.
type ProviderStatus struct {
	Provider *Provider
	// Pool holds its keys, but for those that only a route names.
	Pool *keys.Pool

	routePools []*keys.Pool // of routes that have keys of their own
}

// Keys tells about all keys with which the provider may be asked: its own, then
// those that only routes name.
func (s *ProviderStatus) Keys(now time.Time) []keys.KeyStatus {
	all := s.Pool.Status(now)
	for _, pool := range s.routePools {
		for _, key := range pool.Status(now) {
			if !slices.ContainsFunc(all, func(known keys.KeyStatus) bool { return known.ID == key.ID }) {
				all = append(all, key)
			}
		}
	}
	return all
}

// hasKeys reports whether there is any key, usable or not.
func (s *ProviderStatus) hasKeys() bool {
	return s.Pool.Len() > 0 || slices.ContainsFunc(s.routePools, func(p *keys.Pool) bool { return p.Len() > 0 })
}

// KeysAvailable is how many of the provider's keys do not rest as a whole.
func (s *ProviderStatus) KeysAvailable(now time.Time) int {
	available := 0
	for _, key := range s.Keys(now) {
		if !slices.ContainsFunc(key.Cooling, func(c keys.Cooling) bool { return !c.HalfOpen && c.Scope != keys.ScopeKeyModel }) {
			available++
		}
	}
	return available
}

// New works out the plans of all models. Problems are warnings: keys that are
// set twice, routes that no key is set for.
func New(o Options) (*Router, []Problem, error) {
	r := &Router{
		catalog:     o.Catalog,
		plans:       make(map[*Model]*plan),
		timeouts:    o.Timeouts,
		cooldown:    o.Cooldown,
		maxAttempts: o.MaxAttempts,
		keyCycles:   max(o.KeyCycles, 1),
		onLossy:     cmp.Or(o.OnLossy, LossyWarn),
		modelEcho:   cmp.Or(o.ModelEcho, EchoUpstream),
		retries:     keys.NewRetryBudget(o.Retries.Ratio, o.Retries.PerSecond),
		wait:        o.Wait,
		affinity:    o.Affinity,
		notify:      o.Notify,
	}
	if r.notify == nil {
		r.notify = func(Notice) {}
	}
	b := builder{options: o, router: r, routes: make(map[*Route]*Candidate), pools: make(map[*Provider]*keys.Pool), routePools: make(map[*Provider][]*keys.Pool)}
	for _, p := range o.Catalog.Providers() {
		r.providers = append(r.providers, ProviderStatus{Provider: p, Pool: b.poolOf(p)})
	}
	for _, m := range o.Catalog.Models() {
		planned, err := b.plan(m)
		if err != nil {
			r.Close()
			return nil, b.problems, err
		}
		r.plans[m] = planned
	}
	for i := range r.providers {
		r.providers[i].routePools = b.routePools[r.providers[i].Provider]
	}
	return r, b.problems, nil
}

// Close lets the memory about keys go. Requests in flight may still use it.
func (r *Router) Close() {
	for _, pool := range r.pools {
		pool.Close()
	}
}

// Secrets are the upstream keys themselves, for whoever has to take them out of what
// is kept. They must not get anywhere else.
func (r *Router) Secrets() []string { return slices.Clone(r.secrets) }

// Models are the models that clients may ask for, sorted by name.
func (r *Router) Models() []*Model { return r.catalog.Models() }

// Resolve finds the model that answers to a name.
func (r *Router) Resolve(name string) (*Model, bool) { return r.catalog.Resolve(name) }

// Providers tells about all providers, sorted by name.
func (r *Router) Providers() []ProviderStatus { return r.providers }

// ReadyProviders names the enabled providers that have a key, and those that
// need none.
func (r *Router) ReadyProviders() (withKeys, keyless []string) {
	for i := range r.providers {
		status := &r.providers[i]
		p := status.Provider
		switch {
		case !p.Enabled || p.Unusable != "":
		case p.Keyless():
			keyless = append(keyless, p.ID)
		case status.hasKeys():
			withKeys = append(withKeys, p.ID)
		}
	}
	return withKeys, keyless
}

// builder holds what is shared while plans are made.
type builder struct {
	options    Options
	router     *Router
	routes     map[*Route]*Candidate
	pools      map[*Provider]*keys.Pool
	routePools map[*Provider][]*keys.Pool // of routes that name keys
	problems   []Problem
}

func (b *builder) plan(m *Model) (*plan, error) {
	p := &plan{model: m, total: cmp.Or(m.Timeouts.Total, b.options.Timeouts.Total)}
	if err := b.walk(&p.sequence, m, "", make(map[*Route]bool)); err != nil {
		return nil, err
	}
	for _, list := range []struct {
		from []Fallback
		to   *sequence
	}{{m.ContextFallbacks, &p.context}, {m.PolicyFallbacks, &p.policy}} {
		// What has been tried in vain is not tried again for another reason.
		others := make(map[*Route]bool)
		for _, own := range m.Routes {
			others[own] = true
		}
		for _, fallback := range list.from {
			if err := b.walk(list.to, fallback.Model, fallback.Name, others); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// walk appends a model's routes and then, depth first, those of its fallbacks.
func (b *builder) walk(to *sequence, m *Model, via string, seen map[*Route]bool) error {
	var routes []*Candidate
	for _, route := range m.Routes {
		if seen[route] {
			continue
		}
		seen[route] = true
		c, err := b.candidate(route)
		if err != nil {
			return err
		}
		if via != "" {
			reached := *c
			reached.via = via
			c = &reached
		}
		routes = append(routes, c)
	}
	if len(routes) == 0 && len(m.Routes) > 0 {
		return nil // seen before: this is where circles end
	}
	to.add(m, routes)
	for _, fallback := range m.Fallbacks {
		if err := b.walk(to, fallback.Model, fallback.Name, seen); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) candidate(route *Route) (*Candidate, error) {
	if c, known := b.routes[route]; known {
		return c, nil
	}
	pool := b.poolOf(route.Provider)
	if len(route.APIKeyEnv) > 0 {
		pool = b.newPool(route.Provider, route.APIKeyEnv)
		b.routePools[route.Provider] = append(b.routePools[route.Provider], pool)
	}
	connect := route.TimeoutsFor(route.UpstreamModel(""), b.options.Timeouts).Connect
	transport, err := b.options.Transport(route.Provider, connect)
	if err != nil {
		return nil, err
	}
	c := &Candidate{
		route:     route,
		pool:      pool,
		transport: transport,
		header:    newHeaderTemplate(route.Provider),
		breaker:   route.Provider.Breaker.or(b.options.Breaker),
	}
	if route.Model != "*" {
		c.model = route.UpstreamModel("")
		c.quoted = quoted(c.model)
		c.health = pool.NamedHealth(c.model)
		c.prices = route.PricesFor(c.model)
	}
	if c.endpoints, err = endpointsOf(route); err != nil {
		return nil, err
	}
	b.routes[route] = c
	return c, nil
}

func (b *builder) poolOf(p *Provider) *keys.Pool {
	pool, known := b.pools[p]
	if !known {
		pool = b.newPool(p, p.KeyPatterns())
		b.pools[p] = pool
	}
	return pool
}

// newPool finds the keys that the patterns name. A provider that needs none
// has one empty key, so that nothing else has to know about it.
func (b *builder) newPool(p *Provider, patterns []string) *keys.Pool {
	found := []*keys.Key{keys.NewKey(p.ID, "", "")}
	if !p.Keyless() {
		var doubles []string
		found, doubles = keys.Discover(p.ID, patterns, b.options.Environ)
		if len(doubles) > 0 {
			b.problems = append(b.problems, Problem{
				File:    p.File,
				Field:   "api_keys",
				Message: fmt.Sprintf("the variables %v repeat a key that another variable holds", doubles),
				Fix:     "remove them; the key is used once",
			})
		}
	}
	for _, key := range found {
		b.router.secrets = append(b.router.secrets, key.Secret())
	}
	limits := keys.Limits{}
	if p.RateLimiting.Enabled {
		limits = keys.Limits{
			RequestsPerMinute: p.RateLimiting.RequestsPerMinute,
			TokensPerMinute:   p.RateLimiting.TokensPerMinute,
		}
	}
	pool := b.options.Keys.Pool(p.ID, found, limits)
	b.router.pools = append(b.router.pools, pool)
	return pool
}

// endpointsOf builds a route's URLs.
func endpointsOf(route *Route) (map[endpointKey]*url.URL, error) {
	urls := make(map[endpointKey]*url.URL)
	for _, protocol := range []translate.Protocol{translate.Chat, translate.Responses, translate.Messages} {
		for _, operation := range []translate.Operation{translate.Generate, translate.Embed, translate.CountTokens} {
			for _, stream := range []bool{false, true} {
				path := route.Provider.pathFor(protocol, operation, stream)
				if path == "" {
					continue
				}
				u, err := EndpointURL(route.BaseURL, path, route.UpstreamModel(route.Model))
				if err != nil {
					return nil, fmt.Errorf("route of model %s to provider %s: %w", route.Owner.LogicalName, route.Provider.ID, err)
				}
				urls[endpointKey{protocol, operation, stream}] = u
			}
		}
	}
	return urls, nil
}
