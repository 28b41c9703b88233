package logging

import (
	"fmt"
	"strings"
	"sync"
	"testing"
)

// ids are the records that the writer would take, in order.
func ids(q *queue) string {
	var b strings.Builder
	for _, r := range q.take(nil, 1<<20, anyRecord) {
		fmt.Fprintf(&b, "%s ", r.ID)
	}
	return strings.TrimSpace(b.String())
}

func short(id string, accounts bool) *Record {
	r := &Record{ID: id}
	if accounts {
		r.Tokens.Output = 1
	}
	return r
}

func TestB6QueueOverflowDropsPlainRecordsFirst(t *testing.T) {
	for _, tc := range []struct {
		in   string // A and P: records with and without tokens, in this order
		want string // what is left of a queue for three, by number
		lost int64  // of those with tokens
	}{
		{"PPP", "0 1 2", 0},
		{"PPPP", "1 2 3", 0},
		{"PPPA", "3 1 2", 0},
		{"PAAA", "1 2 3", 0},
		{"AAAP", "0 1 2", 0},
		{"AAAA", "0 1 2", 1},
		{"APAPAP", "0 2 4", 0},
		{"PPPAAAAPA", "3 4 5", 2},
	} {
		q := newQueue(3, 1<<20)
		for i, kind := range tc.in {
			q.add(short(fmt.Sprint(i), kind == 'A'))
		}
		s := q.stats()
		if want := int64(len(tc.in) - 3); s.Dropped.Queue != want || s.DroppedAccounting != tc.lost {
			t.Errorf("%s: dropped %d, %d of them with tokens, want %d, %d", tc.in, s.Dropped.Queue, s.DroppedAccounting, want, tc.lost)
		}
		wantBalance(t, s)
		if got := ids(q); got != tc.want {
			t.Errorf("%s: left %s, want %s", tc.in, got, tc.want)
		}
	}
}

func TestB6QueueIsBoundedInBytesAndTakesExplanationsOffFirst(t *testing.T) {
	const room = 4 * recordBytes
	q := newQueue(1000, room)
	q.add(short("p1", false))
	q.add(short("p2", false))
	wordy := short("wordy", true)
	wordy.Warnings = strings.Repeat("w", recordBytes)
	wordy.Skipped = make([]Skip, 10)
	if _, _, ok := q.add(wordy); !ok || wordy.Warnings != "" || wordy.Skipped != nil {
		t.Errorf("the wordy record was taken: %v, with %d bytes of warnings; want it taken without any", ok, len(wordy.Warnings))
	}
	if s := q.stats(); s.Stripped != 1 || s.Dropped.Total() != 0 {
		t.Errorf("stripped %d, dropped %d, want 1, 0", s.Stripped, s.Dropped.Total())
	}
	q.add(short("a1", true)) // has no room but that of p1
	if _, _, ok := q.add(&Record{ID: strings.Repeat("x", room)}); ok {
		t.Error("a record larger than the queue was taken")
	}
	s := q.stats()
	if s.Dropped.Queue != 2 || s.QueuedBytes > room {
		t.Errorf("dropped %d, %d bytes wait, want 2, at most %d", s.Dropped.Queue, s.QueuedBytes, room)
	}
	wantBalance(t, s)
	if got, want := ids(q), "wordy a1 p2"; got != want {
		t.Errorf("left %s, want %s: one too large drops no others", got, want)
	}
	if s := q.stats(); s.QueuedBytes != 0 {
		t.Errorf("%d bytes wait in an empty queue", s.QueuedBytes)
	}
}

// I9: the counter of drops is requests less rows, whatever the writer does.
func TestB6QueueOverflowIsCountedExactly(t *testing.T) {
	l := open(t, Options{Queue: 64})
	held, let := make(chan struct{}), make(chan struct{})
	go func() {
		_ = l.do(deadline(t), func(*writer) error { close(held); <-let; return nil })
	}()
	<-held
	const adders, each = 8, 2000
	var refused [adders]int
	var wg sync.WaitGroup
	for a := range adders {
		wg.Go(func() {
			for n := range each {
				if a == 0 && n == each/2 {
					close(let) // the second half meets a writer that writes
				}
				r := plain(a*each + n)
				if n%3 == 0 {
					r = record(a*each + n)
				}
				if !l.Add(r) {
					refused[a]++
				}
			}
		})
	}
	wg.Wait()
	flush(t, l)
	s := l.Stats()
	wantBalance(t, s)
	if s.Added != adders*each || s.Queued != 0 || s.Dropped.Queue == 0 || s.Dropped.Queue != s.Dropped.Total() {
		t.Errorf("stats %+v, want %d added, none queued, some dropped by the queue only", s, adders*each)
	}
	wantRows(t, l, int(s.Written))
	if s.Written+s.Dropped.Total() != adders*each {
		t.Errorf("written %d + dropped %d, want %d", s.Written, s.Dropped.Total(), adders*each)
	}
	total := 0
	for _, n := range refused {
		total += n
	}
	if int64(total) > s.Dropped.Queue {
		t.Errorf("Add refused %d, but only %d are counted", total, s.Dropped.Queue)
	}
}

// What cannot get in even in place of all records that account for nothing drops none
// of them.
func TestB6QueueOverflowDropsNothingInVain(t *testing.T) {
	const room = 4 * recordBytes
	for _, tc := range []struct {
		name string
		in   *Record
		want string
	}{
		{"of the size of one", short("a3", true), "a1 a2 a3"},
		{"without tokens", short("p2", false), "a1 a2 p2"},
		{"larger than what the others leave", &Record{ID: strings.Repeat("x", 2*recordBytes)}, "a1 a2 p1"},
		{"the same, with tokens", &Record{ID: strings.Repeat("x", 2*recordBytes), Tokens: Tokens{Output: 1}}, "a1 a2 p1"},
		{"larger than the queue", &Record{ID: strings.Repeat("x", room)}, "a1 a2 p1"},
	} {
		q := newQueue(1000, room)
		for _, r := range []*Record{short("a1", true), short("a2", true), short("p1", false)} {
			q.add(r)
		}
		q.add(tc.in)
		s := q.stats()
		if s.Dropped.Queue != 1 || s.QueuedBytes > room {
			t.Errorf("%s: dropped %d, %d bytes wait, want 1, at most %d", tc.name, s.Dropped.Queue, s.QueuedBytes, room)
		}
		wantBalance(t, s)
		if got := ids(q); got != tc.want {
			t.Errorf("%s: left %s, want %s", tc.name, got, tc.want)
		}
	}
}
