package simulated

import (
	"bytes"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// exchange is one request and its answer.
type exchange struct {
	p     *Provider
	w     http.ResponseWriter
	r     *http.Request
	proto protocol
	key   string
	id    string // base of every id in the answer
	now   time.Time
	tally *tally
}

// encoder writes one answer in one protocol.
type encoder interface {
	// whole appends the body of a whole answer.
	whole(dst []byte) []byte
	// stream sends the events of a streamed answer, until s is over.
	stream(s *stream)
	// failed appends the events with which a stream fails.
	failed(dst []byte, f failure) []byte
	// keepAlive is what is sent while there is nothing to say.
	keepAlive() string
}

// Values of headers, shared because nobody changes them.
var (
	mediaJSON   = []string{"application/json"}
	mediaStream = []string{"text/event-stream; charset=utf-8"}
	mediaHTML   = []string{"text/html; charset=utf-8"}
	noStore     = []string{"no-cache"}
)

// identify gives the answer the request id header of its protocol.
func (x *exchange) identify() {
	name := "X-Request-Id"
	if x.proto == messages {
		name = "Request-Id"
	}
	x.w.Header()[name] = []string{x.requestID()}
}

func (x *exchange) requestID() string { return "req_" + x.id }

// answer answers a request whose key is good.
func (x *exchange) answer(at endpoint, model, body string) {
	switch at {
	case nowhere:
		message := "Invalid URL (" + x.r.Method + " " + x.r.URL.Path + ")"
		f := refusal(http.StatusNotFound, "", "", message)
		f.anthropic = wording{typ: "not_found_error", message: message}
		x.fail(f, -1)
	case listModels, oneModel:
		if b := x.p.ofKey(x.key); b.failure != "" {
			x.fail(b.asked())
		} else if at == listModels {
			x.listModels()
		} else {
			x.showModel(model)
		}
	default:
		x.generate(at, body)
	}
}

// ofKey returns the behaviour that belongs to an API key.
func (p *Provider) ofKey(key string) (b behaviour) {
	b.applyAll(p.config.Keys[key], "+")
	return b
}

// generate answers a POST.
func (x *exchange) generate(at endpoint, body string) {
	q := scan(x.proto, body)
	b := behaviour{pace: x.p.pace}
	b.applyModel(q.model)
	if b.unknown != "" && !x.p.lists(q.model) {
		x.fail(unknownModel(x.proto, q.model), -1)
		return
	}
	b.unknown = ""
	if b.bench > 0 {
		q.length = len(body) // the only thing that is known about it
	} else if f := x.understand(&q, &b, at, body); f != nil {
		x.fail(*f, -1)
		return
	}
	b.applyAll(x.p.config.Keys[x.key], "+")
	if x.refuses(&b) {
		return
	}
	switch at {
	case countTokens:
		x.reply(&b, appendCount(nil, q.tokens()))
	case embeddings:
		x.embed(&b, body)
	default:
		x.speak(&q, &b)
	}
}

// understand reads the rest of a request.
func (x *exchange) understand(q *question, b *behaviour, at endpoint, body string) *failure {
	if !valid(body) || !gjson.Parse(body).IsObject() {
		return invalid("", "", "We could not parse the JSON body of your request.")
	}
	if q.model == "" {
		return invalid("missing_required_parameter", "model", "Missing required parameter: 'model'.")
	}
	if at == embeddings {
		return nil
	}
	if f := q.read(); f != nil {
		return f
	}
	if at == createMessage && q.limit == 0 {
		return invalid("", "", "max_tokens: Field required")
	}
	b.applyLine(q.directive)
	return nil
}

// refuses answers if the behaviour leaves no room for a real answer.
func (x *exchange) refuses(b *behaviour) bool {
	switch {
	case b.hang:
		x.abandon()
	case b.failure != "" && b.fault.how != inBand:
		x.fail(b.asked())
	case b.flaky > 0 && !x.p.succeeds(b.flaky):
		x.fail(failures["500"], -1)
	case b.page == htmlPage:
		x.w.Header()["Content-Type"] = mediaHTML
		x.write([]byte("<!DOCTYPE html>\n<html><head><title>Just a moment...</title></head><body>Checking your browser.</body></html>\n"))
	case b.page == emptyPage:
		x.w.Header()["Content-Type"] = mediaJSON
		x.write(nil)
	default:
		return false
	}
	return true
}

// abandon waits for the client to leave.
func (x *exchange) abandon() {
	<-x.r.Context().Done()
	panic(http.ErrAbortHandler) // nothing that could be taken for an answer
}

// speak answers with what the model says.
func (x *exchange) speak(q *question, b *behaviour) {
	a, f := compose(q, b)
	if f != nil {
		x.fail(*f, -1)
		return
	}
	var enc encoder
	switch x.proto {
	case chat:
		enc = newChatEncoder(x, q, a)
	case responses:
		enc = newResponsesEncoder(x, q, a)
	default:
		enc = newMessagesEncoder(x, q, a)
	}
	if q.stream {
		x.stream(b, enc, a)
		return
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer release(buf)
	body := enc.whole(buf.AvailableBuffer())
	x.reply(b, body)
	buf.Write(body) // if it grew, the larger buffer is the one to keep
}

// fail answers with an error. wait is its Retry-After in seconds, negative for
// none.
func (x *exchange) fail(f failure, wait int) {
	x.tally.failed.Add(1)
	status, _ := f.says(x.proto)
	h := x.w.Header()
	h["Content-Type"] = mediaJSON
	setFailureHeader(h, x.proto, status, wait, x.now)
	x.w.WriteHeader(status)
	x.write(f.body(nil, x.proto, x.requestID()))
}

// reply answers with a whole body, as late and as broken as it was asked for.
func (x *exchange) reply(b *behaviour, body []byte) {
	if !sleep(x.r.Context(), b.pace.first) {
		panic(http.ErrAbortHandler)
	}
	h := x.w.Header()
	h["Content-Type"] = mediaJSON
	if b.fault.how == inBand {
		body = x.inBand(b).body(nil, x.proto, x.requestID())
	}
	if b.fault.how == eof || b.fault.how == garble {
		body = body[:len(body)/2]
	}
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	switch b.fault.how {
	case silence:
		x.flush()
		x.abandon()
	case cut:
		if b.fault.at == amidContent {
			x.write(body[:len(body)/2])
		}
		x.flush()
		panic(http.ErrAbortHandler)
	}
	x.write(body)
}

// inBand returns the failure that an error event tells.
func (x *exchange) inBand(b *behaviour) failure {
	if b.failure != "" {
		f, _ := b.asked()
		return f
	}
	if x.proto == messages {
		return failures["529"] // the one that Anthropic sends there most
	}
	return failures["500"]
}

// write sends the rest of an answer. A client that does not take it has left;
// there is nobody to tell.
func (x *exchange) write(body []byte) { _, _ = x.w.Write(body) }

func (x *exchange) flush() { _ = http.NewResponseController(x.w).Flush() }

// lists reports whether the model list names a model.
func (p *Provider) lists(model string) bool { return slices.Contains(p.config.Models, model) }

// knows reports whether a request for a model would be answered.
func (p *Provider) knows(model string) bool {
	b := behaviour{}
	b.applyModel(model)
	return p.lists(model) || b.unknown == "" && strings.HasPrefix(model, "demo")
}

// sleep waits and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
