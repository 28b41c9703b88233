package caddymodule

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

// hedgedModel is a model with two routes, of which the second is asked beside the
// first when that has shown nothing for a while.
func hedgedModel(t *testing.T, first, second http.Handler, directive string) (*gateway, *upstream, *upstream) {
	t.Helper()
	a, b := serve(t, first), serve(t, second)
	t.Setenv("A_API_KEY", "a-key")
	t.Setenv("B_API_KEY", "b-key")
	return start(t, setup{
		providers: map[string]string{"a": provider("a", a.url, ""), "b": provider("b", b.url, "")},
		models:    map[string]string{"m": model("m", `"hedge_after": "30ms",`, "a/up", "b/up")},
		directive: directive,
	}), a, b
}

// untilGone holds a request until its client leaves, and tells that it has.
func untilGone(gone chan<- struct{}) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		gone <- struct{}{}
	}
}

func TestASilentAttemptIsOutrunByAHedge(t *testing.T) {
	gone := make(chan struct{}, 1)
	g, a, b := hedgedModel(t, untilGone(gone), answers(200, chatStream, "Content-Type", "text/event-stream"), "")
	got := g.post(chatPath, chatStreamed).want(t, 200)
	if got.body != chatStream || got.err != nil {
		t.Errorf("stream = %q, %v; want the second route's, whole", got.body, got.err)
	}
	if p, n := got.header.Get("Llm-Proxy-Provider"), got.header.Get("Llm-Proxy-Attempts"); p != "b" || n != "2" {
		t.Errorf("Llm-Proxy-Provider, -Attempts = %s, %s; want b, 2: the loser is accounted", p, n)
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Fatal("the loser was not cancelled")
	}
	if len(a.all()) != 1 || len(b.all()) != 1 {
		t.Errorf("calls = %d and %d, want 1 and 1", len(a.all()), len(b.all()))
	}
	// To be slower than another is no fault.
	if again := g.post(chatPath, chatStreamed); again.status != 200 {
		t.Errorf("a request afterwards: status %d", again.status)
	}
	<-gone
}

func TestAQuickAnswerIsNotHedged(t *testing.T) {
	g, a, b := hedgedModel(t, answers(200, chatAnswer), answers(200, chatAnswer), "")
	g.post(chatPath, chatRequest).want(t, 200)
	if len(a.all()) != 1 || len(b.all()) != 0 {
		t.Errorf("calls = %d and %d, want 1 and 0", len(a.all()), len(b.all()))
	}
}

func TestAHedgeThatFailsLeavesTheFirstAttemptAlone(t *testing.T) {
	g, a, b := hedgedModel(t, thinking(300*time.Millisecond, answers(200, chatAnswer)), answers(500, brokenBody), "")
	got := g.post(chatPath, chatRequest).want(t, 200)
	if p := got.header.Get("Llm-Proxy-Provider"); p != "a" {
		t.Errorf("Llm-Proxy-Provider = %s, want a", p)
	}
	if len(a.all()) != 1 || len(b.all()) != 1 {
		t.Errorf("calls = %d and %d, want 1 and 1", len(a.all()), len(b.all()))
	}
}

func TestWhenBothBranchesOfAHedgeFailTheClientHearsOfIt(t *testing.T) {
	g, _, _ := hedgedModel(t, thinking(100*time.Millisecond, answers(500, brokenBody)), answers(429, rateLimited, "Retry-After", "7"), "")
	got := g.post(chatPath, chatRequest).want(t, 502)
	if n := got.header.Get("Llm-Proxy-Attempts"); n != "2" {
		t.Errorf("Llm-Proxy-Attempts = %s, want 2", n)
	}
}

func TestAHedgeSpendsTheRetryBudget(t *testing.T) {
	// One per second at most: of ten requests at once, one is hedged, or two where
	// they take so long.
	g, _, b := hedgedModel(t, thinking(200*time.Millisecond, answers(200, chatAnswer)), answers(200, chatAnswer), "retry_budget 0 1")
	done := make(chan string, 10)
	for range 10 {
		go func() { done <- g.post(chatPath, chatRequest).header.Get("Llm-Proxy-Provider") }()
	}
	from := strings.Builder{}
	for range 10 {
		from.WriteString(<-done)
	}
	if n := len(b.all()); n < 1 || n > 2 {
		t.Errorf("hedges = %d, want 1 or 2; answers came from %s", n, from.String())
	}
}
