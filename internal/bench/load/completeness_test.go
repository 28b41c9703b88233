package load

import (
	"bytes"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/payload"
)

func TestOnlyAWholeAnswerIsComplete(t *testing.T) {
	want := payload.Completeness{Words: 3, End: "[DONE]"}
	twice := payload.Completeness{Words: 2, Times: 2, End: "}"}
	for _, tc := range []struct {
		want     payload.Completeness
		answer   string
		complete bool
	}{
		{want, "a ~0000 b ~0001 c ~0002 [DONE]\n\n", true},
		{want, "~0000~0001~0002[DONE]", true},
		{want, "", false},
		{want, "~0000 ~0001 [DONE]", false},
		{want, "~0000 ~0001 ~0002", false},
		{want, "~0000 ~0001 ~0002 ~0003 [DONE]", false},
		{want, "~0000 ~0002 ~0001 [DONE]", false},
		{want, "~0000 ~0000 ~0001 [DONE]", false},
		{want, "~0000 ~0001 ~002 [DONE]", false},
		{want, "~0000 ~0001 ~0002 [DONE]" + string(bytes.Repeat([]byte("."), tailSize)), false},
		{twice, "{~0000 ~0001 {~0000~0001}}", true},
		{twice, "{~0000 ~0001}", false},
		{twice, "{~0000 {~0000}}", false},
		{twice, "{~0000 {~0000~0001}}", false},
		{twice, "{~0000 ~0001 {~0000}}", false},
		{twice, "{~0000 ~0001 {~0001~0000}}", false},
		{twice, "{~0000 ~0001 {~0000~0001} {~0000~0001}}", false},
	} {
		for _, size := range []int{1, 2, 3, 5, 1000} {
			var c completeness
			words := 0
			for piece := []byte(tc.answer); len(piece) > 0; {
				n := min(size, len(piece))
				words += c.add(piece[:n])
				piece = piece[n:]
			}
			if err := c.check(tc.want); (err == nil) != tc.complete {
				t.Errorf("check(%q in pieces of %d) = %v, want complete %v", tc.answer, size, err, tc.complete)
			}
			if tc.complete && words != tc.want.Words {
				t.Errorf("pieces of %d of %q had %d new words, want %d", size, tc.answer, words, tc.want.Words)
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
