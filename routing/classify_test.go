package routing

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Bodies as the vendors send them. What decides is in the body first, in the
// status second.
func TestAnErrorAnswerHasItsClass(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   Class
	}{
		// The status says it all.
		{"401", 401, ``, KeyDead},
		{"402", 402, ``, KeyDead},
		{"403", 403, `{"error":{"message":"Country, region, or territory not supported","code":"unsupported_country_region_territory"}}`, KeyDead},
		{"429", 429, ``, RateLimited},
		{"429 page", 429, `<html><title>Too many requests</title></html>`, RateLimited},
		{"404", 404, ``, ModelUnknown},
		{"405: no such endpoint there", 405, ``, ModelUnknown},
		{"410", 410, ``, ModelUnknown},
		{"400", 400, ``, InvalidRequest},
		{"413", 413, ``, InvalidRequest},
		{"415", 415, ``, InvalidRequest},
		{"422", 422, `{"detail":[{"loc":["body","messages"],"msg":"field required"}]}`, InvalidRequest},
		{"451", 451, ``, InvalidRequest},
		{"408", 408, ``, Broken},
		{"409", 409, ``, Broken},
		{"425", 425, ``, Broken},
		{"500", 500, ``, Broken},
		{"503", 503, ``, Broken},
		{"529", 529, ``, Broken},
		{"520 page", 520, `<html>`, Broken},
		{"999", 999, ``, Broken},
		{"redirect", 307, ``, Broken},
		{"304", 304, ``, Broken},
		{"switching protocols", 101, ``, Broken},
		{"no status", 0, ``, Broken},

		// Money: waiting does not bring it back.
		{"OpenAI out of money", 429, `{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","code":"insufficient_quota"}}`, KeyDead},
		{"OpenAI hard limit", 400, `{"error":{"message":"Billing hard limit has been reached","type":"invalid_request_error","code":"billing_hard_limit_reached"}}`, KeyDead},
		{"OpenAI account not active", 429, `{"error":{"message":"Your account is not active","type":"billing_not_active","code":"billing_not_active"}}`, KeyDead},
		{"Anthropic out of money", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}`, KeyDead},
		{"Anthropic billing", 402, `{"type":"error","error":{"type":"billing_error","message":"x"}}`, KeyDead},
		{"a vendor that copied OpenAI's text only", 429, `{"error":{"message":"You exceeded your current quota"}}`, KeyDead},
		// The same words mean requests per minute at Gemini, which says when
		// to come back.
		{"Gemini per minute", 429, `[{"error":{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"17s"}]}}]`, RateLimited},

		// Keys, where the status is 400.
		{"xAI bad key", 400, `{"code":"invalid-argument","error":"Incorrect API key provided: xa***st."}`, KeyDead},
		{"Gemini bad key", 400, `[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]`, KeyDead},
		{"Anthropic key in a stream", 200, `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`, KeyDead},
		{"code without words", 400, `{"error":{"message":"no","code":"invalid_api_key"}}`, KeyDead},
		{"permission", 400, `{"error":{"message":"no","type":"permission_error"}}`, KeyDead},

		// The window.
		{"OpenAI window", 400, `{"error":{"message":"x","type":"invalid_request_error","code":"context_length_exceeded"}}`, ContextTooLong},
		{"OpenAI window in words", 400, `{"error":{"message":"This model's maximum context length is 8192 tokens.","code":null}}`, ContextTooLong},
		{"Responses window", 400, `{"error":{"message":"Your input exceeds the context window of this model."}}`, ContextTooLong},
		{"Anthropic window", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 250000 tokens > 200000 maximum"}}`, ContextTooLong},
		{"Anthropic window with max_tokens", 400, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000\"}}", ContextTooLong},
		{"Anthropic window as 413", 413, `{"type":"error","error":{"type":"request_too_large","message":"Prompt is too long"}}`, ContextTooLong},
		{"Gemini window", 400, `[{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]`, ContextTooLong},
		{"Groq window", 400, `{"error":{"message":"Please reduce the length of the messages or completion.","type":"invalid_request_error"}}`, ContextTooLong},
		{"xAI window", 400, `{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 537812 tokens."}`, ContextTooLong},
		{"llama.cpp window", 400, `{"error":{"code":400,"message":"the request exceeds the available context size, try increasing it","type":"exceed_context_size_error","n_ctx":4096}}`, ContextTooLong},
		{"vLLM window", 400, `{"object":"error","message":"The decoder prompt (length 9000) is longer than the maximum model length of 8192.","type":"BadRequestError","code":400}`, ContextTooLong},
		{"Bedrock window", 400, `{"message":"Input is too long for requested model."}`, ContextTooLong},
		{"window in a 200", 200, `{"error":{"message":"x","code":"context_length_exceeded"}}`, ContextTooLong},

		// Content.
		{"Azure filter", 400, `{"error":{"message":"The response was filtered","type":null,"param":"prompt","code":"content_filter","status":400}}`, ContentPolicy},
		{"OpenAI policy", 400, `{"error":{"message":"rejected","type":"invalid_request_error","code":"content_policy_violation"}}`, ContentPolicy},
		{"Responses policy", 400, `{"error":{"message":"Invalid prompt","type":"invalid_request_error","code":"invalid_prompt"}}`, ContentPolicy},
		{"Azure policy", 400, `{"error":{"message":"x","code":"ResponsibleAIPolicyViolation"}}`, ContentPolicy},
		{"403 policy", 403, `{"error":{"message":"x","code":"content_policy_violation"}}`, ContentPolicy},
		{"images", 400, `{"error":{"message":"x","code":"moderation_blocked"}}`, ContentPolicy},
		{"type only", 400, `{"error":{"message":"x","type":"content_filter"}}`, ContentPolicy},
		{"Anthropic policy", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"Output blocked by content filtering policy"}}`, ContentPolicy},

		// Models.
		{"OpenAI model", 404, `{"error":{"message":"The model does not exist","type":"invalid_request_error","code":"model_not_found"}}`, ModelUnknown},
		{"Responses model is 400", 400, `{"error":{"message":"The requested model 'x' does not exist.","type":"invalid_request_error","param":"model","code":"model_not_found"}}`, ModelUnknown},
		{"Azure model", 404, `{"error":{"message":"x","code":"DeploymentNotFound"}}`, ModelUnknown},
		{"Anthropic model", 404, `{"type":"error","error":{"type":"not_found_error","message":"model: x"}}`, ModelUnknown},
		{"OpenAI model that the project may not use", 403, `{"error":{"message":"Project ` + "`proj_1`" + ` does not have access to model ` + "`x`" + `","type":"invalid_request_error","code":"model_not_found"}}`, ModelUnknown},
		{"Together model", 400, `{"error":{"message":"x","code":"model_not_available"}}`, ModelUnknown},

		// Rates, where the status is another.
		{"Groq tokens per minute", 413, `{"error":{"message":"Request too large","type":"tokens","code":"rate_limit_exceeded"}}`, RateLimited},
		{"Anthropic rate in a stream", 200, `{"type":"error","error":{"type":"rate_limit_error","message":"x"}}`, RateLimited},

		// Faults of the upstream that look like the client's.
		{"Groq could not read its own model", 400, `{"error":{"message":"Failed to call a function.","type":"invalid_request_error","code":"tool_use_failed"}}`, Broken},
		{"error in a 200", 200, `{"error":{"message":"Provider returned error","code":502}}`, Broken},
		{"nonsense in a 200", 200, ``, Broken},
		{"overloaded in a stream", 200, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`, Broken},

		// The client's own mistakes, in words that come close to others.
		{"a value", 400, `{"error":{"message":"temperature: must be at most 2","type":"invalid_request_error","param":"temperature"}}`, InvalidRequest},
		{"its output limit", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: 200000 > 64000, which is the maximum allowed number of output tokens"}}`, InvalidRequest},
		{"vLLM's room for the answer", 400, `{"object":"error","message":"'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 32768 tokens and your request has 17459 input tokens (32000 > 32768 - 17459)","type":"BadRequestError","code":400}`, InvalidRequest},
		{"vLLM without any room", 400, `{"error":{"message":"'max_tokens' or 'max_completion_tokens' is too large: 900. This model's maximum context length is 32768 tokens and your request has 32000 input tokens (900 > 32768 - 32000)","type":"BadRequestError","code":400}}`, ContextTooLong},
		{"Groq's output limit", 400, "{\"error\":{\"message\":\"`max_tokens` must be less than or equal to `65536`, the maximum value for `max_tokens` is less than the `context_window` for this model\",\"type\":\"invalid_request_error\",\"param\":\"max_tokens\"}}", InvalidRequest},
		{"OpenAI's output limit", 400, `{"error":{"message":"max_tokens is too large: 32000. This model supports at most 16384 completion tokens, whereas you provided 32000.","type":"invalid_request_error","param":"max_tokens","code":"invalid_value"}}`, InvalidRequest},
		{"no result for a call", 400, `{"error":{"message":"No tool output found for function call call-a.","type":"invalid_request_error"}}`, InvalidRequest},

		// Vendor by vendor, what has a trap in it.
		{"xAI content", 403, `{"code":"The caller does not have permission to execute the specified operation","error":"Content violates usage guidelines. Team: t, API key ID: k, Model: grok-4, Failed check: SAFETY_CHECK_TYPE_BIO"}`, ContentPolicy},
		{"xAI without credits", 403, `{"code":"The caller does not have permission to execute the specified operation","error":"Your newly created team doesn't have any credits yet."}`, KeyDead},
		{"xAI out of money", 429, `{"code":"Some resource has been exhausted","error":"Your team t has either used all available credits or reached its monthly spending limit."}`, KeyDead},
		{"xAI rate", 429, `{"code":"Some resource has been exhausted","error":"Too many requests for team t and model grok-4."}`, RateLimited},
		{"Gemini per day", 429, `[{"error":{"code":429,"message":"You exceeded your current quota","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier"}]}]}}]`, RateLimited},
		{"Gemini expired key", 400, `[{"error":{"code":400,"message":"API key expired. Please renew the API key.","status":"INVALID_ARGUMENT"}}]`, KeyDead},
		{"Gemini place", 400, `[{"error":{"code":400,"message":"User location is not supported for the API use.","status":"FAILED_PRECONDITION"}}]`, KeyDead},
		{"Gemini project", 403, `[{"error":{"code":403,"message":"Permission denied: Consumer 'project' has been suspended.","status":"PERMISSION_DENIED"}}]`, KeyDead},
		{"Gemini overload", 503, `[{"error":{"code":503,"message":"The model is overloaded. Please try again later.","status":"UNAVAILABLE"}}]`, Broken},
		{"Vertex window", 400, `{"error":{"code":400,"message":"Unable to submit request because the input token count is 1200000 but model only supports up to 1048576.","status":"INVALID_ARGUMENT"}}`, ContextTooLong},
		{"DeepSeek out of money", 402, `{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}`, KeyDead},
		{"DeepSeek content", 400, `{"error":{"message":"Content Exists Risk","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}`, ContentPolicy},
		{"Anthropic spend limit", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."}}`, KeyDead},
		{"Anthropic disabled", 400, `{"type":"error","error":{"type":"invalid_request_error","message":"This organization has been disabled."}}`, KeyDead},
		{"Anthropic size", 413, `{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}`, InvalidRequest},
		{"Azure wrong key", 401, `{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint."}}`, KeyDead},
		{"Azure rate", 429, `{"error":{"code":"RateLimitReached","message":"Your requests have exceeded rate limit."}}`, RateLimited},
		{"Azure model failed", 424, `{"error":{"code":"model_error","message":"x"}}`, Broken},
		{"GitHub model", 400, `{"error":{"code":"unknown_model","message":"Unknown model: x"}}`, ModelUnknown},
		{"Bedrock throttle", 429, `{"message":"Too many tokens, please wait before trying again."}`, RateLimited},
		{"Bedrock throttle as 400", 400, `{"__type":"ThrottlingException","message":"Rate exceeded"}`, RateLimited},
		{"Bedrock model", 400, `{"message":"The provided model identifier is invalid."}`, ModelUnknown},
		{"Bedrock model not granted", 403, `{"message":"You don't have access to the model with the specified model ID."}`, ModelUnknown},
		{"Bedrock model with a profile only", 400, `{"message":"Invocation of model ID x with on-demand throughput isn\u2019t supported."}`, ModelUnknown},
		{"Bedrock token", 403, `{"message":"The security token included in the request is invalid."}`, KeyDead},
		{"OpenRouter's key", 401, `{"error":{"message":"No auth credentials found","code":401}}`, KeyDead},
		{"OpenRouter's provider has a bad key", 401, `{"error":{"message":"Provider returned error","code":401,"metadata":{"raw":"{\"error\":{\"message\":\"Incorrect API key provided\"}}","provider_name":"p"}}}`, Broken},
		{"OpenRouter's provider is out of money", 429, `{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"You exceeded your current quota\"}}","provider_name":"p"}}}`, RateLimited},
		{"OpenRouter's provider limits", 429, `{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"x is temporarily rate-limited upstream","provider_name":"p"}}}`, RateLimited},
		{"OpenRouter's provider on the window", 400, `{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is too long: 2 tokens > 1 maximum\"}}","provider_name":"p"}}}`, ContextTooLong},
		{"OpenRouter moderation", 403, `{"error":{"message":"x requires moderation on p. Your input was flagged","code":403,"metadata":{"reasons":["violence"]}}}`, ContentPolicy},
		{"OpenRouter without credits", 402, `{"error":{"message":"Insufficient credits","code":402}}`, KeyDead},
		{"OpenRouter without credits in a 200", 200, `{"error":{"message":"Insufficient credits","code":402}}`, KeyDead},
		{"OpenRouter's limit in a 200", 200, `{"error":{"message":"Provider returned error","code":429}}`, RateLimited},
		{"OpenRouter's 400 in a 200", 200, `{"error":{"message":"Provider returned error","code":400}}`, Broken},
		{"Cerebras rate", 429, `{"message":"Requests per minute limit exceeded - too many requests sent.","type":"too_many_requests_error","param":"quota","code":"request_quota_exceeded"}`, RateLimited},
		{"Cerebras busy", 429, `{"message":"We're experiencing high traffic right now!","type":"too_many_requests_error","param":"queue","code":"queue_exceeded"}`, Broken},
		{"Cerebras key", 401, `{"message":"Wrong API Key","type":"invalid_request_error","param":"api_key","code":"wrong_api_key"}`, KeyDead},
		{"Cerebras window", 400, `{"message":"Please reduce the length of the messages or completion. Current length is 9018 while limit is 8192","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}`, ContextTooLong},
		{"Groq flex", 498, `{"error":{"message":"Flex tier capacity exceeded","type":"capacity_exceeded","code":"capacity_exceeded"}}`, Broken},
		{"Groq restricted", 400, `{"error":{"message":"Organization has been restricted.","type":"invalid_request_error","code":"organization_restricted"}}`, KeyDead},
		{"Groq spend", 400, `{"error":{"message":"Blocked API access","type":"spend","code":"blocked_api_access"}}`, KeyDead},
		{"Groq old model", 400, `{"error":{"message":"The model x has been decommissioned","type":"invalid_request_error","code":"model_decommissioned"}}`, ModelUnknown},
		{"Groq's model wrote no JSON", 400, `{"error":{"message":"Failed to generate JSON.","type":"invalid_request_error","code":"json_validate_failed"}}`, Broken},
		{"Mistral key", 401, `{"detail":"Unauthorized"}`, KeyDead},
		{"Mistral model", 400, `{"object":"error","message":"Invalid model: x","type":"invalid_model","param":null,"code":"1500"}`, ModelUnknown},
		{"Mistral rate", 429, `{"object":"error","message":"Requests rate limit exceeded","type":"rate_limited","param":null,"code":"1300"}`, RateLimited},
		{"Mistral window", 400, `{"object":"error","message":"Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length","type":"invalid_request_prompt","code":"3051"}`, ContextTooLong},
		{"Cohere key", 401, `{"message":"invalid api token"}`, KeyDead},
		{"Cohere window", 400, `{"message":"too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292. Try using a shorter prompt."}`, ContextTooLong},
		{"Cohere's output limit", 400, `{"message":"too many tokens: max tokens must be less than or equal to 4096, the maximum output for this model - received 8192."}`, InvalidRequest},
		{"Cohere trial", 429, `{"message":"You are using a Trial key, which is limited to 20 API calls / minute."}`, RateLimited},
		{"Moonshot out of money", 429, `{"error":{"message":"Your account is suspended, please check your plan and billing details","type":"exceeded_current_quota_error"}}`, KeyDead},
		{"Moonshot busy", 429, `{"error":{"message":"The engine is currently overloaded, please try again later","type":"engine_overloaded_error"}}`, Broken},
		{"Moonshot window", 400, `{"error":{"message":"Invalid request: Your request exceeded model token limit: 131072","type":"invalid_request_error"}}`, ContextTooLong},
		{"DashScope debt", 400, `{"code":"Arrearage","message":"Access denied, please make sure your account is in good standing.","request_id":"r"}`, KeyDead},
		{"DashScope content", 400, `{"error":{"code":"data_inspection_failed","param":null,"message":"Input data may contain inappropriate content.","type":"data_inspection_failed"}}`, ContentPolicy},
		{"DashScope window", 400, `{"error":{"code":"invalid_parameter_error","message":"Range of input length should be [1, 129024]","type":"invalid_request_error"}}`, ContextTooLong},
		{"Zhipu debt", 429, `{"error":{"code":"1113","message":"Insufficient balance or no resource package. Please recharge."}}`, KeyDead},
		{"Zhipu rate", 429, `{"error":{"code":"1302","message":"High concurrency usage of this API"}}`, RateLimited},
		{"Zhipu content", 400, `{"contentFilter":[{"level":1,"role":"user"}],"error":{"code":"1301","message":"unsafe or sensitive content"}}`, ContentPolicy},
		{"Zhipu model", 400, `{"error":{"code":"1211","message":"Unknown Model, please check the model code."}}`, ModelUnknown},
		{"MiniMax key in a 200", 200, `{"base_resp":{"status_code":1004,"status_msg":"login fail"}}`, KeyDead},
		{"MiniMax out of money in a 200", 200, `{"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}}`, KeyDead},
		{"MiniMax rate in a 200", 200, `{"base_resp":{"status_code":1002,"status_msg":"rate limit"}}`, RateLimited},
		{"MiniMax value in a 200", 200, `{"base_resp":{"status_code":2013,"status_msg":"invalid params"}}`, Broken},
		{"Fireworks suspended", 412, `{"error":{"message":"Account a is suspended, possibly due to reaching the monthly spending limit or failure to pay past invoices."}}`, KeyDead},
		{"Hugging Face model", 400, `{"error":{"message":"The requested model 'x' is not supported by any provider you have enabled.","type":"invalid_request_error","param":"model","code":"model_not_supported"}}`, ModelUnknown},
		{"Hugging Face window", 422, "{\"error\":\"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens and 20 `max_new_tokens`\",\"error_type\":\"validation\"}", ContextTooLong},
		{"Together window as 403", 403, `{"error":{"message":"Input is too long: the prompt exceeds the context window of this model"}}`, ContextTooLong},
		{"OpenAI wants the organization verified", 400, `{"error":{"message":"Your organization must be verified to stream this model.","type":"invalid_request_error","param":"stream","code":"unsupported_value"}}`, ModelUnknown},
		{"vLLM key", 401, `{"error":"Unauthorized"}`, KeyDead},
		{"vLLM model", 404, `{"object":"error","message":"The model x does not exist.","type":"NotFoundError","param":null,"code":404}`, ModelUnknown},
		{"llama.cpp loads", 503, `{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}`, Broken},
		{"llama.cpp overflows as it writes", 500, `{"error":{"code":500,"message":"Context size has been exceeded.","type":"server_error"}}`, ContextTooLong},
		{"SGLang window", 400, `{"object":"error","message":"The input (9000 tokens) is longer than the model's context length (8192 tokens).","type":"BadRequestError","code":400}`, ContextTooLong},
		{"LM Studio window", 400, `{"error":"The number of tokens to keep from the initial prompt is greater than the context length."}`, ContextTooLong},
		{"Ollama model", 404, `{"error":"model \"x\" not found, try pulling it first"}`, ModelUnknown},
		{"Ollama crashed", 500, `{"error":"llama runner process has terminated: signal: killed"}`, Broken},
		{"Cloudflare model", 400, `{"success":false,"errors":[{"code":5007,"message":"No such model x or task"}]}`, ModelUnknown},

		// What a client wrote, and the vendor quotes, is no word about a key.
		{"a role of the client's making", 400, `{"error":{"message":"Invalid value: 'incorrect api key'. Supported values are: 'user'.","type":"invalid_request_error","param":"messages[0].role","code":"invalid_value"}}`, InvalidRequest},
		{"a quota of the client's making", 422, `{"detail":[{"loc":["body","messages",0,"role"],"msg":"'exceeded your current quota' is no role"}]}`, InvalidRequest},
		{"a page of the client's making", 400, `{"error":{"message":"Invalid value: 'the upstream sent a web page'.","param":"messages[0].role","code":"invalid_value"}}`, InvalidRequest},

		// Pages are of what stands before the API.
		{"firewall", 403, `<!DOCTYPE html><html><head><title>Attention Required! | Cloudflare</title></head></html>`, Broken},
		{"proxy", 400, `<html><head><title>400 Request Header Or Cookie Too Large</title></head></html>`, Broken},
		{"password before a server of one's own", 401, `<html><head><title>401 Authorization Required</title></head></html>`, KeyDead},
		{"wrong path", 404, `<html><head><title>404 Not Found</title></head></html>`, ModelUnknown},
		{"body too large for the proxy", 413, `<html><head><title>413 Request Entity Too Large</title></head></html>`, InvalidRequest},
		{"page in a 200", 200, `<html><head><title>Welcome</title></head></html>`, Broken},
		{"upstream's own proxy", 499, ``, Broken},
	} {
		e, _ := translate.ParseError([]byte(tc.body))
		if got := Classify(tc.status, e); got != tc.want {
			t.Errorf("%s: Classify(%d, %s) = %s, want %s", tc.name, tc.status, tc.body, got, tc.want)
		}
	}
}

