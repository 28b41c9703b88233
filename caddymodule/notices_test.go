package caddymodule

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

func init() {
	caddy.RegisterModule(listener{})
}

// listener is an event handler that does what a test says.
type listener struct{}

var theListener atomic.Pointer[func(caddy.Event)]

// hear hands events to a function until the test ends. The configuration has
// to subscribe the listener.
func hear(t *testing.T, to func(caddy.Event)) {
	theListener.Store(&to)
	t.Cleanup(func() { theListener.Store(nil) })
}

// CaddyModule implements caddy.Module.
func (listener) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "events.handlers.listener", New: func() caddy.Module { return new(listener) }}
}

// UnmarshalCaddyfile implements caddyfile.Unmarshaler.
func (*listener) UnmarshalCaddyfile(*caddyfile.Dispenser) error { return nil }

// Handle implements caddyevents.Handler.
func (listener) Handle(_ context.Context, e caddy.Event) error {
	if to := theListener.Load(); to != nil {
		(*to)(e)
	}
	return nil
}

// Interface guard
var _ caddyevents.Handler = (*listener)(nil)

// told is an event as the tests compare it.
func told(e caddy.Event) string {
	seconds := "0"
	if e.Data["seconds"].(float64) > 0 {
		seconds = "some"
	}
	return fmt.Sprintf("%s provider=%v model=%v key=%t scope=%v reason=%v seconds=%s",
		e.Name(), e.Data["provider"], e.Data["model"], e.Data["key_id"] != "", e.Data["scope"], e.Data["reason"], seconds)
}

// listened is a gateway whose events go to the listener: one route to an upstream
// that the test minds.
func listened(t *testing.T, up http.Handler, events, directive string) *gateway {
	t.Helper()
	t.Setenv("P_API_KEY", "k")
	return start(t, setup{
		providers: map[string]string{"p": provider("p", serve(t, up).url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		directive: directive,
		global:    "events {\n" + events + "\n}",
	})
}

func TestEventsTellWhatHappensToKeysAndRoutes(t *testing.T) {
	var upstream atomic.Pointer[http.HandlerFunc]
	behave := func(h http.HandlerFunc) { upstream.Store(&h) }
	g := listened(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*upstream.Load())(w, r) }),
		"on llm_key_cooldown listener\n on llm_key_recovered listener\n on llm_route_open listener\n on llm_route_close listener",
		"breaker {\n failures 3\n open 1s\n}")
	events := make(chan string, 100)
	hear(t, func(e caddy.Event) { events <- told(e) })
	next := func() string {
		select {
		case e := <-events:
			return e
		case <-time.After(10 * time.Second):
			return "nothing within 10s"
		}
	}
	behave(answers(429, rateLimited, "Retry-After", "1"))
	g.post(chatPath, chatRequest).want(t, 429)
	if got, want := next(), "llm_key_cooldown provider=p model=up key=true scope=key_model reason=rate_limited seconds=some"; got != want {
		t.Errorf("event %q, want %q", got, want)
	}

	behave(answers(200, chatAnswer))
	comesTrue(t, "the key does not come back", func() bool { return g.post(chatPath, chatRequest).status == 200 })
	if got, want := next(), "llm_key_recovered provider=p model=up key=true scope= reason= seconds=0"; got != want {
		t.Errorf("event %q, want %q", got, want)
	}

	for _, tc := range []struct {
		upstream http.HandlerFunc
		want     string
	}{
		{answers(500, brokenBody), "llm_route_open provider=p model=up key=false scope= reason= seconds=some"},
		{answers(200, chatAnswer), "llm_route_close provider=p model=up key=false scope= reason= seconds=0"},
	} {
		behave(tc.upstream)
		var seen []string
		comesTrue(t, "there is no event "+tc.want, func() bool {
			g.post(chatPath, chatRequest)
			for len(events) > 0 {
				seen = append(seen, <-events)
			}
			return slices.Contains(seen, tc.want)
		})
	}
}

func TestNoRequestWaitsForAnEventHandler(t *testing.T) {
	g := listened(t, answers(429, rateLimited, "Retry-After", "60"), "on * listener", "")
	dropped := metric(t, "caddy_llm_proxy_events_dropped_total")
	busy, done := make(chan struct{}), make(chan struct{})
	handled := 0
	hear(t, func(e caddy.Event) {
		if e.Name() != "llm_key_cooldown" {
			return
		}
		if handled++; handled == 1 {
			close(busy)
			<-done
		}
	})
	g.post(chatPath, chatRequest).want(t, 429)
	<-busy
	const more = maxNotices + 10
	for range more {
		admin(t, http.MethodPost, "/llm_proxy/keys/reset", "").want(t, 200)
		g.post(chatPath, chatRequest).want(t, 429)
	}
	if n := metric(t, "caddy_llm_proxy_events_dropped_total") - dropped; n != more-maxNotices {
		t.Errorf("%v events were dropped, want %d", n, more-maxNotices)
	}
	close(done)
}

func TestAPanicOfAnEventHandlerIsNotOurs(t *testing.T) {
	g := listened(t, answers(429, rateLimited, "Retry-After", "60"), "on llm_key_cooldown listener", "")
	events := make(chan string, 10)
	hear(t, func(e caddy.Event) {
		events <- e.Name()
		panic("a fault of the handler")
	})
	for range 2 {
		g.post(chatPath, chatRequest).want(t, 429)
		admin(t, http.MethodPost, "/llm_proxy/keys/reset", "").want(t, 200)
		select {
		case <-events:
		case <-time.After(10 * time.Second):
			t.Fatal("no event within 10s")
		}
	}
}

func TestNothingIsQueuedWhenNobodyListens(t *testing.T) {
	for _, tc := range []struct {
		events string
		queued int
	}{{"", 0}, {"on other listener", 0}, {"on llm_key_cooldown listener", 1}, {"on * listener", 1}} {
		listened(t, answers(200, chatAnswer), tc.events, "")
		ctx, end := caddy.NewContext(caddy.ActiveContext())
		n, err := newNotices(ctx, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		n.names = new(routeNames)
		name := `caddy_llm_proxy_cooldowns_total{provider="unheard",reason="rate_limited",scope="key_model"}`
		counted := metric(t, name)
		cooldown := routing.Notice{Kind: routing.KeyCooldown, Provider: "unheard", KeyID: "12345678", Why: keys.ReasonRateLimited, For: time.Minute}
		n.notify(cooldown)
		end()
		// The configuration is gone, and its event handlers with it.
		n.notify(cooldown)
		if len(n.queue) != tc.queued {
			t.Errorf("%q: %d notices are queued, want %d", tc.events, len(n.queue), tc.queued)
		}
		if n := metric(t, name) - counted; n != 2 {
			t.Errorf("%q: %v cooldowns are counted, want 2", tc.events, n)
		}
	}
}
