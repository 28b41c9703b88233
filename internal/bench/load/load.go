// Package load asks an HTTP/1.1 server the same thing over and over, on
// persistent connections, and tells how long the answers took and whether they
// were complete. It is made to cost little CPU, because it shares the machine
// with the server that it measures.
package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/payload"
)

// maxFailures is how many requests of one worker may fail before it gives up: a
// server that is down or refuses everything gets no more load.
const maxFailures = 5

// Plan is one run of load.
type Plan struct {
	// Address of the server, host:port.
	Address string
	// Request is sent as it is, head and body.
	Request []byte
	// Want is what makes an answer complete. Its status must be 200.
	Want payload.Completeness
	// Connections ask at the same time, each one request after the other.
	Connections int
	// Duration after which no further request is sent; those in flight end.
	// Each connection sends at least one, however late it gets its turn.
	Duration time.Duration
	// Once makes each connection ask exactly once, whatever Duration says.
	Once bool
	// Ramp spreads the start of the connections. Default: all at once.
	Ramp time.Duration
	// Streams records the gaps between the words of an answer and how many
	// answers were open together.
	Streams bool
}

// Result is what a run measured.
type Result struct {
	// Complete answers and Failed ones.
	Complete, Failed int
	// Elapsed from the start of the first connection to the end of the last answer.
	Elapsed time.Duration
	// Latency of the complete answers: from sending to the last byte.
	Latency Distribution
	// Gap between arrivals of successive words of an answer (Plan.Streams).
	Gap Distribution
	// MostOpen is how many answers had begun and not ended at one time (Plan.Streams).
	MostOpen int
	// Errors counts the failures by their text.
	Errors map[string]int
}

// Run runs the plan to its end. It fails only when ctx ends; failing answers
// are counted in the result.
func Run(ctx context.Context, plan Plan) (Result, error) {
	var open gauge
	workers := make([]*worker, plan.Connections)
	var wg sync.WaitGroup
	begin := time.Now()
	for i := range workers {
		w := newWorker(&plan, &open)
		workers[i] = w
		wait := plan.Ramp * time.Duration(i) / time.Duration(plan.Connections)
		wg.Go(func() { w.work(ctx, begin, wait) })
	}
	wg.Wait()
	elapsed := time.Since(begin)
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	result := collect(workers)
	result.Elapsed = elapsed
	result.MostOpen = int(open.most.Load())
	return result, nil
}

// collect adds up what the workers saw.
func collect(workers []*worker) Result {
	result := Result{Errors: map[string]int{}}
	var latencies, gaps []time.Duration
	for _, w := range workers {
		result.Complete += len(w.latencies)
		for text, n := range w.errors {
			result.Failed += n
			result.Errors[text] += n
		}
		latencies = append(latencies, w.latencies...)
		gaps = append(gaps, w.gaps...)
	}
	result.Latency = newDistribution(latencies)
	result.Gap = newDistribution(gaps)
	return result
}

// worker owns one connection.
type worker struct {
	plan *Plan
	open *gauge

	conn   net.Conn    // nil when none is open
	forget func() bool // undoes the watch that ends conn with the context
	in     *reader
	answer completeness
	take   func([]byte) // w.piece, bound once: a method value allocates

	begun    bool      // a piece of the current answer has come (Plan.Streams)
	lastWord time.Time // when it came; zero before the first one

	latencies, gaps []time.Duration
	errors          map[string]int
}

func newWorker(plan *Plan, open *gauge) *worker {
	w := &worker{plan: plan, open: open, in: newReader(nil), errors: map[string]int{}}
	w.take = w.piece
	return w
}

// work asks until the plan says stop.
func (w *worker) work(ctx context.Context, begin time.Time, wait time.Duration) {
	defer w.hangUp()
	if !sleep(ctx, wait) {
		return
	}
	failures := 0
	for failures < maxFailures && ctx.Err() == nil {
		took, err := w.ask(ctx)
		if err != nil {
			w.errors[text(err)]++
			w.hangUp()
			failures++
		} else {
			w.latencies = append(w.latencies, took)
		}
		if w.plan.Once || time.Since(begin) >= w.plan.Duration {
			return
		}
	}
}

// ask sends the request, reads its answer and tells how long that took,
// without the time to connect.
func (w *worker) ask(ctx context.Context) (time.Duration, error) {
	if w.conn == nil {
		if err := w.dial(ctx); err != nil {
			return 0, err
		}
	}
	sent := time.Now()
	if _, err := w.conn.Write(w.plan.Request); err != nil {
		return 0, err
	}
	h, err := w.read()
	if err != nil {
		return 0, err
	}
	took := time.Since(sent)
	if h.close {
		w.hangUp()
	}
	if h.status != 200 {
		return 0, fmt.Errorf("status %d, body ends with %q", h.status, w.answer.end())
	}
	return took, w.answer.check(w.plan.Want)
}

// read reads one answer.
func (w *worker) read() (head, error) {
	w.answer.reset()
	w.begun, w.lastWord = false, time.Time{}
	h, err := w.in.answer(w.take)
	if w.begun {
		w.open.add(-1)
	}
	return h, err
}

// piece takes a part of an answer's body.
func (w *worker) piece(p []byte) {
	words := w.answer.add(p)
	if !w.plan.Streams {
		return
	}
	if !w.begun {
		w.begun = true
		w.open.add(1)
	}
	if words == 0 {
		return
	}
	now := time.Now()
	for range words {
		if !w.lastWord.IsZero() {
			w.gaps = append(w.gaps, now.Sub(w.lastWord))
		}
		w.lastWord = now
	}
}

func (w *worker) dial(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", w.plan.Address)
	if err != nil {
		return err
	}
	w.conn = conn
	w.forget = context.AfterFunc(ctx, func() { conn.Close() })
	w.in.reset(conn)
	return nil
}

func (w *worker) hangUp() {
	if w.conn != nil {
		w.forget()
		w.conn.Close()
		w.conn = nil
	}
}

// sleep waits, and reports whether it was not interrupted.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// text is an error without the port numbers that would make each one unique.
func text(err error) string {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}

// gauge counts up and down and remembers its highest value.
type gauge struct {
	now, most atomic.Int64
}

func (g *gauge) add(n int64) {
	now := g.now.Add(n)
	for {
		most := g.most.Load()
		if now <= most || g.most.CompareAndSwap(most, now) {
			return
		}
	}
}
