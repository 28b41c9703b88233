package caddymodule

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// routed counts the requests that each of several upstreams got, and answers them
// all the same.
func routed(t *testing.T, policy string, weights ...float64) (*gateway, []*upstream) {
	t.Helper()
	s := setup{providers: map[string]string{}, models: map[string]string{}}
	routes, ups := "", []*upstream(nil)
	for i, weight := range weights {
		name := fmt.Sprintf("p%d", i)
		up := serve(t, answers(200, chatAnswer))
		t.Setenv(fmt.Sprintf("P%d_API_KEY", i), "k")
		s.providers[name] = provider(name, up.url, "")
		if i > 0 {
			routes += ","
		}
		routes += fmt.Sprintf(`{"provider": %q, "model": "up", "weight": %v}`, name, weight)
		ups = append(ups, up)
	}
	s.models["m"] = fmt.Sprintf(`{"logical_name": "m", "policy": %q, "model_routings": [%s]}`, policy, routes)
	return start(t, s), ups
}

func TestWeightedRoutesGetTheirShare(t *testing.T) {
	g, ups := routed(t, "weighted", 3, 1, 0)
	const n = 800
	for range n {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	// 600 of 800 with a standard deviation of 12; five of them either way.
	if got := len(ups[0].all()); got < 540 || got > 660 {
		t.Errorf("the route with 3 of 4 shares got %d of %d requests, want about 600", got, n)
	}
	if got := len(ups[2].all()); got != 0 {
		t.Errorf("the route with weight 0 got %d requests, want none while others answer", got)
	}
}

func TestAConversationKeepsItsRouteUnlessTheOrderIsFixed(t *testing.T) {
	for policy, want := range map[string]bool{"weighted": true, "least_busy": true, "least_latency": true} {
		t.Run(policy, func(t *testing.T) {
			g, ups := routed(t, policy, 1, 1, 1, 1)
			for range 30 {
				g.do(request{path: chatPath, body: chatRequest, header: map[string]string{"Session-Id": "one"}}).want(t, 200)
			}
			used := 0
			for _, up := range ups {
				if len(up.all()) > 0 {
					used++
				}
			}
			if (used == 1) != want {
				t.Errorf("the conversation used %d routes", used)
			}
		})
	}
}

func TestTheLeastBusyRouteIsAskedFirst(t *testing.T) {
	g, ups := routed(t, "least_busy", 1, 1)
	release := make(chan struct{})
	busy := make(chan struct{}, 8)
	for _, up := range ups {
		up.next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			busy <- struct{}{}
			<-release
			answers(200, chatAnswer)(w, r)
		})
	}
	done := make(chan int, 8)
	for range 8 {
		go func() { done <- g.post(chatPath, chatRequest).status }()
		<-busy // the next one must find this one in flight
	}
	if a, b := len(ups[0].all()), len(ups[1].all()); a != 4 || b != 4 {
		t.Errorf("requests in flight = %d and %d, want 4 and 4", a, b)
	}
	close(release)
	for range 8 {
		if status := <-done; status != 200 {
			t.Errorf("status %d", status)
		}
	}
}

func TestTheQuickerRouteIsAskedFirst(t *testing.T) {
	g, ups := routed(t, "least_latency", 1, 1)
	ups[0].next = thinking(50*time.Millisecond, answers(200, chatAnswer))
	for range 20 {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	if slow := len(ups[0].all()); slow < 1 || slow > 3 {
		t.Errorf("the slow route got %d of 20 requests, want a look at it and no more", slow)
	}
}

// slowly answers after a while, as an upstream does that thinks.
func thinking(d time.Duration, h http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
			h.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}
}
