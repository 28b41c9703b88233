package logging

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	batchRows     = 500                    // at most in one transaction
	batchWait     = 100 * time.Millisecond // for which a record waits for others
	retryPause    = 250 * time.Millisecond // after a write that failed
	tickInterval  = time.Second            // between looks at the free space
	checkInterval = 10 * time.Second       // between looks at the files, and at retention
	asideInterval = time.Minute            // between two renamed databases, lest a bad disk makes hundreds
)

// writer writes what is in the queue. All its methods run on its goroutine, apart
// from those that Open calls before it begins.
type writer struct {
	log       *Log
	ctx       context.Context // ends when Close waits no longer
	logger    *zap.Logger
	retain    time.Duration
	maxSize   int64
	freeSpace func(string) (free, total uint64, err error)

	batch  []*Record // taken, and not yet written
	buffer []*Record // backs batch

	checks  sync.WaitGroup
	checked chan verdict
	suspect bool // the next database to be opened is to be checked, whatever its past

	spaceAt time.Time // when the free space was looked at
	cramped bool      // it was too little
	checkAt time.Time // when the files were looked at
	asideAt time.Time // when a database was set aside
	pruning bool      // there are more rows to delete
}

// verdict is what the check of a database came to.
type verdict struct {
	of  *store
	err error
}

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
		var more chan struct{} // never ready, unless there is something to delete
		if w.pruning {
			more = make(chan struct{})
			close(more)
		}
		select {
		case <-l.wake:
			if len(w.batch) == 0 && l.queue.len() >= batchRows {
				w.guard(w.write)
			}
		case <-due.C:
			armed = false
			w.guard(w.write)
		case <-tick.C:
			w.guard(func() { w.maintain(l.now()) })
		case <-more:
			w.guard(func() { w.prune(l.now()) })
		case v := <-w.checked:
			w.guard(func() { w.judge(v) })
		case c := <-l.calls:
			err := errors.New("a panic came in between")
			w.guard(func() { err = c.do(w) })
			c.result <- err
		case <-l.quit:
			open = false
		}
		if armed {
			continue
		}
		switch {
		case len(w.batch) > 0 || l.store.Load() == nil:
			due.Reset(retryPause)
			armed = true
		case l.queue.len() > 0:
			due.Reset(batchWait)
			armed = true
		}
	}
	for w.ctx.Err() == nil {
		err := errors.New("a panic came in between")
		w.guard(func() { err = w.flush() })
		if err == nil {
			return
		}
		select {
		case <-w.ctx.Done():
		case <-time.After(retryPause):
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
			w.logger.Error("panic while writing the request log", zap.ByteString("stack", debug.Stack()))
			w.log.trouble(errors.New("a panic while writing"))
			w.log.queue.refuse(w.batch)
			w.batch = nil
			w.drop()
		}
	}()
	f()
}

// flush writes all that waits.
func (w *writer) flush() error {
	for {
		w.write()
		if len(w.batch) == 0 && w.log.queue.len() == 0 {
			return nil
		}
		if err := w.hindered(); err != nil {
			return err
		}
	}
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

// write writes batches until less than one waits.
func (w *writer) write() {
	for w.ready() {
		if len(w.batch) == 0 {
			w.buffer = w.log.queue.take(w.buffer[:0], batchRows)
			w.batch = w.buffer
		}
		if len(w.batch) == 0 {
			w.unhinder()
			return
		}
		if err := w.insert(); err != nil {
			w.fail(err)
			return
		}
		clear(w.buffer) // what is written need not stay in memory
		w.unhinder()
		if w.log.queue.len() < batchRows {
			return
		}
	}
}

// insert writes the batch. A record that the database refuses is searched for and
// given up, so that the others are stored.
func (w *writer) insert() error {
	for n := len(w.batch); len(w.batch) > 0; {
		n = min(n, len(w.batch))
		part := w.batch[:n]
		duplicates, err := w.log.store.Load().insert(w.ctx, part)
		switch {
		case err == nil:
			w.log.queue.settle(part, duplicates)
			w.batch = w.batch[n:]
			n *= 2
		case ofRow(err) && n > 1:
			n /= 2
		case ofRow(err):
			w.logger.Error("the request log's database refuses a record", zap.String("request_id", clean(part[0].ID, maxName)), zap.Error(err))
			w.log.trouble(err)
			w.log.queue.refuse(part)
			w.batch = w.batch[n:]
		default:
			return err
		}
	}
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
		// trusted, and perhaps neither is the file.
		w.suspect = true
		w.drop()
		w.hinder(obstacleStore, err)
	}
}

