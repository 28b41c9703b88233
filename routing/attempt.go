package routing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Attempt is the record of one upstream call.
type Attempt struct {
	// Provider and Model name where it went: a provider file and an upstream
	// model.
	Provider, Model string
	// Label is Model where a file names it, and "*" where the client may name
	// any: metrics cannot grow by it.
	Label string
	// KeyID is the key's public name.
	KeyID string
	// Start is when it began, Duration how long it took until it failed or
	// was taken as the answer.
	Start    time.Time
	Duration time.Duration
	// Waited is how much of Duration went by between the sending of the request
	// and the last byte that was needed: the rest was the gateway's own work. 0
	// for an attempt that failed.
	Waited time.Duration
	// Status is the upstream's HTTP status, 0 when none came.
	Status int
	// Class is empty for the attempt that answered.
	Class Class
	// Reason is what went wrong in words, without any secret.
	Reason string
	// Cooled is for how long its key now rests, 0 when it does not.
	Cooled time.Duration

	candidate *Candidate
}

// Server is where the attempt went: the host of the route's base URL, and its port.
func (a *Attempt) Server() (host string, port int) {
	base, err := url.Parse(a.candidate.route.BaseURL)
	if err != nil {
		return "", 0 // it was checked when the files were loaded
	}
	port, _ = strconv.Atoi(base.Port())
	if port == 0 {
		port = 443
		if base.Scheme == "http" {
			port = 80
		}
	}
	return base.Hostname(), port
}

// Limits on what an upstream may send. A reply is hostile input.
const (
	// maxErrorBody is how much of an error's body is read.
	maxErrorBody = 64 << 10
	// maxAnswer is the largest whole answer.
	maxAnswer = 64 << 20
	// maxStream is how much a stream may send that passes untouched. It is never
	// held, so that is about an upstream that does not stop, and not about
	// memory.
	maxStream = 256 << 20
	// maxHeld is how many bytes a stream may send before its first content, in
	// whole events; maxHeldEvent is how long one event may be, which may hold an
	// image. Before content such an event is in memory twice, and each time once
	// more while its buffer grows.
	maxHeld      = 1 << 20
	maxHeldEvent = 24 << 20
)

// Why an attempt's context was cancelled, told by its cause.
var (
	errFirstContent = errors.New("no content in time")
	errIdle         = errors.New("silence between events")
	errTotal        = errors.New("total time is up")
	errAttempt      = errors.New("no end in time")
	errWhole        = errors.New("no answer in time")
	errGrace        = errors.New("finished, but kept open")
	errShutdown     = errors.New("the gateway is shutting down")
)

// waits bound one attempt.
type waits struct {
	// first is the wait for the first content of a stream, whole the one for
	// all of a whole answer, idle the one between two pieces of content.
	first, whole, idle time.Duration
	// ends is when the attempt, and a stream with it, has had its time, and
	// ended whose time that is: the request's or the attempt's own.
	ends  time.Time
	ended *error
}

// result is what came of one upstream call: exactly one of whole, stream and
// failure is set.
type result struct {
	status  int
	header  http.Header
	whole   *Body
	stream  *Stream
	failure *failure
	// waited is the time of a good answer that was not the gateway's.
	waited time.Duration
}

// failure is one attempt's fault, not yet what the client is told.
type failure struct {
	class  Class
	status int
	err    translate.Error
	// detail is for the log where the client is told less.
	detail string
	// undialed says that no connection could be opened.
	undialed bool
	// body is the upstream's error body as it came, nil when it is none that
	// a client of the protocol could read.
	body []byte
	// resetAfter is what the upstream asked for.
	resetAfter time.Duration
}

// reason is for the log, which learns nothing of what a provider quotes.
func (f *failure) reason() string {
	if f.detail != "" {
		return f.detail
	}
	return withoutQuotes(f.message())
}

// message is for the client.
func (f *failure) message() string {
	return cmp.Or(f.err.Message, fmt.Sprintf("the provider answered with status %d", f.status))
}

