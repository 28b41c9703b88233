package routing

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAHerdThatWaitsForAKeySendsOneRequestAhead(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, modelOf("", "a"), nil, nil, map[string][]reply{
			"a": {{status: 429, body: limitedAnswer, header: http.Header{"Retry-After": {"5"}}}, {after: 700 * time.Millisecond, status: 200, body: goodAnswer}},
		}, func(o *Options) { o.Wait = 30 * time.Second })
		began := time.Now()
		const clients = 100
		var done sync.WaitGroup
		for i := range clients {
			done.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				if from, failure := b.ask(t, nil); from != "a" {
					t.Errorf("client %d: %+v, want an answer after the wait", i, failure)
				}
			})
		}
		time.Sleep(4900 * time.Millisecond)
		if asked := b.asked(); asked != "a" {
			t.Errorf("asked %q while the key rested, want one call, which found that out", asked)
		}
		time.Sleep(700 * time.Millisecond) // the probe is under way
		if n := strings.Count(b.asked(), "a"); n != 2 {
			t.Errorf("calls = %d before the probe has an answer, want 2", n)
		}
		done.Wait()
		if n, took := strings.Count(b.asked(), "a"), time.Since(began); n != clients+1 || took > 10*time.Second {
			t.Errorf("calls = %d after %v, want %d within 10s", n, took, clients+1)
		}
		b.settled(t)
	})
}

func TestARequestDoesNotWaitLongerThanItMay(t *testing.T) {
	for _, tc := range []struct {
		name  string
		rests string
		wait  time.Duration
		took  time.Duration
		calls string
	}{
		{"not at all", "5", 0, 0, "a"},
		{"too short", "5", 4 * time.Second, 0, "a"},
		{"exactly", "5", 5 * time.Second, 5 * time.Second, "a a"},
		{"once more is too long", "5", 14 * time.Second, 5 * time.Second, "a a"}, // the failed probe doubles it
		{"once more", "5", 15 * time.Second, 15 * time.Second, "a a a"},          // then 20s would be
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, modelOf("", "a"), nil, nil, map[string][]reply{
					"a": {{status: 429, body: limitedAnswer, header: http.Header{"Retry-After": {tc.rests}}}},
				}, func(o *Options) { o.Wait = tc.wait })
				began := time.Now()
				_, failure := b.ask(t, nil)
				if took := time.Since(began); failure == nil || failure.Class != RateLimited || took != tc.took || b.asked() != tc.calls {
					t.Errorf("%+v after %v and calls %q, want rate_limited after %v and %q", failure, took, b.asked(), tc.took, tc.calls)
				}
				b.settled(t)
			})
		})
	}
}

func TestWhileAllKeysRestNobodyIsAsked(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, modelOf("", "a", "b"), nil, map[string]int{"a": 2}, map[string][]reply{
			"a": {{status: 429, body: limitedAnswer, header: http.Header{"Retry-After": {"60"}}}},
			"b": {{status: 401, body: `{}`}},
		}, nil)
		b.ask(t, nil)
		before := b.asked()
		time.Sleep(20 * time.Second)
		_, failure := b.ask(t, nil)
		if failure == nil || failure.Err.Status != http.StatusServiceUnavailable || failure.RetryAfter != 40*time.Second || len(failure.Attempts) != 0 {
			t.Errorf("failure = %+v, want 503 with a Retry-After of 40s and no attempt: one of the keys is dead", failure)
		}
		if after := b.asked(); after != before {
			t.Errorf("asked %q, then %q; want nobody more", before, after)
		}
		b.settled(t)
	})
}
