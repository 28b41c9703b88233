package load

import (
	"bytes"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/payload"
)

func TestOnlyAWholeAnswerIsComplete(t *testing.T) {
	want := payload.Completeness{Words: 3, End: "[DONE]"}
	for _, tc := range []struct {
		answer   string
		complete bool
	}{
		{"a ~0000 b ~0001 c ~0002 [DONE]\n\n", true},
		{"~0000~0001~0002[DONE]", true},
		{"", false},
		{"~0000 ~0001 [DONE]", false},
		{"~0000 ~0001 ~0002", false},
		{"~0000 ~0001 ~0002 ~0003 [DONE]", false},
		{"~0000 ~0002 ~0001 [DONE]", false},
		{"~0000 ~0000 ~0001 [DONE]", false},
		{"~0000 ~0001 ~002 [DONE]", false},
		{"~0000 ~0001 ~0002 [DONE]" + string(bytes.Repeat([]byte("."), tailSize)), false},
	} {
		for _, size := range []int{1, 2, 3, 5, 1000} {
			var c completeness
			words := 0
			for piece := []byte(tc.answer); len(piece) > 0; {
				n := min(size, len(piece))
				words += c.add(piece[:n])
				piece = piece[n:]
			}
			if err := c.check(want); (err == nil) != tc.complete {
				t.Errorf("check(%q in pieces of %d) = %v, want complete %v", tc.answer, size, err, tc.complete)
			}
			if words != c.words {
				t.Errorf("pieces of %d of %q had %d words, all together %d", size, tc.answer, words, c.words)
			}
		}
	}
}

func TestAnAnswersEndIsNotOfTheAnswerBefore(t *testing.T) {
	var c completeness
	c.add([]byte("~0000 [DONE]"))
	c.reset()
	c.add([]byte("~0000 "))
	if err := c.check(payload.Completeness{Words: 1, End: "[DONE]"}); err == nil {
		t.Error("an answer without its end is complete")
	}
}
