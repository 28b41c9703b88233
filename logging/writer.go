package logging

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	batchRows     = 500                    // at most in one transaction
	batchWait     = 100 * time.Millisecond // for which a record waits for others
	retryPause    = 250 * time.Millisecond // after a write into a file that failed
	tickInterval  = time.Second            // between looks at the free space
	checkInterval = 10 * time.Second       // between looks at the files, and at retention
	asideInterval = time.Minute            // between two renamed databases, lest a bad disk makes hundreds
)

// engine is a kind of database, and where it is.
type engine interface {
	// String is what people know it by. There is no secret in it.
	String() string
	// open opens the database, or makes one.
	open(context.Context) (*store, error)
	// room returns why there is no room for more, if so.
	room() error
	// erase deletes all requests, and gives back the room they took. The
	// database is closed meanwhile.
	erase(context.Context) error
}

// writer writes what is in the queue. All its methods run on its goroutine, apart
// from those that Open calls before it begins.
type writer struct {
	log      *Log
	engine   engine
	ctx      context.Context // ends when Close waits no longer
	settings *settings       // by which rows are deleted
	pause    time.Duration   // after a write that failed

	hand   []*Record // taken from the queue, neither written nor given back yet
	buffer []*Record // backs hand

	checks  sync.WaitGroup
	checked chan verdict
	suspect bool // the next database to be opened is to be checked, whatever its past

	spaceAt time.Time // when the engine was asked for room
	cramped bool      // it had none
	checkAt time.Time // when the files were looked at
	asideAt time.Time // when a database was set aside
	pruning bool      // there are more rows to delete
	surplus int64     // so many of the oldest requests are to be deleted, as the rows take too much
	replays bool      // there is more in the spill
}

// verdict is what the check of a database came to.
type verdict struct {
	of  *store
	err error
}

// errPanic is returned by what a panic has ended.
var errPanic = errors.New("a panic came in between")

// run writes until Close, and then what is left.
func (w *writer) run() {
	l := w.log
	defer close(l.done)
	defer l.mark.remove()
	defer w.shut()
	tick := time.NewTicker(tickInterval)
	defer tick.Stop()
	due := time.NewTimer(batchWait)
	armed := true
	for open := true; open; {
		var more chan struct{} // never ready, unless there is something to do
		if w.pruning || w.replays {
			more = make(chan struct{})
			close(more)
		}
		select {
		case <-l.wake:
			if l.queue.hindrance() == noObstacle && l.queue.len() >= batchRows {
				w.guard(w.write)
			}
		case <-due.C:
			armed = false
			w.guard(w.write)
		case <-tick.C:
			w.guard(func() { w.maintain(l.now()) })
		case <-more:
			w.guard(func() { w.goOn(l.now()) })
		case v := <-w.checked:
			w.guard(func() { w.judge(v) })
		case c := <-l.calls:
			err := errPanic
			w.guard(func() { err = c.do(w) })
			c.result <- err
		case <-l.quit:
			open = false
		}
		if armed {
			continue
		}
		switch {
		case l.queue.hindrance() != noObstacle || l.store.Load() == nil:
			due.Reset(w.pause)
			armed = true
		case l.queue.len() > 0:
			due.Reset(batchWait)
			armed = true
		}
	}
	w.finish()
}

// finish writes what is left, until Close waits no longer. Where there is a spill,
// that takes what cannot be written now.
func (w *writer) finish() {
	for w.ctx.Err() == nil {
		err := errPanic
		w.guard(func() { err = w.flush(anyRecord) })
		if err == nil || w.log.spill != nil {
			return
		}
		select {
		case <-w.ctx.Done():
		case <-time.After(w.pause):
		}
	}
}

// shut ends what the writer has begun.
func (w *writer) shut() {
	w.log.cancel()
	w.checks.Wait()
	w.drop()
}

// guard runs f, and survives its panic: without its writer the log would be lost,
// and with the process much more.
func (w *writer) guard(f func()) {
	defer func() {
		if fault := recover(); fault != nil {
			// Not the value: it could be made of what a record holds.
			w.logger().Error("panic while writing the request log", zap.ByteString("stack", debug.Stack()))
			w.log.trouble(errors.New("a panic while writing"))
			w.log.queue.refuse(w.hand)
			w.hand = nil
			w.drop()
		}
	}()
	f()
}

// flush writes all that waits and was added no later than last. It does not wait
// until nothing waits, which may never be so.
func (w *writer) flush(last int64) error {
	for w.ready() {
		taken, err := w.writeBatch(last)
		if err == nil && taken == 0 {
			return nil
		}
		// A damaged database may have been set aside for one that takes it.
		if err != nil && w.hindered() != nil {
			break
		}
	}
	return w.hindered()
}

