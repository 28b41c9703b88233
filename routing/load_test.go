package routing

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/sjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

const (
	// plainProvider is as short as a provider file can be.
	plainProvider = `{"name":"up","enabled":true,"endpoints":{"base_url":"http://127.0.0.1:1/v1","completions":"/chat"},"authentication":{"type":"bearer"}}`
	// plainModel is as short as a model file can be.
	plainModel = `{"logical_name":"m","model_routings":[{"provider":"up","model":"x"}]}`
)

// files is what the two directories hold, by path.
type configFiles map[string]string

// load writes the files to a new directory and loads them, with errors and
// warnings as texts. A provider "up" and a model "m" are there unless files
// says otherwise; an empty text leaves a file out.
func (files configFiles) load(t *testing.T, o LoadOptions) (c *Catalog, problems, warnings []string) {
	t.Helper()
	inEmptyDir(t)
	for path, text := range map[string]string{"providers/up.json": plainProvider, "models/m.json": plainModel} {
		if _, given := files[path]; !given {
			writeConfig(t, path, text)
		}
	}
	for path, text := range files {
		if text != "" {
			writeConfig(t, path, text)
		}
	}
	o.ProvidersDir, o.ModelsDir = "providers", "models"
	c, found, err := Load(o)
	if err != nil {
		var all *LoadError
		if !errors.As(err, &all) || c != nil || found != nil {
			t.Fatalf("Load = %v, %v, %v (%T)", c, found, err, err)
		}
		return nil, problemTexts(all.Problems), nil
	}
	return c, nil, problemTexts(found)
}

