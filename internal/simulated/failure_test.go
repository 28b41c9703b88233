package simulated

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func do(p *Provider, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func TestFailuresHaveTheShapeOfTheRealServices(t *testing.T) {
	type want struct {
		status              int
		typ, code, contains string
	}
	for _, tc := range []struct {
		word                      string
		chat, responses, messages want
	}{
		{
			"400",
			want{400, "invalid_request_error", "invalid_value", ""},
			want{400, "invalid_request_error", "invalid_value", ""},
			want{400, "invalid_request_error", "", ""},
		},
		{
			"401",
			want{401, "invalid_request_error", "invalid_api_key", ""},
			want{401, "invalid_request_error", "invalid_api_key", ""},
			want{401, "authentication_error", "", ""},
		},
		{
			"403",
			want{403, "request_forbidden", "unsupported_country_region_territory", ""},
			want{403, "request_forbidden", "unsupported_country_region_territory", ""},
			want{403, "permission_error", "", ""},
		},
		{
			"404",
			want{404, "invalid_request_error", "model_not_found", ""},
			want{404, "invalid_request_error", "model_not_found", ""},
			want{404, "not_found_error", "", ""},
		},
		{
			"nonsense",
			want{404, "invalid_request_error", "model_not_found", "`demo-nonsense`"},
			want{400, "invalid_request_error", "model_not_found", "'demo-nonsense'"},
			want{404, "not_found_error", "", "demo-nonsense"},
		},
		{
			"413",
			want{413, "invalid_request_error", "request_too_large", ""},
			want{413, "invalid_request_error", "request_too_large", ""},
			want{413, "request_too_large", "", ""},
		},
		{
			"418",
			want{418, "invalid_request_error", "", "teapot"},
			want{418, "invalid_request_error", "", "teapot"},
			want{418, "invalid_request_error", "", "teapot"},
		},
		{
			"422",
			want{422, "invalid_request_error", "unprocessable_entity", ""},
			want{422, "invalid_request_error", "unprocessable_entity", ""},
			want{422, "invalid_request_error", "", ""},
		},
		{
			"429-7",
			want{429, "requests", "rate_limit_exceeded", "try again in 7s"},
			want{429, "requests", "rate_limit_exceeded", "try again in 7s"},
			want{429, "rate_limit_error", "", ""},
		},
		{
			"quota",
			want{429, "insufficient_quota", "insufficient_quota", ""},
			want{429, "insufficient_quota", "insufficient_quota", ""},
			want{402, "billing_error", "", "credit balance is too low"},
		},
		{
			"500",
			want{500, "server_error", "", ""},
			want{500, "server_error", "server_error", ""},
			want{500, "api_error", "", ""},
		},
		{
			"502",
			want{502, "server_error", "", ""},
			want{502, "server_error", "", ""},
			want{502, "api_error", "", ""},
		},
		{
			"503-30",
			want{503, "server_error", "server_is_overloaded", ""},
			want{503, "server_error", "server_is_overloaded", ""},
			want{503, "api_error", "", ""},
		},
		{
			"529",
			want{529, "server_error", "server_is_overloaded", ""},
			want{529, "server_error", "server_is_overloaded", ""},
			want{529, "overloaded_error", "", ""},
		},
		{
			"context",
			want{400, "invalid_request_error", "context_length_exceeded", "maximum context length"},
			want{400, "invalid_request_error", "context_length_exceeded", "exceeds the context window"},
			want{400, "invalid_request_error", "", "prompt is too long: 250000 tokens > 200000 maximum"},
		},
		{
			"policy",
			want{400, "invalid_request_error", "content_policy_violation", ""},
			want{400, "invalid_request_error", "invalid_prompt", ""},
			want{400, "invalid_request_error", "", "content filtering"},
		},
	} {
		p := New(Config{})
		for i, want := range []want{tc.chat, tc.responses, tc.messages} {
			api := bodies[i]
			w := do(p, http.MethodPost, api.path, fill(api.body, "demo-"+tc.word, true))
			e := gjson.GetBytes(w.Body.Bytes(), "error")
			if w.Code != want.status || e.Get("type").Str != want.typ || e.Get("code").String() != want.code ||
				!strings.Contains(e.Get("message").Str, want.contains) || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("%s %s = %d %s, want %+v", api.name, tc.word, w.Code, w.Body, want)
			}
			id := w.Header().Get("X-Request-Id")
			if api.name == "messages" {
				id = w.Header().Get("Request-Id")
				if got := gjson.GetBytes(w.Body.Bytes(), "request_id").Str; got != id || gjson.GetBytes(w.Body.Bytes(), "type").Str != "error" {
					t.Errorf("%s: request_id %q, header %q, body %s", tc.word, got, id, w.Body)
				}
			}
			if !strings.HasPrefix(id, "req_") {
				t.Errorf("%s %s: request id is %q", api.name, tc.word, id)
			}
			_, seconds, _ := strings.Cut(tc.word, "-")
			if got := w.Header().Get("Retry-After"); got != seconds {
				t.Errorf("%s %s: Retry-After is %q, want %q", api.name, tc.word, got, seconds)
			}
		}
	}
}