// The recorded errors of real providers, by what the manifest says of them.
func TestRecordedErrorsHaveTheirClass(t *testing.T) {
	const dir = "../../shared/wire/fixtures"
	manifest, err := os.ReadFile(filepath.Join(dir, "MANIFEST.tsv"))
	if err != nil {
		t.Skipf("recorded traffic is not at hand: %v", err)
	}
	seen := 0
	for _, row := range strings.Split(string(manifest), "\n")[1:] {
		columns := strings.Split(row, "\t")
		if len(columns) < 6 || columns[2] != "error" {
			continue
		}
		body, err := os.ReadFile(filepath.Join(dir, columns[0]))
		if err != nil {
			t.Fatal(err)
		}
		status, err := strconv.Atoi(columns[5])
		if err != nil {
			t.Fatalf("%s: %v", columns[0], err)
		}
		e, _ := translate.ParseError(body)
		if got, want := Classify(status, e), classOfRecording(columns[0], columns[4], status); got != want {
			t.Errorf("Classify of %s = %s, want %s", columns[0], got, want)
		}
		seen++
	}
	if seen == 0 {
		t.Error("the manifest has no errors")
	}
}

func classOfRecording(file, shows string, status int) Class {
	switch {
	case strings.Contains(shows, "RateLimitReached"):
		return RateLimited
	case strings.Contains(file, "context_length_exceeded"), strings.Contains(file, "openrouter"):
		return ContextTooLong
	case strings.Contains(shows, "tool_use_failed"):
		return Broken
	case status == http.StatusUnauthorized:
		return KeyDead
	case status == http.StatusNotFound, strings.Contains(shows, "model_not_found"):
		return ModelUnknown
	}
	return InvalidRequest
}

