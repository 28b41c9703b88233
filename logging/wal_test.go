package logging

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// SQLite notices none of these: it reads zeros where it has written rows, and
// copies them into the database.
func TestB6TruncatedWriteAheadLogIsNoticedWithin10Seconds(t *testing.T) {
	for _, left := range []float64{0, 0.0001, 0.1, 0.5, 0.9} {
		for _, more := range []int{0, 3, 300} {
			t.Run(fmt.Sprintf("%v left and %d written behind", left, more), func(t *testing.T) {
				now := &clock{now: t0}
				l := open(t, Options{Now: now.Now})
				addAll(l, 0, 400)
				flush(t, l)
				now.advance(10 * time.Second)
				maintain(t, l) // sees the files as they are
				if s := l.Stats(); s.LastError != "" {
					t.Fatalf("trouble with files as they should be: %s", s.LastError)
				}
				wal, err := os.Stat(l.path + "-wal")
				if err != nil {
					t.Fatal(err)
				}
				if err := os.Truncate(l.path+"-wal", int64(left*float64(wal.Size()))); err != nil {
					t.Fatal(err)
				}
				for n := range more {
					l.Add(record(400 + n))
					if n%3 == 0 {
						_ = l.Flush(deadline(t)) // which may find out by itself
					}
				}
				now.advance(10 * time.Second)
				maintain(t, l)
				s := l.Stats()
				if !strings.Contains(s.LastError, "truncated") && s.SetAside == "" {
					t.Errorf("stats %+v, want it noticed", s)
				}
				wait(t, "the log works again", func() bool { return l.Stats().Healthy })
				addAll(l, 10000, 10010)
				flush(t, l)
				wantBalance(t, l.Stats())
				closeLog(t, l)
				if verdict := integrity(t, l.path); verdict != "ok" {
					again := open(t, Options{Path: l.path})
					wait(t, "the damage is found", func() bool { return again.Stats().SetAside != "" })
				}
			})
		}
	}
}

func TestFramesOfAWriteAheadLogAreCounted(t *testing.T) {
	l := open(t, Options{})
	var m walMark
	for n := range 40 {
		addAll(l, 100*n, 100*n+100) // now and then the log begins anew
		flush(t, l)
		if err := m.check(l.path + "-wal"); err != nil || m.salt == 0 || m.frames <= 0 {
			t.Fatalf("after %d batches: %+v, %v, want frames and no error", n, m, err)
		}
	}
	if err := m.check(filepath.Join(t.TempDir(), "missing")); err != nil {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := l.do(deadline(t), func(w *writer) error { w.bringHome(); return nil }); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(l.path + "-wal"); err != nil || info.Size() != 0 {
		t.Errorf("the log: %v, %v, want an empty file", info.Size(), err)
	}
	maintain(t, l)
	addAll(l, 5000, 5100)
	flush(t, l)
	maintain(t, l)
	if s := l.Stats(); s.LastError != "" {
		t.Errorf("our own truncation is taken for another's: %s", s.LastError)
	}
}
