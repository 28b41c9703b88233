package crossing_test

import (
	"bytes"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
)

// TestAnswersSayTheSameInEveryProtocol translates every recorded whole answer to
// both other protocols; see [TestStreamsSayTheSameInEveryProtocol].
func TestAnswersSayTheSameInEveryProtocol(t *testing.T) {
	var answers []fixture
	for _, f := range fixtures(t, "response") {
		// What counts tokens or compacts a conversation answers other requests.
		err := translate.CheckAnswer(f.protocol, translate.Generate, f.body)
		if err != nil || bytes.Contains(f.body, []byte(`"response.compaction"`)) {
			t.Logf("%s is no answer to a conversation: %v", f.file, err)
			continue
		}
		answers = append(answers, f)
	}
	sayTheSame(t, answers, whole)
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
