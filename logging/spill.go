package logging

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/zap"
)

const (
	outagePatience = 2 * time.Second        // for which records wait in memory for a server that is gone
	spillInterval  = 250 * time.Millisecond // between looks at the queue
	spillPatience  = time.Second            // of Close, for the spill, at the least
	replayRows     = 250                    // brought home at once
	replayBytes    = 4 << 20                // of their bodies, unless one has more
)

// spill takes the records that the database of a server does not, into a file, and
// brings them home later. It is a writer of its own, because the server's may be
// waiting for a server that hangs, while the queue fills.
type spill struct {
	of *Log // whose queue it relieves
	to *Log // the file

	wake  chan struct{} // the queue is crowded
	calls chan drainage // asks to take what waits
	quit  chan struct{}
	done  chan struct{}

	hand   []*Record // taken from the queue, neither written nor given back yet
	buffer []*Record // backs hand

	// waiting is how many records are in the file. Where another process shares
	// it this may be wrong for a while, but it does not stay 0 while one of ours
	// is there.
	waiting atomic.Int64

	mu     sync.Mutex
	counts spillCounts
}

// spillCounts are what became of records of the file.
type spillCounts struct{ taken, replayed, refused int64 }

// openSpill opens the file. Those that it holds are of a process before.
func openSpill(of *Log, o Options) (*spill, error) {
	file, err := openLog(Options{
		Path: o.Spill, Logger: o.Logger, Now: o.Now, FreeSpace: o.FreeSpace,
		Retain: o.Retain, RetainBodies: o.RetainBodies, // a server may be gone for weeks
		Queue: 1, QueueBytes: 1, // it has records written without one
	}, o.SpillSize)
	if err != nil {
		return nil, err
	}
	s := &spill{
		of: of, to: file,
		wake:  make(chan struct{}, 1),
		calls: make(chan drainage),
		quit:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	totals, err := file.Totals(context.Background(), time.Time{}, time.Time{})
	if err != nil {
		totals.Requests = 1 // the first look finds out
	}
	s.waiting.Store(totals.Requests)
	return s, nil
}

// run relieves the queue until close.
func (s *spill) run() {
	defer close(s.done)
	tick := time.NewTicker(spillInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.wake:
			s.guard(s.relieve)
		case <-tick.C:
			s.guard(s.relieve)
		case c := <-s.calls:
			err := errPanic
			s.guard(func() { err = s.drain(c.last) })
			c.result <- err
		case <-s.quit:
			s.guard(func() { _ = s.drain(anyRecord) }) // what is left is counted by Close
			return
		}
	}
}

// guard runs f, and survives its panic.
func (s *spill) guard(f func()) {
	defer func() {
		if recover() != nil { // not told: it could be made of what a record holds
			s.of.trouble(errors.New("a panic while spilling"))
			s.of.queue.refuse(s.hand)
			s.hand = nil
		}
	}()
	f()
}

// relieve takes records while there will soon be no room for more, or while the
// server has been gone for long: a process that ends loses what is in its memory.
func (s *spill) relieve() {
	for s.of.queue.crowded() || s.of.queue.hinderedFor(s.of.now()) >= outagePatience {
		if more, err := s.take(anyRecord); err != nil || !more {
			return
		}
	}
}

// drain takes all that waits and was added no later than last.
func (s *spill) drain(last int64) error {
	for {
		if more, err := s.take(last); err != nil || !more {
			return err
		}
	}
}

// take writes a batch of the queue into the file.
func (s *spill) take(last int64) (more bool, err error) {
	s.buffer = s.of.queue.take(s.buffer[:0], batchRows, last)
	s.hand = s.buffer
	if len(s.hand) == 0 {
		return false, nil
	}
	taken := len(s.hand)
	// Without a deadline: the file's own are short, and a call that is given up
	// would still use what it was given.
	err = s.to.do(context.Background(), func(w *writer) error { return w.accept(s.of.queue, &s.hand) })
	taken -= len(s.hand)
	// Once they are there: whoever looks before finds none, and then not 0.
	s.waiting.Add(int64(taken))
	s.mu.Lock()
	s.counts.taken += int64(taken)
	s.mu.Unlock()
	s.of.queue.giveBack(s.hand)
	s.hand = nil
	clear(s.buffer)
	if err != nil {
		s.of.trouble(fmt.Errorf("spilling into %s: %w", s.to.path, err))
	}
	return true, err
}

