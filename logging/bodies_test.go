package logging

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"testing"
	"time"
)

func TestBodiesComeBackAsTheyWere(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		for i, want := range []*Bodies{
			nil,
			{Request: []byte("{\"a\":1}"), Answer: []byte("data: x\n\n"), AnswerCut: true},
			{Request: []byte("a\x00\xff\xed\xa0\x80"), RequestCut: true},
			{Request: bytes.Repeat([]byte("x"), 1<<20), Answer: bytes.Repeat([]byte("\xff"), 1<<20)},
		} {
			r := record(i)
			r.Bodies = want
			l.Add(r)
			flush(t, l)
			got, err := l.Request(deadline(t), r.ID)
			if err != nil || !reflect.DeepEqual(got.Bodies, want) {
				t.Errorf("bodies %d = %.100v (%v), want %.100v", i, got.Bodies, err, want)
			}
		}
	})
}

func TestB6QueueOverflowDropsBodiesFirst(t *testing.T) {
	const body = 1000
	const room = 3*(recordBytes+1) + 2*body
	for _, tc := range []struct {
		in   string // A and P with bodies, a and p without; in this order
		want string // what is left, by number; with * where the bodies are
		lost int    // bodies
	}{
		{"PP", "0* 1*", 0},
		{"PPP", "0 1* 2*", 1},
		{"PPp", "0* 1* 2", 0},
		{"AAA", "0 1* 2*", 1},
		{"PAA", "1* 2* 0", 1},
		{"APA", "0* 2* 1", 1},
		{"AAAA", "0 1 2 3*", 3},   // four records leave room for one
		{"PPppp", "0 1 2 3 4", 2}, // five for none
		{"ppppp", "0 1 2 3 4", 0},
		{"ppppppppP", "0 1 2 3 4 5 6 7 8", 1},
	} {
		q := newQueue(100, room)
		if len(tc.in) > 5 { // room for these, and nothing else
			q = newQueue(100, int64(len(tc.in)*(recordBytes+1)))
		}
		for i, kind := range tc.in {
			r := short(fmt.Sprint(i), kind == 'A' || kind == 'a')
			if kind < 'a' {
				r.Bodies = &Bodies{Request: make([]byte, body/2), Answer: make([]byte, body/2)}
			}
			if _, _, ok := q.add(r); !ok {
				t.Errorf("%s: record %d was dropped", tc.in, i)
			}
		}
		s := q.stats()
		if int(s.DroppedBodies) != tc.lost || s.Dropped.Total() != 0 {
			t.Errorf("%s: dropped %d bodies and %d records, want %d and none", tc.in, s.DroppedBodies, s.Dropped.Total(), tc.lost)
		}
		var got string
		for i, r := range q.take(nil, 1<<20, anyRecord) {
			if i > 0 {
				got += " "
			}
			got += r.ID
			if r.Bodies != nil {
				got += "*"
			}
		}
		if got != tc.want {
			t.Errorf("%s: left %s, want %s", tc.in, got, tc.want)
		}
		if s := q.stats(); s.QueuedBytes != 0 {
			t.Errorf("%s: %d bytes wait in an empty queue", tc.in, s.QueuedBytes)
		}
	}
}

// What could not be written is the first to be written again, and may lose its
// bodies meanwhile.
func TestRecordsGivenBackKeepTheirOrder(t *testing.T) {
	q := newQueue(10, 1<<20)
	for i := range 10 {
		r := short(fmt.Sprint(i), i%2 == 0)
		r.Bodies = &Bodies{Request: make([]byte, 10)}
		q.add(r)
	}
	before := q.stats().QueuedBytes
	taken := q.take(nil, 7, anyRecord)
	q.settle(taken[:1], 0)
	q.giveBack(taken[1:])
	s := q.stats()
	wantBalance(t, s)
	if want := before - recordBytes - 11; s.QueuedBytes != want {
		t.Errorf("%d bytes wait, want %d", s.QueuedBytes, want)
	}
	if got, want := ids(q), "2 4 6 8 1 3 5 7 9"; got != want {
		t.Errorf("left %s, want %s", got, want)
	}
	q.giveBack(nil)
	full := newQueue(3, 1<<20)
	for i := range 3 {
		full.add(short(fmt.Sprint(i), true))
	}
	taken = full.take(nil, 3, anyRecord)
	for i := range 3 {
		full.add(short(fmt.Sprint(3+i), true))
	}
	full.giveBack(taken) // on top of what the queue has room for
	if _, _, ok := full.add(short("6", true)); ok {
		t.Error("a full queue took a record")
	}
	if got, want := ids(full), "0 1 2 3 4 5"; got != want {
		t.Errorf("left %s, want %s", got, want)
	}
}

