package routing

import (
	"slices"
	"strconv"
	"strings"
)

// providerHome says where keys belong that people write at the top level of a
// provider file, or under another name.
var providerHome = map[string]string{
	"base_url": "endpoints.base_url", "url": "endpoints.base_url", "api_base": "endpoints.base_url",
	"protocol": "endpoints.compatible_format", "format": "endpoints.compatible_format",
	"compatible_format": "endpoints.compatible_format", "wire_protocol": "endpoints.compatible_format",
	"translate_to": "endpoints.translate_to",
	"completions":  "endpoints.completions", "streaming": "endpoints.streaming",
	"responses": "endpoints.responses", "messages": "endpoints.messages",
	"embeddings": "endpoints.embeddings", "count_tokens": "endpoints.count_tokens",
	"env_var_patterns": "api_keys.env_var_patterns", "api_key_env_patterns": "api_keys.env_var_patterns",
	"env_var_pattern": "api_keys.env_var_pattern", "api_key_env": "api_keys.env_var_patterns",
	"auth": "authentication", "header": "authentication.header_name", "header_name": "authentication.header_name",
	"header_format": "authentication.header_format", "headers": "authentication.additional_headers",
	"additional_headers": "authentication.additional_headers",
	"timeout":            "request_config.timeout_seconds", "timeout_seconds": "request_config.timeout_seconds",
	"max_retries": "request_config.max_retries", "retry_on_status": "request_config.retry_on_status",
	"default_parameters":  "request_config.default_parameters",
	"required_parameters": "request_config.required_parameters",
	"cooldown":            "rate_limiting.cooldown_seconds", "cooldown_seconds": "rate_limiting.cooldown_seconds",
	"circuit_breaker": "breaker", "failures": "breaker.failures",
	"requests_per_minute": "rate_limiting.requests_per_minute",
	"tokens_per_minute":   "rate_limiting.tokens_per_minute",
	"max_tokens":          "capabilities[].max_output_tokens", "max_output_tokens": "capabilities[].max_output_tokens",
	"pricing": "prices", "cost": "prices", "input_price": "prices[].input", "output_price": "prices[].output",
	"max_tokens_field": "quirks.max_tokens_field", "reasoning_field": "quirks.reasoning_field",
	"base_url_override": "proxy_support.base_url_override", "proxy": "proxy_support",
	"comment": "provider_notes", "notes": "provider_notes", "description": "provider_notes",
}

// modelHome is the same for model files.
var modelHome = map[string]string{
	"name": "logical_name", "model_name": "logical_name",
	"routes": "model_routings", "routings": "model_routings",
	"fallbacks": "fallback_model_routings", "fallback_models": "fallback_model_routings",
	"alias": "aliases", "timeout": "timeout_seconds",
	"cooldown": "default_cooldown_seconds", "cooldown_seconds": "default_cooldown_seconds",
	"provider": "model_routings[].provider", "model": "model_routings[].model",
	"wire_protocol": "model_routings[].wire_protocol", "protocol": "model_routings[].wire_protocol",
	"base_url": "model_routings[].base_url", "api_key_env": "model_routings[].api_key_env",
	"max_tokens": "capabilities.max_output_tokens", "max_output_tokens": "capabilities.max_output_tokens",
	"thinking": "capabilities.thinking", "efforts": "capabilities.efforts", "prefill": "capabilities.prefill",
	"pricing": "prices", "cost": "prices", "input_price": "prices.input", "output_price": "prices.output",
	"lossy": "on_lossy", "strategy": "policy", "routing_policy": "policy", "load_balancing": "policy",
	"hedge": "hedge_after", "weight": "model_routings[].weight",
}

// routeHome is the same for a route.
var routeHome = map[string]string{
	"protocol": "wire_protocol", "compatible_format": "wire_protocol",
	"upstream_model": "model", "model_name": "model", "logical_name": "model", "name": "provider",
	"url": "base_url", "timeout": "timeout_seconds", "pricing": "prices", "cost": "prices",
	"cooldown": "cooldown_seconds", "default_cooldown_seconds": "cooldown_seconds",
}

