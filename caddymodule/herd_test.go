package caddymodule

import (
	"net/http"
	"sync"
	"testing"
	"time"
)

// herd is how many clients come at the same moment.
const herd = 500

// together sends the same request by all of a herd at once and passes the answers
// on as they come.
func (g *gateway) together() <-chan response {
	answers := make(chan response, herd)
	var ready sync.WaitGroup
	ready.Add(herd)
	for range herd {
		go func() {
			ready.Done()
			ready.Wait()
			answers <- g.post(chatPath, chatRequest)
		}()
	}
	return answers
}

// heldKey is an upstream that limits one key once and then holds its calls until
// it is told to answer them.
type heldKey struct {
	key     string
	limit   sync.Once
	held    chan struct{} // one for each call that is held
	release chan struct{}
}

func newHeldKey(key string) *heldKey {
	return &heldKey{key: key, held: make(chan struct{}, herd), release: make(chan struct{})}
}

// ServeHTTP implements http.Handler.
func (h *heldKey) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := answers(200, chatAnswer)
	if r.Header.Get("Authorization") == "Bearer "+h.key {
		limited := false
		h.limit.Do(func() { limited = true })
		if limited {
			answer = answers(429, rateLimited, "Retry-After", "1")
		} else {
			h.held <- struct{}{}
			<-h.release
		}
	}
	answer(w, r)
}

func TestB4HerdAtRecoveryUsesTheOtherKeyMeanwhile(t *testing.T) {
	upstream := newHeldKey("k1")
	up := serve(t, upstream)
	t.Setenv("P_API_KEY_1", "k1")
	t.Setenv("P_API_KEY_2", "k2")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	g.post(chatPath, chatRequest).want(t, 200)
	halfOpen(t)
	began := time.Now()
	answers := g.together()
	for range herd - 1 {
		(<-answers).want(t, 200)
	}
	t.Logf("%d of %d clients were answered within %v, by the other key", herd-1, herd, time.Since(began))
	if n := len(upstream.held); n != 1 {
		t.Errorf("%d requests use the half-open key before its first success, want 1", n)
	}
	close(upstream.release)
	(<-answers).want(t, 200)
	g.post(chatPath, chatRequest).want(t, 200)
	g.post(chatPath, chatRequest).want(t, 200)
	if n := len(upstream.held); n != 2 {
		t.Errorf("%d uses of the key after its success, want it to take turns again", n)
	}
}

func TestB4HerdAtRecoveryOfTheOnlyKeyIsAnsweredAtOnce(t *testing.T) {
	upstream := newHeldKey("k")
	g, up := oneKey(t, upstream, "")
	g.post(chatPath, chatRequest).want(t, 429)
	halfOpen(t)
	began := time.Now()
	answers := g.together()
	for range herd - 1 {
		got := (<-answers).want(t, 429)
		if after, n := got.header.Get("Retry-After"), got.header.Get("Llm-Proxy-Attempts"); after != "1" || n != "0" {
			t.Fatalf("Retry-After %q after %s attempts, want 1 after 0", after, n)
		}
	}
	t.Logf("%d of %d clients were sent away within %v", herd-1, herd, time.Since(began))
	close(upstream.release)
	(<-answers).want(t, 200)
	if n := len(up.all()); n != 2 {
		t.Errorf("calls = %d, want 2: the limited one and the probe", n)
	}
}

func TestB4AProbeThatFailsDoublesTheRest(t *testing.T) {
	g, up := oneKey(t, answers(429, rateLimited, "Retry-After", "1"), "")
	for i, want := range []string{"1", "2", "4"} {
		if got := g.post(chatPath, chatRequest).want(t, 429); got.header.Get("Retry-After") != want {
			t.Errorf("Retry-After after the probe %d = %q, want %q", i, got.header.Get("Retry-After"), want)
		}
		if got := g.post(chatPath, chatRequest).want(t, 429); got.header.Get("Retry-After") != want || got.header.Get("Llm-Proxy-Attempts") != "0" {
			t.Errorf("then Retry-After = %q after %s attempts, want %q after 0", got.header.Get("Retry-After"), got.header.Get("Llm-Proxy-Attempts"), want)
		}
		if n := len(up.all()); n != i+1 {
			t.Errorf("calls = %d, want %d", n, i+1)
		}
		if i < 2 {
			halfOpen(t)
		}
	}
}
