package caddymodule

import (
	"context"
	"errors"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// lastWords is how long before the end of Caddy's grace_period streams are ended:
// Caddy closes the connections of those that are left without a word, and what a
// client then has looks like a network fault.
const lastWords = 500 * time.Millisecond

// farewell ends the streams of a process that exits in time to say so. Where no
// grace_period is set, Caddy waits for streams as long as they take.
type farewell struct{ ctx caddy.Context }

// subscribe has the request logs configured when the configuration has started, and
// the streams ended when Caddy stops for good.
func subscribe(ctx caddy.Context) error {
	app, err := ctx.App("events")
	if err != nil {
		return err
	}
	events := app.(*caddyevents.App)
	return errors.Join(events.On("started", logStarter{}), events.On("stopping", &farewell{ctx}))
}

// Handle implements caddyevents.Handler.
func (f *farewell) Handle(context.Context, caddy.Event) error {
	if !caddy.Exiting() {
		return nil // a reload, which lets streams go on
	}
	app, err := f.ctx.AppIfConfigured("http")
	if err != nil {
		return err
	}
	server := app.(*caddyhttp.App)
	if grace := time.Duration(server.GracePeriod); grace > 0 {
		time.AfterFunc(time.Duration(server.ShutdownDelay)+max(grace-lastWords, grace/2), routing.EndCalls)
	}
	return nil
}

// Interface guard
var _ caddyevents.Handler = (*farewell)(nil)
