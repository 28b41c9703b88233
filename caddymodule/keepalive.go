package caddymodule

import (
	"net/http"
	"sync"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// pingAfter is the silence after which a client is told that its answer is being
// worked on. Proxies in between cut connections that are silent for longer, and
// a model may think for minutes. Only tests change it.
var pingAfter = 15 * time.Second

// eventWriter passes a stream's events on, and a ping where there are none for a
// while. Pings tell nothing about the upstream, so they put off none of its
// deadlines.
type eventWriter struct {
	w          http.ResponseWriter
	controller *http.ResponseController
	ping       []byte
	timer      *time.Timer // nil: the upstream sends pings of its own
	failed     func(fault any)

	mu   sync.Mutex // guards w and over: the timer has a goroutine of its own
	over bool
}

func newEventWriter(w http.ResponseWriter) *eventWriter {
	return &eventWriter{w: w, controller: http.NewResponseController(w)}
}

// pings makes e ping in the client's protocol. What is written must then be
// whole events. failed is told of a panic in a ping.
func (e *eventWriter) pings(p translate.Protocol, failed func(fault any)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ping, e.failed = translate.PingEvent(p), failed
	e.timer = time.AfterFunc(pingAfter, e.silence)
}

// write writes events and flushes them.
func (e *eventWriter) write(events []byte) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.timer != nil {
		e.timer.Reset(pingAfter)
	}
	return e.flush(events)
}

func (e *eventWriter) flush(events []byte) error {
	if _, err := e.w.Write(events); err != nil {
		return err
	}
	return e.controller.Flush()
}

// silence is the timer's. In its goroutine a panic, of another module's response
// writer say, would take the whole process along.
func (e *eventWriter) silence() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return
	}
	defer func() {
		if fault := recover(); fault != nil {
			e.over = true
			e.failed(fault)
		}
	}()
	// A client that has left is met by the next real write, or by the
	// request's context.
	if e.flush(e.ping) == nil {
		e.timer.Reset(pingAfter)
	}
}

// close ends the pings: nothing may be written once the handler has returned.
func (e *eventWriter) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.over = true
	if e.timer != nil {
		e.timer.Stop()
	}
}
