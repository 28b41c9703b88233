package routing

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

func TestEveryKeyOfAProviderIsRead(t *testing.T) {
	c, problems, warnings := configFiles{"providers/up.json": `{
		"name": "label", "display_name": "Up Stream", "enabled": true,
		"api_keys": {"env_var_patterns": ["{PROVIDER}_API_KEY", "UP_{INDEX}_KEY"], "env_var_pattern": "OLD_KEY", "description": "d"},
		"endpoints": {
			"base_url": "https://${UP_HOST}/v1", "compatible_format": " Azure ", "completions": "/chat", "streaming": "/chat-stream",
			"responses": "/responses", "messages": "/messages", "count_tokens": "/count", "embeddings": "/embed", "models": "/models",
			"translate_to": "anthropic"
		},
		"authentication": {
			"type": "header", "header_name": "x-up-key", "header_format": "Key {api_key}",
			"additional_headers": {"x-b": "${UP_TEAM}", "X-A": "fixed", "X-C": "${UP_NONE:-}"}
		},
		"request_config": {
			"timeout_seconds": 60.5, "max_retries": 0, "retry_on_status": [429, 503.0],
			"default_parameters": {"temperature": 0.5, "a": {"b": [1, 2]}, "nothing": null, "stream": true}, "required_parameters": ["max_tokens"]
		},
		"quirks": {"max_tokens_field": "max_completion_tokens", "parameters": ["top_k", "min_p"], "developer_role": true},
		"capabilities": [{"models": "*", "thinking": "both"}, {"models": ["b", "c"], "max_output_tokens": 4096, "efforts": ["low", "max"], "prefill": false}],
		"prices": [{"models": "b", "input": 1, "output": 2, "cache_read": 3, "cache_write": 4, "reasoning": 5, "request": 6}],
		"timeouts": {"connect": 1, "first_content": "1m30s", "idle": "500ms", "total": 600},
		"rate_limiting": {"enabled": true, "requests_per_minute": 60, "tokens_per_minute": 100000, "cooldown_seconds": 180},
		"breaker": {"failures": 7},
		"models": {"gpt-4.1": {"cooldown_seconds": 5, "timeout_seconds": 6, "timeouts": {"idle": 7}}, "empty": {}, "none": null},
		"error_handling": {"400": {"action": "fallback_no_cooldown"}, "429": {"action": "model_key_failure", "cooldown_seconds": 0}, "500": {"action": "provider_cooldown", "cooldown_seconds": 600}, "502": null},
		"proxy_support": {"enabled": true, "base_url_override": "http://proxy.example/up/", "description": "d"},
		"model_mapping": {"a": "b"},
		"provider_notes": "n"
	}`}.load(t, LoadOptions{Environ: []string{"UP_HOST=up.example", "UP_TEAM= blue\n"}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	compareProblems(t, warnings, `providers/up.json:15: request_config.default_parameters.stream: has no effect: every request says that itself; leave it out`)

	const s = time.Second
	p, _ := c.Provider("up")
	check := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s = %v, want %v", what, got, want)
		}
	}
	check("ID", p.ID, "up")
	check("Name", p.Name, "label")
	check("DisplayName", p.DisplayName, "Up Stream")
	check("String", p.String(), "up")
	check("patterns", strings.Join(p.KeyPatterns(), " "), "{PROVIDER}_API_KEY UP_{INDEX}_KEY OLD_KEY")
	check("MainProtocol", p.MainProtocol, translate.Chat)
	check("BaseURL", p.BaseURL, "http://proxy.example/up/")
	check("streaming", p.Path(translate.Chat, true), "/chat-stream")
	check("completions", p.Path(translate.Chat, false), "/chat")
	check("responses", p.Path(translate.Responses, true), "/responses")
	check("messages", p.Path(translate.Messages, true), "/messages")
	check("other paths", p.Endpoints.CountTokens+p.Endpoints.Embeddings+p.Endpoints.Models, "/count/embed/models")
	check("key header", p.Authentication.HeaderName+": "+p.Authentication.HeaderFormat, "x-up-key: Key {api_key}")
	if want := []fixedHeader{{"X-A", "fixed"}, {"X-B", "blue"}}; !slices.Equal(p.headers, want) {
		t.Errorf("headers = %v, want %v", p.headers, want)
	}
	check("timeout", p.RequestConfig.Timeout, 60*s+500*time.Millisecond)
	check("retries", p.RequestConfig.Retries(), 0)
	if want := []int{429, 503}; !slices.Equal(p.RequestConfig.RetryOnStatus, want) {
		t.Errorf("retry_on_status = %v, want %v", p.RequestConfig.RetryOnStatus, want)
	}
	var defaults []string
	for _, parameter := range p.RequestConfig.DefaultParameters {
		defaults = append(defaults, parameter.Name+"="+string(parameter.Value))
	}
	check("default_parameters", strings.Join(defaults, " "), `temperature=0.5 a={"b": [1, 2]} nothing=null`)
	check("required_parameters", strings.Join(p.RequestConfig.RequiredParameters, " "), "max_tokens")
	check("translate_to", p.Endpoints.TranslateTo, translate.Messages)
	check("quirks", fmt.Sprint(p.Quirks.MaxTokensField, p.Quirks.Parameters, p.Quirks.DeveloperRole, p.Quirks.NoStrict), "max_completion_tokens[top_k min_p] true false")
	check("capabilities", capabilityText(t, *p.capabilitiesOf("a"))+"|"+capabilityText(t, *p.capabilitiesOf("b")), "thinking=both|max_output_tokens=4096 efforts=[low max] prefill=false")
	check("prices", p.pricesOf("b").RatesFor(translate.Usage{}), Rates{Input: 1, Output: 2, CacheRead: 3, CacheWrite: 4, Reasoning: 5, Request: 6})
	check("timeouts", p.Timeouts, Timeouts{s, 90 * s, s / 2, 600 * s})
	check("rate_limiting", p.RateLimiting, RateLimiting{true, 60, 100000, 180 * s})
	check("breaker", *p.Breaker.Failures, 7)
	check("models", p.Models["gpt-4.1"], ProviderModel{5 * s, 6 * s, Timeouts{Idle: 7 * s}})
	check("number of models", len(p.Models), 2)
	check("400", p.ErrorHandling[400], ErrorRule{Action: ActionFallbackNoCooldown})
	check("429", *p.ErrorHandling[429].Cooldown, time.Duration(0))
	check("500", *p.ErrorHandling[500].Cooldown, 600*s)
	check("number of rules", len(p.ErrorHandling), 3)
	check("mapped", p.UpstreamModel("a"), "b")
	check("notes", string(p.ProviderNotes), `"n"`)
}