func TestBodiesArePrunedAlone(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		begin := t0.AddDate(-6, 0, 0) // of the past for the server's clock too
		now := &clock{now: begin}
		o.Now, o.Retain, o.RetainBodies = now.Now, 30*24*time.Hour, time.Hour
		l := open(t, o)
		const rows = 1200
		for n := range rows {
			r := record(n)
			r.Start = begin.Add(time.Duration(n) * time.Second)
			r.Bodies = &Bodies{Request: []byte("prompt")}
			l.Add(r)
		}
		flush(t, l)
		now.advance(time.Hour + 1100*time.Second)
		maintain(t, l)
		wait(t, "all old bodies are gone", func() bool {
			r, err := l.Request(deadline(t), record(1099).ID)
			return err == nil && r.Bodies == nil
		})
		if r, err := l.Request(deadline(t), record(1100).ID); err != nil || r.Bodies == nil {
			t.Errorf("the body of a request of the last hour is gone (%v)", err)
		}
		wantRows(t, l, rows)
		now.advance(31 * 24 * time.Hour)
		maintain(t, l)
		wait(t, "all is gone", func() bool {
			totals, err := l.Totals(deadline(t), time.Time{}, time.Time{})
			return err == nil && totals.Requests == 0
		})
	})
}

func TestResetDeletesEverythingAndTheLogGoesOn(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		for n := range 2000 {
			r := full()
			r.ID = record(n).ID
			r.Bodies = &Bodies{Request: make([]byte, 200)}
			l.Add(r)
		}
		flush(t, l)
		before := l.Stats().FileSize
		addAll(l, 2000, 2010) // wait, and go too
		if err := l.Reset(deadline(t)); err != nil {
			t.Fatal(err)
		}
		wantRows(t, l, 0)
		if size := l.Stats().FileSize; size > 1<<20 {
			t.Errorf("the rows take %d bytes after %d, want their room given back", size, before)
		}
		if _, err := l.Request(deadline(t), record(1).ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("Request = %v, want %v", err, ErrNotFound)
		}
		addAll(l, 0, 10) // the same again
		flush(t, l)
		wantRows(t, l, 10)
		s := l.Stats()
		if !s.Healthy || s.LastError != "" || s.SetAside != "" {
			t.Errorf("stats %+v, want no trouble", s)
		}
		wantBalance(t, s)
		closeLog(t, l)
		if err := l.Reset(deadline(t)); !errors.Is(err, ErrClosed) {
			t.Errorf("Reset of a closed log = %v, want %v", err, ErrClosed)
		}
	})
}

func TestResetOfAServerThatIsGoneIsAnError(t *testing.T) {
	o := onServer(t)
	o.DSN = "postgres://someone@127.0.0.1:1/db"
	l := open(t, o)
	addAll(l, 0, 10)
	flush(t, l)
	if err := l.Reset(deadline(t)); err == nil {
		t.Error("Reset succeeded without a server")
	}
	if s := l.Stats(); s.Spill.Waiting != 10 {
		t.Errorf("%d wait in the spill, want all 10: nothing was deleted", s.Spill.Waiting)
	}
	if _, err := os.Stat(o.Spill); err != nil {
		t.Error(err)
	}
}
