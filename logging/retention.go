package logging

import (
	"context"
	"fmt"
	"time"
)

// chunkRows is how many requests are deleted at once, so that the writer is soon
// back at its queue.
const chunkRows = 500

// vacuumPages is how many free pages are given back to the disk at once.
const vacuumPages = 256

// prune deletes some of the rows that are too old, or too many, and notes whether
// there are more.
func (w *writer) prune(now time.Time) {
	w.pruning = false
	store := w.log.store.Load()
	if store == nil || w.retain <= 0 && w.maxSize <= 0 {
		return
	}
	before := int64(0)
	if w.retain > 0 {
		before = micros(now.Add(-w.retain))
	}
	more, err := store.prune(w.ctx, before, w.maxSize)
	if err != nil {
		w.fail(err)
		return
	}
	w.pruning = more
}

// prune deletes up to chunkRows of the oldest requests: those that began before a
// time, and whatever makes the rows take more than maxSize bytes, 0 being without
// limit. more tells that there is more to do.
func (s *store) prune(ctx context.Context, before, maxSize int64) (more bool, err error) {
	if maxSize > 0 {
		var used int64
		if err := s.write.GetContext(ctx, &used, `SELECT (p.page_count - f.freelist_count) * z.page_size
			FROM pragma_page_count AS p, pragma_freelist_count AS f, pragma_page_size AS z`); err != nil {
			return false, err
		}
		if used > maxSize {
			before = 1<<63 - 1
		}
	}
	deleted, err := s.deleteOldest(ctx, before)
	if err != nil {
		return false, err
	}
	var free int
	if err := s.write.GetContext(ctx, &free, "PRAGMA freelist_count"); err != nil {
		return false, err
	}
	// A few free pages are soon used again.
	if free > vacuumPages {
		if _, err := s.write.ExecContext(ctx, fmt.Sprintf("PRAGMA incremental_vacuum(%d)", vacuumPages)); err != nil {
			return false, err
		}
	}
	return deleted == chunkRows || free > 2*vacuumPages, nil
}

// deleteOldest deletes up to chunkRows requests that began before a time, with all
// that belongs to them.
func (s *store) deleteOldest(ctx context.Context, before int64) (deleted int64, err error) {
	tx, err := s.write.BeginTxx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = tx.Rollback() }()
	var seqs []int64
	if err := tx.SelectContext(ctx, &seqs, "SELECT seq FROM requests WHERE start_us < ? ORDER BY start_us, id LIMIT ?", before, chunkRows); err != nil {
		return 0, err
	}
	if len(seqs) == 0 {
		return 0, nil
	}
	for _, statement := range []string{
		"DELETE FROM attempts WHERE request = ?",
		"DELETE FROM skips WHERE request = ?",
		"DELETE FROM requests WHERE seq = ?",
	} {
		prepared, err := tx.PreparexContext(ctx, statement)
		if err != nil {
			return 0, err
		}
		for _, seq := range seqs {
			if _, err := prepared.ExecContext(ctx, seq); err != nil {
				return 0, err
			}
		}
		if err := prepared.Close(); err != nil {
			return 0, err
		}
	}
	return int64(len(seqs)), tx.Commit()
}