func TestOnlyTheUpstreamIsBlamedForABrokenConnection(t *testing.T) {
	connect := func(err error) error { return os.NewSyscallError("connect", err) }
	for _, tc := range []struct {
		err  error
		want Class
	}{
		{connect(syscall.ECONNREFUSED), Broken},
		{connect(syscall.ECONNRESET), Broken},
		{connect(syscall.EHOSTUNREACH), Broken},
		{connect(syscall.ENETUNREACH), Broken},
		{connect(syscall.ETIMEDOUT), Broken},
		{&net.DNSError{Err: "no such host", Name: "too-many-open-files.invalid", IsNotFound: true}, Broken},
		{&net.DNSError{Err: "server misbehaving", IsTemporary: true}, Broken},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, Broken},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, Broken},
		{io.EOF, Broken},
		// Charging keys for these would cool every key of a healthy provider.
		{os.NewSyscallError("socket", syscall.EMFILE), Local},
		{os.NewSyscallError("socket", syscall.ENFILE), Local},
		{os.NewSyscallError("socket", syscall.ENOMEM), Local},
		{connect(syscall.ENOBUFS), Local},
		{connect(syscall.EADDRNOTAVAIL), Local},
		{x509.SystemRootsError{Err: &fs.PathError{Op: "open", Path: "ca.pem", Err: syscall.EMFILE}}, Local},
	} {
		// As net wraps what a dial met, and net/http that.
		transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: tc.err}
		}}
		request := httptest.NewRequest(http.MethodPost, "http://upstream.invalid/v1", nil)
		_, err := transport.RoundTrip(request)
		for _, err := range []error{err, &url.Error{Op: "Post", URL: "http://upstream.invalid", Err: err}, fmt.Errorf("upstream: %w", err)} {
			if got := classifyTransport(err); got != tc.want {
				t.Errorf("classifyTransport(%v) = %s, want %s", err, got, tc.want)
			}
		}
	}
}