// exceedsLimit reports whether the request alone is larger than the limit that it
// met, by the words of OpenAI and Groq ("Request too large for gpt-4o ... on tokens
// per min (TPM): Limit 30000, Requested 40000").
func (f *failure) exceedsLimit() bool {
	return f.class == RateLimited && strings.Contains(strings.ToLower(f.err.Message), "request too large")
}

// standsFor is the status that counts: the answer's, or the one that an error
// inside of a good answer speaks of.
func (f *failure) standsFor() int {
	if f.status >= 200 && f.status <= 299 && f.err.Status != 0 {
		return f.err.Status
	}
	return f.status
}

// call makes one upstream call with one key and reads until it is clear
// whether it is an answer: a complete good body, or the first content event of
// a stream. model is the provider's name for what is asked.
func call(ctx context.Context, q *Request, c *Candidate, model string, key *keys.Key, waits waits) result {
	ctx, cancel := context.WithCancelCause(ctx)
	upstream, err := upstreamRequest(ctx, q, c, model, key)
	if err != nil {
		cancel(nil)
		return result{failure: &failure{class: Local, err: translate.Error{Message: err.Error()}}}
	}
	deadline := deadlines.watch(cancel, waits)
	if !q.Stream {
		deadline.awaitWhole()
	}

	sent := time.Now()
	response, err := c.transport.RoundTrip(upstream)
	if err != nil {
		deadline.stop()
		f := transportFailure(ctx, err, key)
		cancel(nil)
		return result{failure: f}
	}
	good := response.StatusCode >= 200 && response.StatusCode <= 299
	encoded := hasCoding(response.Header)
	if q.Stream && good && !encoded {
		stream, f := openStream(ctx, cancel, deadline, q, response, key)
		if f != nil {
			return result{failure: f}
		}
		return result{status: response.StatusCode, header: response.Header, stream: stream, waited: stream.came.Sub(sent)}
	}

	defer cancel(nil)
	defer deadline.stop()
	defer response.Body.Close()
	switch {
	case !good:
		return result{failure: statusFailure(ctx, q, response, key)}
	case encoded:
		return result{failure: broken(response, "the answer is in an encoding that was not asked for")}
	}
	whole, came, f := readWhole(ctx, q, response, response.Body, key)
	if f == nil && q.asked != nil {
		whole, f = translated(whole, q.asked, response)
	}
	return result{status: response.StatusCode, header: response.Header, whole: whole, failure: f, waited: came.Sub(sent)}
}

// hasCoding reports whether a body is in a content coding. The transport asks for
// gzip, undoes it and takes the header away; any other coding was not asked for,
// and whoever names one cannot be taken at the word of its bytes either.
func hasCoding(h http.Header) bool {
	coding := h.Get("Content-Encoding")
	return coding != "" && !strings.EqualFold(coding, "identity")
}

// upstreamRequest builds the call: the route's URL, headers by allow list, and
// the client's bytes with the route's edits.
func upstreamRequest(ctx context.Context, q *Request, c *Candidate, model string, key *keys.Key) (*http.Request, error) {
	target, err := c.target(q, model)
	if err != nil {
		return nil, err
	}
	request := blank.WithContext(ctx)
	request.URL, request.Host = target, target.Host
	request.Header = c.headers(q, key)
	request.Body, request.ContentLength = upstreamBody(q.Body, c.edits(q, model))
	return request, nil
}

// blank is what all upstream requests have in common. Taking a request from it
// is one allocation; only WithContext can set a context, and it copies.
var blank = &http.Request{Method: http.MethodPost, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1}

// transportFailure tells why no response came at all.
func transportFailure(ctx context.Context, err error, key *keys.Key) *failure {
	if cause := context.Cause(ctx); cause != nil {
		return cancelled(cause)
	}
	f := &failure{
		class:  classifyTransport(err),
		err:    translate.Error{Message: "the provider's connection broke before it answered"},
		detail: scrub(describe(err), key),
	}
	// Where providers live is no business of a client's.
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		f.undialed = true
		f.err.Message = "the provider could not be reached"
	}
	return f
}

