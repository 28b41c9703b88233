package caddymodule

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// Timeouts bound the waits for an upstream. Zero means the default.
type Timeouts struct {
	// To open a connection, and again for its TLS handshake. Default: 5s.
	Connect caddy.Duration `json:"connect,omitempty"`

	// From the start of an attempt to the first content of a stream. Pings,
	// comments and role announcements are no content. Default: 60s.
	FirstContent caddy.Duration `json:"first_content,omitempty"`

	// Between two pieces of content of a stream. Default: 60s.
	Idle caddy.Duration `json:"idle,omitempty"`

	// For the whole request, all attempts included. Default: 10m.
	Total caddy.Duration `json:"total,omitempty"`
}

func (h *Handler) setTimeouts() error {
	if h.Timeouts == nil {
		h.Timeouts = new(Timeouts)
	}
	t := h.Timeouts
	for _, field := range []struct {
		name     string
		value    *caddy.Duration
		fallback time.Duration
	}{
		{"connect", &t.Connect, 5 * time.Second},
		{"first_content", &t.FirstContent, time.Minute},
		{"idle", &t.Idle, time.Minute},
		{"total", &t.Total, 10 * time.Minute},
	} {
		if *field.value < 0 {
			return fmt.Errorf("timeouts: %s must not be negative", field.name)
		}
		if *field.value == 0 {
			*field.value = caddy.Duration(field.fallback)
		}
	}
	return nil
}
