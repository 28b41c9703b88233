package routing

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// usd compares two sums of money.
func usd(a, b float64) bool { return math.Abs(a-b) < 1e-12 }

func TestEachKindOfTokenHasItsPrice(t *testing.T) {
	used := translate.Usage{Input: 1000, CacheRead: 20_000, CacheWrite: 300, Output: 400, Reasoning: 50}
	for _, tc := range []struct {
		prices string
		used   translate.Usage
		want   float64
	}{
		// 1000*3 + 20000*0.3 + 300*3.75 + 400*15 + 50*20 = 17125 per million
		{`{"input": 3, "output": 15, "cache_read": 0.3, "cache_write": 3.75, "reasoning": 20}`, used, 0.017125},
		// Caches at the input price, reasoning at the output price: 21300*3 + 450*15 = 70650
		{`{"input": 3, "output": 15}`, used, 0.07065},
		{`{"input": 3, "output": 15, "request": 0.01}`, used, 0.08065},
		{`{"input": 0, "output": 0}`, used, 0},
		{`{"input": 3, "output": 15, "cache_read": 0}`, used, 0.01065},
		{`{"input": 3, "output": 15, "request": 0.5}`, translate.Usage{}, 0.5},
		// 21300 are read: up to the bound the lower prices hold for all of them.
		{`{"input": 1, "output": 2, "long_context": {"above": 21300, "input": 10, "output": 20}}`, used, 0.0222},
		{`{"input": 1, "output": 2, "long_context": {"above": 21299, "input": 10, "output": 20}}`, used, 0.222},
		{`{"input": 1, "output": 2, "cache_read": 0.1, "long_context": {"above": 200, "input": 10, "output": 20, "cache_read": 1, "cache_write": 12, "reasoning": 40}}`, used, 0.0436},
	} {
		c, problems, warnings := configFiles{"providers/up.json": plainProvider, "models/m.json": with(t, plainModel, "prices", tc.prices)}.load(t, LoadOptions{})
		if len(problems)+len(warnings) > 0 {
			t.Fatal(problems, warnings)
		}
		if got := c.Models()[0].Routes[0].PricesFor("x").RatesFor(tc.used).Cost(tc.used); !usd(got, tc.want) {
			t.Errorf("%s: %+v costs %v, want %v", tc.prices, tc.used, got, tc.want)
		}
	}
}

func TestThePricesOfTheMostSpecificPlaceCountAlone(t *testing.T) {
	provider := with(t, plainProvider, "prices", `[
		{"models": "*", "input": 1, "output": 1},
		{"models": ["big", "large"], "input": 2, "output": 2, "cache_read": 0.5},
		{"models": "big-3", "input": 3, "output": 3},
		{"models": "big-3-"}
	]`)
	for _, tc := range []struct {
		upstream, model, route string
		want                   float64 // of a token read, and of one from a cache; -1: not known
		cached                 float64
	}{
		{"other", "", "", 1, 1},
		{"big-2", "", "", 2, 0.5},
		{"vendor/large", "", "", 2, 0.5},
		{"big-3", "", "", 3, 3},
		{"big-3-mini", "", "", -1, -1},
		{"big-2", `{"input": 7, "output": 7}`, "", 7, 7},
		{"big-2", `{"input": 7, "output": 7}`, `{"input": 0, "output": 0}`, 0, 0},
		{"big-3-mini", "", `{"input": 9, "output": 9, "cache_read": 8}`, 9, 8},
	} {
		files := configFiles{"providers/up.json": provider, "models/m.json": plainModel}
		for path, prices := range map[string]string{"prices": tc.model, "model_routings.0.prices": tc.route} {
			if prices != "" {
				files["models/m.json"] = with(t, files["models/m.json"], path, prices)
			}
		}
		c, problems, warnings := files.load(t, LoadOptions{})
		if len(problems)+len(warnings) > 0 {
			t.Fatal(problems, warnings)
		}
		prices, got, cached := c.Models()[0].Routes[0].PricesFor(tc.upstream), -1.0, -1.0
		if prices != nil {
			rates := prices.RatesFor(translate.Usage{})
			got, cached = rates.Input, rates.CacheRead
		}
		if got != tc.want || cached != tc.cached {
			t.Errorf("%+v: %v and %v, want %v and %v", tc, got, cached, tc.want, tc.cached)
		}
	}
}

// containsProblem reports whether one of the messages says so.
func containsProblem(problems []string, says string) bool {
	return slices.ContainsFunc(problems, func(p string) bool { return strings.Contains(p, says) })
}

func TestPricesThatCannotBeAreRefused(t *testing.T) {
	for _, tc := range []struct{ where, prices, want string }{
		{"prices", `{"input": -1, "output": 2}`, `must not be negative`},
		{"prices", `{"input": 1e999, "output": 2}`, `number out of range`},
		{"prices", `{"input": 1e9, "output": 2}`, `must be at most 1000000`},
		{"prices", `{"input": NaN, "output": 2}`, `is not a JSON object`},
		{"prices", `{"input": "3", "output": 2}`, `must be a number, not the text "3"; write 3 without quotes`},
		{"prices", `{"input": 3}`, `add e.g. "output": 2.5, in US dollars per million tokens; 0 is free`},
		{"prices", `{"input": 3, "output": 2, "cached": 1}`, `unknown key "cached"`},
		{"prices", `{"input": 3, "output": 2, "currency": "EUR"}`, `unknown key "currency"`},
		{"prices", `{"input": 3, "output": 2, "long_context": {"above": 0, "input": 6, "output": 9}}`, `must be above 0`},
		{"prices", `{"input": 3, "output": 2, "long_context": {"above": 9}}`, `long_context.input: is required`},
		{"prices", `[{"models": "*", "input": 3, "output": 2}]`, `must be an object, not a list; write e.g. {"input": 2, "output": 8}`},
		{"model_routings.0.prices", `{}`, `model_routings[0].prices.input: is required`},
		{"pricing", `{}`, `write it as prices`},
	} {
		_, problems, _ := configFiles{"providers/up.json": plainProvider, "models/m.json": with(t, plainModel, tc.where, tc.prices)}.load(t, LoadOptions{})
		if !containsProblem(problems, tc.want) {
			t.Errorf("%s %s: %v, want %s", tc.where, tc.prices, problems, tc.want)
		}
	}
	for prices, want := range map[string]string{
		`{"input": 3, "output": 2}`:                                            `must be a list, not an object; write e.g. [{"models": "*", "input": 2, "output": 8}]`,
		`[{"input": 3, "output": 2}]`:                                          `prices[0].models: is required; write "models": "*" for all`,
		`[{"models": "a", "output": 2}]`:                                       `prices[0].input: is required`,
		`[{"models": "a*", "input": 3, "output": 2}]`:                          `must not have '*', unless it is just that`,
		`[{"models": ["a"], "input": 3, "output": 2}, {"models": ["b", "a"]}]`: `"a" is in prices[0] too`,
	} {
		_, problems, _ := configFiles{"providers/up.json": with(t, plainProvider, "prices", prices), "models/m.json": plainModel}.load(t, LoadOptions{})
		if !containsProblem(problems, want) {
			t.Errorf("%s: %v, want %s", prices, problems, want)
		}
	}
	_, problems, warnings := configFiles{"providers/up.json": plainProvider, "models/m.json": with(t, plainModel, "prices", `{"input": 0.000003, "output": 15}`)}.load(t, LoadOptions{})
	if len(problems) > 0 || !containsProblem(warnings, "prices.input: is less than any model costs; write the price of a million tokens, not that of one") {
		t.Errorf("a price per token: %v, %v", problems, warnings)
	}
}
