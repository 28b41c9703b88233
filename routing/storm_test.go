package routing

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A storm is requests through every kind of fault, some of whose clients leave, and
// then one more.
func TestAStormLeavesNothingBehind(t *testing.T) {
	for seed := range uint64(8) {
		inBubble(t, func(t *testing.T) {
			chance := rand.New(rand.NewPCG(seed, 1))
			replies := make(map[string][]reply)
			for _, id := range []string{"a", "b", "c"} {
				for range 400 {
					r := []reply{
						quick, failing,
						{status: 429, body: limitedAnswer, header: http.Header{"Retry-After": {"3"}}},
						{status: 503, body: brokenAnswer, header: http.Header{"Retry-After": {"2"}}},
						{status: 401, body: `{}`},
						{status: 400, body: mistakenAnswer},
						{status: 404, body: `{}`},
						{status: 200, body: `{"id":`},
						{status: 200, body: brokenAnswer},
						{after: 2 * time.Minute, status: 200, body: goodAnswer},
					}[chance.IntN(10)]
					r.after += time.Duration(chance.IntN(3000)) * time.Millisecond
					replies[id] = append(replies[id], r)
				}
				replies[id] = append(replies[id], quick)
			}
			more := `"timeouts":{"first_content":"20s"},`
			if seed%2 == 0 {
				more += hedgeSoon
			}
			if seed%4 < 2 {
				more += `"policy":"least_busy",`
			}
			b := newBench(t, modelOf(more, "a", "b", "c"), nil, map[string]int{"a": 2, "b": 3}, replies, func(o *Options) {
				o.Wait, o.Cooldown, o.Affinity = 5*time.Second, 10*time.Second, new(Affinity)
				o.Retries = Retries{Ratio: 0.5, PerSecond: 5}
				o.KeyCycles = int(1 + seed%3)
			})
			var made atomic.Int64
			var done sync.WaitGroup
			for i := range 400 {
				done.Go(func() {
					time.Sleep(time.Duration(i) * 50 * time.Millisecond)
					ctx, leave := context.WithCancel(t.Context())
					defer leave()
					if i%7 == 0 {
						time.AfterFunc(time.Duration(i%23)*100*time.Millisecond, leave)
					}
					text := strings.Repeat("x", i%5)
					if answer, failure := b.send(ctx, t, func(q *Request) { q.Header = http.Header{"Session-Id": {text}} }); failure != nil {
						made.Add(int64(len(failure.Attempts)))
					} else {
						made.Add(int64(len(answer.Attempts)))
					}
				})
			}
			done.Wait()
			if called := int64(strings.Count(b.asked(), " ") + 1); called != made.Load() {
				t.Errorf("seed %d: the providers were called %d times, the requests tell of %d", seed, called, made.Load())
			}
			b.settled(t)
			for _, id := range []string{"a", "b", "c"} {
				b.answers(id, quick)
			}
			time.Sleep(2 * time.Hour)
			if from, failure := b.ask(t, nil); failure != nil {
				t.Errorf("seed %d: answer from %q, %+v; want one after the storm", seed, from, failure)
			}
		})
	}
}