// net drops the cause of a failed lookup and keeps its words only.
func TestALookupThatCouldNotBeMadeIsALocalFault(t *testing.T) {
	for fault, want := range map[syscall.Errno]Class{
		syscall.EMFILE: Local, syscall.ENFILE: Local, syscall.ENOBUFS: Local, syscall.ENOMEM: Local, syscall.EADDRNOTAVAIL: Local,
		syscall.ECONNREFUSED: Broken, syscall.ENETUNREACH: Broken,
	} {
		dialer := net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Net: "udp", Err: os.NewSyscallError("socket", fault)}
		}}}
		transport := &http.Transport{DialContext: dialer.DialContext}
		_, err := transport.RoundTrip(httptest.NewRequest(http.MethodPost, "http://upstream.invalid./v1", nil))
		if got := classifyTransport(err); got != want {
			t.Errorf("classifyTransport(%v) = %s, want %s", err, got, want)
		}
	}
}

// Why an attempt's own context ended decides who is to blame: nobody but the
// upstream pays for its silence, and nobody at all for our own limits.
func TestAnAttemptThatWasEndedIsBlamedByItsCause(t *testing.T) {
	for _, tc := range []struct {
		cause  error
		class  Class
		status int
	}{
		{errFirstContent, Broken, 504},
		{errIdle, Broken, 504},
		{errWhole, Broken, 504},
		{errAttempt, Broken, 504},
		{errGrace, Broken, 504},
		{errTotal, Local, 504},
		{context.DeadlineExceeded, Local, 504},
		{context.Canceled, ClientGone, 0},
		{errors.New("the server shuts down"), ClientGone, 0},
	} {
		if f := cancelled(tc.cause); f.class != tc.class || f.status != tc.status {
			t.Errorf("cancelled(%v) = %s, %d, want %s, %d", tc.cause, f.class, f.status, tc.class, tc.status)
		}
		// A transport answers with whatever it was doing; the cause goes first.
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(tc.cause)
		if f := transportFailure(ctx, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, &keys.Key{}); f.class != tc.class {
			t.Errorf("transportFailure after %v = %s, want %s", tc.cause, f.class, tc.class)
		}
	}
}

