package caddymodule

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// The values of headers that never vary, shared by all answers so that setting
// them allocates nothing. Nobody appends to them.
var (
	jsonType    = []string{"application/json"}
	noStore     = []string{"no-store"}
	eventStream = []string{"text/event-stream"}
	neverRetry  = []string{"false"}
	noBuffering = []string{"no"}
)

// writeError answers with an error in the endpoint's protocol. retryAfter is
// when another try makes sense; 0 says nothing about it.
func writeError(w http.ResponseWriter, p translate.Protocol, e *translate.Error, requestID string, retryAfter time.Duration) {
	h := w.Header()
	if retryAfter > 0 {
		// Whole seconds, rounded up: Claude Code and Codex read nothing finer,
		// and a client that comes too early is turned away again.
		h.Set("Retry-After", strconv.FormatInt(int64(math.Ceil(retryAfter.Seconds())), 10))
	}
	body := translate.AppendError(make([]byte, 0, 256), p, e, requestID)
	writeJSON(w, e.StatusFor(p), body)
}

// writeJSON answers with a complete body.
func writeJSON(w http.ResponseWriter, status int, body []byte) {
	h := w.Header()
	h["Content-Type"] = jsonType
	h["Cache-Control"] = noStore
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	// The client may be gone; there is nobody left to tell.
	_, _ = w.Write(body)
}