// hindered returns why nothing can be written, if so.
func (w *writer) hindered() error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	switch w.log.queue.hindrance() {
	case obstacleSpace:
		return errors.New("the disk has too little room")
	case obstacleStore:
		return errors.New("the database takes nothing")
	default:
		return nil
	}
}

// write writes a batch. If another one waits it is next, after what else there may
// be to do: with more to write than can be written, all of that had to wait for
// ever.
func (w *writer) write() {
	if !w.ready() {
		return
	}
	if taken, _ := w.writeBatch(anyRecord); taken > 0 && w.log.queue.len() >= batchRows {
		notify(w.log.wake)
	}
}

// writeBatch writes one batch of what was added no later than last, and returns
// how many records it took from the queue for good. It has seen to an error.
func (w *writer) writeBatch(last int64) (taken int, err error) {
	w.buffer = w.log.queue.take(w.buffer[:0], batchRows, last)
	w.hand = w.buffer
	if len(w.hand) == 0 {
		// What the spill holds is the proof that the server takes rows again.
		if s := w.log.spill; s == nil || s.waiting.Load() == 0 {
			w.unhinder()
		}
		return 0, nil
	}
	if err := w.insert(w.log.queue, &w.hand); err != nil {
		w.log.queue.giveBack(w.hand)
		w.hand = nil
		w.fail(err)
		return 0, err
	}
	taken = len(w.buffer)
	clear(w.buffer) // what is written need not stay in memory
	w.unhinder()
	return taken, nil
}

// ledger is told what becomes of records.
type ledger interface {
	// settle: they are stored; so many of them had been before.
	settle(records []*Record, duplicates int)
	// refuse: the database will never take them.
	refuse(records []*Record)
}

// insert writes records. One that the database refuses is searched for and given
// up, so that the others are stored. What is left was not written.
func (w *writer) insert(to ledger, left *[]*Record) error {
	for n := len(*left); len(*left) > 0; {
		n = min(n, len(*left))
		part := (*left)[:n]
		duplicates, err := w.insertOnce(part)
		switch {
		case err == nil:
			to.settle(part, duplicates)
			*left = (*left)[n:]
			n *= 2
		case ofRow(err) && n > 1:
			n /= 2
		case ofRow(err):
			w.refused(part[0], err)
			to.refuse(part)
			*left = (*left)[n:]
		default:
			return err
		}
	}
	return nil
}

// insertOnce writes all of the records or none.
func (w *writer) insertOnce(records []*Record) (duplicates int, err error) {
	store := w.log.store.Load()
	ctx, cancel := store.bounded(w.ctx)
	defer cancel()
	return store.insert(ctx, records)
}

// refused tells of a record that the database will never take.
func (w *writer) refused(r *Record, err error) {
	w.logger().Error("the request log's database refuses a record", zap.String("request_id", clean(r.ID, maxName)), zap.Error(err))
	w.log.trouble(err)
}

// accept writes records that another log has taken from its queue.
func (w *writer) accept(to ledger, left *[]*Record) error {
	if !w.ready() {
		return w.hindered()
	}
	if err := w.insert(to, left); err != nil {
		w.fail(err)
		return err
	}
	w.unhinder()
	return nil
}

// ready tells whether there is a database, and room for more.
func (w *writer) ready() bool {
	if w.log.store.Load() == nil {
		if err := w.open(); err != nil {
			return false
		}
	}
	return w.room(w.log.now())
}

// fail does what an error of a write asks for. The batch is tried again later.
func (w *writer) fail(err error) {
	switch {
	case w.ctx.Err() != nil: // Close waits no longer; the batch is counted there
	case damaged(err):
		w.setAside(err)
	case passing(err):
		w.hinder(obstacleOf(err), err)
	default:
		// After a failed read or write SQLite's view of the file is not to be
		// trusted, and perhaps neither is the file. A server's connection is in
		// the middle of something.
		w.suspect = true
		w.drop()
		w.hinder(obstacleStore, err)
	}
}

// hinder notes what keeps the writer from writing, and tells the operator once.
func (w *writer) hinder(o obstacle, err error) {
	w.log.trouble(err)
	if !w.log.queue.hinder(o, w.log.now()) {
		return
	}
	message := "the request log is not written; records wait, and are dropped and counted once there is no more room"
	if w.log.spill != nil {
		message = "the request log is not written; records are spilled until it is"
	}
	w.logger().Warn(message, zap.Stringer("database", w.engine), zap.Error(err))
}

// unhinder notes that writing goes on.
func (w *writer) unhinder() {
	if w.log.queue.hinder(noObstacle, w.log.now()) {
		stats := w.log.queue.stats()
		w.logger().Info("the request log is written again", zap.Stringer("database", w.engine), zap.Int64("dropped", stats.Dropped.Total()))
	}
}
