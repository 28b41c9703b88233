package routing

import (
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Agents read these texts, so the provider's own body is best, but not where only
// Anthropic's sentence makes them ask for a shorter answer.
func TestARefusedMaxTokensIsToldInTheWordsOfTheClientsProtocol(t *testing.T) {
	const tooLarge = "max_tokens is too large: 32000. This model supports at most 16384 completion tokens, whereas you provided 32000."
	for _, tc := range []struct {
		protocol translate.Protocol
		message  string
		verbatim bool
	}{
		{translate.Messages, tooLarge, false},
		{translate.Messages, "temperature: must be at most 1", true},
		{translate.Messages, "max_tokens: 200000 > 64000, which is the maximum allowed number of output tokens for this model", true},
		{translate.Chat, tooLarge, true},
	} {
		w := walk{request: &Request{Protocol: tc.protocol}, told: &failure{
			class: InvalidRequest, status: 400, err: translate.Error{Message: tc.message}, body: []byte(`{"type":"error"}`),
		}}
		f := w.failure(time.Time{})
		if (f.Body != nil) != tc.verbatim || f.Err.Message != tc.message || f.Err.Status != 400 {
			t.Errorf("%v, %q: body %q, error %v; verbatim must be %v", tc.protocol, tc.message, f.Body, &f.Err, tc.verbatim)
		}
	}
}
