package routing

import (
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Prices are what a model's tokens cost, in US dollars per million. A price of 0 is
// known, as that of a model which runs on one's own machine; one that is nowhere
// written is not, and then a request's cost is unknown.
//
// What is not told apart, because the upstream's usage or the request log does not:
// writes to a cache by how long it keeps them, images and audio, searches and other
// tools of the provider, batches, priorities and discounts.
type Prices struct {
	// Input is the price of what is read afresh. Required, and so is Output: 0
	// where the model writes nothing, as those that make embeddings.
	Input  *float64 `json:"input" config:"max=1000000"`
	Output *float64 `json:"output" config:"max=1000000"`

	// CacheRead and CacheWrite are the prices of what is read from the prompt
	// cache, and of what is read and written to it. Default: that of Input.
	CacheRead  *float64 `json:"cache_read" config:"max=1000000"`
	CacheWrite *float64 `json:"cache_write" config:"max=1000000"`

	// Reasoning is the price of what the model writes while it thinks. Default:
	// that of Output.
	Reasoning *float64 `json:"reasoning" config:"max=1000000"`

	// Request is what each answer costs beside its tokens, in US dollars.
	// Default: 0.
	Request *float64 `json:"request" config:"max=1000000"`

	// LongContext holds the prices of requests that make the model read more
	// than a number of tokens, where those have others.
	LongContext *LongContextPrices `json:"long_context"`
}

// LongContextPrices take the place of a model's other prices, for all tokens of a
// request that makes the model read more than Above of them, from a cache or not.
type LongContextPrices struct {
	// Above is the most that a request may read at the other prices. Required.
	Above int `json:"above" config:"required"`

	// The prices are those of Prices, with the same defaults.
	Input      *float64 `json:"input" config:"required,max=1000000"`
	Output     *float64 `json:"output" config:"required,max=1000000"`
	CacheRead  *float64 `json:"cache_read" config:"max=1000000"`
	CacheWrite *float64 `json:"cache_write" config:"max=1000000"`
	Reasoning  *float64 `json:"reasoning" config:"max=1000000"`
}

// ModelPrices says what some of a provider's models cost.
type ModelPrices struct {
	// Models are parts of upstream model names, as in ModelCapabilities: the
	// longest that occurs in a name decides alone. Required.
	Models []string `json:"models" config:"required,single"`

	// Without any of them the entry says that the prices of these models are not
	// known, which keeps a shorter part, of their family, from deciding.
	Prices
}

// known reports whether there are prices at all.
func (p *Prices) known() bool { return p != nil && p.Input != nil && p.Output != nil }

// Rates are prices with their defaults filled in: US dollars per million tokens, and
// per request.
type Rates struct {
	Input, CacheRead, CacheWrite, Output, Reasoning float64
	Request                                         float64
}

// RatesFor are the prices that hold for a request with that usage. p is not nil.
func (p *Prices) RatesFor(u translate.Usage) Rates {
	input, output, cacheRead, cacheWrite, reasoning := p.Input, p.Output, p.CacheRead, p.CacheWrite, p.Reasoning
	if long := p.LongContext; long != nil && u.Input+u.CacheRead+u.CacheWrite > int64(long.Above) {
		input, output, cacheRead, cacheWrite, reasoning = long.Input, long.Output, long.CacheRead, long.CacheWrite, long.Reasoning
	}
	r := Rates{
		Input: *input, CacheRead: or(cacheRead, *input), CacheWrite: or(cacheWrite, *input),
		Output: *output, Reasoning: or(reasoning, *output),
	}
	r.Request = or(p.Request, 0)
	return r
}

// or is what a pointer leads to, or else a default.
func or(written *float64, standard float64) float64 {
	if written == nil {
		return standard
	}
	return *written
}

// Cost is what a usage costs, in US dollars.
func (r Rates) Cost(u translate.Usage) float64 {
	const million = 1e6
	return (float64(u.Input)*r.Input+
		float64(u.CacheRead)*r.CacheRead+
		float64(u.CacheWrite)*r.CacheWrite+
		float64(u.Output)*r.Output+
		float64(u.Reasoning)*r.Reasoning)/million + r.Request
}

// PricesFor are those of the model that the route leads to, upstream being the name
// that is sent; nil where they are not known. The most specific place that has any
// decides alone: the route, the owner, the provider's entry for that name.
func (r *Route) PricesFor(upstream string) *Prices {
	for _, prices := range [...]*Prices{r.Prices, r.Owner.Prices, r.Provider.pricesOf(upstream)} {
		if prices.known() {
			return prices
		}
	}
	return nil
}

// PricesOf are the prices that hold now for answers of a provider's model, upstream,
// to requests that ask for a model: those of each route that leads from one to the
// other and whose prices are known.
func (r *Router) PricesOf(asked, provider, upstream string) (known []*Prices) {
	m, ok := r.catalog.Resolve(asked)
	if !ok {
		return nil
	}
	p, q := r.plans[m], &Request{Model: asked}
	for _, part := range [...]*sequence{&p.sequence, &p.context, &p.policy} {
		for _, c := range part.candidates {
			if c.route.Provider.ID != provider || c.upstreamModel(q) != upstream {
				continue
			}
			if prices := c.pricesOf(upstream); prices != nil {
				known = append(known, prices)
			}
		}
	}
	return known
}

// pricesOf are those that the provider's file has for a model, nil where it has
// none.
func (p *Provider) pricesOf(upstream string) *Prices {
	for i := range p.pricePatterns {
		if strings.Contains(upstream, p.pricePatterns[i].part) {
			return p.pricePatterns[i].value
		}
	}
	return nil
}
