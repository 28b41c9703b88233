package routing

import (
	"slices"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// providerRules has one provider file per line: changes to plainProvider, and
// what Load says of it. A number is that of one of the original's black-box cases.
var providerRules = []struct {
	name    string
	changes []string
	problem string // "" means none
	warning string
}{
	{name: "82 no name", changes: []string{"name", ""}, problem: `providers/up.json:1: name: is required; add e.g. "name": "example"`},
	{name: "name null", changes: []string{"name", "null"}, problem: `providers/up.json:1: name: is required; add e.g. "name": "example"`},
	{name: "name empty", changes: []string{"name", `""`}, problem: `providers/up.json:1: name: may have letters, digits, '.', '_' and '-' only, beginning with a letter or digit; write what people should see as display_name`},
	{name: "name with a star", changes: []string{"name", `"a.b*"`}, problem: `providers/up.json:1: name: may have letters, digits, '.', '_' and '-' only, beginning with a letter or digit; write what people should see as display_name`},
	{name: "name with dots", changes: []string{"name", `"A.b_c-1"`}},
	{name: "82 no enabled", changes: []string{"enabled", ""}, problem: `providers/up.json:1: enabled: is required; add "enabled": true`},
	{name: "enabled as a text", changes: []string{"enabled", `"true"`}, problem: `providers/up.json:1: enabled: must be true or false, not the text "true"; write true without quotes`},
	{name: "enabled as a number", changes: []string{"enabled", `1`}, problem: `providers/up.json:1: enabled: must be true or false, not a number`},
	{name: "82 no endpoints", changes: []string{"endpoints", ""}, problem: `providers/up.json:1: endpoints: is required; add e.g. "base_url": "https://api.example.com/v1" to endpoints`},
	{name: "endpoints as a text", changes: []string{"endpoints", `"http://h"`}, problem: `providers/up.json:1: endpoints: must be an object, not a text; write e.g. {"base_url": "https://api.example.com/v1", "completions": "/chat/completions"}`},
	{name: "82 no base_url", changes: []string{"endpoints.base_url", ""}, problem: `providers/up.json:1: endpoints.base_url: is required; add e.g. "base_url": "https://api.example.com/v1" to endpoints`},
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
	{name: "82 no authentication", changes: []string{"authentication", ""}, problem: `providers/up.json:1: authentication: is required; write {"type": "bearer"} for Authorization: Bearer KEY, or {"type": "none"} for a server that takes no key`},
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
	{name: "key of a later version", changes: []string{"tenants", `{}`}, problem: `providers/up.json:1: unknown key "tenants"; known are api_keys, authentication, breaker, capabilities, display_name, enabled, endpoints, error_handling, model_mapping, models, name, prices, provider_notes, proxy_support, quirks, rate_limiting, request_config, timeouts`},
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
