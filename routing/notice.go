package routing

import (
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
)

// Notice is something that the operator may want to hear of when it happens.
type Notice struct {
	Kind NoticeKind
	// Provider and Model (the upstream's name) are what was asked, and KeyID with
	// which key. Those are empty that have no part in it.
	Provider, Model, KeyID string
	// Scope and Why tell what a cooldown rests, which may be more than the key
	// for the model, and for what reason.
	Scope keys.Scope
	Why   keys.Reason
	// For is how long it lasts, where something begins.
	For time.Duration
}

// NoticeKind is what a notice is about. It serves as a label.
type NoticeKind string

// All notices there are.
const (
	KeyCooldown  NoticeKind = "key_cooldown"  // a key, or a whole provider, rests
	KeyRecovered NoticeKind = "key_recovered" // a key answered again after a rest
	RouteOpen    NoticeKind = "route_open"    // the breaker of a provider's model opened
	RouteClosed  NoticeKind = "route_closed"  // it closed again
	RetryRefused NoticeKind = "retry_refused" // a request failed, and the retry budget did not let it try further
)