func TestEveryKeyOfAModelIsRead(t *testing.T) {
	c, problems, warnings := configFiles{
		"providers/up.json": with(t, plainProvider, "endpoints.responses", `"/responses"`),
		"models/m.json": `{
			"logical_name": "m", "id": 1, "display_name": "M", "aliases": ["m-*", "em"],
			"timeout_seconds": 60, "timeouts": {"total": "10m"}, "default_cooldown_seconds": 30,
			"capabilities": {"sampling": "one", "stop": false}, "on_lossy": "reject", "hosted_tools": "refuse",
			"policy": "least_busy", "hedge_after": "1.5s",
			"model_routings": [
				{"id": "r", "provider": "up", "model": "*", "wire_protocol": "responses", "base_url": "https://${SIDE}/v1", "api_key_env": ["A", "B"],
				 "timeout_seconds": 5, "timeouts": {"connect": "2s"}, "cooldown_seconds": 9, "capabilities": {"thinking": "none"}, "weight": 2},
				{"provider": "up", "model": "y"}
			],
			"fallback_model_routings": ["n", "o-5"], "context_window_fallbacks": ["n"], "content_policy_fallbacks": ["o-6"]
		}`,
		"models/n.json":          `{"logical_name":"n","model_routings":[{"provider":"up","model":"n"}],"fallback_model_routings":["m"]}`,
		"models/below/here.json": `{"logical_name":"below/here","aliases":["o-*"],"model_routings":[{"provider":"up","model":"*"}]}`,
	}.load(t, LoadOptions{Environ: []string{"SIDE=side.example"}})
	if len(problems)+len(warnings) > 0 {
		t.Fatal(problems, warnings)
	}
	const s = time.Second
	m, _ := c.Resolve("m-7")
	if m == nil || m.LogicalName != "m" || m.DisplayName != "M" || m.Timeout != 60*s || m.Timeouts != (Timeouts{Total: 600 * s}) || m.DefaultCooldown != 30*s {
		t.Fatalf("model = %+v", m)
	}
	if m.OnLossy != LossyReject || m.HostedTools != HostedRefuse {
		t.Errorf("on_lossy = %q, hosted_tools = %q", m.OnLossy, m.HostedTools)
	}
	if m.Policy != PolicyLeastBusy || m.HedgeAfter != 3*s/2 {
		t.Errorf("policy = %q, hedge_after = %v", m.Policy, m.HedgeAfter)
	}
	if len(m.Routes) != 2 {
		t.Fatalf("routes = %v", m.Routes)
	}
	if got, want := capabilityText(t, m.Routes[0].CapabilitiesFor("m-7")), "thinking=none sampling=one stop=false"; got != want {
		t.Errorf("capabilities = %q, want %q", got, want)
	}
	r := m.Routes[0]
	if r.WireProtocol != translate.Responses || r.BaseURL != "https://side.example/v1" || strings.Join(r.APIKeyEnv, " ") != "A B" ||
		r.Timeout != 5*s || r.Timeouts != (Timeouts{Connect: 2 * s}) || r.Cooldown != 9*s || r.share() != 2 || r.UpstreamModel("m-7") != "m-7" {
		t.Errorf("route = %+v", r)
	}
	if r := m.Routes[1]; r.BaseURL != "http://127.0.0.1:1/v1" || r.UpstreamModel("m-7") != "y" {
		t.Errorf("route = %+v", r)
	}
	describe := func(list []Fallback) string {
		var found []string
		for _, f := range list {
			found = append(found, f.Name+">"+f.Model.LogicalName)
		}
		return strings.Join(found, " ")
	}
	for _, tc := range []struct{ got, want string }{
		{describe(m.Fallbacks), "n>n o-5>below/here"},
		{describe(m.ContextFallbacks), "n>n"},
		{describe(m.PolicyFallbacks), "o-6>below/here"},
		{describe(m.Fallbacks[0].Model.Fallbacks), "m>m"}, // a circle
	} {
		if tc.got != tc.want {
			t.Errorf("fallbacks = %q, want %q", tc.got, tc.want)
		}
	}
	var order []string
	for _, m := range c.Models() {
		order = append(order, m.LogicalName)
	}
	if got, want := strings.Join(order, " "), "below/here m n"; got != want {
		t.Errorf("Models = %q, want %q", got, want)
	}
}

func TestTheManualTellsEveryKeyOfTheFiles(t *testing.T) {
	text, err := os.ReadFile("../config/README.md")
	if err != nil {
		t.Fatal(err)
	}
	manual := string(text)
	var check func(fields reflect.Type, path string)
	check = func(fields reflect.Type, path string) {
		for fields.Kind() == reflect.Pointer || fields.Kind() == reflect.Slice || fields.Kind() == reflect.Map {
			fields = fields.Elem()
		}
		if fields.Kind() != reflect.Struct {
			return
		}
		for _, field := range reflect.VisibleFields(fields) {
			name := field.Tag.Get("json")
			if name == "" || name == "-" {
				continue
			}
			// A key stands alone, in a path, or quoted in an example.
			if !regexp.MustCompile("[`.\"]" + name + "\\b").MatchString(manual) {
				t.Errorf("config/README.md does not tell about %s", join(path, name))
			}
			check(field.Type, join(path, name))
		}
	}
	check(reflect.TypeFor[Provider](), "")
	check(reflect.TypeFor[Model](), "")
}
