package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/redact"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

// Bodies says whether the request log keeps what clients and models say, and how
// much of it.
type Bodies struct {
	// "off" keeps nothing. "redacted" keeps the JSON of requests and answers with
	// its members, numbers, roles, types, models, ids and names of tools; each text
	// that somebody may have written becomes its length. "full" keeps all of it,
	// prompts and answers included, but for the keys of clients and providers that
	// this gateway knows. Default: off.
	Mode BodyMode `json:"mode,omitempty"`

	// How much is kept of a request, and of an answer; the rest is cut off. At most
	// 8 MiB. Default: 64 KiB.
	MaxSize Size `json:"max_size,omitempty"`

	// Of which share of the requests bodies are kept, above 0 and up to 1. The
	// request's id decides, so that the same ones are chosen everywhere. Default: 1.
	Sample float64 `json:"sample,omitempty"`

	// For how long they are kept, if not the request's row goes first. Default:
	// 7 days.
	Retain caddy.Duration `json:"retain,omitempty"`
}

// BodyMode is how much of bodies is kept.
type BodyMode string

// The values of mode.
const (
	BodiesOff      BodyMode = "off"
	BodiesRedacted BodyMode = "redacted"
	BodiesFull     BodyMode = "full"
)

// bodyModes lists them.
var bodyModes = []BodyMode{BodiesOff, BodiesRedacted, BodiesFull}

// What bodies are kept of where the settings say nothing, and the most that they may
// say.
const (
	standardBodySize   = 64 << 10
	standardBodyRetain = 7 * 24 * time.Hour
	maxBodySize        = 8 << 20
)

// kept reports whether there is anything to keep.
func (b *Bodies) kept() bool { return b != nil && b.Mode != BodiesOff }

// setDefaults fills in what is not set.
func (b *Bodies) setDefaults() error {
	b.Mode = cmp.Or(b.Mode, BodiesOff)
	if err := oneOf("log: bodies", b.Mode, bodyModes); err != nil {
		return err
	}
	b.MaxSize = cmp.Or(b.MaxSize, standardBodySize)
	b.Sample = cmp.Or(b.Sample, 1)
	b.Retain = cmp.Or(b.Retain, caddy.Duration(standardBodyRetain))
	switch {
	case b.MaxSize < 0 || b.MaxSize > maxBodySize:
		return fmt.Errorf("log: bodies: max_size must be at most %v", Size(maxBodySize))
	case !(b.Sample > 0 && b.Sample <= 1): // NaN is not
		return errors.New("log: bodies: sample must be above 0 and at most 1; bodies off keeps none")
	case b.Retain < caddy.Duration(shortestRetain):
		return fmt.Errorf("log: bodies: retain must be at least %v", shortestRetain)
	}
	return nil
}

// Bounds of what may wait to be made fit for the log: requests, and bytes of their
// bodies. What exceeds them is logged without bodies.
const (
	maxBodiesQueued    = 256
	maxBodyBytesQueued = 32 << 20
)

// bodyKeeper makes bodies fit to be kept, beside the requests: a client has its whole
// answer by then, and waits for nothing. It takes the records that have bodies and
// adds them to the log.
type bodyKeeper struct {
	settings Bodies
	secrets  *redact.Secrets
	log      *logging.Log
	logger   *zap.Logger
	done     chan struct{}

	waiting atomic.Int64 // bytes of bodies in the queue

	mu       sync.Mutex // held while something is put into the queue
	queue    chan keeping
	over     bool // the queue is closed
	dropping bool // the last record was logged without bodies
}

// keeping is a record on its way to the log or, without one, a question whether all
// before it are there.
type keeping struct {
	record *logging.Record
	asked  chan<- struct{}
}

// newBodyKeeper starts a keeper. keys are those that must not be kept.
func newBodyKeeper(settings Bodies, keys []string, log *logging.Log, logger *zap.Logger) *bodyKeeper {
	k := &bodyKeeper{
		settings: settings,
		secrets:  redact.NewSecrets(keys),
		log:      log,
		logger:   logger,
		queue:    make(chan keeping, maxBodiesQueued),
		done:     make(chan struct{}),
	}
	go k.run()
	return k
}

// run works until the queue is closed and empty.
func (k *bodyKeeper) run() {
	defer close(k.done)
	for next := range k.queue {
		if next.record == nil {
			close(next.asked)
			continue
		}
		k.keep(next.record)
	}
}

// keep makes the bodies of a record fit and adds it to the log. A record whose bodies
// cannot be made fit is added without them.
func (k *bodyKeeper) keep(r *logging.Record) {
	defer k.waiting.Add(-int64(len(r.Bodies.Request) + len(r.Bodies.Answer)))
	defer func() {
		if fault := recover(); fault != nil {
			k.logger.Error("panic while redacting bodies", zap.String("uuid", r.ID),
				zap.String("panic", describePanic(fault)), zap.ByteString("stack", debug.Stack()))
			r.Bodies = nil
		}
		k.log.Add(r)
	}()
	fit := new(logging.Bodies)
	fit.Request, fit.RequestCut = k.fit(r.Bodies.Request, r.Bodies.RequestCut)
	fit.Answer, fit.AnswerCut = k.fit(r.Bodies.Answer, r.Bodies.AnswerCut)
	r.Bodies = fit
}

