package caddymodule

import (
	"io"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

// exchange is one request and its answer.
type exchange struct {
	handler  *Handler
	runtime  *runtime
	endpoint endpoint
	id       string
	client   *keys.Client // nil: anonymous
	w        http.ResponseWriter
	r        *http.Request
	// committed says that the answer has begun, so that nothing else may be
	// written than its rest.
	committed bool
}

// objects are the indexes of request bodies, reused.
var objects = sync.Pool{New: func() any { return new(strictjson.Object) }}

// ServeHTTP answers the gateway's paths and passes all others on.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	e, ours := endpointFor(r.URL.Path)
	if !ours || r.Method == http.MethodOptions {
		// OPTIONS is the site's: CORS is Caddy's business.
		return next.ServeHTTP(w, r)
	}
	rt, held := h.acquire()
	if held {
		defer rt.release()
	}

	if e.method == http.MethodGet && speaksAnthropic(r) {
		e.protocol = translate.Messages
	}
	x := &exchange{handler: h, runtime: rt, endpoint: e, w: w, r: r}
	if replacer, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		// Asking for it also puts it into the access log.
		x.id, _ = replacer.GetString("http.request.uuid")
	}
	w.Header()["X-Request-Id"] = []string{x.id}
	defer x.recover()
	x.serve()
	return nil
}

func (x *exchange) serve() {
	if !x.endpoint.allows(x.r.Method) {
		x.refuseMethod()
		return
	}
	switch x.endpoint.kind {
	case kindHealth:
		x.health()
		return
	case kindHealthDetailed:
		x.healthDetailed()
		return
	}
	if !x.authenticate() {
		return
	}
	switch x.endpoint.kind {
	case kindModels:
		x.listModels()
	case kindModel:
		x.showModel()
	default:
		x.generate()
	}
}

func (x *exchange) refuseMethod() {
	if x.endpoint.protocol == translate.Responses && x.r.Header.Get("Upgrade") != "" {
		// Codex asks for a WebSocket first and takes HTTP at once after a 426;
		// any other status makes it try seven times.
		x.fail(&translate.Error{
			Status:  http.StatusUpgradeRequired,
			Message: "this gateway serves the Responses API over HTTP only",
		}, 0)
		return
	}
	x.w.Header().Set("Allow", x.endpoint.allow())
	x.fail(&translate.Error{
		Status:  http.StatusMethodNotAllowed,
		Message: "this endpoint takes " + x.endpoint.method,
	}, 0)
}

// authenticate finds out who is calling. Every reason to refuse looks alike,
// and nothing is remembered about callers that are refused.
func (x *exchange) authenticate() bool {
	credential, problem := keys.Credential(x.r.Header["Authorization"], x.r.Header["X-Api-Key"])
	if x.handler.AllowAnonymous && (problem == keys.ProblemMissing || x.handler.clients.Len() == 0) {
		// Many SDKs cannot be used without some key; where there is none to
		// be right or wrong, any will do.
		return true
	}
	if problem == keys.ProblemNone {
		if client, known := x.handler.clients.Lookup(credential); known {
			x.client = client
			return true
		}
	}
	message := "invalid API key"
	switch problem {
	case keys.ProblemMissing:
		message = "missing API key; send it as Authorization: Bearer <key> or X-Api-Key: <key>"
	case keys.ProblemAmbiguous:
		message = "several API keys; send exactly one"
	}
	x.fail(&translate.Error{Status: http.StatusUnauthorized, Message: message}, 0)
	return false
}

// generate answers the endpoints that ask a model for something.
func (x *exchange) generate() {
	body, e := x.handler.readBody(x.w, x.r)
	if body == nil {
		if e != nil {
			x.w.Header().Set("Connection", "close")
			x.fail(e, 0)
		}
		return
	}
	defer body.Release()
	object := objects.Get().(*strictjson.Object)
	defer objects.Put(object)

	q, e := readRequest(x.endpoint, x.r, body, object)
	if e != nil {
		x.fail(e, 0)
		return
	}
	answer, failure := x.runtime.router.Do(x.r.Context(), q)
	if failure != nil {
		x.logAttempts(q, failure.Attempts)
		x.refuse(q, failure)
		return
	}
	defer answer.Close()
	x.logAttempts(q, answer.Attempts)
	x.announce(answer)
	if answer.Stream != nil {
		x.stream(answer)
		return
	}
	h := x.w.Header()
	h["Content-Length"] = []string{strconv.Itoa(len(answer.Whole.Bytes()))}
	x.committed = true
	x.w.WriteHeader(answer.Status)
	// A client that has left cannot be told.
	_, _ = x.w.Write(answer.Whole.Bytes())
}

