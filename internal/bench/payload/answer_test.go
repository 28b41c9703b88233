package payload

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

var protocols = []translate.Protocol{translate.Chat, translate.Responses, translate.Messages}

func TestAModelsNameTellsItsAnswer(t *testing.T) {
	for _, want := range []Answer{{Words: 1}, {Words: 9999}, {Words: 200, Pace: 50 * time.Millisecond}} {
		for _, prefix := range []string{"", "bench-openai-"} {
			if got, err := ParseModel(prefix + want.Model()); err != nil || got != want {
				t.Errorf("ParseModel(%q) = %+v, %v, want %+v", prefix+want.Model(), got, err, want)
			}
		}
	}
	for _, name := range []string{"", "gpt-5", "100", "words-", "words-0", "words-10000", "words-x", "words-5-each-", "words-5-each-0s", "words-5-each-fast"} {
		if got, err := ParseModel(name); err == nil {
			t.Errorf("ParseModel(%q) = %+v, want an error", name, got)
		}
	}
}

// marks counts the numbered words.
func marks(answer []byte) int { return bytes.Count(answer, []byte{Mark}) }

func TestAWholeAnswerHasItsWordsAndIsSmall(t *testing.T) {
	for _, protocol := range protocols {
		answer := Answer{Words: 28}
		whole := answer.Whole(protocol, "words-28")
		want := answer.Complete(protocol, false)
		if !json.Valid(whole) || marks(whole) != want.Words || !bytes.HasSuffix(whole, []byte(want.End)) {
			t.Errorf("Whole(%s) = %s", protocol, whole)
		}
		limit := 700
		if protocol == translate.Responses {
			limit = 1200 // it repeats the settings of the request
		}
		if len(whole) < 500 || len(whole) > limit {
			t.Errorf("Whole(%s) has %d bytes, want 500 to %d", protocol, len(whole), limit)
		}
	}
}

func TestAStreamHasOneEventPerWordAndEndsProperly(t *testing.T) {
	for _, protocol := range protocols {
		answer := Answer{Words: 100}
		events := answer.Stream(protocol, "words-100")
		want := answer.Complete(protocol, true)
		if last := events[len(events)-1]; !bytes.Contains(last.Bytes, []byte(want.End)) {
			t.Errorf("%s: the last event is %q, want %q in it", protocol, last.Bytes, want.End)
		}
		words, usage := 0, false
		for _, e := range events {
			if n := marks(e.Bytes); n > 1 && n != want.Words || e.Word != (n == 1) {
				t.Errorf("%s: event %q has %d words, Word is %v", protocol, e.Bytes, n, e.Word)
			}
			words += marks(e.Bytes)
			usage = usage || bytes.Contains(e.Bytes, []byte(`"usage":{`))
			_, data, _ := strings.Cut(string(e.Bytes), "data: ")
			if !strings.HasSuffix(data, "\n\n") || data != "[DONE]\n\n" && !json.Valid([]byte(data)) {
				t.Errorf("%s: event %q holds no JSON", protocol, e.Bytes)
			}
		}
		if words != want.Words*want.Times || !usage {
			t.Errorf("%s: stream of %d words, usage %v, want %d times %d with usage", protocol, words, usage, want.Times, want.Words)
		}
	}
}
