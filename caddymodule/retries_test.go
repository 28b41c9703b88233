package caddymodule

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// RELIABILITY B4: what a scripted order of answers leaves of a rest. Three requests
// are under way when the first of them is limited for a minute; a shorter limit and
// a success that come late change nothing (LiteLLM #40130).
func TestB4OverlappingCooldowns(t *testing.T) {
	come := make(chan struct{}, 3)
	turns := map[string]chan http.HandlerFunc{}
	for _, name := range []string{"first", "second", "third"} {
		turns[name] = make(chan http.HandlerFunc, 1)
	}
	g, up := oneKey(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		come <- struct{}{}
		(<-turns[r.Header.Get("Session-Id")])(w, r)
	}), "")
	done := make(map[string]chan response)
	for name := range turns {
		ended := make(chan response, 1)
		done[name] = ended
		go func() {
			ended <- g.do(request{path: chatPath, body: chatRequest, header: map[string]string{"Session-Id": name}})
		}()
	}
	for range turns {
		<-come
	}
	for _, step := range []struct {
		name   string
		answer http.HandlerFunc
		status int
	}{
		{"first", answers(429, rateLimited, "Retry-After", "60"), 429},
		{"second", answers(429, rateLimited, "Retry-After", "1"), 429},
		{"third", answers(200, chatAnswer), 200},
	} {
		turns[step.name] <- step.answer
		(<-done[step.name]).want(t, step.status)
		got := g.post(chatPath, chatRequest).want(t, 429)
		after, err := strconv.Atoi(got.header.Get("Retry-After"))
		if err != nil || after < 59 || got.header.Get("Llm-Proxy-Attempts") != "0" {
			t.Errorf("after the answer to the %s: Retry-After %q after %s attempts, want 59 at least after 0",
				step.name, got.header.Get("Retry-After"), got.header.Get("Llm-Proxy-Attempts"))
		}
	}
	if n := len(up.all()); n != 3 {
		t.Errorf("calls = %d, want 3", n)
	}
}

// RELIABILITY B4: whatever an upstream says about when to come back, the client is
// told, within a second and an hour, and the key rests for as long.
func TestB4RetryAfterForms(t *testing.T) {
	// The upstream's clock is a day behind.
	clock := time.Now().UTC().Add(-24 * time.Hour)
	date := func(d time.Duration) string { return clock.Add(d).Format(http.TimeFormat) }
	for _, tc := range []struct {
		name   string
		header []string
		want   string
	}{
		{"seconds", []string{"Retry-After", "30"}, "30"},
		{"decimals", []string{"Retry-After", "2.5"}, "3"},
		{"milliseconds", []string{"Retry-After-Ms", "41500"}, "42"},
		{"a date by the upstream's clock", []string{"Retry-After", date(50 * time.Second), "Date", date(0)}, "50"},
		{"a past date", []string{"Retry-After", date(-time.Hour), "Date", date(0)}, "1"},
		{"nothing", []string{"Retry-After", "0"}, "1"},
		{"a negative number", []string{"Retry-After", "-5"}, "1"},
		{"far too much", []string{"Retry-After", "100000000000000000000"}, "3600"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, up := oneKey(t, answers(429, rateLimited, tc.header...), "cooldown 1s")
			for range 2 {
				if got := g.post(chatPath, chatRequest).want(t, 429); got.header.Get("Retry-After") != tc.want {
					t.Errorf("Retry-After = %q, want %q", got.header.Get("Retry-After"), tc.want)
				}
			}
			if n := len(up.all()); n != 1 {
				t.Errorf("calls = %d, want 1", n)
			}
		})
	}
}

// RELIABILITY B4: while every key rests, nobody is asked and nobody waits.
func TestB4AllKeysCooling(t *testing.T) {
	const atOnce = 5 * time.Millisecond
	for _, tc := range []struct {
		name   string
		second http.Handler
		status int
		after  int
	}{
		{"all limited", answers(429, rateLimited, "Retry-After", "70"), 429, 40},
		{"one refused", answers(401, `{"error":{"message":"bad key","code":"invalid_api_key"}}`), 503, 40},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, a, b := twoProviders(t, answers(429, rateLimited, "Retry-After", "40"), tc.second)
			g.post(chatPath, chatRequest)
			began := time.Now()
			for _, d := range dialects {
				var took moments
				for range 50 {
					asked := time.Now()
					got := g.post(d.path, d.streamed).want(t, tc.status)
					took = append(took, time.Since(asked))
					after, err := strconv.Atoi(got.header.Get("Retry-After"))
					// Rounded up: never a moment too early.
					if least := tc.after - int(time.Since(began).Seconds()) - 1; err != nil || after < least || after > tc.after {
						t.Errorf("%s: Retry-After = %q, want what is left of %d", d.name, got.header.Get("Retry-After"), tc.after)
					}
					if message, _ := got.get(t, "error", "message").(string); message == "" {
						t.Errorf("%s: no error of the protocol in %s", d.name, got.body)
					}
				}
				t.Logf("%s: p50 %v, p99 %v", d.name, took.percentile(50), took.percentile(99))
				if p50 := took.percentile(50); p50 > atOnce {
					t.Errorf("%s: answered after %v (p50), want %v at most", d.name, p50, atOnce)
				}
			}
			if len(a.all()) != 1 || len(b.all()) != 1 {
				t.Errorf("calls = %d and %d, want 1 and 1", len(a.all()), len(b.all()))
			}
		})
	}
}

// RELIABILITY B4: a request that breaks every upstream must not take the keys from
// everybody else.
func TestB4PoisonRequest(t *testing.T) {
	const poison, keysOfA, keysOfB = "poison", 10, 3
	upstream := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Session-Id") == poison {
			answers(500, brokenBody)(w, r)
			return
		}
		answers(200, chatAnswer)(w, r)
	})
	a, b := serve(t, upstream), serve(t, upstream)
	for i := range keysOfA {
		t.Setenv(fmt.Sprintf("A_API_KEY_%d", i+1), fmt.Sprintf("a-%d", i+1))
	}
	for i := range keysOfB {
		t.Setenv(fmt.Sprintf("B_API_KEY_%d", i+1), fmt.Sprintf("b-%d", i+1))
	}
	g := start(t, setup{
		providers: map[string]string{"a": provider("a", a.url, ""), "b": provider("b", b.url, "")},
		models:    map[string]string{"m": model("m", "", "a/up", "b/up")},
	})
	most := 0
	for range 20 {
		got := g.do(request{path: chatPath, body: chatRequest, header: map[string]string{"Session-Id": poison}}).want(t, 502)
		n, err := strconv.Atoi(got.header.Get("Llm-Proxy-Attempts"))
		if err != nil {
			t.Fatal(err)
		}
		most = max(most, n)
		if got := g.post(chatPath, chatRequest).want(t, 200); got.header.Get("Llm-Proxy-Attempts") != "1" {
			t.Errorf("another client's request needed %s attempts, want 1", got.header.Get("Llm-Proxy-Attempts"))
		}
	}
	t.Logf("a poison request caused %d calls at most", most)
	if most > 4 {
		t.Errorf("a poison request caused %d calls, want 4 at most: two keys of each route", most)
	}
	if said := admin(t, http.MethodGet, "/llm_proxy/keys", "").want(t, 200).body; strings.Contains(said, `"why"`) {
		t.Errorf("a key rests: %s", said)
	}
	used := append(a.keysUsed(), b.keysUsed()...)
	slices.Sort(used)
	t.Logf("%d of %d keys were used", len(slices.Compact(used)), keysOfA+keysOfB)
}