func TestRateLimitsAloneAskToRetryInOneSecond(t *testing.T) {
	p := New(Config{})
	for _, api := range bodies {
		w := do(p, http.MethodPost, api.path, fill(api.body, "demo-429", false))
		remaining := w.Header().Get("X-Ratelimit-Remaining-Requests") + w.Header().Get("Anthropic-Ratelimit-Requests-Remaining")
		if w.Header().Get("Retry-After") != "1" || remaining != "0" {
			t.Errorf("%s: headers are %v", api.name, w.Header())
		}
	}
}

func TestRequestsAreRefusedAsTheRealServicesDo(t *testing.T) {
	p := New(Config{})
	for _, tc := range []struct {
		path, body string
		status     int
		says       string
	}{
		{"/chat/completions", `{`, 400, "could not parse"},
		{"/chat/completions", `[]`, 400, "could not parse"},
		{"/chat/completions", ``, 400, "could not parse"},
		{"/chat/completions", `{"messages":[{"role":"user","content":"x"}]}`, 400, "'model'"},
		{"/chat/completions", `{"model":"demo"}`, 400, "'messages'"},
		{"/chat/completions", `{"model":"demo","messages":[]}`, 400, "empty array"},
		{"/chat/completions", `{"model":"demo","n":2,"messages":[{"role":"user","content":"x"}]}`, 400, "'n'"},
		{"/chat/completions", `{"model":"demo","max_tokens":0,"messages":[{"role":"user","content":"x"}]}`, 400, "max_tokens"},
		{"/chat/completions", `{"model":"demo","messages":[{"role":"user","content":"x"}],"tool_choice":{"type":"function","function":{"name":"no"}}}`, 400, "'no' not found"},
		{"/responses", `{"model":"demo"}`, 400, "'input'"},
		{"/responses", `{"model":"demo","input":[]}`, 400, "empty array"},
		{"/responses", `{"model":"demo","input":"x","previous_response_id":"resp_1"}`, 400, "keeps no responses"},
		{"/responses", `{"model":"demo","input":"x","background":true}`, 400, "'background'"},
		{"/messages", `{"model":"demo","max_tokens":5}`, 400, "messages: Field required"},
		{"/messages", `{"model":"demo","messages":[{"role":"user","content":"x"}]}`, 400, "max_tokens: Field required"},
		{"/messages", `{"model":"demo","max_tokens":5,"messages":[]}`, 400, "at least one message"},
		{"/messages/count_tokens", `{"model":"demo","messages":[{"role":"user","content":"x"}]}`, 200, `"input_tokens"`},
		{"/embeddings", `{"model":"demo"}`, 400, "'input'"},
		{"/embeddings", `{"model":"demo","input":["a",""]}`, 400, "'input'"},
		{"/embeddings", `{"model":"demo","input":"a","dimensions":9999}`, 400, "'dimensions'"},
		{"/embeddings", `{"model":"demo-429","input":"a"}`, 429, "rate_limit_exceeded"},
		{"/embeddings", `{"model":"demo","input":[1,2,3],"encoding_format":"base64","dimensions":1}`, 200, `"embedding":"`},
		{"/completions", `{"model":"demo","prompt":"x"}`, 404, "Invalid URL"},
	} {
		w := do(p, http.MethodPost, "/v1"+tc.path, tc.body)
		if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.says) || !gjson.ValidBytes(w.Body.Bytes()) {
			t.Errorf("POST %s %s = %d %s, want %d and %q", tc.path, tc.body, w.Code, w.Body, tc.status, tc.says)
		}
	}
}

