package caddymodule

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestAProviderThatFailsIsPassedOverUntilAProbeSucceeds(t *testing.T) {
	var well atomic.Bool
	first := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if well.Load() {
			answers(200, chatAnswer)(w, r)
			return
		}
		answers(500, brokenBody)(w, r)
	})
	a, b := serve(t, first), serve(t, answers(200, chatAnswer))
	t.Setenv("A_API_KEY", "a-key")
	t.Setenv("B_API_KEY", "b-key")
	g := start(t, setup{
		providers: map[string]string{"a": provider("a", a.url, ""), "b": provider("b", b.url, "")},
		models:    map[string]string{"m": model("m", "", "a/up", "b/up")},
		directive: "breaker {\n failures 3\n open 1s\n }",
	})
	for range 10 {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	if n := len(a.all()); n != 3 {
		t.Fatalf("calls to the failing provider = %d, want 3: then its breaker is open", n)
	}
	well.Store(true)
	for end := time.Now().Add(10 * time.Second); ; {
		got := g.post(chatPath, chatRequest).want(t, 200)
		if got.header.Get("Llm-Proxy-Provider") == "a" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("no probe after the breaker's time")
		}
	}
	g.post(chatPath, chatRequest).want(t, 200)
	if n := len(a.all()); n != 5 {
		t.Errorf("calls to the provider = %d, want 5: closed after the probe", n)
	}
}

func TestTheLastRouteIsNeverBlackedOutByFaultsOfItsUpstream(t *testing.T) {
	var well atomic.Bool
	g, up := oneKey(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if well.Load() {
			answers(200, chatAnswer)(w, r)
			return
		}
		answers(503, brokenBody, "Retry-After", "120")(w, r)
	}), "")
	for range 10 {
		got := g.post(chatPath, chatRequest).want(t, 503)
		if after := got.header.Get("Retry-After"); after != "120" {
			t.Errorf("Retry-After = %q, want the provider's 120", after)
		}
	}
	if n := len(up.all()); n != 10 {
		t.Errorf("calls = %d, want 10: with nothing else to ask, it is asked", n)
	}
	well.Store(true)
	g.post(chatPath, chatRequest).want(t, 200)
}

func TestTheClientsOwnMistakesOpenNoBreaker(t *testing.T) {
	mistake := answers(400, `{"error":{"message":"temperature: must be at most 2","type":"invalid_request_error"}}`)
	g, a, b := twoProviders(t, mistake, answers(200, chatAnswer))
	for range 10 {
		g.post(chatPath, chatRequest).want(t, 400)
	}
	if len(a.all()) != 10 || len(b.all()) != 0 {
		t.Errorf("calls = %d and %d, want 10 and 0", len(a.all()), len(b.all()))
	}
}

// RELIABILITY B4: an outage must not get more requests than there are.
func TestB4RetryStorm(t *testing.T) {
	const perSecond, seconds = 400, 4
	g, a, b := twoProviders(t, answers(500, brokenBody), answers(500, brokenBody))
	calls := func() int { return len(a.all()) + len(b.all()) }
	ticker := time.NewTicker(time.Second / perSecond)
	defer ticker.Stop()
	var done sync.WaitGroup
	began, sent, before := time.Now(), 0, 0
	var settled time.Time
	for n := range perSecond * seconds {
		<-ticker.C
		if n == perSecond { // what happens before anything is known of the outage is not measured
			done.Wait()
			settled, before = time.Now(), calls()
		}
		if n >= perSecond {
			sent++
		}
		done.Add(1)
		go func() {
			defer done.Done()
			if status := g.post(chatPath, chatRequest).status; status != 502 {
				t.Errorf("status %d, want 502", status)
			}
		}()
	}
	done.Wait()
	took := time.Since(settled).Seconds()
	got, most := calls()-before, 1.2*float64(sent)+10*(took+1)
	t.Logf("%d requests in %.1f s caused %d calls; %d calls in the first %.1f s", sent, took, got, before, settled.Sub(began).Seconds())
	if float64(got) > most {
		t.Errorf("calls = %d for %d requests in %.1f s, want at most %.0f", got, sent, took, most)
	}
	if got <= sent {
		t.Errorf("calls = %d for %d requests: nothing was retried at all", got, sent)
	}
}

// What is well needs no budget, so a request that has used up what there is goes
// on to it.
func TestAUsedUpRetryBudgetKeepsNobodyFromARouteThatIsWell(t *testing.T) {
	const requests = 30
	a, b := serve(t, answers(500, brokenBody)), serve(t, answers(200, chatAnswer))
	t.Setenv("A_API_KEY_1", "a-1")
	t.Setenv("A_API_KEY_2", "a-2")
	t.Setenv("B_API_KEY", "b-key")
	g := start(t, setup{
		providers: map[string]string{"a": provider("a", a.url, ""), "b": provider("b", b.url, "")},
		models:    map[string]string{"m": model("m", "", "a/up", "b/up")},
		directive: "breaker off\n retry_budget 0 1",
	})
	for range requests {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	if n := len(a.all()); n < requests || n == 2*requests {
		t.Errorf("calls to the failing provider = %d for %d requests, want the budget to bound its second ones", n, requests)
	}
	if n := len(b.all()); n != requests {
		t.Errorf("calls to the one that is well = %d, want %d", n, requests)
	}
}

func TestTheLeastIllRouteIsTheFirstOfTheLastResorts(t *testing.T) {
	var well atomic.Bool
	a := serve(t, answers(500, brokenBody))
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if well.Load() {
			answers(200, chatAnswer)(w, r)
			return
		}
		answers(500, brokenBody)(w, r)
	}))
	t.Setenv("A_API_KEY_1", "a-1")
	t.Setenv("A_API_KEY_2", "a-2")
	t.Setenv("B_API_KEY", "b-key")
	g := start(t, setup{
		providers: map[string]string{"a": provider("a", a.url, ""), "b": provider("b", b.url, "")},
		models:    map[string]string{"m": model("m", "", "a/up", "b/up")},
	})
	for range 3 { // both breakers are open then, and a has failed twice as often
		g.post(chatPath, chatRequest).want(t, 502)
	}
	well.Store(true)
	a.reset()
	got := g.post(chatPath, chatRequest).want(t, 200)
	if n := got.header.Get("Llm-Proxy-Attempts"); n != "1" || len(a.all()) != 0 {
		t.Errorf("attempts = %s, %d of them at the route that has failed more often; want 1 and 0", n, len(a.all()))
	}
}
