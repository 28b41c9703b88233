package caddymodule

import (
	"slices"
	"testing"
)

// What tokens cost: what is asked of some models by those models' files; all else that
// a answers, and one model of b, by the provider's; nobody knows what others cost.
const (
	dayPrices  = `"prices": {"input": 2, "output": 4, "cache_write": 5},`
	pricesOfA  = `"prices": [{"models": "*", "input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75, "reasoning": 20}],`
	pricesOfB  = `"prices": [{"models": "up-chat", "input": 1, "output": 2, "request": 0.001}],`
	million    = 1e6
	perRequest = 0.001
)

var dayProviderPrices = map[string]string{"a": pricesOfA, "b": pricesOfB}

// pricedModels have dayPrices, or fall back to one that has.
var pricedModels = []string{"messages", "chat", "plain", "crossing", "cut"}

// dayCost is what an answer costs by these prices, in US dollars.
func dayCost(row *requestAnswer) (cost float64, known bool) {
	t := row.Tokens
	input, read, write := float64(t.Input), float64(t.CacheRead), float64(t.CacheWrite)
	output, reasoning := float64(t.Output), float64(t.Reasoning)
	switch {
	case row.Provider == "" || row.Endpoint == countPath: // which vendors do not charge for
		return 0, false
	case row.Provider == "b" && row.Model == "up-chat":
		return (input+read+write+2*(output+reasoning))/million + perRequest, true
	case slices.Contains(pricedModels, row.Asked):
		return (2*(input+read) + 5*write + 4*(output+reasoning)) / million, true
	case row.Provider == "a":
		return (3*input + 0.3*read + 3.75*write + 15*output + 20*reasoning) / million, true
	}
	return 0, false
}

// compareCost wants the cost of a request to be what its tokens cost.
func (b *book) compareCost(t *testing.T, e *dayEntry, row *requestAnswer) {
	t.Helper()
	want, known := dayCost(row)
	switch {
	case known != (row.Cost != nil):
		t.Errorf("request %d, which %s: cost %v, want it known: %v; %+v", e.number, e.kind, row.Cost, known, row.requestSummary)
	case known && !sameMoney(*row.Cost, want):
		t.Errorf("request %d, which %s: cost %v, want %v", e.number, e.kind, *row.Cost, want)
	}
}

// compareTokens wants the tokens of an answer to be those that its upstream told,
// and that the client was told. Where the upstream did not tell, or not to the end,
// they are marked as an estimate.
func (b *book) compareTokens(t *testing.T, e *dayEntry, row *requestAnswer, calls []dayCall) {
	t.Helper()
	var answer dayCall
	if row.Provider != "" {
		answer = calls[len(calls)-1]
	}
	if row.Provider != "" && (e.outcome != "ok" || !answer.tells) {
		if !row.Tokens.Estimated || row.Tokens.read() == 0 || row.Tokens.written() == 0 {
			t.Errorf("request %d, which %s and is %s: tokens %+v, want an estimate", e.number, e.kind, e.outcome, row.Tokens)
		}
		return
	}
	want := answer.tokens
	if row.Tokens != want {
		t.Errorf("request %d, which %s: tokens %+v, want the upstream's %+v", e.number, e.kind, row.Tokens, want)
	}
	if e.told != nil && *e.told != (tokensTold{want.read(), want.CacheRead, want.written()}) {
		t.Errorf("request %d, which %s: the client was told %+v, the upstream said %+v", e.number, e.kind, *e.told, want)
	}
	if e.told == nil && e.toldUsage && e.kind == asksModel && e.outcome == "ok" {
		t.Errorf("request %d: the client was told of no tokens", e.number)
	}
}