// hinder notes what keeps the writer from writing, and tells the operator once.
func (w *writer) hinder(o obstacle, err error) {
	w.log.trouble(err)
	if w.log.queue.hinder(o) {
		w.logger.Warn("the request log is not written; records wait, and are dropped and counted once the queue is full",
			zap.String("file", w.log.path), zap.Error(err))
	}
}

// unhinder notes that writing goes on.
func (w *writer) unhinder() {
	if w.log.queue.hinder(noObstacle) {
		stats := w.log.queue.stats()
		w.logger.Info("the request log is written again", zap.String("file", w.log.path), zap.Int64("dropped", stats.Dropped.Total()))
	}
}

// maintain looks after the free space, the files and old rows, if it is time to.
func (w *writer) maintain(now time.Time) {
	w.write() // after trouble this finds out whether it is over
	if now.Sub(w.checkAt) < checkInterval && !now.Before(w.checkAt) {
		return
	}
	w.checkAt = now
	if store := w.log.store.Load(); store != nil && store.replaced() {
		w.reopen()
	}
	w.prune(now)
}

// reopen opens what is at the path now, as it is not what is open.
func (w *writer) reopen() {
	err := errors.New("the database or its write-ahead log was deleted or replaced while it was open; rows of the last seconds may be missing")
	w.log.trouble(err)
	w.logger.Warn("reopening the request log", zap.String("file", w.log.path), zap.Error(err))
	// Before anything is opened: closing deletes the write-ahead log by its name.
	w.drop()
	_ = w.open() // it tells, and is tried again
}

// drop closes the database.
func (w *writer) drop() {
	if store := w.log.store.Swap(nil); store != nil {
		store.close()
	}
}

// open opens the database; a damaged one is set aside for a new one.
func (w *writer) open() error {
	store, err := openStore(w.ctx, w.log.path)
	if damaged(err) {
		if w.setAside(err); w.log.store.Load() != nil {
			return nil
		}
		return err
	}
	if err != nil {
		w.hinder(obstacleOf(err), fmt.Errorf("opening the database: %w", err))
		return err
	}
	w.opened(store)
	return nil
}

// opened takes a database into use. One with a past is checked beside the work.
func (w *writer) opened(store *store) {
	w.log.store.Store(store)
	if !store.fresh || w.suspect {
		w.suspect = false
		w.checks.Go(func() {
			v := verdict{of: store}
			defer func() {
				if recover() != nil {
					return // nothing is known then
				}
				select {
				case w.checked <- v:
				case <-w.ctx.Done():
				}
			}()
			v.err = store.check(w.ctx)
		})
	}
}

// judge does what the check of the database asks for.
func (w *writer) judge(v verdict) {
	if v.of == w.log.store.Load() && damaged(v.err) {
		w.setAside(v.err)
	}
}

// setAside renames a damaged database and opens a new one.
func (w *writer) setAside(cause error) {
	w.drop()
	now := w.log.now()
	if !w.asideAt.IsZero() && now.Sub(w.asideAt) < asideInterval {
		w.hinder(obstacleStore, cause)
		return
	}
	w.asideAt = now
	aside, err := setAside(w.log.path, now)
	if err != nil {
		w.hinder(obstacleStore, fmt.Errorf("renaming a damaged database: %w", err))
		return
	}
	w.log.trouble(cause)
	w.log.mu.Lock()
	w.log.status.setAside = aside
	w.log.mu.Unlock()
	w.logger.Error("the request log's database is damaged; it was renamed, and a new one begins",
		zap.String("file", w.log.path), zap.String("renamed", aside), zap.Error(cause))
	store, err := openStore(w.ctx, w.log.path)
	if err != nil {
		w.hinder(obstacleOf(err), fmt.Errorf("opening a new database: %w", err))
		return
	}
	w.opened(store)
}

// room tells whether the disk has room for more, which is looked at once a second.
func (w *writer) room(now time.Time) bool {
	if !w.spaceAt.IsZero() && now.Sub(w.spaceAt) < tickInterval && !now.Before(w.spaceAt) {
		return !w.cramped
	}
	w.spaceAt = now
	free, total, err := w.freeSpace(filepath.Dir(w.log.path))
	w.cramped = err == nil && free < spaceFloor(total)
	if w.cramped {
		w.hinder(obstacleSpace, fmt.Errorf("the disk has too little room: %d MiB are free, and %d are left to others", free>>20, spaceFloor(total)>>20))
	}
	return !w.cramped
}
