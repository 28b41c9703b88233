package caddymodule

import (
	"fmt"
	"net/http"
	goruntime "runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// quickest runs something up to a few times, until it is within a limit: that is
// about the gateway's work, and not about what else the machine has to do.
func quickest(times int, limit time.Duration, run func()) (best time.Duration) {
	for try := range times {
		began := time.Now()
		run()
		if d := time.Since(began); try == 0 || d < best {
			best = d
		}
		if best <= limit {
			break
		}
	}
	return best
}

// memoryUse runs something and returns by how many MB the memory grew that the
// Go runtime holds. Memory that has become free goes back to the system only
// slowly, so that is close to the most that was needed at any time.
func memoryUse(run func()) int64 {
	debug.FreeOSMemory()
	before := resident()
	run()
	return (resident() - before) >> 20
}

// memoryNeeded is memoryUse with a collector that is told to keep within a limit, in
// MB. Only what is really held then goes beyond it; what nobody holds any more is
// collected in time even where other programs leave the collector little of it.
func memoryNeeded(limit int64, run func()) int64 {
	// Else what the test itself holds would let it wait for as much again.
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	return memoryUse(func() {
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(resident() + limit<<20))
		run()
	})
}

// memoryKept is memoryUse without what could be freed afterwards.
func memoryKept(run func()) int64 {
	return memoryUse(func() {
		run()
		debug.FreeOSMemory()
	})
}

func resident() int64 {
	var m goruntime.MemStats
	goruntime.ReadMemStats(&m)
	return int64(m.Sys - m.HeapReleased)
}

// net/http silently repeats a POST that has an Idempotency-Key when a kept
// connection breaks; then the upstream works twice for one attempt.
//
// RELIABILITY B1: stale keep-alive connection dies on the 2nd POST.
func TestEveryUpstreamRequestIsAnAttemptThatIsCounted(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]bool{}
	g, up := badInputsGateway(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		again := seen[r.RemoteAddr]
		seen[r.RemoteAddr] = true
		mu.Unlock()
		if again {
			panic(http.ErrAbortHandler) // the second request of a connection
		}
		goodAnswer(r).ServeHTTP(w, r)
	}))
	attempts := 0
	for range 6 {
		got := g.do(request{path: chatPath, body: asking(chatRequest, "good-model"), key: badInputsKey, header: map[string]string{"Idempotency-Key": "abc"}}).want(t, 200)
		n := 0
		if _, err := fmt.Sscan(got.header.Get("Llm-Proxy-Attempts"), &n); err != nil {
			t.Fatal(err)
		}
		attempts += n
	}
	calls := up.all()
	if len(calls) != attempts || attempts < 7 {
		t.Errorf("the upstream saw %d requests, the gateway says %d; want the same, and some repeated", len(calls), attempts)
	}
	for _, c := range calls {
		if key := c.header.Get("Idempotency-Key"); key != "" {
			t.Errorf("Idempotency-Key %q goes upstream", key)
		}
	}
}

func TestTwiceTheMessagesAreTwiceTheWork(t *testing.T) {
	g, up := badInputsGateway(t, new(script))
	ask := func(messages int) time.Duration {
		body := `{"model":"good-model","messages":[` + strings.Repeat(`{"role":"user","content":"hi"},`, messages) + `{"role":"user","content":"x"}]}`
		return quickest(3, 0, func() {
			up.reset()
			g.do(request{path: chatPath, body: body, key: badInputsKey}).want(t, 200)
		})
	}
	ask(1000)
	for try := 0; ; try++ {
		half, full := ask(100_000), ask(200_000)
		if full*2 <= half*5 {
			break
		}
		if try == 2 {
			t.Errorf("100,000 messages take %v, 200,000 %v: more than 2.5 times as long", half, full)
			break
		}
	}
}

// A body without a length is counted as it comes, and what has come is all
// that is held of it.
func TestABodyOfUnknownLengthIsCutAtTheLimit(t *testing.T) {
	g, up := badInputsGateway(t, new(script))
	const chunk = 1 << 20
	text, body := strings.Repeat("x", chunk), []string{"Transfer-Encoding: chunked\r\n\r\n"}
	for range 33 {
		body = append(body, fmt.Sprintf("%x\r\n", chunk), text, "\r\n")
	}
	var got response
	grown := memoryUse(func() { got = g.rawAs(badInputsKey, chatPath, body...) })
	got.wantError(t, translate.Chat, 413, true)
	if grown > 80 {
		t.Errorf("memory grew by %d MB, want at most 80", grown)
	}
	t.Logf("memory grew by %d MB", grown)
	if n := len(up.all()); n != 0 {
		t.Errorf("upstream calls = %d, want 0", n)
	}
}