func TestTooLargeRequestsAreRefused(t *testing.T) {
	server := httptest.NewServer(New(Config{}))
	defer server.Close()
	body := `{"model":"demo","max_tokens":9,"messages":[{"role":"user","content":"` + strings.Repeat("x", MaxBody) + `"}]}`
	resp, got, err := post(t, server.URL, "/messages", body)
	if err != nil || resp.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(got, "request_too_large") {
		t.Errorf("got %v, %v, %q", resp, err, got)
	}
}

func TestDeepNestingIsRefused(t *testing.T) {
	p := New(Config{})
	deep := strings.Repeat("[", 10_000_000)
	quoted := strings.Repeat(`\"[{`, 1000)
	for _, tc := range []struct {
		body   string
		status int
	}{
		{`{"model":"demo","input":` + deep, 400},
		{`{"model":"demo","input":"demo: call x {` + deep + `"}`, 200},
		{`{"model":"demo","input":"` + quoted + `"}`, 200},
		{`{"model":"demo","input":"x","metadata":` + strings.Repeat("[", 499) + strings.Repeat("]", 499) + `}`, 200},
		{`{"model":"demo","input":"x","metadata":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`, 400},
	} {
		if w := do(p, http.MethodPost, "/responses", tc.body); w.Code != tc.status {
			t.Errorf("%.60s… = %d, want %d", tc.body, w.Code, tc.status)
		}
	}
}

func FuzzAnyBodyIsAnsweredInJSON(f *testing.F) {
	for _, api := range bodies {
		f.Add(api.path, fill(api.body, "demo-tools+thinking", false))
	}
	f.Add("/messages/count_tokens", `{"model":"demo","messages":[{"role":"user","content":[{"type":"tool_result","content":[{"type":"image"}]}]}]}`)
	f.Add("/embeddings", `{"model":"demo","input":[[1,2],[3]],"encoding_format":"base64"}`)
	p := New(Config{})
	f.Fuzz(func(t *testing.T, path, body string) {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " ?#%\x7f") || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Skip("no path that a client could send")
		}
		q := scan(chat, body)
		var b behaviour
		b.applyModel(q.model)
		if b.pace.first > 0 || b.hang || b.page != noPage || b.fault.how != intact || q.stream || strings.Contains(body, "demo:") {
			t.Skip("a behaviour that takes time or breaks the answer on purpose")
		}
		if w := do(p, http.MethodPost, path, body); !gjson.ValidBytes(w.Body.Bytes()) {
			t.Fatalf("POST %s %s = %d %s", path, body, w.Code, w.Body)
		}
	})
}

func TestEveryStatusIsAFailureWord(t *testing.T) {
	for status := range 1000 {
		_, ok := findFailure(strconv.Itoa(status))
		if want := status >= 400 && status <= 599; ok != want {
			t.Errorf("findFailure(%d) = %v, want %v", status, ok, want)
		}
	}
}
