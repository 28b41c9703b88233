package translate

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

func TestErrorsTakeTheShapeOfTheProtocol(t *testing.T) {
	for _, tc := range []struct {
		protocol  Protocol
		err       Error
		requestID string
		want      string
	}{
		{
			Chat,
			Error{Status: 400, Message: "a \"b\"\n<c>\x00\xff", Param: "model", Code: "unsupported_value"},
			"r",
			`{"error":{"message":"a \"b\"\n<c>\u0000�","type":"invalid_request_error","param":"model","code":"unsupported_value"}}`,
		},
		{Responses, Error{Status: 500}, "r", `{"error":{"message":"","type":"server_error","param":null,"code":null}}`},
		{
			Messages,
			Error{Status: 429, Message: "slow down"},
			"req_1",
			`{"type":"error","error":{"type":"rate_limit_error","message":"slow down"},"request_id":"req_1"}`,
		},
		{Messages, Error{Status: 400, Message: "m"}, "", `{"type":"error","error":{"type":"invalid_request_error","message":"m"}}`},
	} {
		got := AppendError([]byte("x"), tc.protocol, &tc.err, tc.requestID)
		if string(got) != "x"+tc.want {
			t.Errorf("AppendError(%s, %+v) = %s, want %s", tc.protocol, tc.err, got[1:], tc.want)
		}
		if !json.Valid(got[1:]) {
			t.Errorf("AppendError(%s, %+v) is no JSON: %s", tc.protocol, tc.err, got[1:])
		}
	}
}

// The table is section d.1 of the wire mapping: what OpenAI and Anthropic say
// in each situation.
func TestStatusDecidesTypeAndCode(t *testing.T) {
	for _, tc := range []struct {
		status                     int
		kind, code                 string // OpenAI
		messages                   string // Anthropic
		chatStatus, messagesStatus int    // told to clients of Chat and Messages
	}{
		{0, "server_error", "", "api_error", 500, 500},
		{200, "server_error", "", "api_error", 500, 500},
		{400, "invalid_request_error", "", "invalid_request_error", 400, 400},
		{401, "invalid_request_error", "invalid_api_key", "authentication_error", 401, 401},
		{402, "insufficient_quota", "insufficient_quota", "billing_error", 402, 402},
		{403, "permission_error", "", "permission_error", 403, 403},
		{404, "invalid_request_error", "model_not_found", "not_found_error", 404, 404},
		{408, "server_error", "timeout", "timeout_error", 408, 408},
		{409, "invalid_request_error", "conflict", "invalid_request_error", 409, 409},
		{413, "invalid_request_error", "request_too_large", "request_too_large", 413, 413},
		{422, "invalid_request_error", "", "invalid_request_error", 422, 422},
		{429, "rate_limit_error", "rate_limit_exceeded", "rate_limit_error", 429, 429},
		{500, "server_error", "", "api_error", 500, 500},
		{502, "server_error", "", "api_error", 502, 502},
		{503, "server_error", "overloaded", "api_error", 503, 503},
		{504, "server_error", "timeout", "timeout_error", 504, 504},
		{529, "server_error", "overloaded", "overloaded_error", 503, 529},
	} {
		e := Error{Status: tc.status}
		if kind, code := e.openAIKind(); kind != tc.kind || code != tc.code {
			t.Errorf("status %d for OpenAI's clients: %q, %q, want %q, %q", tc.status, kind, code, tc.kind, tc.code)
		}
		if got := e.messagesType(); got != tc.messages {
			t.Errorf("status %d for Anthropic's clients: %q, want %q", tc.status, got, tc.messages)
		}
		if chat, messages := e.StatusFor(Chat), e.StatusFor(Messages); chat != tc.chatStatus || messages != tc.messagesStatus {
			t.Errorf("status %d: StatusFor = %d, %d, want %d, %d", tc.status, chat, messages, tc.chatStatus, tc.messagesStatus)
		}
	}
}

func TestOverloadIsToldInTheClientsWay(t *testing.T) {
	for _, tc := range []struct {
		err            Error
		chat, messages int
		kind           string
	}{
		{Error{Status: 503, Code: "overloaded"}, 503, 529, "overloaded_error"},
		{Error{Status: 503, Code: "slow_down"}, 503, 529, "overloaded_error"},
		{Error{Status: 503, Type: "overloaded_error"}, 503, 529, "overloaded_error"},
		{Error{Status: 503, Type: "server_error"}, 503, 503, "api_error"},
		{Error{Status: 529, Type: "overloaded_error"}, 503, 529, "overloaded_error"},
	} {
		if got := tc.err.StatusFor(Responses); got != tc.chat {
			t.Errorf("%+v: StatusFor(responses) = %d, want %d", tc.err, got, tc.chat)
		}
		if got := tc.err.StatusFor(Messages); got != tc.messages {
			t.Errorf("%+v: StatusFor(anthropic) = %d, want %d", tc.err, got, tc.messages)
		}
		if got := tc.err.messagesType(); got != tc.kind {
			t.Errorf("%+v: type %q, want %q", tc.err, got, tc.kind)
		}
	}
}

