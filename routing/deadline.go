package routing

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// deadline ends an attempt that is silent for too long. It serves all the waits
// of an attempt, one after the other; each has a cause of its own, so that the
// failure can say what was waited for.
type deadline struct {
	cancel context.CancelCauseFunc
	ends   time.Time
	ended  *error

	begun time.Time
	whole time.Duration // from then on, the wait for all of a whole answer
	idle  time.Duration // the wait that a sign of life begins
	alive atomic.Bool   // there was one since the last look

	// Who watches it. by.mu guards what follows: when the present wait is over
	// and what it is for, and the neighbours among those that are watched.
	by             *lookout
	until          time.Time
	cause          *error
	previous, next *deadline
}

// tick is how late a deadline may be noticed.
const tick = 25 * time.Millisecond

// lookout watches deadlines with one timer, which runs only while there are any.
// A stream shows life with each read; reading the clock and setting a timer
// then was a third of what the gateway did for a stream. The zero value is
// ready.
type lookout struct {
	mu      sync.Mutex
	first   *deadline
	running bool
	over    bool // no attempt may go on
}

// deadlines watches those of all attempts.
var deadlines lookout

// EndCalls ends all upstream calls of the process, and those that begin later, so
// that each stream can still tell its client by an error event that it is not
// whole. It is for a process that is about to exit.
func EndCalls() { deadlines.endAll() }

// endAll cancels all attempts, and each that is watched from now on.
func (l *lookout) endAll() {
	l.mu.Lock()
	l.over = true
	var open []context.CancelCauseFunc
	for d := l.first; d != nil; d = d.next {
		open = append(open, d.cancel)
	}
	l.mu.Unlock()
	for _, cancel := range open {
		cancel(errShutdown)
	}
}

// watch starts the first wait of an attempt: for the first content of a stream.
func (l *lookout) watch(cancel context.CancelCauseFunc, waits waits) *deadline {
	d := &deadline{cancel: cancel, ends: waits.ends, ended: waits.ended, begun: time.Now(), whole: waits.whole, idle: waits.idle, by: l}
	d.set(d.begun, waits.first, &errFirstContent)

	over := false
	defer func() {
		if over {
			cancel(errShutdown)
		}
	}()
	l.mu.Lock()
	defer l.mu.Unlock()
	over = l.over
	if d.next = l.first; d.next != nil {
		d.next.previous = d
	}
	l.first = d
	if !l.running {
		l.running = true
		time.AfterFunc(tick, l.look)
	}
	return d
}

// await starts a new wait in place of any other. One that was noticed to be over
// stays over.
func (d *deadline) await(wait time.Duration, cause *error) {
	d.by.mu.Lock()
	defer d.by.mu.Unlock()
	d.alive.Store(false)
	d.set(time.Now(), wait, cause)
}

// awaitWhole puts the wait for all of a whole answer in place of any other, as if
// the attempt had begun with it.
func (d *deadline) awaitWhole() {
	d.by.mu.Lock()
	defer d.by.mu.Unlock()
	d.alive.Store(false)
	d.set(d.begun, d.whole, &errWhole)
}

// set starts a wait, which does not outlast the attempt. Once d is watched,
// by.mu must be held.
func (d *deadline) set(now time.Time, wait time.Duration, cause *error) {
	until := now.Add(wait)
	if until.After(d.ends) {
		until, cause = d.ends, d.ended
	}
	d.until, d.cause = until, cause
}

// showsLife begins the wait for the next sign of life, at the latest a tick from
// now.
func (d *deadline) showsLife() { d.alive.Store(true) }

// stop ends the watch. Stopping again does nothing.
func (d *deadline) stop() {
	d.by.mu.Lock()
	defer d.by.mu.Unlock()
	d.by.forget(d)
}

// forget takes a deadline out of those that are watched. l.mu must be held.
func (l *lookout) forget(d *deadline) {
	switch {
	case d.previous != nil:
		d.previous.next = d.next
	case l.first == d:
		l.first = d.next
	default:
		return // not watched any more
	}
	if d.next != nil {
		d.next.previous = d.previous
	}
	d.previous, d.next = nil, nil
}

// look cancels the attempts whose wait is over, and comes again as long as
// there is one to watch.
func (l *lookout) look() {
	type end struct {
		cancel context.CancelCauseFunc
		cause  error
	}
	var over []end
	now := time.Now()
	l.mu.Lock()
	for d, next := l.first, (*deadline)(nil); d != nil; d = next {
		next = d.next
		if d.alive.Swap(false) {
			d.set(now, d.idle, &errIdle)
		}
		if !d.until.After(now) {
			over = append(over, end{d.cancel, *d.cause})
			// Whoever should stop it may be gone, by a panic.
			l.forget(d)
		}
	}
	if l.running = l.first != nil; l.running {
		time.AfterFunc(tick, l.look)
	}
	l.mu.Unlock()
	// Outside of the lock, since it runs what waits for the context's end.
	for _, e := range over {
		e.cancel(e.cause)
	}
}
