package logging

import (
	"context"
	"fmt"
	"time"

	"github.com/jmoiron/sqlx"
)

// chunkRows is how many requests are deleted at once, so that the writer is soon
// back at its queue.
const chunkRows = 500

// maxSurplus is how many requests are deleted at most until it is looked anew how many
// are too many: other processes that share the database delete them too.
const maxSurplus = 10 * chunkRows

// vacuumPages is how many free pages are given back to the disk at once.
const vacuumPages = 256

// prune deletes some of the rows that are too old, or too many, and notes whether
// there are more.
func (w *writer) prune(now time.Time) {
	w.pruning = false
	store := w.log.store.Load()
	if store == nil {
		return
	}
	if err := w.pruneOnce(store, now); err != nil {
		w.pruning = false
		w.fail(err)
	}
}

// pruneOnce deletes a chunk by each of the rules.
func (w *writer) pruneOnce(store *store, now time.Time) (err error) {
	ctx, cancel := store.bounded(w.ctx)
	defer cancel()
	if store.dialect.now != nil {
		// One gateway whose clock is fast would delete the rows of all.
		shared, err := store.dialect.now(ctx, store.write)
		if err != nil {
			return err
		}
		if shared.Before(now) {
			now = shared
		}
	}
	for _, rule := range []struct {
		retain time.Duration
		delete func(ctx context.Context, before int64) (more bool, err error)
	}{
		{w.settings.retain, store.deleteOlder},
		{w.settings.retainBodies, store.deleteOlderBodies},
	} {
		if rule.retain <= 0 {
			continue
		}
		more, err := rule.delete(ctx, micros(now.Add(-rule.retain)))
		if err != nil {
			return err
		}
		w.pruning = w.pruning || more
	}
	if w.settings.maxSize > 0 {
		more, err := w.shrink(ctx, store)
		if err != nil {
			return err
		}
		w.pruning = w.pruning || more
	}
	// Also while there are more requests to delete: where clients make up names, labels
	// take as much room as these.
	more, err := store.deleteLabels(ctx)
	if err != nil {
		return err
	}
	w.pruning = w.pruning || more
	more, err = store.tidy(ctx)
	w.pruning = w.pruning || more
	return err
}

// shrink deletes some of the oldest requests while the rows take too much.
func (w *writer) shrink(ctx context.Context, store *store) (more bool, err error) {
	if w.surplus <= 0 {
		if w.surplus, err = store.dialect.surplus(ctx, store.write, w.settings.maxSize); err != nil || w.surplus <= 0 {
			return false, err
		}
		w.surplus = min(w.surplus, maxSurplus)
	}
	deleted, err := store.deleteOldest(ctx, min(w.surplus, chunkRows))
	if err != nil {
		return false, err
	}
	if w.surplus -= deleted; deleted == 0 {
		w.surplus = 0
	}
	return deleted > 0, nil
}

// deleteOlder deletes up to chunkRows requests that began before a time.
func (s *store) deleteOlder(ctx context.Context, before int64) (more bool, err error) {
	deleted, err := s.delete(ctx, "SELECT seq FROM requests WHERE start_us < ? ORDER BY start_us, id LIMIT ?", requestTables, before, chunkRows)
	return deleted == chunkRows, err
}

// deleteOldest deletes the oldest requests.
func (s *store) deleteOldest(ctx context.Context, n int64) (deleted int64, err error) {
	return s.delete(ctx, "SELECT seq FROM requests ORDER BY start_us, id LIMIT ?", requestTables, n)
}

// deleteOlderBodies deletes up to chunkRows bodies of requests that began before a
// time.
func (s *store) deleteOlderBodies(ctx context.Context, before int64) (more bool, err error) {
	deleted, err := s.delete(ctx, "SELECT request FROM bodies WHERE start_us < ? ORDER BY start_us LIMIT ?", bodiesTables, before, chunkRows)
	return deleted == chunkRows, err
}

// tables are where rows are deleted by the seq of their request.
type tables []struct{ name, column string }

var (
	requestTables = tables{{"attempts", "request"}, {"skips", "request"}, {"bodies", "request"}, {"requests", "seq"}}
	bodiesTables  = tables{{"bodies", "request"}}
)

// delete deletes the rows of the requests that a query finds.
func (s *store) delete(ctx context.Context, query string, from tables, values ...any) (deleted int64, err error) {
	tx, err := s.write.BeginTxx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }()
	var seqs []int64
	if err := tx.SelectContext(ctx, &seqs, tx.Rebind(query+s.dialect.claim), values...); err != nil || len(seqs) == 0 {
		return 0, err
	}
	if err := deleteRows(ctx, tx, from, seqs); err != nil {
		return 0, err
	}
	return int64(len(seqs)), tx.Commit()
}

// deleteRequests deletes records with all that belongs to them.
func (s *store) deleteRequests(ctx context.Context, records []*Record) error {
	first, last := micros(records[0].Start), micros(records[0].Start)
	ids := make([]string, len(records))
	for i, r := range records {
		ids[i] = r.ID
		first, last = min(first, micros(r.Start)), max(last, micros(r.Start))
	}
	// By their time, as no index begins with the ID.
	query, values, err := sqlx.In("SELECT seq FROM requests WHERE start_us >= ? AND start_us <= ? AND id IN (?)", first, last, ids)
	if err != nil {
		return err
	}
	_, err = s.delete(ctx, query, requestTables, values...)
	return err
}

func deleteRows(ctx context.Context, tx *sqlx.Tx, from tables, seqs []int64) error {
	for _, table := range from {
		query, values, err := sqlx.In("DELETE FROM "+table.name+" WHERE "+table.column+" IN (?)", seqs)
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, tx.Rebind(query), values...); err != nil {
			return err
		}
	}
	return nil
}

// tidy gives some of the room of deleted rows back to the disk, and tells whether
// there is more. A server does that by itself.
func (s *store) tidy(ctx context.Context) (more bool, err error) {
	if s.files == nil {
		return false, nil
	}
	var free int
	if err := s.write.GetContext(ctx, &free, "PRAGMA freelist_count"); err != nil {
		return false, err
	}
	if free <= vacuumPages { // a few are soon used again
		return false, nil
	}
	_, err = s.write.ExecContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", vacuumPages))
	return free > 2*vacuumPages, err
}

// measure notes what the rows take on a server.
func (w *writer) measure() {
	store := w.log.store.Load()
	if store == nil || store.dialect.size == nil {
		return
	}
	ctx, cancel := store.bounded(w.ctx)
	defer cancel()
	size, err := store.dialect.size(ctx, store.write)
	if err != nil {
		w.fail(err)
		return
	}
	w.log.serverSize.Store(size)
}
