package crossing_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// wholeAnswers returns the recorded answers to conversations that are no streams.
func wholeAnswers(tb testing.TB) []fixture {
	tb.Helper()
	var answers []fixture
	for _, f := range fixtures(tb, "response") {
		// What counts tokens or compacts a conversation answers other requests.
		err := translate.CheckAnswer(f.protocol, translate.Generate, f.body)
		if err == nil {
			err = translate.CheckFinished(f.protocol, f.body)
		}
		if err != nil || bytes.Contains(f.body, []byte(`"response.compaction"`)) {
			tb.Logf("%s is no answer to a conversation: %v", f.file, err)
			continue
		}
		answers = append(answers, f)
	}
	return answers
}

// habits are what the oracle dislikes of a stream that its answer is to blame for,
// by code.
var habits = map[string]string{
	"usage.with-choices":  "clients that asked for no usage expect no chunk without choices",
	"usage.before-finish": "clients that asked for no usage expect no chunk without choices",
	"finish.missing":      "the answer does not say why it ends",
	"id.empty":            "the answer has no id",
	"response.object":     "the answer does not say that it is a response",
	"response.status":     "the answer has a status of its own invention",
	"role.missing":        "the answer has no role",
	"sdk.text-differs":    "the answer's content is a list, as at Mistral",
	"stop.end-with-call":  "the calls are those of a program of the vendor's",
	"tool.no-id":          "the answer's call has no id",
	"tool.no-type":        "the answer's call has no type",
}

// TestAnswersSayTheSameAsStreams tells every recorded whole answer as a stream of
// its own protocol, which the oracle and the official SDK must understand alike.
func TestAnswersSayTheSameAsStreams(t *testing.T) {
	oraclePath(t)
	counts := map[translate.Protocol]int{}
	for _, f := range wholeAnswers(t) {
		stream := translate.AppendReplay(nil, f.protocol, f.body)
		var w translate.Watcher
		w.Reset(f.protocol)
		w.Write(stream)
		w.Close()
		if !w.Complete() {
			e, _ := w.Failure()
			t.Errorf("%s: its stream is not whole: %v", f.file, e.Message)
		}
		want, wanted := translate.ReadUsage(f.protocol, f.body)
		if got, known := w.Usage(); got != want || known != wanted {
			t.Errorf("%s: usage = %+v, %v; want %+v, %v", f.file, got, known, want, wanted)
		}
		v := compare(t, f.protocol, f.path(), f.protocol, stream)
		for _, problem := range append(v.faults(), v.Differences...) {
			if code, _, _ := strings.Cut(problem, ":"); habits[code] == "" {
				t.Errorf("%s: %s", f.file, problem)
			}
		}
		counts[f.protocol]++
	}
	t.Logf("answers: %v", counts)
}

// TestAnswersSayTheSameAsTranslatedStreams takes these streams into the other
// protocols.
func TestAnswersSayTheSameAsTranslatedStreams(t *testing.T) {
	sayTheSame(t, wholeAnswers(t), func(p pair, body []byte) relayed {
		return relay(asking(p, true), translate.AppendReplay(nil, p.from, body))
	})
}
