package caddymodule

import (
	"math"
	"strconv"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// costPart is what one kind of tokens came to, or an answer as such.
type costPart struct {
	Kind       string  `json:"kind"` // input, cache_read, cache_write, output, reasoning or request
	Tokens     int64   `json:"tokens,omitempty"`
	PerMillion float64 `json:"usd_per_million,omitempty"`
	Cost       float64 `json:"cost_usd"`
}

// sameCost is by how much, of the whole, two ways to the same sum may differ.
const sameCost = 1e-9

// costOf tells how the cost of a request is made. The log keeps no prices, so it takes
// those of the files as they are now, and nothing where these do not make the cost.
func costOf(r *logging.Record) []costPart {
	if !r.CostKnown {
		return nil
	}
	used := translate.Usage{
		Input: r.Tokens.Input, CacheRead: r.Tokens.CacheRead, CacheWrite: r.Tokens.CacheWrite,
		Output: r.Tokens.Output, Reasoning: r.Tokens.Reasoning,
	}
	for _, h := range live.all() {
		for _, prices := range h.current.Load().router.PricesOf(r.Asked, r.Provider, r.Model) {
			rates := prices.RatesFor(used)
			if math.Abs(rates.Cost(used)-r.Cost) <= sameCost*r.Cost {
				return partsOf(used, rates)
			}
		}
	}
	return nil
}

// partsOf are the parts of a cost that there are.
func partsOf(used translate.Usage, rates routing.Rates) []costPart {
	parts := []costPart{}
	for _, kind := range [...]struct {
		name   string
		tokens int64
		rate   float64
	}{
		{"input", used.Input, rates.Input},
		{"cache_read", used.CacheRead, rates.CacheRead},
		{"cache_write", used.CacheWrite, rates.CacheWrite},
		{"output", used.Output, rates.Output},
		{"reasoning", used.Reasoning, rates.Reasoning},
	} {
		if kind.tokens > 0 {
			parts = append(parts, costPart{kind.name, kind.tokens, kind.rate, float64(kind.tokens) * kind.rate / 1e6})
		}
	}
	if rates.Request > 0 {
		parts = append(parts, costPart{Kind: "request", Cost: rates.Request})
	}
	return parts
}

// dollars is a sum of money without an exponent, to the millionth of a cent.
func dollars(cost float64) string {
	text := strconv.FormatFloat(cost, 'f', 10, 64)
	end := len(text)
	for text[end-1] == '0' {
		end--
	}
	if text[end-1] == '.' {
		end--
	}
	return text[:end]
}

// inDollars is a sum of money for a table: to the hundredth of a cent or, where it is
// less than a cent, to three digits.
func inDollars(cost float64) string {
	decimals := 4
	if cost > 0 && cost < 0.01 {
		decimals = min(2-int(math.Floor(math.Log10(cost))), 12)
	}
	return "$" + strconv.FormatFloat(cost, 'f', decimals, 64)
}
