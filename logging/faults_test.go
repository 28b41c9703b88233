package logging

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
)

// other opens the database as another process would.
func other(t testing.TB, path string) *sqlx.DB {
	t.Helper()
	db, err := connect(path, 1, "_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// integrity is what SQLite finds when it checks a whole database.
func integrity(t testing.TB, path string) (verdict string) {
	t.Helper()
	db := other(t, path)
	defer db.Close()
	if err := db.Get(&verdict, "PRAGMA integrity_check"); err != nil {
		return err.Error()
	}
	return verdict
}

// wantIntegrity checks that the database is sound and returns its requests.
func wantIntegrity(t testing.TB, path string) (rows int) {
	t.Helper()
	if verdict := integrity(t, path); verdict != "ok" {
		t.Errorf("integrity of %s: %q, want ok", filepath.Base(path), verdict)
	}
	db := other(t, path)
	if err := db.Get(&rows, "SELECT COUNT(*) FROM requests"); err != nil {
		t.Error(err)
	}
	_ = db.Close()
	return rows
}

func TestB6DiskFullLosesNothingWhileTheQueueHasRoom(t *testing.T) {
	l := open(t, Options{Queue: 1000})
	addAll(l, 0, 10)
	flush(t, l)
	// SQLite's own limit makes writes fail as a full disk does: SQLITE_FULL.
	limit := func(pragma string) {
		if err := l.do(deadline(t), func(*writer) error {
			_, err := l.store.Load().write.Exec(pragma)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	limit("PRAGMA max_page_count = 1")
	addAll(l, 10, 1010)
	if err := l.Flush(deadline(t)); err == nil {
		t.Error("Flush succeeded on a full disk")
	}
	wantRows(t, l, 10) // reading still works
	s := l.Stats()
	if s.Healthy || !strings.Contains(s.LastError, "full") || s.Dropped.Total() != 0 {
		t.Errorf("stats %+v, want unhealthy, an error about a full disk, and nothing dropped yet", s)
	}
	addAll(l, 1010, 2010) // more than the queue holds
	s = l.Stats()
	if s.Dropped.Space == 0 || s.Dropped.Space != s.Dropped.Total() {
		t.Errorf("dropped %+v, want some, all for want of space", s.Dropped)
	}
	wantBalance(t, s)
	limit("PRAGMA max_page_count = 1000000")
	flush(t, l) // on the same connection
	s = l.Stats()
	if !s.Healthy || s.Queued != 0 {
		t.Errorf("stats %+v, want healthy again and nothing queued", s)
	}
	wantBalance(t, s)
	wantRows(t, l, int(s.Written))
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	wantIntegrity(t, l.path)
}

func TestB6FreeSpaceFloorStopsWritingAndResumesByItself(t *testing.T) {
	var free atomic.Uint64
	free.Store(300 << 20)
	l := open(t, Options{FreeSpace: func(string) (uint64, uint64, error) { return free.Load(), 1 << 30, nil }})
	addAll(l, 0, 10)
	flush(t, l)
	free.Store(255 << 20)
	wait(t, "it stops", func() bool { return !l.Stats().Healthy })
	addAll(l, 10, 20)
	if err := l.Flush(deadline(t)); err == nil {
		t.Error("Flush succeeded below the floor")
	}
	wantRows(t, l, 10)
	back := time.Now()
	free.Store(300 << 20)
	wait(t, "it resumes", func() bool { return l.Stats().Written == 20 })
	if took := time.Since(back); took > 5*time.Second {
		t.Errorf("resumed after %v, want 5s at most", took)
	}
	if s := l.Stats(); !s.Healthy || s.Dropped.Total() != 0 {
		t.Errorf("stats %+v, want healthy and nothing dropped", s)
	}
}

// wait looks until something is so. The writer's own clock ticks each second.
func wait(t testing.TB, what string, is func() bool) {
	t.Helper()
	waitFor(t, 30*time.Second, what, is)
}

// waitFor is wait for what takes long on a busy machine.
func waitFor(t testing.TB, most time.Duration, what string, is func() bool) {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for end := time.After(most); !is(); {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatalf("waited too long until %s", what)
		}
	}
}

func TestSpaceFloorIsAPartOfTheDisk(t *testing.T) {
	for _, tc := range []struct{ total, want uint64 }{
		{0, 256 << 20}, {1 << 30, 256 << 20}, {20 << 30, 1 << 30}, {1 << 40, 2 << 30},
	} {
		if got := spaceFloor(tc.total); got != tc.want {
			t.Errorf("spaceFloor(%d) = %d, want %d", tc.total, got, tc.want)
		}
	}
	if free, total, err := freeSpace(t.TempDir()); !errors.Is(err, errors.ErrUnsupported) && (err != nil || free == 0 || free > total) {
		t.Errorf("freeSpace = %d, %d, %v, want some of the total", free, total, err)
	}
}

func TestB6LockedDatabaseHoldsUpNobody(t *testing.T) {
	l := open(t, Options{Queue: 2000})
	db := other(t, l.path)
	if _, err := db.Exec("CREATE TABLE lock_holder (n INTEGER)"); err != nil {
		t.Fatal(err)
	}
	tx, err := db.Beginx() // immediate: it holds the write lock
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	addAll(l, 0, 1000)
	if took := time.Since(begin); took > time.Second {
		t.Errorf("1000 records took %v to add, want no waiting for the lock", took)
	}
	if err := l.Flush(deadline(t)); err == nil {
		t.Error("Flush succeeded while the database was locked")
	}
	wantRows(t, l, 0)
	s := l.Stats()
	if s.Healthy || s.Queued != 1000 || s.Dropped.Total() != 0 {
		t.Errorf("stats %+v, want unhealthy, 1000 queued, none dropped", s)
	}
	addAll(l, 1000, 4000)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	flush(t, l)
	s = l.Stats()
	if !s.Healthy || s.Written < 2000 || s.Dropped.Store+s.Dropped.Queue == 0 {
		t.Errorf("stats %+v, want healthy, at least 2000 written, and the overflow dropped", s)
	}
	wantBalance(t, s)
	wantRows(t, l, int(s.Written))
}

func TestB6LockedDatabaseDelaysTheStartButLittle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "llm.db")
	closeLog(t, open(t, Options{Path: path}))
	db := other(t, path)
	if _, err := db.Exec("PRAGMA locking_mode = EXCLUSIVE"); err != nil {
		t.Fatal(err)
	}
	tx, err := db.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	l := open(t, Options{Path: path})
	if took := time.Since(begin); took > 3*time.Second {
		t.Errorf("Open took %v", took)
	}
	if s := l.Stats(); s.Healthy {
		t.Errorf("stats %+v, want unhealthy", s)
	}
	if _, err := l.Requests(deadline(t), Filter{}); err == nil {
		t.Error("Requests succeeded without a database")
	}
	addAll(l, 0, 10)
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	wait(t, "it recovers", func() bool { return l.Stats().Written == 10 && l.Stats().Healthy })
	wantRows(t, l, 10)
}

// After an error that SQLite cannot explain away, such as one of the disk, nothing
// that is open is trusted any more.
func TestB6WriteErrorReopensAndChecksTheDatabase(t *testing.T) {
	l := open(t, Options{})
	addAll(l, 0, 10)
	flush(t, l)
	before := l.store.Load()
	if err := before.write.Close(); err != nil { // every write fails now
		t.Fatal(err)
	}
	addAll(l, 10, 20)
	wait(t, "the rows are written", func() bool { return l.Stats().Written == 20 })
	s := l.Stats()
	if l.store.Load() == before || !s.Healthy || s.LastError == "" || s.SetAside != "" {
		t.Errorf("stats %+v, want a database that was opened again and is well", s)
	}
	wantBalance(t, s)
	wantRows(t, l, 20)
}

func TestB6RefusedRecordTakesNoOtherWithIt(t *testing.T) {
	l := open(t, Options{})
	if err := l.do(deadline(t), func(*writer) error {
		_, err := l.store.Load().write.Exec(`CREATE TRIGGER poison BEFORE INSERT ON labels WHEN NEW.client = 'poison'
			BEGIN SELECT RAISE(ABORT, 'poisoned'); END`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	const rows = 1200
	for n := range rows {
		r := record(n)
		if n == 0 || n == 613 || n == rows-1 {
			r.Client = "poison"
		}
		l.Add(r)
	}
	flush(t, l)
	s := l.Stats()
	if s.Written != rows-3 || s.Dropped.Unwritable != 3 || !s.Healthy {
		t.Errorf("stats %+v, want %d written and 3 unwritable", s, rows-3)
	}
	wantBalance(t, s)
	wantRows(t, l, rows-3)
}

func TestB6OddTextsAreStoredClean(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"plain", "plain"},
		{"", ""},
		{"a\x00b", "a\uFFFDb"},
		{"a\xff\xfeb", "a\uFFFDb"},
		{strings.Repeat("x", 300), strings.Repeat("x", 256)},
		{strings.Repeat("x", 255) + "ü", strings.Repeat("x", 255)},
		{strings.Repeat("\xff", 1000), "\uFFFD"},
		{"\xed\xa0\x80", "\uFFFD"}, // half of a surrogate pair
	} {
		if got := clean(tc.in, 256); got != tc.want {
			t.Errorf("clean(%.20q) = %.20q, want %.20q", tc.in, got, tc.want)
		}
	}
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		r := full()
		r.Asked, r.Attempts[0].Reason, r.Skipped[0].Reason = "m\x00\xff", "r\x00\xff", "s\x00\xff"
		l.Add(r)
		flush(t, l)
		got, err := l.Request(deadline(t), "req-1")
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{got.Asked, got.Attempts[0].Reason, got.Skipped[0].Reason} {
			if len(text) < 4 || text[1:] != "\uFFFD\uFFFD" {
				t.Errorf("stored %q, want its odd bytes replaced", text)
			}
		}
	})
}

func TestClosePromisesToEndWithin5Seconds(t *testing.T) {
	l := open(t, Options{})
	db := other(t, l.path)
	tx, err := db.Beginx()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	addAll(l, 0, 700)
	begin := time.Now()
	err = l.Close()
	if took := time.Since(begin); took > 5500*time.Millisecond {
		t.Errorf("Close took %v, want 5s at most", took)
	}
	if err == nil || !strings.Contains(err.Error(), "700 records") {
		t.Errorf("Close = %v, want it to tell of 700 records", err)
	}
	s := l.Stats()
	if s.Dropped.Closed != 700 || s.DroppedAccounting != 700 || s.Queued != 0 {
		t.Errorf("stats %+v, want 700 dropped by closing", s)
	}
	wantBalance(t, s)
	if err := l.Close(); err != nil {
		t.Errorf("closing again = %v, want nothing", err)
	}
}

func TestPanicOfTheWriterDoesNotEndTheLog(t *testing.T) {
	l := open(t, Options{})
	if err := l.do(deadline(t), func(*writer) error { panic("canary") }); err == nil {
		t.Error("a panic was no error")
	}
	if strings.Contains(l.Stats().LastError, "canary") {
		t.Error("the value of the panic is told")
	}
	addAll(l, 0, 10)
	flush(t, l)
	wantRows(t, l, 10)
}

func TestQueriesEndWithTheirContext(t *testing.T) {
	l := open(t, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := l.Requests(ctx, Filter{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Requests = %v, want %v", err, context.Canceled)
	}
	closeLog(t, l)
	if _, err := l.Requests(deadline(t), Filter{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Requests of a closed log = %v, want %v", err, ErrClosed)
	}
	if _, err := os.Stat(l.path + "-open"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the mark of an open log is left: %v", err)
	}
}
