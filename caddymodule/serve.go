package caddymodule

import (
	"context"
	"io"
	"net/http"
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
	body     *routing.Body // of the request; nil before it is read and after letGo
	held     int64         // bytes of it that count in heldBodies
	read     int64         // estimate of the tokens in it, where nobody told them
	tap      *tap          // keeps bodies; nil: they are not kept
	// committed says that the answer has begun, so that nothing else may be
	// written than its rest.
	committed bool
	over      bool     // what becomes of it is known
	ownTrace  bool     // the headers' trace is one of this Caddy
	tracing   *tracing // nil: it leaves no trace
	// account is for placeholders and the access log, trace for the request log.
	account account
	trace   trace
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
		defer rt.leave()
	}

	if e.method == http.MethodGet && speaksAnthropic(r) {
		e.protocol = translate.Messages
	}
	x := &exchange{handler: h, runtime: rt, endpoint: e, w: w, r: r}
	x.trace.began = time.Now()
	if replacer, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		// Asking for it also puts it into the access log.
		x.id, _ = replacer.GetString("http.request.uuid")
		replacer.Map(x.placeholder)
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
		traffic.requests.Add(1)
		x.startTrace()
		x.describe(x.r.Context())
		defer x.finish()
		defer x.recover() // before: what it tells the client is to be told as well
		x.tapBodies()
		x.generate()
	}
}

