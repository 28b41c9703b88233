package translate

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

func TestErrorBodiesOfAllVendors(t *testing.T) {
	for _, tc := range []struct {
		vendor, body string
		want         Error
	}{
		{
			"OpenAI", `{"error":{"message":"m","type":"invalid_request_error","param":"messages[0]","code":"unsupported_value"}}`,
			Error{400, "invalid_request_error", "unsupported_value", "messages[0]", "m"},
		},
		{"OpenAI, nulls", `{"error":{"message":"m","type":"server_error","param":null,"code":null}}`, Error{500, "server_error", "", "", "m"}},
		{"Anthropic", `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},"request_id":"r"}`, Error{529, "overloaded_error", "", "", "Overloaded"}},
		{"Azure", `{"error":{"code":"401","message":"m"}}`, Error{401, "", "", "", "m"}},
		{"Azure, rate", `{"error":{"code":"RateLimitReached","message":"m","details":"m"}}`, Error{429, "", "RateLimitReached", "", "m"}},
		{"Perplexity", `{"error":{"message":"m","type":"invalid_api_key","code":401}}`, Error{401, "invalid_api_key", "", "", "m"}},
		{"xAI", `{"code":"invalid-argument","error":"Incorrect API key"}`, Error{400, "", "invalid-argument", "", "Incorrect API key"}},
		{"Ollama", `{"error":"model not found"}`, Error{0, "", "", "", "model not found"}},
		{"Hugging Face", `{"error":"loading","error_type":"overloaded"}`, Error{503, "overloaded", "", "", "loading"}},
		{"Mistral", `{"detail":"Invalid API Key"}`, Error{0, "", "", "", "Invalid API Key"}},
		{
			"FastAPI", `{"detail":[{"loc":["body","messages",0],"msg":"field required","type":"missing"},{"msg":"bad"}]}`,
			Error{0, "", "", "body.messages.0", "body.messages.0: field required; bad"},
		},
		{"detail object", `{"detail":{"message":"m","code":"c"}}`, Error{0, "", "c", "", "m"}},
		{
			"Gemini", `[{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}]`,
			Error{429, "RESOURCE_EXHAUSTED", "", "", "quota"},
		},
		{"vLLM, old", `{"object":"error","message":"m","type":"BadRequestError","param":null,"code":400}`, Error{400, "BadRequestError", "", "", "m"}},
		{
			"OpenRouter, JSON inside", `{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"{\"error\":{\"message\":\"too fast\",\"code\":\"rate_limit_exceeded\"}}","provider_name":"p"}}}`,
			Error{429, "", "rate_limit_exceeded", "", "Provider returned error: too fast"},
		},
		{
			"OpenRouter, text inside", `{"error":{"message":"Provider returned error","code":502,"metadata":{"raw":"upstream down"}}}`,
			Error{502, "", "", "", "Provider returned error: upstream down"},
		},
		{"Bedrock", `{"message":"The security token is invalid"}`, Error{0, "", "", "", "The security token is invalid"}},
		{"Bedrock, other case", `{"Message":"m","__type":"ThrottlingException"}`, Error{0, "ThrottlingException", "", "", "m"}},
		{"Cohere", `{"message":"invalid api token"}`, Error{0, "", "", "", "invalid api token"}},
		{"DashScope", `{"code":"InvalidApiKey","message":"m","request_id":"r"}`, Error{401, "", "InvalidApiKey", "", "m"}},
		{"GLM", `{"error":{"code":"1302","message":"m"}}`, Error{0, "", "1302", "", "m"}},
		{"MiniMax", `{"base_resp":{"status_code":1004,"status_msg":"login fail"}}`, Error{401, "", "1004", "", "login fail"}},
		{"Groq", `{"error":{"message":"m","code":"tool_use_failed","failed_generation":"x","status_code":400}}`, Error{400, "", "tool_use_failed", "", "m"}},
		{"Cloudflare", `{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}`, Error{0, "", "10000", "", "Authentication error"}},
		{"white space", " \r\n{\"error\":\"m\"}\n ", Error{0, "", "", "", "m"}},
	} {
		if got, ok := ParseError([]byte(tc.body)); !ok || got != tc.want {
			t.Errorf("%s: ParseError = %+v, %v, want %+v", tc.vendor, got, ok, tc.want)
		}
	}
}

func TestBodiesThatAreNoErrorsAreDescribedBriefly(t *testing.T) {
	for _, tc := range []struct{ body, want string }{
		{"", "the upstream sent an empty body"},
		{"  \n", "the upstream sent an empty body"},
		{"<html><head><title>502 Bad\nGateway</title></head>", "the upstream sent a web page: 502 Bad Gateway"},
		{"<!doctype html><p>x", "the upstream sent a web page"},
		{"upstream  connect\terror", "the upstream sent plain text: upstream connect error"},
		{strings.Repeat("日", 300), "the upstream sent plain text: " + strings.Repeat("日", 66) + "…"},
		{"\x1f\x8b\x08\x00", "the upstream sent a body that is not JSON"},
		{"\xff\xfe", "the upstream sent a body that is not JSON"},
		{"[]", "the upstream sent JSON that is no known error"},
		{"{}", "the upstream sent JSON that is no known error"},
		{`{"choices":[]}`, "the upstream sent JSON that is no known error"},
	} {
		got, ok := ParseError([]byte(tc.body))
		if ok || got != (Error{Message: tc.want}) {
			t.Errorf("ParseError(%.40q) = %+v, %v, want the message %q only", tc.body, got, ok, tc.want)
		}
	}
}