// announce sets the headers of an answer.
func (x *exchange) announce(a *routing.Answer) {
	h := x.w.Header()
	a.CopyHeader(h)
	h["Cache-Control"] = noStore
	h["Llm-Proxy-Provider"] = []string{a.Provider}
	h["Llm-Proxy-Model"] = []string{a.Model}
	h["Llm-Proxy-Attempts"] = counted(len(a.Attempts))
}

// counted is a number as a header value. Nearly all requests need one attempt.
func counted(n int) []string {
	if n == 1 {
		return one
	}
	return []string{strconv.Itoa(n)}
}

var one = []string{"1"}

// stream passes the events on as they come, one flush per upstream read.
func (x *exchange) stream(a *routing.Answer) {
	h := x.w.Header()
	h["Content-Type"] = eventStream
	h["X-Accel-Buffering"] = noBuffering
	controller := http.NewResponseController(x.w)
	x.committed = true
	x.w.WriteHeader(a.Status)
	for {
		chunk, err := a.Stream.Next()
		if err != nil {
			if err != io.EOF {
				return // the client is gone
			}
			break
		}
		if _, err := x.w.Write(chunk); err != nil {
			return
		}
		if err := controller.Flush(); err != nil {
			return
		}
	}
	if class, reason, failed := a.Stream.Failure(); failed {
		if c := x.handler.logger.Check(zapcore.WarnLevel, "stream broke off"); c != nil {
			c.Write(zap.String("uuid", x.id), zap.String("provider", a.Provider), zap.String("model", a.Model),
				zap.String("class", string(class)), zap.String("reason", reason))
		}
	}
}

// refuse tells the client why nothing answered.
func (x *exchange) refuse(q *routing.Request, f *routing.Failure) {
	if f.Class == routing.ClientGone {
		return
	}
	if x.endpoint.kind == kindCountTokens && !f.OfRequest() {
		x.estimate(q)
		return
	}
	h := x.w.Header()
	h["Llm-Proxy-Attempts"] = counted(len(f.Attempts))
	if f.Err.Status < 500 && f.Err.Status != http.StatusTooManyRequests {
		h["X-Should-Retry"] = neverRetry
	}
	if f.Body != nil {
		writeJSON(x.w, f.Err.StatusFor(x.endpoint.protocol), f.Body)
		return
	}
	x.fail(&f.Err, f.RetryAfter)
}

// fail answers with an error of the gateway in the endpoint's protocol.
func (x *exchange) fail(e *translate.Error, retryAfter time.Duration) {
	x.committed = true
	if x.endpoint.protocol == translate.Messages {
		// Where Anthropic's SDKs look for what to quote in a question.
		x.w.Header()["Request-Id"] = []string{x.id}
	}
	writeError(x.w, x.endpoint.protocol, e, x.id, retryAfter)
}

// recover keeps a fault of ours from taking more than this request with it.
// After the answer has begun the connection is cut: nothing may look whole.
func (x *exchange) recover() {
	fault := recover()
	if fault == nil {
		return
	}
	if fault == http.ErrAbortHandler {
		panic(fault)
	}
	x.handler.logger.Error("panic while serving a request",
		zap.String("uuid", x.id), zap.Any("panic", fault), zap.ByteString("stack", debug.Stack()))
	if x.committed {
		panic(http.ErrAbortHandler)
	}
	x.fail(&translate.Error{Status: http.StatusInternalServerError, Message: "internal error; the gateway's log has it under this request's id"}, 0)
}

// logAttempts tells the operator what was tried in vain. What is the client's
// own mistake is nothing to be warned of.
func (x *exchange) logAttempts(q *routing.Request, attempts []routing.Attempt) {
	for i := range attempts {
		a := &attempts[i]
		level := zapcore.DebugLevel
		switch a.Class {
		case routing.KeyDead, routing.RateLimited, routing.Broken, routing.ModelUnknown, routing.Local:
			level = zapcore.WarnLevel
		}
		c := x.handler.logger.Check(level, "upstream attempt")
		if c == nil {
			continue
		}
		c.Write(
			zap.String("uuid", x.id),
			zap.Int("attempt", i+1),
			zap.String("asked_model", q.Model),
			zap.String("provider", a.Provider),
			zap.String("model", a.Model),
			zap.String("key_id", a.KeyID),
			zap.Int("status", a.Status),
			zap.String("class", string(a.Class)),
			zap.String("reason", a.Reason),
			zap.Duration("duration", a.Duration),
			zap.Duration("key_rests", a.Cooled),
		)
	}
}