// drainage asks to take what waits and was added no later than last.
type drainage struct {
	last   int64
	result chan<- error
}

// flush takes what was added no later than last.
func (s *spill) flush(ctx context.Context, last int64) error {
	result := make(chan error, 1)
	select {
	case s.calls <- drainage{last, result}:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.done:
		return ErrClosed
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done(): // a disk may hang for longer than anybody waits
		return ctx.Err()
	}
}

// replay brings some records home: w, the server's writer, writes them, and then
// they are deleted. If this process ends in between they are written again, which
// changes nothing.
func (s *spill) replay(w *writer) (more bool, err error) {
	var records []*Record
	before := s.waiting.Load()
	// Without a deadline, as in take.
	ctx := context.Background()
	if err := s.to.do(ctx, func(file *writer) (err error) {
		records, err = file.oldest(replayRows, replayBytes)
		return err
	}); err != nil {
		return false, nil // the file tells
	}
	if len(records) == 0 {
		s.waiting.CompareAndSwap(before, 0) // unless more has come meanwhile
		return false, nil
	}
	first := s.replayed() == 0
	left := records
	if err := w.insert(replayed{s}, &left); err != nil {
		return false, err
	}
	if first {
		w.logger().Info("bringing requests from the spill into the database", zap.String("file", s.to.path), zap.Stringer("database", w.engine))
	}
	if err := s.to.do(ctx, func(file *writer) error { return file.forget(records) }); err != nil {
		return false, nil // the file tells
	}
	if s.waiting.Add(-int64(len(records))) <= 0 {
		s.waiting.Store(1) // the next look finds out
	}
	return true, nil
}

// replayed counts what becomes of records of the file.
type replayed struct{ *spill }

func (r replayed) settle(records []*Record, _ int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.replayed += int64(len(records))
}

func (r replayed) refuse(records []*Record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.refused += int64(len(records))
}

// replayed is how many records were brought home.
func (s *spill) replayed() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts.replayed
}

// oldest reads up to n of the records that were written first, with bodies of up to
// so many bytes together: each may have megabytes.
func (w *writer) oldest(n int, bytes int64) (records []*Record, err error) {
	store := w.log.store.Load()
	if store == nil {
		return nil, errNoDatabase
	}
	err = store.query(w.ctx, queryTimeout, func(ctx context.Context, db *sqlx.DB) error {
		var sizes []struct {
			Seq   int64 `db:"seq"`
			Bytes int64 `db:"bytes"`
		}
		err := db.SelectContext(ctx, &sizes, `SELECT seq, COALESCE(LENGTH(request_body), 0) + COALESCE(LENGTH(answer_body), 0) AS bytes
			FROM requests LEFT JOIN bodies ON request = seq ORDER BY seq LIMIT ?`, n)
		if err != nil || len(sizes) == 0 {
			return err
		}
		last, sum := sizes[0].Seq, sizes[0].Bytes
		for _, size := range sizes[1:] {
			if sum += size.Bytes; sum > bytes {
				break
			}
			last = size.Seq
		}
		records, err = whole(ctx, db, "seq <= ? ORDER BY seq", last)
		return err
	})
	if err != nil {
		w.fail(err)
	}
	return records, err
}

// forget deletes records that were brought home, and gives their room back. It finds
// them by their IDs: their seqs may be those of others by now, where another process
// has brought the same ones home, and has then spilled anew.
func (w *writer) forget(records []*Record) error {
	store := w.log.store.Load()
	if store == nil {
		return errNoDatabase
	}
	err := store.deleteRequests(w.ctx, records)
	if err == nil {
		_, err = store.tidy(w.ctx)
	}
	if err != nil {
		w.fail(err)
	}
	return err
}

// close takes what waits, for so long, and closes the file.
func (s *spill) close(patience time.Duration) {
	close(s.quit)
	select {
	case <-s.done:
	case <-time.After(patience):
	}
	_ = s.to.close(spillPatience)
}