func TestErrorsAreBoundedAndKeepNothingOfTheBody(t *testing.T) {
	body := []byte(`{"error":{"message":"` + strings.Repeat("é", maxErrorMessage) + `","code":"` + strings.Repeat("c", 1000) + `"}}`)
	e, ok := ParseError(body)
	before := e.Message
	for i := range body {
		body[i] = '#'
	}
	if !ok || len(e.Message) > maxErrorMessage+len("…") || len(e.Code) > maxErrorWord+len("…") || !utf8.ValidString(e.Message) {
		t.Errorf("ParseError: ok %v, message of %d bytes, code of %d", ok, len(e.Message), len(e.Code))
	}
	if e.Message != before || strings.Contains(e.Code, "#") {
		t.Error("the error changed with the body's bytes")
	}
}

func TestRecordedErrorsHaveTheirMessage(t *testing.T) {
	for _, f := range fixtures(t, "error") {
		e, ok := ParseError(f.body)
		if !json.Valid(f.body) {
			t.Errorf("%s is no JSON", f.file)
			continue
		}
		want := gjson.GetBytes(f.body, "error.message").Str
		if want == "" {
			want = gjson.GetBytes(f.body, "detail").Str
		}
		if !ok || e.Message != want {
			t.Errorf("%s: ParseError = %+v, %v, want the message %q", f.file, e, ok, want)
		}
	}
}

func TestErrorsInsideGoodAnswers(t *testing.T) {
	for _, tc := range []struct {
		protocol Protocol
		body     string
		want     Error // no error if the message is empty
	}{
		{Chat, `{"error":null,"choices":[{}]}`, Error{}},
		{Chat, `{"error":"","choices":[{}]}`, Error{}},
		{Chat, `{"error":{},"choices":[{}]}`, Error{}},
		{Chat, `{"base_resp":{"status_code":0,"status_msg":"success"},"choices":[{}]}`, Error{}},
		{Chat, `{"object":"list","data":[]}`, Error{}},
		{Messages, `{"type":"message","content":[]}`, Error{}},
		{Messages, `{"input_tokens":3}`, Error{}},
		{Responses, `{"object":"response","status":"completed","error":null,"output":[]}`, Error{}},
		{Responses, `{"object":"response","status":"incomplete","output":[]}`, Error{}},
		{Chat, `{"error":{"message":"m"}}`, Error{Status: 502, Message: "m"}},
		{Chat, `{"error":{"message":"m","code":429},"choices":[{}]}`, Error{Status: 429, Message: "m"}},
		{Chat, `{"error":"rate limited"}`, Error{Status: 502, Message: "rate limited"}},
		{Chat, `{"error":{"code":"c"}}`, Error{Status: 502, Code: "c", Message: "the upstream reported an error without a message"}},
		{Chat, `[{"error":{"code":429,"message":"quota"}}]`, Error{Status: 429, Message: "quota"}},
		{Chat, `{"choices":[{"error":{"code":502,"message":"m"},"finish_reason":"error"}]}`, Error{Status: 502, Message: "m"}},
		{Chat, `{"choices":[{"finish_reason":"error"}]}`, Error{Status: 502, Code: "error", Message: "the model broke off: error"}},
		{Chat, `{"choices":null,"base_resp":{"status_code":1002,"status_msg":"m"}}`, Error{Status: 429, Code: "1002", Message: "m"}},
		{Chat, `{"code":"Throttling","message":"m"}`, Error{Status: 502, Code: "Throttling", Message: "m"}},
		{Messages, `{"type":"error","error":{"type":"overloaded_error","message":"m"}}`, Error{Status: 529, Type: "overloaded_error", Message: "m"}},
		{Responses, `{"status":"failed","error":{"code":"server_error","message":"m"},"output":[]}`, Error{Status: 500, Code: "server_error", Message: "m"}},
		{Responses, `{"status":"cancelled","error":null,"output":[]}`, Error{Status: 502, Message: "the upstream reported an error without details"}},
	} {
		got, failed := ErrorInAnswer(tc.protocol, []byte(tc.body))
		if failed != (tc.want.Message != "") || got != tc.want {
			t.Errorf("%s: ErrorInAnswer(%s) = %+v, %v, want %+v", tc.protocol, tc.body, got, failed, tc.want)
		}
	}
}

func FuzzParseError(f *testing.F) {
	f.Add([]byte(`{"error":{"message":"m","code":429,"metadata":{"raw":"{\"error\":\"x\"}"}}}`))
	f.Add([]byte(`[{"error":{"code":1e99,"message":["x"],"status":"Ü"}}]`))
	f.Add([]byte(`{"detail":[{"loc":[[[`))
	f.Add([]byte("<title>\xff</title>"))
	f.Add([]byte(strings.Repeat("[", 10000)))
	f.Fuzz(func(t *testing.T, body []byte) {
		check := func(e Error) {
			if e.Message == "" || len(e.Message) > 2*maxErrorMessage {
				t.Fatalf("message of %d bytes", len(e.Message))
			}
			if e.Status != 0 && (e.Status < 400 || e.Status > 599) {
				t.Fatalf("status %d", e.Status)
			}
			for _, p := range []Protocol{Chat, Responses, Messages} {
				if text := AppendError(nil, p, &e, "r"); !json.Valid(text) || !utf8.Valid(text) {
					t.Fatalf("%s: AppendError is no JSON: %q", p, text)
				}
			}
		}
		e, _ := ParseError(body)
		check(e)
		for _, p := range []Protocol{Chat, Responses, Messages} {
			if e, failed := ErrorInAnswer(p, body); failed {
				check(e)
			}
			if err := CheckAnswer(p, Generate, body); err != nil {
				check(*err.(*Error))
			}
			ReadUsage(p, body)
		}
	})
}