// fit is what may be kept of a body.
func (k *bodyKeeper) fit(body []byte, cut bool) ([]byte, bool) {
	if k.settings.Mode == BodiesRedacted {
		body = redact.Body(nil, body)
	}
	body = k.secrets.Remove(body, cut)
	if most := int(k.settings.MaxSize); len(body) > most {
		// Redaction makes short texts longer, and so may what stands for a key.
		return k.secrets.Remove(body[:most:most], true), true
	}
	return body, cut
}

// add takes a record with bodies over. It never waits: where too much does, the record
// goes to the log without them.
func (k *bodyKeeper) add(r *logging.Record) {
	size := int64(len(r.Bodies.Request) + len(r.Bodies.Answer))
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.over && k.waiting.Load()+size <= maxBodyBytesQueued {
		k.waiting.Add(size)
		select {
		case k.queue <- keeping{record: r}:
			k.dropping = false
			return
		default:
			k.waiting.Add(-size)
		}
	}
	if !k.dropping {
		k.dropping = true
		k.logger.Warn("more bodies come than can be redacted; requests are logged without them", zap.String("uuid", r.ID))
	}
	r.Bodies = nil
	k.log.Add(r)
}

// flush waits until all that was added before is in the log's own queue, or until ctx
// is over. Without a keeper it does nothing.
func (k *bodyKeeper) flush(ctx context.Context) {
	if k == nil {
		return
	}
	there := make(chan struct{})
	k.mu.Lock()
	if k.over {
		k.mu.Unlock()
		return
	}
	select {
	case k.queue <- keeping{asked: there}:
		k.mu.Unlock()
	default: // full; whoever asks sees what there is
		k.mu.Unlock()
		return
	}
	select {
	case <-there:
	case <-ctx.Done():
	}
}

// stop ends the keeper when it has added all that it took. Requests that come later
// are logged without bodies.
func (k *bodyKeeper) stop() {
	k.mu.Lock()
	k.over = true
	close(k.queue)
	k.mu.Unlock()
	<-k.done
}

// samples reports whether the bodies of a request are kept.
func (k *bodyKeeper) samples(id string) bool {
	if k == nil {
		return false
	}
	if k.settings.Sample >= 1 {
		return true
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(id)) // never fails
	return float64(hash.Sum32()) < k.settings.Sample*(math.MaxUint32+1)
}

// openBodies starts the keeper of bodies, where the handler's log keeps them. It is to
// be stopped before the log is let go.
func (rt *runtime) openBodies(h *Handler) {
	if rt.log == nil || !h.Log.Bodies.kept() {
		return
	}
	rt.bodies = newBodyKeeper(*h.Log.Bodies, append(rt.router.Secrets(), h.clientSecrets...), rt.log, h.logger)
	rt.closers = append([]func(){rt.bodies.stop}, rt.closers...)
}

// tapBodies begins to keep the bodies of the request, if it is one of those whose
// bodies are.
func (x *exchange) tapBodies() {
	if k := x.runtime.bodies; k.samples(x.id) {
		x.tap = &tap{ResponseWriter: x.w, most: int(k.settings.MaxSize)}
		x.w = x.tap
	}
}

// bodies are what has been kept of them; nil: nothing.
func (x *exchange) bodies() *logging.Bodies {
	if x.tap == nil {
		return nil
	}
	return &logging.Bodies{Request: x.tap.request, RequestCut: x.tap.requestCut, Answer: x.tap.answer, AnswerCut: x.tap.answerCut}
}

// add adds a record to the request log, by way of the keeper where it has bodies.
func (rt *runtime) add(r *logging.Record) {
	if r.Bodies != nil {
		rt.bodies.add(r)
		return
	}
	rt.log.Add(r)
}

// tap is the writer of an answer, which keeps the beginnings of request and answer.
type tap struct {
	http.ResponseWriter
	most                  int // bytes of each
	request, answer       []byte
	requestCut, answerCut bool
}

// read keeps a request. Without a tap it does nothing.
func (t *tap) read(body []byte) {
	if t != nil {
		t.request, t.requestCut = keepStart(t.request, body, t.most, false)
	}
}

// Write implements http.ResponseWriter. What the client was not sent is not kept.
func (t *tap) Write(b []byte) (int, error) {
	n, err := t.ResponseWriter.Write(b)
	t.answer, t.answerCut = keepStart(t.answer, b[:n], t.most, t.answerCut)
	return n, err
}

// Unwrap lets http.ResponseController flush.
func (t *tap) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// keepStart appends as much of b as there is room for.
func keepStart(kept, b []byte, most int, cut bool) ([]byte, bool) {
	room := most - len(kept)
	if len(b) > room {
		return append(kept, b[:room]...), true
	}
	return append(kept, b...), cut
}

// Interface guard
var _ http.ResponseWriter = (*tap)(nil)