func TestTheClientSeesAStatusThatIsTrueForIt(t *testing.T) {
	for _, tc := range []struct {
		class    Class
		upstream int
		want     int
	}{
		{InvalidRequest, 400, 400},
		{InvalidRequest, 422, 422},
		{InvalidRequest, 0, 400},
		{InvalidRequest, 200, 400},
		{ContextTooLong, 413, 413},
		{ContextTooLong, 200, 400},
		{ContentPolicy, 500, 400},
		// The client's own key is fine, so no 401 or 403 of an upstream passes.
		{KeyDead, 401, 502},
		{KeyDead, 403, 502},
		{KeyDead, 402, 502},
		{RateLimited, 429, 429},
		{RateLimited, 413, 429},
		{ModelUnknown, 404, 404},
		{ModelUnknown, 400, 404},
		{Broken, 500, 502},
		{Broken, 503, 503},
		{Broken, 504, 504},
		{Broken, 529, 529},
		{Broken, 200, 502},
		{Broken, 302, 502},
		{Broken, 0, 502},
		{Local, 0, 503},
		{ClientGone, 0, 499},
	} {
		if got := tc.class.statusFor(tc.upstream); got != tc.want {
			t.Errorf("%s.statusFor(%d) = %d, want %d", tc.class, tc.upstream, got, tc.want)
		}
	}
}

