package logging

import (
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// nowhere is a server that is not there.
const nowhere = "postgres://someone@127.0.0.1:1/db"

// inSpill runs f on the goroutine of the spill's writer.
func inSpill(t testing.TB, l *Log, f func(*writer) error) {
	t.Helper()
	if err := l.spill.to.do(deadline(t), f); err != nil {
		t.Fatal(err)
	}
}

// Two processes bring the same records home. One of them is slow to forget them, and
// the other has spilled more by then.
func TestOfASpillOnlyWhatWasBroughtHomeIsForgotten(t *testing.T) {
	l := open(t, Options{DSN: nowhere, Spill: filepath.Join(t.TempDir(), "spill.db")})
	addAll(l, 0, 10)
	flush(t, l)
	var home []*Record
	inSpill(t, l, func(file *writer) (err error) {
		home, err = file.oldest(replayRows, replayBytes)
		return err
	})
	forget := func(file *writer) error { return file.forget(home) }
	inSpill(t, l, forget)
	addAll(l, 10, 30)
	flush(t, l)
	inSpill(t, l, forget)
	wantRows(t, l.spill.to, 20)
}

// What is brought home at once has to fit into memory, and into a transaction that
// has seconds.
func TestSpillBringsLargeBodiesHomeInParts(t *testing.T) {
	l := open(t, Options{DSN: nowhere, Spill: filepath.Join(t.TempDir(), "spill.db")})
	for n := range 12 {
		r := record(n)
		r.Bodies = &Bodies{Request: make([]byte, 1<<20), Answer: make([]byte, 1<<19)}
		if n == 5 {
			r.Bodies.Answer = make([]byte, 6<<20)
		}
		l.Add(r)
		flush(t, l)
	}
	var parts []int
	inSpill(t, l, func(file *writer) error {
		for {
			records, err := file.oldest(replayRows, replayBytes)
			if err != nil || len(records) == 0 {
				return err
			}
			parts = append(parts, len(records))
			if err := file.forget(records); err != nil {
				return err
			}
		}
	})
	if want := []int{2, 2, 1, 1, 2, 2, 2}; !slices.Equal(parts, want) {
		t.Errorf("records came home in parts of %v, want %v", parts, want)
	}
}

// What is kept for so long is not kept for longer where it waits for a server.
func TestRetentionCountsInTheSpillToo(t *testing.T) {
	now := &clock{now: t0}
	o := Options{
		DSN: nowhere, Spill: filepath.Join(t.TempDir(), "spill.db"), Now: now.Now,
		Retain: 40 * 24 * time.Hour, RetainBodies: 7 * 24 * time.Hour,
	}
	l := open(t, o)
	o.Retain = 30 * 24 * time.Hour
	l.Configure(o)
	for n := range 10 {
		r := record(n)
		r.Bodies = &Bodies{Request: []byte("asked"), Answer: []byte("answered")}
		l.Add(r)
	}
	flush(t, l)
	for _, tc := range []struct {
		days         time.Duration
		rows, bodies int
	}{{6, 10, 10}, {2, 10, 0}, {23, 0, 0}} {
		now.advance(tc.days * 24 * time.Hour)
		maintain(t, l.spill.to)
		wantRows(t, l.spill.to, tc.rows)
		var bodies int
		if err := l.spill.to.store.Load().read.Get(&bodies, "SELECT COUNT(*) FROM bodies"); err != nil || bodies != tc.bodies {
			t.Errorf("%d bodies are left, %v, want %d", bodies, err, tc.bodies)
		}
	}
}
