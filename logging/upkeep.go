package logging

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"
)

// goOn deletes some more of the old rows, and brings home some more of the spill.
func (w *writer) goOn(now time.Time) {
	if w.pruning {
		w.prune(now)
	}
	if w.replays {
		w.replay()
	}
}

// maintain looks after the free space, the files and old rows, if it is time to.
func (w *writer) maintain(now time.Time) {
	w.write() // after trouble this finds out whether it is over
	w.replay()
	if !w.adopt() && now.Sub(w.checkAt) < checkInterval && !now.Before(w.checkAt) && !w.cramped {
		return
	}
	w.checkAt = now
	store := w.log.store.Load()
	if store == nil {
		return
	}
	if store.files != nil {
		if err := store.files.changed(); err != nil {
			w.reopen(err)
		}
	}
	w.measure()
	w.prune(now)
	if w.cramped && !w.pruning {
		w.bringHome()
	}
}

// bringHome gives the room of the write-ahead log back to a disk that has little.
func (w *writer) bringHome() {
	store := w.log.store.Load()
	if store == nil || store.files == nil {
		return
	}
	if _, err := store.write.ExecContext(w.ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		w.fail(err)
	}
	store.files.seen = walMark{}
}

// reopen opens what is at the path now, as it is not what was open.
func (w *writer) reopen(cause error) {
	w.log.trouble(cause)
	w.logger().Warn("reopening the request log", zap.Stringer("database", w.engine), zap.Error(cause))
	w.suspect = true
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
	store, err := w.engine.open(w.ctx)
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

// opened takes a database into use. A file with a past is checked beside the work.
func (w *writer) opened(store *store) {
	w.log.store.Store(store)
	suspect := w.suspect
	w.suspect = false
	if store.files == nil || store.files.fresh && !suspect {
		return
	}
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

// judge does what the check of the database asks for.
func (w *writer) judge(v verdict) {
	if v.of == w.log.store.Load() && damaged(v.err) {
		w.setAside(v.err)
	}
}

// setAside renames a damaged database and opens a new one. Only files are ever
// damaged.
func (w *writer) setAside(cause error) {
	w.drop()
	now := w.log.now()
	if !w.asideAt.IsZero() && now.Sub(w.asideAt) < asideInterval {
		w.hinder(obstacleStore, cause)
		return
	}
	w.asideAt = now
	aside, err := setAside(w.engine.String(), now)
	if err != nil {
		w.hinder(obstacleStore, fmt.Errorf("renaming a damaged database: %w", err))
		return
	}
	w.log.trouble(cause)
	w.log.mu.Lock()
	w.log.status.setAside = aside
	w.log.mu.Unlock()
	w.logger().Error("the request log's database is damaged; it was renamed, and a new one begins",
		zap.Stringer("database", w.engine), zap.String("renamed", aside), zap.Error(cause))
	store, err := w.engine.open(w.ctx)
	if err != nil {
		w.hinder(obstacleOf(err), fmt.Errorf("opening a new database: %w", err))
		return
	}
	w.opened(store)
}

// room tells whether there is room for more, which is looked at once a second.
func (w *writer) room(now time.Time) bool {
	if !w.spaceAt.IsZero() && now.Sub(w.spaceAt) < tickInterval && !now.Before(w.spaceAt) {
		return !w.cramped
	}
	w.spaceAt = now
	err := w.engine.room()
	w.cramped = err != nil
	if w.cramped {
		w.hinder(obstacleSpace, err)
	}
	return !w.cramped
}

// reset deletes all requests. Those that wait are written before, lest they come
// back.
func (w *writer) reset(ctx context.Context) error {
	w.write()
	w.drop()
	err := w.engine.erase(ctx)
	if failure := w.open(); err == nil {
		err = failure
	}
	w.pruning, w.surplus = false, 0
	w.measure()
	if s := w.log.spill; s != nil && err == nil {
		// Here, and so before this goroutine brings any more of it home.
		err = s.to.do(context.Background(), func(file *writer) error { return file.reset(ctx) })
	}
	return err
}

// replay brings some of the spill home, if there is one, and the server is there.
func (w *writer) replay() {
	w.replays = false
	s := w.log.spill
	if s == nil || s.waiting.Load() == 0 || w.ctx.Err() != nil || w.log.store.Load() == nil {
		return
	}
	if w.hindered() != nil && w.log.queue.len() > 0 {
		return // what waits there is tried first
	}
	more, err := s.replay(w)
	switch {
	case err != nil:
		w.fail(err)
	case more:
		w.unhinder()
	}
	w.replays = more
}
