package caddymodule

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	caddy.RegisterModule(doorman{})
	httpcaddyfile.RegisterHandlerDirective("doorman", func(httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		return doorman{}, nil
	})
	httpcaddyfile.RegisterDirectiveOrder("doorman", httpcaddyfile.Before, "templates")
}

// doorman stands before the gateway, as an authentication or a rate limit
// does, and tells the test which requests come and go.
type doorman struct{}

// door is what the doorman of a test does.
type door struct {
	// enter may hold a request back.
	enter func(*http.Request)
	// leave is told when the gateway is done with a request.
	leave func(*http.Request)
}

var theDoor atomic.Pointer[door]

// mind lets the doorman do as said until the test ends. The site has to have
// the directive.
func mind(t *testing.T, d door) {
	theDoor.Store(&d)
	t.Cleanup(func() { theDoor.Store(nil) })
}

// CaddyModule implements caddy.Module.
func (doorman) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.doorman", New: func() caddy.Module { return doorman{} }}
}

// ServeHTTP implements caddyhttp.MiddlewareHandler.
func (doorman) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	d := theDoor.Load()
	if d != nil && d.enter != nil {
		d.enter(r)
	}
	if d != nil && d.leave != nil {
		defer d.leave(r)
	}
	return next.ServeHTTP(w, r)
}

// comesTrue waits for something that the other side does not announce.
func comesTrue(t *testing.T, what string, condition func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("after 10s: %s", what)
		}
	}
}
