package translate

import (
	"strings"
	"testing"
)

const (
	vllmMaxTokens   = "'max_tokens' or 'max_completion_tokens' is too large: 32000. This model's maximum context length is 32768 tokens and your request has 17459 input tokens (32000 > 32768 - 17459)"
	groqMaxTokens   = "`max_tokens` must be less than or equal to `65536`, the maximum value for `max_tokens` is less than the `context_window` for this model"
	openAIMaxTokens = "max_tokens is too large: 32000. This model supports at most 16384 completion tokens, whereas you provided 32000."
)

func TestAnAnswerThatMayBecomeTooLongIsToldInAnthropicsWords(t *testing.T) {
	for _, tc := range []struct{ message, want string }{
		{vllmMaxTokens, "input length and `max_tokens` exceed context limit: 17459 + 32000 > 32768, decrease input length or `max_tokens` and try again: " + vllmMaxTokens},
		{groqMaxTokens, "max_tokens: 65537 > 65536, which is the maximum allowed number of output tokens for this model: " + groqMaxTokens},
		{openAIMaxTokens, "max_tokens: 32000 > 16384, which is the maximum allowed number of output tokens for this model: " + openAIMaxTokens},
		{
			strings.ReplaceAll(openAIMaxTokens, ". ", ".\n"),
			"max_tokens: 32000 > 16384, which is the maximum allowed number of output tokens for this model: " + openAIMaxTokens,
		},
		{"max_tokens: 200000 > 64000, which is the maximum allowed number of output tokens for this model", ""},
		{"max_tokens is too large", ""},
		{"temperature must be less than or equal to 2", ""},
		{"'max_tokens' is too large: 900. This model's maximum context length is 32768 tokens and your request has 32000 input tokens", ""}, // the conversation is
		{"This model's maximum context length is 8192 tokens.", ""},
		{"`max_tokens` must be less than or equal to `99999999999999999999`", ""},
	} {
		e := Error{Status: 400, Message: tc.message}
		if got := e.AnswerTooLong(); got != (tc.want != "") {
			t.Errorf("AnswerTooLong of %q = %v, want %v", tc.message, got, tc.want != "")
		}
		want := tc.want
		if want == "" {
			want = tc.message
		}
		if got := parsedMessage(t, AppendError(nil, Messages, &e, "")); got != want {
			t.Errorf("%q is told to Anthropic's clients as\n%q, want\n%q", tc.message, got, want)
		}
		if got := parsedMessage(t, AppendError(nil, Chat, &e, "")); got != tc.message {
			t.Errorf("%q is told to OpenAI's clients as %q", tc.message, got)
		}
	}
}

func TestMaxTokensComesBeforeTheWindow(t *testing.T) {
	e := Error{Status: 400, Code: contextLengthExceeded, Message: vllmMaxTokens}
	if got := parsedMessage(t, AppendError(nil, Messages, &e, "")); strings.Contains(got, promptTooLong) {
		t.Errorf("told %q, which makes agents compact", got)
	}
}

func parsedMessage(t *testing.T, body []byte) string {
	t.Helper()
	e, ok := ParseError(body)
	if !ok {
		t.Fatalf("%s is no error", body)
	}
	return e.Message
}
