package routing

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

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
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	for _, tc := range []struct {
		err  error
		want Class
	}{
		{dial(syscall.ECONNREFUSED), Broken},
		{dial(syscall.ECONNRESET), Broken},
		{dial(syscall.EHOSTUNREACH), Broken},
		{&net.DNSError{Err: "no such host", IsNotFound: true}, Broken},
		{errors.New("EOF"), Broken},
		// Charging keys for these would cool every key of a healthy provider.
		{dial(syscall.EMFILE), Local},
		{dial(syscall.ENFILE), Local},
		{dial(syscall.ENOMEM), Local},
		{dial(syscall.ENOBUFS), Local},
		{dial(syscall.EADDRNOTAVAIL), Local},
		{fmt.Errorf("upstream: %w", dial(syscall.EMFILE)), Local},
	} {
		if got := classifyTransport(tc.err); got != tc.want {
			t.Errorf("classifyTransport(%v) = %s, want %s", tc.err, got, tc.want)
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
	for _, status := range []int{0, 101, 200, 302, 400, 401, 404, 413, 429, 500, 529, 999} {
		for _, body := range []string{
			``, `null`, `<html>`, `{"error":"x"}`, `{"error":{"message":"m","type":"t","code":"c"}}`,
			`[{"error":{"code":429,"status":"RESOURCE_EXHAUSTED"}}]`, `{"detail":[{"msg":"m"}]}`, `{"message":"prompt is too long"}`,
		} {
			f.Add(status, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		e, _ := translate.ParseError(body)
		class := Classify(status, e)
		allowed := map[Class]bool{}
		switch {
		case status < 200 || status >= 300 && status < 400:
			allowed[Broken] = true
		case status == 403:
			allowed[KeyDead], allowed[ModelUnknown], allowed[ContentPolicy] = true, true, true
		case status == 401, status == 402:
			allowed[KeyDead] = true
		case status == 429:
			allowed[RateLimited], allowed[KeyDead] = true, true
		case status >= 500, status == 408, status == 409, status == 425:
			allowed[Broken], allowed[KeyDead] = true, true
		default:
			for _, c := range []Class{InvalidRequest, ContextTooLong, ContentPolicy, KeyDead, RateLimited, ModelUnknown, Broken} {
				allowed[c] = true
			}
		}
		if !allowed[class] {
			t.Errorf("Classify(%d, %q) = %s", status, body, class)
		}
		if told := class.statusFor(status); told < 400 || told > 599 || http.StatusText(told) == "" && told != 529 && told != 499 && told != status {
			t.Errorf("%s.statusFor(%d) = %d", class, status, told)
		}
		if !json.Valid(translate.AppendError(nil, translate.Messages, &e, "")) {
			t.Errorf("the error of %q is not JSON", body)
		}
	})
}
