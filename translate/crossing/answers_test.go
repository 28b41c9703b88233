package crossing_test

import (
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
)

// TestAnswersSayTheSameInEveryProtocol translates every recorded whole answer to
// both other protocols; see [TestStreamsSayTheSameInEveryProtocol].
func TestAnswersSayTheSameInEveryProtocol(t *testing.T) {
	sayTheSame(t, wholeAnswers(t), whole)
}

// whole translates an answer that is no stream.
func whole(p pair, body []byte) relayed {
	asked := asking(p, false)
	usage, known := translate.ReadUsage(p.from, body)
	out, e := crossing.Answer(nil, asked, body)
	return relayed{bytes: out, whole: e == nil, asked: asked, usage: usage, counts: known}
}

// answerOf translates an answer that is no stream, and has to make sense.
func answerOf(t *testing.T, asked *translate.Asked, body []byte) []byte {
	t.Helper()
	out, e := crossing.Answer(nil, asked, body)
	if e != nil {
		t.Fatalf("Answer of %s = %v, want no error", body, e)
	}
	return out
}
