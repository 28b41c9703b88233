package caddymodule

import (
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// setHeaders sets headers, given as canonical names and values in turn. The
// values of one answer share an array of its own: Caddy's header directive
// changes values in place, so no two answers may share any.
func setHeaders(h http.Header, pairs ...string) {
	for i := 0; i+1 < len(pairs); i += 2 {
		h[pairs[i]] = pairs[i+1 : i+2 : i+2]
	}
}

// reject answers a request with which nobody can be asked. Logs and metrics have it
// in the class that an upstream's answer of that status would have had.
func (x *exchange) reject(e *translate.Error) {
	switch {
	case e.Status == statusClientClosed:
		x.account.class = routing.ClientGone
	case e.Status >= 500: // a loop, or another handler's error
		x.account.class = routing.Local
	default:
		x.account.class = routing.InvalidRequest
	}
	x.fail(e, 0)
}

// fail answers with an error of the gateway in the endpoint's protocol.
func (x *exchange) fail(e *translate.Error, retryAfter time.Duration) {
	x.committed = true
	if x.endpoint.protocol == translate.Messages {
		// Where Anthropic's SDKs look for what to quote in a question.
		x.w.Header()["Request-Id"] = []string{x.id}
	}
	x.trace.status = e.StatusFor(x.endpoint.protocol)
	x.trace.out = int64(writeError(x.w, x.endpoint.protocol, e, x.id, retryAfter))
}

// writeError answers with an error in the endpoint's protocol. retryAfter is
// when another try makes sense; 0 says nothing about it. It returns how many bytes
// the body has.
func writeError(w http.ResponseWriter, p translate.Protocol, e *translate.Error, requestID string, retryAfter time.Duration) int {
	h := w.Header()
	if retryAfter > 0 {
		// Whole seconds, rounded up: Claude Code and Codex read nothing finer,
		// and a client that comes too early is turned away again.
		h.Set("Retry-After", strconv.FormatInt(int64(math.Ceil(retryAfter.Seconds())), 10))
	}
	body := translate.AppendError(make([]byte, 0, 256), p, e, requestID)
	writeJSON(w, e.StatusFor(p), body)
	return len(body)
}

// writeJSON answers with a complete body.
func writeJSON(w http.ResponseWriter, status int, body []byte) {
	setHeaders(w.Header(),
		"Content-Type", "application/json",
		"Cache-Control", "no-store",
		"Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// The client may be gone; there is nobody left to tell.
	_, _ = w.Write(body)
}