const (
	envPatternsFix = `name environment variables: {"env_var_patterns": ["{PROVIDER}_API_KEY"]}`
	apiKeyEnvFix   = `name environment variables in api_key_env: ["MY_API_KEY"]`
)

// hint tells what to write instead of an unknown key; names are the known keys
// of the place where it is.
func (d *document) hint(path, key string, names []string) string {
	lower := strings.ToLower(key)
	inRoute := strings.HasPrefix(path, "model_routings[")
	switch lower {
	case "api_key", "key", "keys", "api_keys":
		if inRoute {
			return "keys are never written into a file; " + apiKeyEnvFix
		}
		return "keys are never written into a file; in api_keys " + envPatternsFix
	}
	home := d.homes[lower]
	if inRoute {
		home = routeHome[lower]
	}
	// Where several keys are alike, the one of the very place is meant.
	home, here := strings.CutPrefix(home, path+".")
	longer := func(name string) bool { return strings.HasPrefix(name, lower+"_") }
	if i := slices.IndexFunc(names, longer); i >= 0 && !here && path != "" {
		home = names[i]
	}
	if home != "" && home != lower {
		return "write it as " + home
	}
	if near := nearest(key, names); near != "" {
		return "did you mean " + strconv.Quote(near) + "?"
	}
	return ""
}

// misplacedFix tells what to write where a value of the wrong type is.
func misplacedFix(path, want string) string {
	switch {
	case path == "capabilities" && want == "a list":
		return `write e.g. [{"models": "*", "thinking": "adaptive"}]`
	case path == "capabilities":
		return `write e.g. {"max_output_tokens": 32000}`
	case path == "prices" && want == "a list":
		return `write e.g. [{"models": "*", "input": 2, "output": 8}]`
	case path == "prices" || strings.HasSuffix(path, "].prices"):
		return `write e.g. {"input": 2, "output": 8}`
	case path == "api_keys":
		return "keys are never written into a file; " + envPatternsFix
	case path == "endpoints":
		return `write e.g. {"base_url": "https://api.example.com/v1", "completions": "/chat/completions"}`
	case path == "authentication":
		return exampleOf(path)
	case path == "breaker":
		return `write e.g. {"failures": 5, "open": "30s"}; {"failures": 0, "ratio": 0} is none`
	case strings.HasSuffix(path, "].api_key_env"):
		return apiKeyEnvFix
	}
	return ""
}

// exampleOf tells how a missing field is written.
func exampleOf(path string) string {
	switch path {
	case "name":
		return `add e.g. "name": "example"`
	case "enabled":
		return `add "enabled": true`
	case "endpoints", "endpoints.base_url":
		return `add e.g. "base_url": "https://api.example.com/v1" to endpoints`
	case "authentication":
		return `write {"type": "bearer"} for Authorization: Bearer KEY, or {"type": "none"} for a server that takes no key`
	case "logical_name":
		return `add the name that clients ask for: "logical_name": "example"`
	case "model_routings":
		return `add "model_routings": [{"provider": "example", "model": "example"}]`
	}
	if strings.HasPrefix(path, "capabilities[") || strings.HasPrefix(path, "prices[") && strings.HasSuffix(path, ".models") {
		return modelsFix
	}
	if strings.HasSuffix(path, ".action") {
		return "write one of " + strings.Join(actionNames, ", ")
	}
	return ""
}

// printable is a key to show after "unknown key", or nothing when it looks
// like something else than a key, such as a secret in the wrong place.
func printable(key string) string {
	digits := 0
	for _, c := range []byte(key) {
		if '0' <= c && c <= '9' {
			digits++
		}
	}
	if !plainKey(key) || len(key) > 32 || digits > 4 {
		return ""
	}
	return " " + strconv.Quote(key)
}
