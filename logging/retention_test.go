package logging

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestB6RetentionByAgeDeletesInChunks(t *testing.T) {
	now := &clock{now: t0}
	l := open(t, Options{Retain: time.Hour, Now: now.Now})
	for n := range 1200 {
		r := full()
		r.ID, r.Start = record(n).ID, t0.Add(time.Duration(n)*time.Second)
		l.Add(r)
	}
	flush(t, l)
	store := l.store.Load()
	if err := l.do(deadline(t), func(*writer) error {
		for _, tc := range []struct {
			more bool
			left int
		}{{true, 700}, {true, 200}, {false, 100}} {
			more, err := store.deleteOlder(deadline(t), micros(t0.Add(1100*time.Second)))
			if err != nil || more != tc.more {
				t.Errorf("more to delete: %v (%v), want %v", more, err, tc.more)
			}
			wantRows(t, l, tc.left)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, table := range []struct {
		name string
		each int
	}{{"attempts", 2}, {"skips", 1}} {
		var n int
		if err := store.read.Get(&n, "SELECT COUNT(*) FROM "+table.name); err != nil || n != 100*table.each {
			t.Errorf("%d %s are left (%v), want those of 100 requests: %d", n, table.name, err, 100*table.each)
		}
	}
	// By itself too, once the time has come.
	now.advance(time.Hour + 1150*time.Second)
	maintain(t, l)
	wantRows(t, l, 50)
}

func TestB6RetentionBySizeShrinksTheFile(t *testing.T) {
	now := &clock{now: t0}
	const most = 1 << 20
	l := open(t, Options{MaxSize: most, Now: now.Now, Queue: 100000, QueueBytes: 1 << 30})
	const rows = 6000
	for n := range rows {
		r := full()
		r.ID, r.Start = record(n).ID, t0.Add(time.Duration(n)*time.Second)
		l.Add(r)
	}
	flush(t, l)
	now.advance(checkInterval)
	maintain(t, l)
	wait(t, "the oldest rows are gone", func() bool {
		var pruning bool
		if err := l.do(deadline(t), func(w *writer) error { pruning = w.pruning; return nil }); err != nil {
			t.Fatal(err)
		}
		return !pruning
	})
	closeLog(t, l) // brings the write-ahead log home
	l = open(t, Options{Path: l.path})
	size := l.Stats().FileSize
	if size > 2*most+vacuumPages*4096 {
		t.Errorf("the file has %d bytes, want about %d", size, most)
	}
	totals, err := l.Totals(deadline(t), time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if totals.Requests < rows/20 || totals.Requests > rows*9/10 {
		t.Errorf("%d of %d requests are left, want a part", totals.Requests, rows)
	}
	if want := t0.Add((rows - 1) * time.Second); !totals.Newest.Equal(want) {
		t.Errorf("the newest is of %v, want %v: the oldest go first", totals.Newest, want)
	}
}

// A chunk may hold the writer up for 50 ms at most. Only the usual time is judged,
// as the machine may be busy with other things.
func TestB6RetentionHoldsTheWriterUpOnlyShortly(t *testing.T) {
	now := &clock{now: t0} // stands still, so that nothing is deleted in between
	l := open(t, Options{Retain: time.Hour, Now: now.Now, Queue: 20000, QueueBytes: 1 << 30})
	for n := range 10 * chunkRows {
		r := full()
		r.ID = record(n).ID
		l.Add(r)
	}
	flush(t, l)
	var took []time.Duration
	if err := l.do(deadline(t), func(w *writer) error {
		for range 10 {
			begin := time.Now()
			w.prune(t0.Add(48 * time.Hour))
			took = append(took, time.Since(begin))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	wantRows(t, l, 0)
	t.Logf("chunks took %v", took)
	slices.Sort(took)
	if median := took[len(took)/2]; median > 50*time.Millisecond && !raceEnabled {
		t.Errorf("a chunk usually takes %v, want 50ms at most", median)
	}
}

// An open log goes by new settings as soon as it has them, and tells a new logger.
func TestSettingsOfAnOpenLogCanBeChanged(t *testing.T) {
	now := &clock{now: t0}
	first, toFirst := observer.New(zap.InfoLevel)
	second, toSecond := observer.New(zap.InfoLevel)
	l := open(t, Options{Now: now.Now, Queue: 100000, QueueBytes: 1 << 30, Logger: zap.New(first)})
	const rows = 6000
	for n := range rows {
		r := full()
		r.ID, r.Start = record(n).ID, t0.Add(time.Duration(n)*time.Second)
		r.Bodies = &Bodies{Request: bytes.Repeat([]byte("a question "), 50)}
		l.Add(r)
	}
	flush(t, l)
	now.advance(rows * time.Second)
	settled := func() (requests, bodies int) {
		t.Helper()
		maintain(t, l)
		wait(t, "the oldest rows are gone", func() bool {
			var pruning bool
			if err := l.do(deadline(t), func(w *writer) error { pruning = w.pruning; return nil }); err != nil {
				t.Fatal(err)
			}
			return !pruning
		})
		store := l.store.Load()
		for table, n := range map[string]*int{"requests": &requests, "bodies": &bodies} {
			if err := store.read.Get(n, "SELECT COUNT(*) FROM "+table); err != nil {
				t.Fatal(err)
			}
		}
		return requests, bodies
	}
	for _, tc := range []struct {
		name             string
		options          Options
		requests, bodies int
	}{
		{"as it was opened", Options{}, rows, rows},
		{"shorter for bodies", Options{RetainBodies: 4000 * time.Second}, rows, 4000},
		{"shorter for all", Options{Retain: 3000 * time.Second, RetainBodies: 4000 * time.Second}, 3000, 3000},
		{"without limit again", Options{}, 3000, 3000},
	} {
		tc.options.Logger = zap.New(second)
		l.Configure(tc.options)
		if requests, bodies := settled(); requests != tc.requests || bodies != tc.bodies {
			t.Errorf("%s: %d requests and %d bodies are left, want %d and %d", tc.name, requests, bodies, tc.requests, tc.bodies)
		}
	}
	l.Configure(Options{MaxSize: 1 << 20, Logger: zap.New(second)})
	small, _ := settled()
	if small == 0 || small >= 3000 {
		t.Errorf("%d requests are left in 1 MiB, want a part", small)
	}
	if err := l.do(deadline(t), func(w *writer) error { w.hinder(obstacleStore, errNoDatabase); return nil }); err != nil {
		t.Fatal(err)
	}
	if toFirst.Len() != 0 || toSecond.Len() != 1 {
		t.Errorf("the first logger was told %v, the second %v; want one line to the second", toFirst.All(), toSecond.All())
	}
}

// Several processes delete what is too much of a database that they share. Together
// they delete little more than one alone would.
func TestRetentionBySizeMindsWhatOthersDelete(t *testing.T) {
	const rows, most = 12000, 2000
	l := open(t, Options{MaxSize: 1 << 30, Queue: rows})
	addAll(l, 0, rows)
	flush(t, l)
	if err := l.do(deadline(t), func(w *writer) error {
		store := l.store.Load()
		counting := *store.dialect
		counting.surplus = func(ctx context.Context, db *sqlx.DB, _ int64) (n int64, err error) {
			err = db.GetContext(ctx, &n, "SELECT MAX(COUNT(*) - ?, 0) FROM requests", most)
			return n, err
		}
		store.dialect = &counting
		w.prune(t0)
		if _, err := store.deleteOldest(w.ctx, maxSurplus); err != nil { // so does another process
			return err
		}
		for w.pruning {
			w.prune(t0)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	wantRows(t, l, most)
}
