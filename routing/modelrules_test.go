package routing

import (
	"strings"
	"testing"
)

// modelRules is the same for model files. A number is that of one of the original's
// black-box cases.
var modelRules = []struct {
	name    string
	changes []string
	problem string
	warning string
}{
	{name: "no logical_name", changes: []string{"logical_name", ""}, problem: `models/m.json:1: logical_name: is required; add the name that clients ask for: "logical_name": "example"`},
	{name: "empty logical_name", changes: []string{"logical_name", `""`}, problem: `models/m.json:1: logical_name: must not be empty`},
	{name: "logical_name with a star", changes: []string{"logical_name", `"m*"`}, problem: `models/m.json:1: logical_name: must not have '*'; write patterns as aliases`},
	{name: "logical_name with a space", changes: []string{"logical_name", `" m"`}, problem: `models/m.json:1: logical_name: must not begin or end with a space or have control characters`},
	{name: "logical_name with a line feed", changes: []string{"logical_name", `"m\nn"`}, problem: `models/m.json:1: logical_name: must not begin or end with a space or have control characters`},
	{name: "logical_name that is not the file's", changes: []string{"logical_name", `"m.1"`}, warning: `models/m.json:1: logical_name: "m.1" is not the file's name; clients ask for "m.1"`},
	{name: "endless logical_name", changes: []string{"logical_name", `"` + strings.Repeat("m", 257) + `"`}, problem: `models/m.json:1: logical_name: must not be longer than 256 bytes`},
	{name: "any id", changes: []string{"id", `7`, "model_routings.0.id", `"r1"`}},
	{name: "created", changes: []string{"created", `7`}, problem: `models/m.json:1: unknown key "created"; known are aliases, capabilities, content_policy_fallbacks, context_window_fallbacks, default_cooldown_seconds, display_name, fallback_model_routings, hedge_after, hosted_tools, id, logical_name, model_routings, on_lossy, policy, prices, timeout_seconds, timeouts`},
	{name: "73 no routes", changes: []string{"model_routings", ""}, problem: `models/m.json:1: model_routings: is required; add "model_routings": [{"provider": "example", "model": "example"}]`},
	{name: "routes null", changes: []string{"model_routings", "null"}, problem: `models/m.json:1: model_routings: is required; add "model_routings": [{"provider": "example", "model": "example"}]`},
	{name: "routes empty", changes: []string{"model_routings", "[]"}, problem: `models/m.json:1: model_routings: is empty and there are no fallback models, so that nothing can answer; add "model_routings": [{"provider": "example", "model": "example"}]`},
	{name: "routes empty, with fallbacks", changes: []string{"model_routings", "[]", "fallback_model_routings", `["n"]`}, warning: `models/m.json:1: model_routings: is empty; only the fallback models can answer`},
	{name: "one route without a list", changes: []string{"model_routings", `{"provider":"up","model":"x"}`}, problem: `models/m.json:1: model_routings: must be a list, not an object`},
	{name: "a route by name", changes: []string{"model_routings", `["up"]`}, problem: `models/m.json:1: model_routings[0]: must be an object, not a text`},
	{name: "a route that is null", changes: []string{"model_routings", `[null]`}, problem: `models/m.json:1: model_routings[0]: must not be null`},
	{name: "route without provider", changes: []string{"model_routings.0.provider", ""}, problem: `models/m.json:1: model_routings[0].provider: is required`},
	{name: "route with empty provider", changes: []string{"model_routings.0.provider", `""`}, problem: `models/m.json:1: model_routings[0].provider: must not be empty`},
	{name: "route without model", changes: []string{"model_routings.0.model", ""}, problem: `models/m.json:1: model_routings[0].model: is required`},
	{name: "route with empty model", changes: []string{"model_routings.0.model", `""`}, problem: `models/m.json:1: model_routings[0].model: must not be empty`},
	{name: "route to an unknown provider", changes: []string{"model_routings.0.provider", `"upp"`}, problem: `models/m.json:1: model_routings[0].provider: there is no provider "upp"; did you mean "up"?`},
	{name: "route to a provider far from all", changes: []string{"model_routings.0.provider", `"anthropic"`}, problem: `models/m.json:1: model_routings[0].provider: there is no provider "anthropic"; write one of off, up`},
	{name: "route to a provider in other case", changes: []string{"model_routings.0.provider", `"UP"`}, problem: `models/m.json:1: model_routings[0].provider: there is no provider "UP"; write one of off, up`},
	{name: "route to a disabled provider", changes: []string{"model_routings.0.provider", `"off"`}, warning: `models/m.json:1: model_routings[0].provider: provider "off" is disabled; the route is skipped`},
	{name: "74 unknown protocol", changes: []string{"model_routings.0.wire_protocol", `"invalid"`}, problem: `models/m.json:1: model_routings[0].wire_protocol: unknown protocol "invalid"; write one of openai, responses, anthropic`},
	{name: "protocol by another word", changes: []string{"model_routings.0.wire_protocol", `"messages"`}, problem: `models/m.json:1: model_routings[0].wire_protocol: unknown protocol "messages"; did you mean "anthropic"?`},
	{name: "protocol in other case", changes: []string{"model_routings.0.wire_protocol", `" OpenAI "`}},
	{name: "protocol without endpoint", changes: []string{"model_routings.0.wire_protocol", `"responses"`}, problem: `models/m.json:1: model_routings[0].wire_protocol: provider "up" has no endpoint for "responses"; add endpoints.responses to providers/up.json, or leave wire_protocol out`},
	{name: "base_url without scheme", changes: []string{"model_routings.0.base_url", `"h"`}, problem: `models/m.json:1: model_routings[0].base_url: must start with http:// or https:// (got "h"); write e.g. "https://api.example.com/v1"`},
	{name: "keys in a route", changes: []string{"model_routings.0.api_key", `"SECRET"`}, problem: `models/m.json:1: model_routings[0]: unknown key "api_key"; keys are never written into a file; name environment variables in api_key_env: ["MY_API_KEY"]`},
	{name: "a key as api_key_env", changes: []string{"model_routings.0.api_key_env", `"SECRET"`}, problem: `models/m.json:1: model_routings[0].api_key_env: must be a list, not a text; name environment variables in api_key_env: ["MY_API_KEY"]`},
	{name: "a key in api_key_env", changes: []string{"model_routings.0.api_key_env", `["sk-SECRET"]`}, problem: `models/m.json:1: model_routings[0].api_key_env[0]: is not the name of an environment variable; write e.g. "OPENAI_API_KEY_2"; keys are never written into a file`},
	{name: "a variable twice", changes: []string{"model_routings.0.api_key_env", `["A","A"]`}, warning: `models/m.json:1: model_routings[0].api_key_env[1]: is there twice`},
	{name: "negative cooldown", changes: []string{"model_routings.0.cooldown_seconds", `-5`}, problem: `models/m.json:1: model_routings[0].cooldown_seconds: must not be negative`},
	{name: "negative default cooldown", changes: []string{"default_cooldown_seconds", `-5`}, problem: `models/m.json:1: default_cooldown_seconds: must not be negative`},
	{name: "zero and null cooldowns", changes: []string{"default_cooldown_seconds", `0`, "timeout_seconds", `null`, "model_routings.0.cooldown_seconds", `null`}},
	{name: "protocol of a route by another key", changes: []string{"model_routings.0.protocol", `"openai"`}, problem: `models/m.json:1: model_routings[0]: unknown key "protocol"; write it as wire_protocol`},
	{name: "provider at the top", changes: []string{"provider", `"up"`}, problem: `models/m.json:1: unknown key "provider"; write it as model_routings[].provider`},
	{name: "mistyped", changes: []string{"fallback_model_routing", `[]`}, problem: `models/m.json:1: unknown key "fallback_model_routing"; did you mean "fallback_model_routings"?`},
	{name: "unknown key of a route", changes: []string{"model_routings.0.region", `1`}, problem: `models/m.json:1: model_routings[0]: unknown key "region"; known are api_key_env, base_url, capabilities, cooldown_seconds, id, model, prices, provider, timeout_seconds, timeouts, weight, wire_protocol`},
	{name: "unknown policy", changes: []string{"policy", `"round_robin"`}, problem: `models/m.json:1: policy: unknown value "round_robin"; write one of priority, weighted, least_latency, least_busy`},
	{name: "mistyped policy", changes: []string{"policy", `"least_latancy"`}, problem: `models/m.json:1: policy: unknown value "least_latancy"; did you mean "least_latency"?`},
	{name: "empty policy", changes: []string{"policy", `""`}, problem: `models/m.json:1: policy: unknown value; write one of priority, weighted, least_latency, least_busy`},
	{name: "policy as a list", changes: []string{"policy", `["weighted"]`}, problem: `models/m.json:1: policy: must be a text, not a list`},
	{name: "policy by another key", changes: []string{"strategy", `"weighted"`}, problem: `models/m.json:1: unknown key "strategy"; write it as policy`},
	{name: "weights", changes: []string{"policy", `"weighted"`, "model_routings.0.weight", `0.5`}},
	{name: "weight of a busy route", changes: []string{"policy", `"least_busy"`, "model_routings.0.weight", `0`}},
	{name: "weight without a policy", changes: []string{"model_routings.0.weight", `1`}, warning: `models/m.json:1: model_routings[0].weight: has no effect with the policy "priority"; leave it out, or write "policy": "weighted"`},
	{name: "weight of a quick route", changes: []string{"policy", `"least_latency"`, "model_routings.0.weight", `0`}, warning: `models/m.json:1: model_routings[0].weight: has no effect with the policy "least_latency"; leave it out, or write "policy": "weighted"`},
	{name: "negative weight", changes: []string{"policy", `"weighted"`, "model_routings.0.weight", `-0.5`}, problem: `models/m.json:1: model_routings[0].weight: must not be negative`},
	{name: "endless weight", changes: []string{"policy", `"weighted"`, "model_routings.0.weight", `1e308`}, problem: `models/m.json:1: model_routings[0].weight: must be at most 1000000`},
	{name: "weight as a text", changes: []string{"policy", `"weighted"`, "model_routings.0.weight", `"3"`}, problem: `models/m.json:1: model_routings[0].weight: must be a number, not the text "3"; write 3 without quotes`},
	{name: "weight of a model", changes: []string{"weight", `1`}, problem: `models/m.json:1: unknown key "weight"; write it as model_routings[].weight`},
	{name: "hedge_after", changes: []string{"hedge_after", `"1.5s"`}},
	{name: "hedge_after in seconds", changes: []string{"hedge_after", `2`}},
	{name: "no hedge_after", changes: []string{"hedge_after", `0`}},
	{name: "negative hedge_after", changes: []string{"hedge_after", `"-1s"`}, problem: `models/m.json:1: hedge_after: must not be negative`},
	{name: "hedge_after without a unit", changes: []string{"hedge_after", `"2"`}, problem: `models/m.json:1: hedge_after: is no time; write a number of seconds or a text such as "90s" or "1m30s"`},
	{name: "hedge_after as true", changes: []string{"hedge_after", `true`}, problem: `models/m.json:1: hedge_after: must be a number of seconds or a text such as "90s", not true`},
	{name: "fallback to itself", changes: []string{"fallback_model_routings", `["n","m"]`}, problem: `models/m.json:1: fallback_model_routings[1]: "m" falls back to itself; leave it out`},
	{name: "fallback for long conversations to itself", changes: []string{"context_window_fallbacks", `["m"]`}, problem: `models/m.json:1: context_window_fallbacks[0]: "m" falls back to itself; leave it out`},
	{name: "fallback to itself by an alias", changes: []string{"aliases", `["m-*"]`, "fallback_model_routings", `["m-2"]`}, warning: `models/m.json:1: fallback_model_routings[0]: "m-2" is an alias of this very model; skipped; give it a file of its own`},
	{name: "fallback to nobody", changes: []string{"content_policy_fallbacks", `["nobody"]`}, warning: `models/m.json:1: content_policy_fallbacks[0]: no model answers to "nobody"; skipped`},
	{name: "alias of another model", changes: []string{"aliases", `["n-1"]`}, problem: `models/n.json:1: aliases[0]: "n-1" is an alias in models/m.json too; one name can mean one model only`},
	{name: "alias twice", changes: []string{"aliases", `["a","a"]`}, problem: `models/m.json:1: aliases[1]: "a" is an alias in models/m.json too; one name can mean one model only`},
	{name: "alias that is another's name", changes: []string{"aliases", `["n"]`}, warning: `models/m.json:1: aliases[0]: has no effect: "n" is the logical_name in models/n.json; leave it out`},
	{name: "alias that is its own name", changes: []string{"aliases", `["m"]`}},
	{name: "empty alias", changes: []string{"aliases", `[""]`}, problem: `models/m.json:1: aliases[0]: must not be empty`},
	{name: "name that differs in case only", changes: []string{"logical_name", `"N"`}, warning: `models/m.json:1: logical_name: "N" is not the file's name; clients ask for "N"|models/n.json:1: logical_name: "n" differs from "N" in models/m.json in upper and lower case only`},
	{name: "name of another model", changes: []string{"logical_name", `"n"`}, problem: `models/n.json:1: logical_name: "n" is the logical_name in models/m.json too; give each model a name of its own`},
	{name: "capabilities as a list", changes: []string{"capabilities", `[{"stop":false}]`}, problem: `models/m.json:1: capabilities: must be an object, not a list; write e.g. {"max_output_tokens": 32000}`},
	{name: "capabilities with names", changes: []string{"capabilities", `{"models":"*"}`}, problem: `models/m.json:1: capabilities: unknown key "models"; known are documents, efforts, forced_tools, images, json_schema, max_output_tokens, max_tools, prefill, reasons, sampling, stop, system_turns, thinking, tools_with_reasoning`},
	{name: "capabilities with unknown words", changes: []string{"capabilities", `{"thinking":"always","efforts":["hihg"]}`}, problem: `models/m.json:1: capabilities.efforts[0]: unknown value "hihg"; did you mean "high"?|models/m.json:1: capabilities.thinking: unknown value "always"; write one of none, budget, adaptive, both`},
	{name: "a capability at the top", changes: []string{"max_tokens", `5`}, problem: `models/m.json:1: unknown key "max_tokens"; write it as capabilities.max_output_tokens`},
	{name: "a capability of a route", changes: []string{"model_routings.0.capabilities", `{"sampling":"one","max_output_tokens":0}`}, problem: `models/m.json:1: model_routings[0].capabilities.max_output_tokens: must be above 0; leave it out where there is no bound`},
	{name: "unknown on_lossy", changes: []string{"on_lossy", `"fail"`}, problem: `models/m.json:1: on_lossy: unknown value "fail"; write one of warn, reject, ignore`},
	{name: "on_lossy", changes: []string{"on_lossy", `"ignore"`}},
	{name: "unknown hosted_tools", changes: []string{"hosted_tools", `"reject"`}, problem: `models/m.json:1: hosted_tools: unknown value "reject"; write one of drop, refuse`},
	{name: "hosted_tools of a route", changes: []string{"model_routings.0.hosted_tools", `"drop"`}, problem: `models/m.json:1: model_routings[0]: unknown key "hosted_tools"; known are api_key_env, base_url, capabilities, cooldown_seconds, id, model, prices, provider, timeout_seconds, timeouts, weight, wire_protocol`},
}

func TestModelRules(t *testing.T) {
	for _, tc := range modelRules {
		t.Run(tc.name, func(t *testing.T) {
			_, problems, warnings := configFiles{
				"models/m.json":      with(t, plainModel, tc.changes...),
				"models/n.json":      `{"logical_name":"n","aliases":["n-1"],"model_routings":[{"provider":"up","model":"y"}]}`,
				"providers/off.json": with(t, plainProvider, "name", `"off"`, "enabled", "false"),
			}.load(t, LoadOptions{})
			compareProblems(t, problems, tc.problem)
			compareProblems(t, warnings, tc.warning)
		})
	}
}