// cancelled tells what it means that an attempt's context ended for cause.
func cancelled(cause error) *failure {
	switch cause {
	case errFirstContent, errIdle, errWhole, errAttempt, errGrace:
		return &failure{
			class:  Broken,
			status: http.StatusGatewayTimeout,
			err:    translate.Error{Message: "upstream timed out: " + cause.Error()},
		}
	case errTotal, context.DeadlineExceeded:
		return &failure{
			class:  Local,
			status: http.StatusGatewayTimeout,
			err:    translate.Error{Message: "the request's total time is up"},
		}
	case errShutdown:
		return &failure{class: Local, status: http.StatusServiceUnavailable, err: translate.Error{Message: cause.Error()}}
	case errOutrun:
		return &failure{class: Superseded, err: translate.Error{Message: cause.Error()}}
	}
	return &failure{class: ClientGone, err: translate.Error{Message: "the client left"}}
}

// statusFailure reads an error answer. Only its start is read; the connection
// is kept when that was all of it.
func statusFailure(ctx context.Context, q *Request, response *http.Response, key *keys.Key) *failure {
	if response.StatusCode == http.StatusSwitchingProtocols {
		// Its body is the bare connection, which no context ends.
		return broken(response, "the upstream switched protocols")
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxErrorBody))
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cancelled(cause)
	}
	e, _ := translate.ParseError(body)
	f := reportedFailure(response, e, body, key)
	switch {
	case q.asked != nil:
		// The client did not write what the provider speaks of.
		f.err.Param = ""
	case translate.SpeaksError(q.Protocol, body):
		f.body = scrubBytes(body, key)
	}
	return f
}

// reportedFailure is a failure that the upstream tells of itself, by its status
// or in the body of an answer that looked good.
func reportedFailure(response *http.Response, e translate.Error, body []byte, key *keys.Key) *failure {
	scrubError(&e, key)
	f := &failure{class: Classify(response.StatusCode, e), status: response.StatusCode, err: e}
	askedFor := recoveryAfter
	if f.class == RateLimited {
		askedFor = ResetAfter
	}
	now := time.Now()
	d, ok := askedFor(response.Header, body, now)
	if !ok {
		// Of an error event there is no body; OpenAI tells limits in those.
		d, ok = boundedReset(resetInWords(e.Message, clockOf(response.Header, now)))
	}
	if ok {
		f.resetAfter = d
	}
	return f
}

// readWhole reads a whole answer from body, that of the response, and makes sure
// that it is one. came is when the last byte of it was there.
func readWhole(ctx context.Context, q *Request, response *http.Response, body io.Reader, key *keys.Key) (whole *Body, came time.Time, f *failure) {
	// What is announced is no reason to make room for more than 1 MiB.
	whole = NewBody(int(min(max(response.ContentLength+1, 2<<10), 1<<20)))
	n, err := whole.ReadFrom(io.LimitReader(body, maxAnswer+1))
	came = time.Now()
	switch {
	case err != nil && context.Cause(ctx) != nil:
		f = cancelled(context.Cause(ctx))
	case err != nil:
		f = broken(response, "reading the answer: "+scrub(describe(err), key))
	case n > maxAnswer:
		f = broken(response, "the answer is larger than 64 MiB")
	default:
		f = judgeWhole(q, response, whole.Bytes(), key)
	}
	if f != nil {
		whole.Release()
		return nil, came, f
	}
	return whole, came, nil
}

func judgeWhole(q *Request, response *http.Response, body []byte, key *keys.Key) *failure {
	err := translate.CheckAnswer(q.Protocol, q.Operation, body)
	if err == nil && (q.asked != nil || q.Stream) {
		err = translate.CheckFinished(q.Protocol, body)
	}
	if err == nil {
		return nil
	}
	var e *translate.Error
	if !errors.As(err, &e) {
		return broken(response, err.Error())
	}
	return reportedFailure(response, *e, body, key)
}

func broken(response *http.Response, message string) *failure {
	return &failure{class: Broken, status: response.StatusCode, err: translate.Error{Message: message}}
}