// FuzzClassify wants every body to have a class that its status allows: what a
// hostile upstream writes must not turn its fault into a wrong verdict about
// keys, nor a refused key into the client's mistake.
func FuzzClassify(f *testing.F) {
	for _, status := range []int{-1, 0, 101, 200, 302, 400, 401, 403, 404, 413, 429, 500, 529, 999} {
		for _, body := range []string{
			``, `null`, `<html>`, `{"error":"x"}`, `{"error":{"message":"m","type":"t","code":"c"}}`,
			`[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}]`, `{"detail":[{"msg":"m"}]}`, `{"message":"prompt is too long"}`,
			`{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{}"}}}`, `{"base_resp":{"status_code":1004}}`,
		} {
			f.Add(status, []byte(body))
		}
	}
	all := []Class{InvalidRequest, ContextTooLong, ContentPolicy, KeyDead, RateLimited, ModelUnknown, Broken}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e, _ := translate.ParseError(body)
		class := Classify(status, e)
		var allowed []Class
		switch {
		case status < 200 || status >= 300 && status < 400 || status > 599:
			allowed = []Class{Broken}
		case status < 300:
			allowed = slices.DeleteFunc(slices.Clone(all), func(c Class) bool { return c == InvalidRequest })
		case status == 401, status == 402:
			allowed = []Class{KeyDead, Broken, ContextTooLong, ContentPolicy, InvalidRequest}
		case status == 429:
			allowed = []Class{RateLimited, KeyDead, Broken, ContextTooLong, InvalidRequest}
		case status >= 500:
			allowed = []Class{Broken, KeyDead, ContextTooLong}
		default:
			allowed = all
		}
		if !slices.Contains(allowed, class) {
			t.Errorf("Classify(%d, %q) = %s, want one of %s", status, body, class, allowed)
		}
		if again := Classify(status, e); again != class {
			t.Errorf("Classify(%d, %q) = %s, then %s", status, body, class, again)
		}
		if told := class.statusFor(status); told < 400 || told > 599 || http.StatusText(told) == "" && told != 529 && told != 499 && told != status {
			t.Errorf("%s.statusFor(%d) = %d", class, status, told)
		}
		if !json.Valid(translate.AppendError(nil, translate.Messages, &e, "")) {
			t.Errorf("the error of %q is not JSON", body)
		}
	})
}