// finish tells what became of a request for an answer. It runs also when the request
// panics.
func (x *exchange) finish() {
	traffic.requests.Add(-1)
	x.over = true
	now := time.Now()
	x.measure(now)
	if x.runtime.log != nil {
		x.record(now)
	}
	if x.tracing != nil {
		x.endTrace(now)
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

// authenticate finds out who is calling. Every wrong key is refused alike, and
// nothing is remembered about callers that are refused.
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

// clientName is empty for an anonymous caller.
func (x *exchange) clientName() string {
	if x.client == nil {
		return ""
	}
	return x.client.Name
}

// generate answers the endpoints that ask a model for something.
func (x *exchange) generate() {
	defer x.letGo()
	answer := x.ask()
	if answer == nil {
		return
	}
	defer answer.Close()
	defer x.settle()
	h := x.w.Header()
	answer.CopyHeader(h)
	setHeaders(h,
		"Cache-Control", "no-store",
		"Llm-Proxy-Provider", answer.Provider,
		"Llm-Proxy-Model", answer.Model,
		"Llm-Proxy-Attempts", strconv.Itoa(len(answer.Attempts)))
	x.warn(answer)
	defer x.noteLosses(answer)
	if answer.Stream != nil {
		x.stream(answer)
		return
	}
	x.whole(answer)
}

// warn tells the client what was lost so far, and names a translated exchange as
// the client's protocol does.
func (x *exchange) warn(a *routing.Answer) {
	h := x.w.Header()
	if a.Crossed && x.endpoint.protocol == translate.Messages {
		h["Request-Id"] = []string{x.id}
	}
	if losses := a.Losses(); len(losses) > 0 && !a.Silent {
		setHeaders(h, "Llm-Proxy-Warnings", string(losses.AppendHeader(nil)))
	}
}

// noteLosses tells the operator the same, with what the rest of a stream lost.
func (x *exchange) noteLosses(a *routing.Answer) {
	losses := a.Losses()
	if len(losses) == 0 {
		return
	}
	if x.runtime.log != nil {
		x.trace.warnings = string(losses.AppendHeader(nil))
	}
	countLosses(x.endpoint.protocol, a.Protocol, losses)
	if c := x.handler.logger.Check(zapcore.DebugLevel, "lost in translation"); c != nil {
		c.Write(zap.String("uuid", x.id), zap.String("provider", a.Provider), zap.String("model", a.Model),
			zap.String("from", string(x.endpoint.protocol)), zap.String("to", string(a.Protocol)),
			zap.ByteString("losses", losses.AppendHeader(nil)))
	}
}

// ask finds an answer, or tells the client why there is none and returns nil.
func (x *exchange) ask() *routing.Answer {
	began := time.Now()
	body, e := x.handler.readBody(x.w, x.r)
	x.trace.reading = time.Since(began)
	if e != nil {
		if x.r.ProtoMajor == 1 {
			// What is left of the body is not worth reading. Other versions
			// of HTTP have no such header.
			x.w.Header().Set("Connection", "close")
		}
		x.reject(e)
		return nil
	}
	x.body = body
	x.tap.read(body.Bytes())
	x.trace.in = int64(len(body.Bytes()))
	object := objects.Get().(*strictjson.Object)
	defer objects.Put(object)
	defer object.Reset()

	override, e := x.handler.override(x.r)
	if e != nil {
		x.reject(e)
		return nil
	}
	q, e := readRequest(x.endpoint, x.r, body, object, override)
	if e != nil {
		x.reject(e)
		return nil
	}
	q.Client, q.OwnTrace = x.clientName(), x.ownTrace
	if x.tracing != nil {
		x.tracing.readRequest(q)
	}
	// The transport notes in Caddy's variables what its dials need to know,
	// and a dial may outlive its attempt: without the variables two attempts
	// cannot meet in them.
	ctx := context.WithValue(x.r.Context(), caddyhttp.VarsCtxKey, nil)
	x.account.model = q.Model
	answer, failure := x.runtime.router.Do(ctx, q)
	x.account.end(answer, failure)
	x.runtime.names.count(x.account.attempts)
	if failure != nil {
		x.trace.skipped = failure.Skipped
		x.logSkipped(q, failure.Skipped)
		x.logAttempts(q, failure.Attempts)
		x.refuse(q, failure)
		return nil
	}
	x.trace.skipped = answer.Skipped
	x.logSkipped(q, answer.Skipped)
	x.logAttempts(q, answer.Attempts)
	return answer
}

// begin writes the header of an answer.
func (x *exchange) begin(a *routing.Answer) {
	x.committed = true
	x.trace.status, x.trace.first = a.Status, time.Since(x.trace.began)
	x.w.WriteHeader(a.Status)
}

// whole writes a complete answer.
func (x *exchange) whole(a *routing.Answer) {
	h := x.w.Header()
	setHeaders(h, "Content-Length", strconv.Itoa(len(a.Whole.Bytes())))
	if !isJSON(h.Get("Content-Type")) || h.Get("Content-Type") == "" {
		// It has been read as JSON; some vendors say otherwise, and SDKs
		// believe the header.
		setHeaders(h, "Content-Type", "application/json")
	}
	if x.tracing != nil {
		x.tracing.answer.read(x.endpoint.protocol, a.Whole.Bytes())
	}
	x.begin(a)
	n, err := x.w.Write(a.Whole.Bytes())
	x.trace.out = int64(n)
	if err != nil {
		x.trace.left = true
		a.KeepMemory()
	}
}

// stream passes the events on as they come, one flush per upstream read.
func (x *exchange) stream(a *routing.Answer) {
	traffic.streams.Add(1)
	defer traffic.streams.Add(-1)
	setHeaders(x.w.Header(), "Content-Type", "text/event-stream", "X-Accel-Buffering", "no")
	events := newEventWriter(x.w)
	defer events.close()
	x.trace.atFirst = a.Stream.Contents()
	defer func() { x.trace.contents = a.Stream.Contents() }()
	x.begin(a)
	if a.Crossed {
		events.pings(x.endpoint.protocol, func(fault any) {
			x.handler.logger.Error("panic while sending a ping", zap.String("uuid", x.id), zap.String("panic", describePanic(fault)))
		})
	}
	for {
		chunk, err := a.Stream.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			// The client has left, or looks as if it had. Should it still
			// read, it must not see a clean end.
			panic(http.ErrAbortHandler)
		}
		if x.tracing != nil {
			x.tracing.answer.readStream(x.endpoint.protocol, chunk)
		}
		if err = events.write(chunk); err != nil {
			x.trace.left = true
			a.KeepMemory()
			return
		}
		x.trace.out += int64(len(chunk))
		x.mayLetGo() // not before the client has something to read
	}
	if class, reason, failed := a.Stream.Failure(); failed {
		x.runtime.names.countBroken(a.Provider, a.Model, class)
		if c := x.handler.logger.Check(zapcore.WarnLevel, "stream broke off"); c != nil {
			c.Write(zap.String("uuid", x.id), zap.String("provider", a.Provider), zap.String("model", a.Model),
				zap.String("class", string(class)), zap.String("reason", reason))
		}
	}
}

// refuse tells the client why nothing answered.
func (x *exchange) refuse(q *routing.Request, f *routing.Failure) {
	if f.Class == routing.ClientGone {
		// Nobody reads this but the access log.
		x.committed = true
		x.trace.status = f.Err.Status
		x.w.WriteHeader(f.Err.Status)
		return
	}
	if x.endpoint.kind == kindCountTokens && !f.OfRequest() {
		x.estimate(q)
		return
	}
	h := x.w.Header()
	setHeaders(h, "Llm-Proxy-Attempts", strconv.Itoa(len(f.Attempts)))
	if f.Err.Status < 500 && f.Err.Status != http.StatusTooManyRequests || f.Permanent {
		// OpenAI's and Anthropic's SDKs would try again twice.
		setHeaders(h, "X-Should-Retry", "false")
	}
	if f.Body != nil {
		x.trace.status, x.trace.out = f.Err.StatusFor(x.endpoint.protocol), int64(len(f.Body))
		writeJSON(x.w, f.Err.StatusFor(x.endpoint.protocol), f.Body)
		return
	}
	x.fail(&f.Err, f.RetryAfter)
}