// with changes a file's text: pairs of paths and values as JSON; an empty
// value deletes.
func with(t *testing.T, text string, changes ...string) string {
	t.Helper()
	for i := 0; i < len(changes); i += 2 {
		var err error
		if changes[i+1] == "" {
			text, err = sjson.Delete(text, changes[i])
		} else {
			text, err = sjson.SetRaw(text, changes[i], changes[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return text
}

func TestAShortProviderGetsWorkingDefaults(t *testing.T) {
	c, problems, warnings := configFiles{}.load(t, LoadOptions{})
	if len(problems)+len(warnings) > 0 {
		t.Fatalf("Load: %q %q", problems, warnings)
	}
	p, ok := c.Provider("up")
	if !ok {
		t.Fatal("the provider is missing")
	}
	if p.ID != "up" || p.File != "providers/up.json" || p.Name != "up" || p.DisplayName != "up" || !p.Enabled || p.Unusable != "" {
		t.Errorf("provider = %+v", *p)
	}
	if p.MainProtocol != translate.Chat || p.BaseURL != "http://127.0.0.1:1/v1" || p.KeyPatterns() != nil || p.Keyless() {
		t.Errorf("provider = %+v", *p)
	}
	if a := p.Authentication; a.HeaderName != "Authorization" || a.HeaderFormat != "Bearer {api_key}" {
		t.Errorf("authentication = %+v", a)
	}
	m, ok := c.Resolve("m")
	if !ok || m.DisplayName != "m" || len(m.Routes) != 1 || m.File != "models/m.json" {
		t.Fatalf("model = %+v", m)
	}
	if r := m.Routes[0]; r.Provider != p || r.Owner != m || r.BaseURL != p.BaseURL || r.WireProtocol != "" {
		t.Errorf("route = %+v", r)
	}
}

// providerRules has one provider file per line: changes to plainProvider, and
// what Load says of it.
var providerRules = []struct {
	name    string
	changes []string
	problem string // "" means none
	warning string
}{
	{name: "no name", changes: []string{"name", ""}, problem: `providers/up.json:1: name: is required; add e.g. "name": "example"`},
	{name: "name null", changes: []string{"name", "null"}, problem: `providers/up.json:1: name: is required; add e.g. "name": "example"`},
	{name: "name empty", changes: []string{"name", `""`}, problem: `providers/up.json:1: name: may have letters, digits, '.', '_' and '-' only, beginning with a letter or digit; write what people should see as display_name`},
	{name: "name with a star", changes: []string{"name", `"a.b*"`}, problem: `providers/up.json:1: name: may have letters, digits, '.', '_' and '-' only, beginning with a letter or digit; write what people should see as display_name`},
	{name: "name with dots", changes: []string{"name", `"A.b_c-1"`}},
	{name: "no enabled", changes: []string{"enabled", ""}, problem: `providers/up.json:1: enabled: is required; add "enabled": true`},
	{name: "enabled as a text", changes: []string{"enabled", `"true"`}, problem: `providers/up.json:1: enabled: must be true or false, not the text "true"; write true without quotes`},
	{name: "enabled as a number", changes: []string{"enabled", `1`}, problem: `providers/up.json:1: enabled: must be true or false, not a number`},
	{name: "no endpoints", changes: []string{"endpoints", ""}, problem: `providers/up.json:1: endpoints: is required; add e.g. "base_url": "https://api.example.com/v1" to endpoints`},
	{name: "endpoints as a text", changes: []string{"endpoints", `"http://h"`}, problem: `providers/up.json:1: endpoints: must be an object, not a text; write e.g. {"base_url": "https://api.example.com/v1", "completions": "/chat/completions"}`},
	{name: "no base_url", changes: []string{"endpoints.base_url", ""}, problem: `providers/up.json:1: endpoints.base_url: is required; add e.g. "base_url": "https://api.example.com/v1" to endpoints`},
	{name: "base_url without scheme", changes: []string{"endpoints.base_url", `"127.0.0.1:80"`}, problem: `providers/up.json:1: endpoints.base_url: must start with http:// or https:// (got "127.0.0.1:80"); write e.g. "https://api.example.com/v1"`},
	{name: "base_url with a password", changes: []string{"endpoints.base_url", `"http://u:SECRET@h/v1"`}, problem: `providers/up.json:1: endpoints.base_url: must not have a user or password in it; write e.g. "https://api.example.com/v1"`},
	{name: "base_url with half a variable", changes: []string{"endpoints.base_url", `"http://${HOST"`}, problem: `providers/up.json:1: endpoints.base_url: has a ${ without }; write e.g. "https://api.example.com/v1", with variables as ${NAME} or ${NAME:-default}`},
	{name: "no completions", changes: []string{"endpoints.completions", ""}, problem: `providers/up.json:1: endpoints.completions: is required; add the path below base_url, e.g. "/chat/completions"`},
	{name: "a whole URL as path", changes: []string{"endpoints.completions", `"https://h/chat"`}, problem: `providers/up.json:1: endpoints.completions: must be a path below base_url, not a whole URL; write e.g. "/chat/completions"`},
	{name: "a broken path", changes: []string{"endpoints.responses", `"/a b"`}, problem: `providers/up.json:1: endpoints.responses: is not a path; write e.g. "/chat/completions"`},
	{name: "only messages for openai", changes: []string{"endpoints.completions", "", "endpoints.messages", `"/messages"`}, problem: `providers/up.json:1: endpoints.completions: is required; add the path below base_url, e.g. "/chat/completions"`},
	{name: "anthropic without a path", changes: []string{"endpoints.completions", "", "endpoints.compatible_format", `"anthropic"`}, problem: `providers/up.json:1: endpoints.messages: is required; add the path below base_url, e.g. "/chat/completions"`},
	{name: "unknown format", changes: []string{"endpoints.compatible_format", `"openia"`}, problem: `providers/up.json:1: endpoints.compatible_format: unknown protocol "openia"; did you mean "openai"?`},
	{name: "format by another word", changes: []string{"endpoints.compatible_format", `"claude"`}, problem: `providers/up.json:1: endpoints.compatible_format: unknown protocol "claude"; did you mean "anthropic"?`},
	{name: "format that nobody speaks", changes: []string{"endpoints.compatible_format", `"xyz"`}, problem: `providers/up.json:1: endpoints.compatible_format: unknown protocol "xyz"; write one of openai, anthropic, responses, azure, native`},
	{name: "no authentication", changes: []string{"authentication", ""}, problem: `providers/up.json:1: authentication: is required; write {"type": "bearer"} for Authorization: Bearer KEY, or {"type": "none"} for a server that takes no key`},
	{name: "authentication without header", changes: []string{"authentication", `{"type":"api_key"}`}, problem: `providers/up.json:1: authentication.header_name: is required; add e.g. "header_name": "Authorization", "header_format": "Bearer {api_key}"; for a server that takes no key "type": "none"`},
	{name: "header_format without the key", changes: []string{"authentication.header_format", `"Bearer SECRET"`}, problem: `providers/up.json:1: authentication.header_format: has no {api_key}, so that no key would be sent; write e.g. "Bearer {api_key}"; keys are never written into a file`},
	{name: "header_format with another placeholder", changes: []string{"authentication.header_format", `"{api_key} {org}"`}, problem: `providers/up.json:1: authentication.header_format: may have one {api_key}, no other braces and no control characters; write e.g. "Bearer {api_key}"`},
	{name: "header_name that is none", changes: []string{"authentication.header_name", `"x key"`}, problem: `providers/up.json:1: authentication.header_name: is not a header that can carry a key; write e.g. "Authorization" or "x-api-key"`},
	{name: "header_name of the transport", changes: []string{"authentication.header_name", `"Host"`}, problem: `providers/up.json:1: authentication.header_name: is not a header that can carry a key; write e.g. "Authorization" or "x-api-key"`},
	{name: "additional header of the transport", changes: []string{"authentication.additional_headers", `{"content-length":"1"}`}, problem: `providers/up.json:1: authentication.additional_headers.content-length: is not a header that can be added`},
	{name: "additional header for the key", changes: []string{"authentication.additional_headers", `{"authorization":"SECRET"}`}, problem: `providers/up.json:1: authentication.additional_headers.authorization: would replace the header that carries the key; leave it out; header_name sends it`},
	{name: "additional header with a line feed", changes: []string{"authentication.additional_headers", `{"X-A":"SECRET\nx: y"}`}, problem: `providers/up.json:1: authentication.additional_headers.X-A: must not have control characters`},
	{name: "additional header as a number", changes: []string{"authentication.additional_headers", `{"X-A":1}`}, problem: `providers/up.json:1: authentication.additional_headers.X-A: must be a text, not a number`},
	{name: "a key to a server that takes none", changes: []string{"authentication", `{"type":"none","header_name":"x-api-key"}`}, warning: `providers/up.json:1: authentication.header_name: has no effect, since type "none" sends no key`},
	{name: "keys in a list", changes: []string{"api_keys", `["SECRET"]`}, problem: `providers/up.json:1: api_keys: must be an object, not a list; keys are never written into a file; name environment variables: {"env_var_patterns": ["{PROVIDER}_API_KEY"]}`},
	{name: "a key as a text", changes: []string{"api_keys", `"SECRET"`}, problem: `providers/up.json:1: api_keys: must be an object, not a text; keys are never written into a file; name environment variables: {"env_var_patterns": ["{PROVIDER}_API_KEY"]}`},
	{name: "a key as a pattern", changes: []string{"api_keys.env_var_patterns", `["sk-SECRET"]`}, problem: `providers/up.json:1: api_keys.env_var_patterns[0]: is not the name of an environment variable; write e.g. "{PROVIDER}_API_KEY" or "OPENAI_API_KEY_{INDEX}"; keys are never written into a file`},
	{name: "a key under api_keys", changes: []string{"api_keys", `{"keys":["SECRET"]}`}, problem: `providers/up.json:1: api_keys: unknown key "keys"; keys are never written into a file; in api_keys name environment variables: {"env_var_patterns": ["{PROVIDER}_API_KEY"]}`},
	{name: "a key as a name", changes: []string{"api_keys", `{"sk-SECRET-0123456789":1}`}, problem: `providers/up.json:1: api_keys: unknown key; known are description, env_var_pattern, env_var_patterns`},
	{name: "a pattern with two indexes", changes: []string{"api_keys.env_var_pattern", `"A_{INDEX}_{INDEX}"`}, problem: `providers/up.json:1: api_keys.env_var_pattern: is not the name of an environment variable; write e.g. "{PROVIDER}_API_KEY" or "OPENAI_API_KEY_{INDEX}"; keys are never written into a file`},
	{name: "a pattern as a text", changes: []string{"api_keys.env_var_patterns", `"UP_API_KEY"`}, problem: `providers/up.json:1: api_keys.env_var_patterns: must be a list, not a text; put it into [ ]`},
	{name: "a pattern twice", changes: []string{"api_keys", `{"env_var_patterns":["A","B","A"],"env_var_pattern":"B"}`}, warning: `providers/up.json:1: api_keys.env_var_pattern: is there twice|providers/up.json:1: api_keys.env_var_patterns[2]: is there twice`},
	{name: "null in a list", changes: []string{"api_keys.env_var_patterns", `["A",null]`}, problem: `providers/up.json:1: api_keys.env_var_patterns[1]: must not be null`},
	{name: "timeout as a text", changes: []string{"request_config.timeout_seconds", `"60"`}, problem: `providers/up.json:1: request_config.timeout_seconds: must be a number, not the text "60"; write 60 without quotes`},
	{name: "timeout as another text", changes: []string{"request_config.timeout_seconds", `"SECRET"`}, problem: `providers/up.json:1: request_config.timeout_seconds: must be a number, not a text`},
	{name: "negative timeout", changes: []string{"request_config.timeout_seconds", `-1`}, problem: `providers/up.json:1: request_config.timeout_seconds: must not be negative`},
	{name: "timeout in milliseconds", changes: []string{"request_config.timeout_seconds", `60000000`}, problem: `providers/up.json:1: request_config.timeout_seconds: must be at most 31622400 seconds, a year`},
	{name: "endless timeout", changes: []string{"request_config.timeout_seconds", `1e300`}, problem: `providers/up.json:1: request_config.timeout_seconds: must be at most 31622400 seconds, a year`},
	{name: "timeout null", changes: []string{"request_config.timeout_seconds", `null`}},
	{name: "timeouts without a unit", changes: []string{"timeouts.idle", `"60"`}, problem: `providers/up.json:1: timeouts.idle: is no time; write a number of seconds or a text such as "90s" or "1m30s"`},
	{name: "timeouts as true", changes: []string{"timeouts.idle", `true`}, problem: `providers/up.json:1: timeouts.idle: must be a number of seconds or a text such as "90s", not true`},
	{name: "negative timeouts", changes: []string{"timeouts.idle", `"-1s"`}, problem: `providers/up.json:1: timeouts.idle: must not be negative`},
	{name: "too many retries", changes: []string{"request_config.max_retries", `11`}, problem: `providers/up.json:1: request_config.max_retries: must be at most 10`},
	{name: "half a retry", changes: []string{"request_config.max_retries", `1.5`}, problem: `providers/up.json:1: request_config.max_retries: must be a whole number, not 1.5`},
	{name: "retry on success", changes: []string{"request_config.retry_on_status", `[503,200]`}, problem: `providers/up.json:1: request_config.retry_on_status[1]: 200 is not an HTTP status from 400 to 599`},
	{name: "default parameters as a list", changes: []string{"request_config.default_parameters", `[]`}, problem: `providers/up.json:1: request_config.default_parameters: must be an object, not a list`},
	{name: "default parameters that requests say themselves", changes: []string{"request_config.default_parameters", `{"stream":false}`}, warning: `providers/up.json:1: request_config.default_parameters.stream: has no effect: every request says that itself; leave it out`},
	{name: "negative cooldown", changes: []string{"rate_limiting.cooldown_seconds", `-1`}, problem: `providers/up.json:1: rate_limiting.cooldown_seconds: must not be negative`},
	{name: "negative limit", changes: []string{"rate_limiting.requests_per_minute", `-1`}, problem: `providers/up.json:1: rate_limiting.requests_per_minute: must not be negative`},
	{name: "no breaker", changes: []string{"breaker", `{"failures":0,"ratio":0}`}},
	{name: "breaker as false", changes: []string{"breaker", `false`}, problem: `providers/up.json:1: breaker: must be an object, not false; write e.g. {"failures": 5, "open": "30s"}; {"failures": 0, "ratio": 0} is none`},
	{name: "breaker with half a failure", changes: []string{"breaker.failures", `1.5`}, problem: `providers/up.json:1: breaker.failures: must be a whole number, not 1.5`},
	{name: "breaker in percent", changes: []string{"breaker.ratio", `50`}, problem: `providers/up.json:1: breaker.ratio: must be at most 1`},
	{name: "breaker of no requests", changes: []string{"breaker.requests", `0`}, problem: `providers/up.json:1: breaker.requests: must be above 0`},
	{name: "breaker of no time", changes: []string{"breaker", `{"window":0,"open":"1ms"}`}, problem: `providers/up.json:1: breaker.open: must be at least 1s; to have no breaker write "failures": 0, "ratio": 0|providers/up.json:1: breaker.window: must be at least 1s; to have no breaker write "failures": 0, "ratio": 0`},
	{name: "breaker without a unit", changes: []string{"breaker.max_open", `"5"`}, problem: `providers/up.json:1: breaker.max_open: is no time; write a number of seconds or a text such as "90s" or "1m30s"`},
	{name: "breaker at the top", changes: []string{"failures", `5`}, problem: `providers/up.json:1: unknown key "failures"; write it as breaker.failures`},
	{name: "a model as a number", changes: []string{"models", `{"gpt-4.1":1}`}, problem: `providers/up.json:1: models["gpt-4.1"]: must be an object, not a number`},
	{name: "a negative cooldown of a model", changes: []string{"models", `{"gpt-4.1":{"cooldown_seconds":-1}}`}, problem: `providers/up.json:1: models["gpt-4.1"].cooldown_seconds: must not be negative`},
	{name: "unknown action", changes: []string{"error_handling", `{"429":{"action":"model_key_failur"}}`}, problem: `providers/up.json:1: error_handling.429.action: unknown action "model_key_failur"; did you mean "model_key_failure"?`},
	{name: "empty action", changes: []string{"error_handling", `{"429":{"action":""}}`}, problem: `providers/up.json:1: error_handling.429.action: unknown action; write one of model_key_failure, global_key_failure, provider_cooldown, fallback_no_cooldown, auto_fix_tool_responses`},
	{name: "action as a number", changes: []string{"error_handling", `{"429":{"action":1}}`}, problem: `providers/up.json:1: error_handling.429.action: must be a text, not a number`},
	{name: "cooldown of an action by another word", changes: []string{"error_handling", `{"429":{"action":"model_key_failure","cooldown":1}}`}, problem: `providers/up.json:1: error_handling.429: unknown key "cooldown"; write it as cooldown_seconds`},
	{name: "header", changes: []string{"authentication.header", `"x-key"`}, problem: `providers/up.json:1: authentication: unknown key "header"; write it as header_name`},
	{name: "completions as a number", changes: []string{"endpoints.completions", `1`}, problem: `providers/up.json:1: endpoints.completions: must be a text, not a number`},
	{name: "no action", changes: []string{"error_handling", `{"429":{"cooldown_seconds":5}}`}, problem: `providers/up.json:1: error_handling.429.action: is required; write one of model_key_failure, global_key_failure, provider_cooldown, fallback_no_cooldown, auto_fix_tool_responses`},
	{name: "an action for success", changes: []string{"error_handling", `{"200":{"action":"model_key_failure"}}`}, problem: `providers/up.json:1: error_handling.200: 200 is not an HTTP status from 400 to 599`},
	{name: "an action for a class", changes: []string{"error_handling", `{"5xx":{"action":"model_key_failure"}}`}, problem: `providers/up.json:1: error_handling: has a key that is not an HTTP status "5xx"; write e.g. "429"`},
	{name: "an action for a text", changes: []string{"error_handling", `{"0429":{"action":"model_key_failure"}}`}, problem: `providers/up.json:1: error_handling: has a key that is not an HTTP status "0429"; write e.g. "429"`},
	{name: "an override that is no URL", changes: []string{"proxy_support", `{"enabled":true,"base_url_override":"h"}`}, problem: `providers/up.json:1: proxy_support.base_url_override: must start with http:// or https:// (got "h"); write e.g. "https://api.example.com/v1"`},
	{name: "an override that is off", changes: []string{"proxy_support", `{"enabled":false,"base_url_override":"h"}`}},
	{name: "an empty override", changes: []string{"proxy_support", `{"enabled":true,"base_url_override":""}`}},
	{name: "a mapping to nothing", changes: []string{"model_mapping", `{"a":""}`}, problem: `providers/up.json:1: model_mapping.a: must map one model name to another, neither of them empty`},
	{name: "notes of any kind", changes: []string{"provider_notes", `{"any":["thing",1,null]}`}},
	{name: "unknown key", changes: []string{"endpoints.base_ulr", `"http://h"`}, problem: `providers/up.json:1: endpoints: unknown key "base_ulr"; did you mean "base_url"?`},
	{name: "unknown key at the top", changes: []string{"displayname", `"x"`}, problem: `providers/up.json:1: unknown key "displayname"; did you mean "display_name"?`},
	{name: "unknown key far from all", changes: []string{"timeouts.xyz", `1`}, problem: `providers/up.json:1: timeouts: unknown key "xyz"; known are connect, first_content, idle, total`},
	{name: "other case", changes: []string{"Enabled", `true`}, problem: `providers/up.json:1: unknown key "Enabled"; did you mean "enabled"?`},
	{name: "key of a later version", changes: []string{"prices", `{}`}, problem: `providers/up.json:1: unknown key "prices"; known are api_keys, authentication, breaker, capabilities, display_name, enabled, endpoints, error_handling, model_mapping, models, name, provider_notes, proxy_support, quirks, rate_limiting, request_config, timeouts`},
	{name: "base_url at the top", changes: []string{"base_url", `"http://u:SECRET@h"`}, problem: `providers/up.json:1: unknown key "base_url"; write it as endpoints.base_url`},
	{name: "protocol at the top", changes: []string{"protocol", `"openai"`}, problem: `providers/up.json:1: unknown key "protocol"; write it as endpoints.compatible_format`},
	{name: "protocol in endpoints", changes: []string{"endpoints.protocol", `"openai"`}, problem: `providers/up.json:1: endpoints: unknown key "protocol"; write it as compatible_format`},
	{name: "timeout in endpoints", changes: []string{"endpoints.timeout", `5`}, problem: `providers/up.json:1: endpoints: unknown key "timeout"; write it as request_config.timeout_seconds`},
	{name: "key at the top", changes: []string{"api_key", `"SECRET"`}, problem: `providers/up.json:1: unknown key "api_key"; keys are never written into a file; in api_keys name environment variables: {"env_var_patterns": ["{PROVIDER}_API_KEY"]}`},
	{name: "patterns by their old name", changes: []string{"api_key_env_patterns", `["A"]`}, problem: `providers/up.json:1: unknown key "api_key_env_patterns"; write it as api_keys.env_var_patterns`},
	{name: "quirks as a list", changes: []string{"quirks", `["developer_role"]`}, problem: `providers/up.json:1: quirks: must be an object, not a list`},
	{name: "an unknown quirk", changes: []string{"quirks", `{"developer_rol":true}`}, problem: `providers/up.json:1: quirks: unknown key "developer_rol"; did you mean "developer_role"?`},
	{name: "a quirk as a text", changes: []string{"quirks", `{"developer_role":"true"}`}, problem: `providers/up.json:1: quirks.developer_role: must be true or false, not the text "true"; write true without quotes`},
	{name: "a quirk at the top", changes: []string{"max_tokens_field", `"max_tokens"`}, problem: `providers/up.json:1: unknown key "max_tokens_field"; write it as quirks.max_tokens_field`},
	{name: "an unknown field for the limit", changes: []string{"quirks", `{"max_tokens_field":"max_output_tokens"}`}, problem: `providers/up.json:1: quirks.max_tokens_field: unknown value "max_output_tokens"; write one of max_tokens, max_completion_tokens`},
	{name: "an unknown field for reasoning", changes: []string{"quirks", `{"reasoning_field":"thoughts"}`}, problem: `providers/up.json:1: quirks.reasoning_field: unknown value "thoughts"; write one of reasoning_content, reasoning, reasoning_details`},
	{name: "further parameters", changes: []string{"quirks", `{"parameters":["top_k","min_p"]}`}},
	{name: "a parameter twice", changes: []string{"quirks", `{"parameters":["top_k","","top_k"]}`}, problem: `providers/up.json:1: quirks.parameters[1]: must not be empty|providers/up.json:1: quirks.parameters[2]: is there twice; leave one out`},
	{name: "a parameter that translations write", changes: []string{"quirks", `{"parameters":["messages"]}`}, problem: `providers/up.json:1: quirks.parameters[0]: "messages" is written by every translation itself; leave it out`},
	{name: "capabilities as an object", changes: []string{"capabilities", `{"gpt-5":{"stop":false}}`}, problem: `providers/up.json:1: capabilities: must be a list, not an object; write e.g. [{"models": "*", "thinking": "adaptive"}]`},
	{name: "capabilities of no model", changes: []string{"capabilities", `[{"stop":false}]`}, problem: `providers/up.json:1: capabilities[0].models: is required; write "models": "*" for all, or parts of the models' names: ["claude-opus-4-7"]`},
	{name: "capabilities of an empty list", changes: []string{"capabilities", `[{"models":[]}]`}, problem: `providers/up.json:1: capabilities[0].models: is empty; write "models": "*" for all, or parts of the models' names: ["claude-opus-4-7"]`},
	{name: "capabilities of a number", changes: []string{"capabilities", `[{"models":5}]`}, problem: `providers/up.json:1: capabilities[0].models: must be a list, not a number`},
	{name: "capabilities of numbers", changes: []string{"capabilities", `[{"models":["a",5]}]`}, problem: `providers/up.json:1: capabilities[0].models[1]: must be a text, not a number`},
	{name: "capabilities of an empty name", changes: []string{"capabilities", `[{"models":""}]`}, problem: `providers/up.json:1: capabilities[0].models[0]: must not be empty`},
	{name: "capabilities of a pattern", changes: []string{"capabilities", `[{"models":"claude-*"}]`}, problem: `providers/up.json:1: capabilities[0].models[0]: must not have '*', unless it is just that; write the part of the name that the models share, e.g. "claude-opus-4-7"; it is found anywhere in a name`},
	{name: "capabilities of the same twice", changes: []string{"capabilities", `[{"models":["a","*"]},{"models":"*"},{"models":["b","b"]}]`}, problem: `providers/up.json:1: capabilities[1].models[0]: "*" is in capabilities[0] too; a name can be matched by one entry only|providers/up.json:1: capabilities[2].models[1]: "b" is in capabilities[2] too; a name can be matched by one entry only`},
	{name: "an unknown capability", changes: []string{"capabilities", `[{"models":"*","forced_tool":"never"}]`}, problem: `providers/up.json:1: capabilities[0]: unknown key "forced_tool"; did you mean "forced_tools"?`},
	{name: "a limit by another word", changes: []string{"capabilities", `[{"models":"*","max_tokens":5}]`}, problem: `providers/up.json:1: capabilities[0]: unknown key "max_tokens"; write it as capabilities[].max_output_tokens`},
	{name: "a limit of 0", changes: []string{"capabilities", `[{"models":"*","max_output_tokens":0,"max_tools":0}]`}, problem: `providers/up.json:1: capabilities[0].max_output_tokens: must be above 0; leave it out where there is no bound|providers/up.json:1: capabilities[0].max_tools: must be above 0; leave it out where there is no bound`},
	{name: "a negative limit", changes: []string{"capabilities", `[{"models":"*","max_output_tokens":-1}]`}, problem: `providers/up.json:1: capabilities[0].max_output_tokens: must not be negative`},
	{name: "unknown ways to think, sample and force", changes: []string{"capabilities", `[{"models":"*","thinking":"Budget","sampling":"yes","forced_tools":""}]`}, problem: `providers/up.json:1: capabilities[0].forced_tools: unknown value; write one of always, not_thinking, never|providers/up.json:1: capabilities[0].sampling: unknown value "yes"; write one of always, one, not_reasoning, never|providers/up.json:1: capabilities[0].thinking: unknown value "Budget"; did you mean "budget"?`},
	{name: "unknown efforts", changes: []string{"capabilities", `[{"models":"*","efforts":["low","extreme","low",""]}]`}, problem: `providers/up.json:1: capabilities[0].efforts[1]: unknown value "extreme"; write one of none, minimal, low, medium, high, xhigh, max|providers/up.json:1: capabilities[0].efforts[2]: is there twice; leave one out|providers/up.json:1: capabilities[0].efforts[3]: must not be empty`},
	{name: "translate_to without endpoint", changes: []string{"endpoints.translate_to", `"responses"`}, problem: `providers/up.json:1: endpoints.translate_to: there is no endpoint for "responses"; add endpoints.responses, or leave translate_to out`},
	{name: "translate_to what nobody speaks", changes: []string{"endpoints.translate_to", `"messages"`}, problem: `providers/up.json:1: endpoints.translate_to: unknown protocol "messages"; did you mean "anthropic"?`},
	{name: "translate_to at the top", changes: []string{"translate_to", `"openai"`}, problem: `providers/up.json:1: unknown key "translate_to"; write it as endpoints.translate_to`},
}

func TestProviderRules(t *testing.T) {
	for _, tc := range providerRules {
		t.Run(tc.name, func(t *testing.T) {
			_, problems, warnings := configFiles{"providers/up.json": with(t, plainProvider, tc.changes...)}.load(t, LoadOptions{})
			compareProblems(t, problems, tc.problem)
			compareProblems(t, warnings, tc.warning)
		})
	}
}

// compareProblems wants the problems that want holds, with '|' between them.
func compareProblems(t *testing.T, got []string, want string) {
	t.Helper()
	if joined := strings.Join(got, "|"); joined != want {
		t.Errorf("got  %s\nwant %s", joined, want)
	}
	for _, text := range got {
		if strings.Contains(text, "SECRET") || strings.ContainsAny(text, "\n\r") {
			t.Errorf("a message tells a secret or has two lines: %q", text)
		}
	}
}

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
	{name: "created", changes: []string{"created", `7`}, problem: `models/m.json:1: unknown key "created"; known are aliases, capabilities, content_policy_fallbacks, context_window_fallbacks, default_cooldown_seconds, display_name, fallback_model_routings, hedge_after, hosted_tools, id, logical_name, model_routings, on_lossy, policy, timeout_seconds, timeouts`},
	{name: "no routes", changes: []string{"model_routings", ""}, problem: `models/m.json:1: model_routings: is required; add "model_routings": [{"provider": "example", "model": "example"}]`},
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
	{name: "unknown protocol", changes: []string{"model_routings.0.wire_protocol", `"invalid"`}, problem: `models/m.json:1: model_routings[0].wire_protocol: unknown protocol "invalid"; write one of openai, responses, anthropic`},
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
	{name: "unknown key of a route", changes: []string{"model_routings.0.price", `1`}, problem: `models/m.json:1: model_routings[0]: unknown key "price"; known are api_key_env, base_url, capabilities, cooldown_seconds, id, model, provider, timeout_seconds, timeouts, weight, wire_protocol`},
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
	{name: "hosted_tools of a route", changes: []string{"model_routings.0.hosted_tools", `"drop"`}, problem: `models/m.json:1: model_routings[0]: unknown key "hosted_tools"; known are api_key_env, base_url, capabilities, cooldown_seconds, id, model, provider, timeout_seconds, timeouts, weight, wire_protocol`},
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

func TestFormatsChooseTheMainProtocolAndItsPath(t *testing.T) {
	for _, tc := range []struct {
		format, endpoints string
		main              translate.Protocol
		speaks            []translate.Protocol
	}{
		{"", `"completions":"/c"`, translate.Chat, []translate.Protocol{translate.Chat}},
		{"native", `"completions":"/c"`, translate.Chat, []translate.Protocol{translate.Chat}},
		{"AZURE", `"completions":"/c","responses":"/r"`, translate.Chat, []translate.Protocol{translate.Chat, translate.Responses}},
		{"anthropic", `"completions":"/messages"`, translate.Messages, []translate.Protocol{translate.Messages}},
		{"anthropic", `"messages":"/messages"`, translate.Messages, []translate.Protocol{translate.Messages}},
		{"anthropic", `"messages":"/messages","completions":"/c"`, translate.Messages, []translate.Protocol{translate.Chat, translate.Messages}},
		{"responses", `"completions":"/r"`, translate.Responses, []translate.Protocol{translate.Responses}},
		{"responses", `"responses":"/r","completions":"/c"`, translate.Responses, []translate.Protocol{translate.Chat, translate.Responses}},
	} {
		text := `{"name":"up","enabled":true,"endpoints":{"base_url":"http://h","compatible_format":"` + tc.format + `",` + tc.endpoints + `},"authentication":{"type":"none"}}`
		c, problems, warnings := configFiles{"providers/up.json": text}.load(t, LoadOptions{})
		if len(problems)+len(warnings) > 0 {
			t.Errorf("format %q with %s: %q %q", tc.format, tc.endpoints, problems, warnings)
			continue
		}
		p, _ := c.Provider("up")
		var speaks []translate.Protocol
		for _, protocol := range []translate.Protocol{translate.Chat, translate.Responses, translate.Messages} {
			if p.Speaks(protocol) {
				speaks = append(speaks, protocol)
			}
		}
		if p.MainProtocol != tc.main || !slices.Equal(speaks, tc.speaks) {
			t.Errorf("format %q with %s: main %q, speaks %q, want %q, %q", tc.format, tc.endpoints, p.MainProtocol, speaks, tc.main, tc.speaks)
		}
	}
}

func TestHowAKeyIsPresented(t *testing.T) {
	for _, tc := range []struct{ authentication, header, format string }{
		{`{"type":"bearer"}`, "Authorization", "Bearer {api_key}"},
		{`{"type":" Bearer "}`, "Authorization", "Bearer {api_key}"},
		{`{"type":"bearer","header_name":"authorization"}`, "authorization", "Bearer {api_key}"},
		{`{"type":"bearer","header_name":"x-key"}`, "x-key", "{api_key}"},
		{`{"type":"bearer","header_format":"Token {api_key}"}`, "Authorization", "Token {api_key}"},
		{`{"header_name":"x-api-key"}`, "x-api-key", "{api_key}"},
		{`{"type":"api_key","header_name":"Authorization"}`, "Authorization", "{api_key}"},
		{`{"type":"none"}`, "", ""},
	} {
		c, problems, warnings := configFiles{"providers/up.json": with(t, plainProvider, "authentication", tc.authentication)}.load(t, LoadOptions{})
		if len(problems)+len(warnings) > 0 {
			t.Errorf("%s: %q %q", tc.authentication, problems, warnings)
			continue
		}
		p, _ := c.Provider("up")
		if a := p.Authentication; a.HeaderName != tc.header || a.HeaderFormat != tc.format || p.Keyless() != (tc.header == "") {
			t.Errorf("%s = %q %q, want %q %q", tc.authentication, a.HeaderName, a.HeaderFormat, tc.header, tc.format)
		}
	}
}

func TestTheSameProviderTwiceIsAnError(t *testing.T) {
	for _, tc := range []struct{ name, file, text, want string }{
		{
			"name", "providers/up-copy.json", plainProvider,
			`providers/up.json:1: name: "up" is the name in providers/up-copy.json too; give each provider a name of its own`,
		},
		{
			"case", "providers/UP.json", with(t, plainProvider, "name", `"other"`),
			`providers/up.json: differs from providers/UP.json in upper and lower case only, so that both would share keys and metrics; rename one of them`,
		},
		{
			"file name", "providers/a b*.json", with(t, plainProvider, "name", `"other"`),
			`providers/a b*.json: the file's name, which names the provider, may have letters, digits, '.', '_' and '-' only, beginning with a letter or digit; rename the file, e.g. to example.json`,
		},
	} {
		_, problems, _ := configFiles{tc.file: tc.text}.load(t, LoadOptions{})
		compareProblems(t, problems, tc.want)
	}
}

func TestOnlyABrokenProviderIsReportedNotTheRoutesToIt(t *testing.T) {
	_, problems, _ := configFiles{"providers/up.json": `{`}.load(t, LoadOptions{})
	compareProblems(t, problems, `providers/up.json:1: is not a JSON object: unexpected end of input, expected a member name in double quotes`)
}

func TestSeveralProblemsAreAllTold(t *testing.T) {
	err := &LoadError{Problems: []Problem{
		{File: "a.json", Line: 3, Field: "x.y", Message: "is wrong", Fix: "mend it"},
		{File: "b.json", Message: "is empty"},
	}}
	want := "2 problems in the provider and model files:\n\ta.json:3: x.y: is wrong; mend it\n\tb.json: is empty"
	if got := err.Error(); got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	err.Problems = err.Problems[:1]
	if got, want := err.Error(), "a.json:3: x.y: is wrong; mend it"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}
