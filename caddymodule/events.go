package caddymodule

import (
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyevents"
	"go.uber.org/zap"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// maxNotices is how many notices may wait for slow handlers of events.
const maxNotices = 256

// notices are what happens to keys and routes, on its way to the metrics and to
// Caddy's event handlers. The latter run one after the other and may take their
// time, such as to send a mail, so requests only queue what happened.
type notices struct {
	ctx    caddy.Context
	events *caddyevents.App
	names  *routeNames
	logger *zap.Logger
	queue  chan routing.Notice
	ended  chan struct{}
}

// newNotices finds Caddy's events of a configuration.
func newNotices(ctx caddy.Context, logger *zap.Logger) (*notices, error) {
	app, err := ctx.App("events")
	if err != nil {
		return nil, fmt.Errorf("getting events app: %w", err)
	}
	return &notices{
		ctx:    ctx,
		events: app.(*caddyevents.App),
		logger: logger,
		queue:  make(chan routing.Notice, maxNotices),
		ended:  make(chan struct{}),
	}, nil
}

// notify takes a notice in. It never waits.
func (n *notices) notify(notice routing.Notice) {
	n.names.countNotice(&notice)
	if n.ctx.Err() != nil || !n.events.ShouldEmit(eventName(notice.Kind)) {
		// The configuration has gone, and its event handlers with it, or
		// nobody listens.
		return
	}
	select {
	case n.queue <- notice:
	default:
		eventsDroppedTotal.Inc()
	}
}

// start emits events until stop. names are those of the router that notifies.
func (n *notices) start(names *routeNames) {
	n.names = names
	go func() {
		for {
			select {
			case <-n.ended:
				n.drain()
				return
			case notice := <-n.queue:
				n.emit(&notice)
			}
		}
	}()
}

// stop ends the events. It does not wait for a handler that is at work.
func (n *notices) stop() { close(n.ended) }

// drain emits what is left. After a reload of the files the event handlers are
// those of before, and what happened until then is still theirs to know.
func (n *notices) drain() {
	for {
		select {
		case notice := <-n.queue:
			n.emit(&notice)
		default:
			return
		}
	}
}

func (n *notices) emit(notice *routing.Notice) {
	defer func() {
		// A fault of an event handler must not take the gateway with it.
		if fault := recover(); fault != nil {
			n.logger.Error("panic in an event handler",
				zap.String("event", eventName(notice.Kind)), zap.String("panic", describePanic(fault)))
		}
	}()
	if n.ctx.Err() == nil {
		n.events.Emit(n.ctx, eventName(notice.Kind), eventData(notice))
	}
}

// eventName is what Caddy calls a notice. It has to be without allocation,
// because it is asked for even where nobody listens.
func eventName(kind routing.NoticeKind) string {
	switch kind {
	case routing.KeyCooldown:
		return "llm_key_cooldown"
	case routing.KeyRecovered:
		return "llm_key_recovered"
	case routing.RouteOpen:
		return "llm_route_open"
	case routing.RouteClosed:
		return "llm_route_close"
	case routing.RetryRefused:
		return "llm_retry_refused"
	}
	return "llm_" + string(kind)
}

// eventData is what an event tells. All events have the same names, so that no
// placeholder of theirs stays literal.
func eventData(notice *routing.Notice) map[string]any {
	scope := ""
	if notice.Kind == routing.KeyCooldown {
		scope = notice.Scope.String()
	}
	return map[string]any{
		"provider": notice.Provider,
		"model":    notice.Model,
		"key_id":   notice.KeyID,
		"scope":    scope,
		"reason":   string(notice.Why),
		"seconds":  notice.For.Seconds(),
	}
}
