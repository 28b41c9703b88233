package routing

import (
	"fmt"
	"slices"
)

// leastPrice is the price below which no model's is, unless it is free. Lists that
// are made for programs have prices per token.
const leastPrice = 0.001

// checkModelPrices validates what a provider says of its models' prices.
func (p *Provider) checkModelPrices(d *document) {
	taken := make(map[string]string) // pattern -> where it stands
	for i := range p.Prices {
		entry, field := &p.Prices[i], fmt.Sprintf("prices[%d]", i)
		checkModelPatterns(d, field, entry.Models, taken)
		if entry.Prices != (Prices{}) {
			checkPrices(d, field, &entry.Prices)
		}
		p.pricePatterns = append(p.pricePatterns, newModelPatterns(entry.Models, &entry.Prices)...)
	}
	slices.SortFunc(p.pricePatterns, longestFirst)
}

// checkPrices validates the prices of a model, at whichever place; nil: it has none
// there.
func checkPrices(d *document, field string, p *Prices) {
	if p == nil {
		return
	}
	for key, price := range map[string]*float64{"input": p.Input, "output": p.Output} {
		if at := join(field, key); price == nil && d.has(field) && !d.rejected[at] {
			d.failAt(at, "is required", fmt.Sprintf(`add e.g. %q: 2.5, in US dollars per million tokens; 0 is free`, key))
		}
	}
	checkPerMillion(d, field, map[string]*float64{
		"input": p.Input, "output": p.Output, "cache_read": p.CacheRead, "cache_write": p.CacheWrite, "reasoning": p.Reasoning,
	})
	if long := p.LongContext; long != nil {
		at := join(field, "long_context")
		if d.has(at+".above") && long.Above == 0 {
			d.failAt(at+".above", "must be above 0", "write how many tokens a request may read at the other prices, e.g. 200000")
		}
		checkPerMillion(d, at, map[string]*float64{
			"input": long.Input, "output": long.Output, "cache_read": long.CacheRead, "cache_write": long.CacheWrite, "reasoning": long.Reasoning,
		})
	}
}

// checkPerMillion warns of prices that look like those of single tokens.
func checkPerMillion(d *document, field string, prices map[string]*float64) {
	for key, price := range prices {
		if price != nil && *price > 0 && *price < leastPrice {
			d.warnAt(join(field, key), "is less than any model costs", "write the price of a million tokens, not that of one")
		}
	}
}