func TestForeignTypesBecomeTheClientsOwn(t *testing.T) {
	for _, tc := range []struct {
		err                  Error
		kind, code, messages string
	}{
		{Error{Status: 401, Type: "authentication_error"}, "invalid_request_error", "invalid_api_key", "authentication_error"},
		{Error{Status: 500, Type: "api_error"}, "server_error", "", "api_error"},
		{Error{Status: 400, Type: "invalid_request_error", Code: "unsupported_value"}, "invalid_request_error", "unsupported_value", "invalid_request_error"},
		{Error{Status: 500, Type: "server_error", Code: "server_error"}, "server_error", "server_error", "api_error"},
		{Error{Status: 429, Type: "insufficient_quota", Code: "insufficient_quota"}, "insufficient_quota", "insufficient_quota", "rate_limit_error"},
		{Error{Status: 429, Type: "tokens"}, "tokens", "", "rate_limit_error"},
		{Error{Status: 502, Type: "invalid_request_error"}, "invalid_request_error", "", "api_error"},
	} {
		kind, code := tc.err.openAIKind()
		if kind != tc.kind || code != tc.code {
			t.Errorf("%+v for OpenAI's clients: %q, %q, want %q, %q", tc.err, kind, code, tc.kind, tc.code)
		}
		if got := tc.err.messagesType(); got != tc.messages {
			t.Errorf("%+v for Anthropic's clients: %q, want %q", tc.err, got, tc.messages)
		}
	}
}

func TestContextOverflowIsToldInWordsThatAgentsActOn(t *testing.T) {
	openAI := Error{Status: 400, Type: "invalid_request_error", Code: "context_length_exceeded", Message: "Your input exceeds the context window of this model."}
	want := `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: Your input exceeds the context window of this model."}}`
	if got := string(AppendError(nil, Messages, &openAI, "")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	anthropic := Error{Status: 400, Type: "invalid_request_error", Message: "prompt is too long: 3 tokens > 2 maximum"}
	want = `{"error":{"message":"prompt is too long: 3 tokens > 2 maximum","type":"invalid_request_error","param":null,"code":"context_length_exceeded"}}`
	if got := string(AppendError(nil, Chat, &anthropic, "")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	want = `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 3 tokens > 2 maximum"}}`
	if got := string(AppendError(nil, Messages, &anthropic, "")); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestErrorTextNamesCodeAndStatus(t *testing.T) {
	for _, tc := range []struct {
		err  Error
		want string
	}{
		{Error{Message: "m"}, "m (status 500)"},
		{Error{Status: 404, Type: "t", Message: "m"}, "m (t, status 404)"},
		{Error{Status: 404, Type: "t", Code: "c", Message: "m"}, "m (c, status 404)"},
	} {
		if got := tc.err.Error(); got != tc.want {
			t.Errorf("Error() = %q, want %q", got, tc.want)
		}
	}
}

func TestProtocolsAreNamedAsInFiles(t *testing.T) {
	for p, want := range map[Protocol]bool{"openai": true, "responses": true, "anthropic": true, "": false, "OpenAI": false, "gemini": false} {
		if got := p.Valid(); got != want {
			t.Errorf("Protocol(%q).Valid() = %v, want %v", p, got, want)
		}
	}
}

func TestContextOverflowTellsClaudeCodeItsNumbers(t *testing.T) {
	for _, tc := range []struct{ message, want string }{
		{
			"This model's maximum context length is 128000 tokens. However, your messages resulted in 130452 tokens.",
			"prompt is too long: 130452 tokens > 128000 maximum: This model's maximum",
		},
		{"maximum context length is 131,072 tokens; you requested 140,001 tokens", "prompt is too long: 140001 tokens > 131072 maximum: maximum"},
		{"Your input exceeds the context window of this model.", "prompt is too long: Your input exceeds"},
		{"limit 8192, messages 9000, completion 2000", "prompt is too long: limit 8192"},
		{"prompt is too long: 210000 tokens > 200000 maximum", "prompt is too long: 210000 tokens > 200000 maximum"},
	} {
		body := AppendError(nil, Messages, &Error{Status: 400, Code: contextLengthExceeded, Message: tc.message}, "")
		if got := gjson.GetBytes(body, "error.message").Str; !strings.HasPrefix(got, tc.want) {
			t.Errorf("AppendError(%q) says %q, want it to begin with %q", tc.message, got, tc.want)
		}
	}
}
