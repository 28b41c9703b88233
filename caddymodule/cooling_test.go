package caddymodule

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// oneKey is a gateway with one route and one key.
func oneKey(t *testing.T, answer http.Handler, directive string) (*gateway, *upstream) {
	t.Helper()
	up := serve(t, answer)
	t.Setenv("P_API_KEY", "k")
	return start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		directive: directive,
	}), up
}

func TestWhenEverythingRestsTheStatusSaysWhy(t *testing.T) {
	limited := answers(429, rateLimited, "Retry-After", "50")
	refused := answers(401, `{"error":{"message":"bad key","code":"invalid_api_key"}}`)
	for _, tc := range []struct {
		name          string
		first, second http.Handler
		status        int
		after         int
	}{
		{"all rate limited", limited, answers(429, rateLimited, "Retry-After", "40"), 429, 40},
		{"one refused", limited, refused, 503, 50},
		{"all refused", refused, refused, 503, 300},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, a, b := twoProviders(t, tc.first, tc.second)
			g.post(chatPath, chatRequest)
			for _, path := range []string{chatPath, "/v1/messages"} {
				got := g.post(path, chatRequest).want(t, tc.status)
				after, err := strconv.Atoi(got.header.Get("Retry-After"))
				if err != nil || after > tc.after || after < tc.after-5 {
					t.Errorf("%s: Retry-After = %q, want what is left of %d", path, got.header.Get("Retry-After"), tc.after)
				}
				if n := got.header.Get("Llm-Proxy-Attempts"); n != "0" {
					t.Errorf("%s: Llm-Proxy-Attempts = %s, want 0", path, n)
				}
			}
			if len(a.all()) != 1 || len(b.all()) != 1 {
				t.Errorf("calls = %d and %d, want 1 and 1", len(a.all()), len(b.all()))
			}
		})
	}
}

func TestARequestMayWaitForAShortRest(t *testing.T) {
	g, up := oneKey(t, inTurn(answers(429, rateLimited, "Retry-After", "1"), answers(200, chatAnswer)), "wait 5s")
	began := time.Now()
	got := g.post(chatPath, chatRequest).want(t, 200)
	if took := time.Since(began); took < time.Second {
		t.Errorf("answered after %v, before the provider had its second", took)
	}
	if n := got.header.Get("Llm-Proxy-Attempts"); n != "2" || len(up.all()) != 2 {
		t.Errorf("Llm-Proxy-Attempts = %s, calls = %d; want 2 and 2", n, len(up.all()))
	}
}

func TestARequestDoesNotWaitForALongRest(t *testing.T) {
	g, up := oneKey(t, answers(429, rateLimited, "Retry-After", "40"), "wait 5s")
	began := time.Now()
	g.post(chatPath, chatRequest).want(t, 429)
	g.post(chatPath, chatRequest).want(t, 429)
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("answered after %v, want at once", took)
	}
	if len(up.all()) != 1 {
		t.Errorf("calls = %d, want 1", len(up.all()))
	}
}

// crowd is what an upstream sees of a herd: how many requests it had at the same
// time before the first of them was answered.
type crowd struct {
	limited  atomic.Bool // whether it has said so
	inside   atomic.Int32
	most     atomic.Int32
	answered atomic.Bool
}

func (c *crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if c.limited.CompareAndSwap(false, true) {
		answers(429, rateLimited, "Retry-After", "1")(w, r)
		return
	}
	n := c.inside.Add(1)
	defer c.inside.Add(-1)
	if !c.answered.Load() {
		for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
		}
		<-time.After(200 * time.Millisecond) // it takes its time to answer
		c.answered.Store(true)
	}
	answers(200, chatAnswer)(w, r)
}

func TestB4HerdAtRecovery(t *testing.T) {
	upstream := new(crowd)
	g, _ := oneKey(t, upstream, "wait 20s")
	const clients = 500
	first := make(chan int, 1)
	go func() { first <- g.post(chatPath, chatRequest).status }()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(admin(t, http.MethodGet, "/llm_proxy/keys", "").body, "rate_limited"); {
		if time.Now().After(end) {
			t.Fatal("the key does not rest")
		}
	}
	var ready, done sync.WaitGroup
	statuses := make([]atomic.Int32, 600)
	ready.Add(clients)
	done.Add(clients)
	for range clients {
		go func() {
			defer done.Done()
			ready.Done()
			ready.Wait()
			statuses[g.post(chatPath, chatRequest).status].Add(1)
		}()
	}
	done.Wait()
	if status := <-first; status != 200 {
		t.Errorf("the one that met the limit: status %d", status)
	}
	if most := upstream.most.Load(); most != 1 {
		t.Errorf("%d requests used the half-open key at once before its first success, want 1", most)
	}
	if n := statuses[200].Load(); n != clients {
		t.Errorf("%d of %d clients were answered", n, clients)
	}
}
