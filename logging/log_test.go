package logging

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/postgrestest"
)

// t0 is when tests begin.
var t0 = time.Date(2026, 11, 20, 12, 0, 0, 123456000, time.UTC)

// clock is a clock that only tests move. It is safe for concurrent use.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// roomy is a disk with room.
func roomy(string) (free, total uint64, err error) { return 1 << 40, 1 << 40, nil }

// open opens a log for a test, in a directory of its own unless o has a path.
func open(t testing.TB, o Options) *Log {
	t.Helper()
	if o.Path == "" && o.DSN == "" {
		o.Path = filepath.Join(t.TempDir(), "llm.db")
	}
	if o.FreeSpace == nil {
		o.FreeSpace = roomy
	}
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// onEveryEngine runs a test with the options for a database of each kind.
func onEveryEngine(t *testing.T, test func(t *testing.T, o Options)) {
	t.Run("sqlite", func(t *testing.T) { test(t, Options{}) })
	t.Run("postgres", func(t *testing.T) { test(t, onServer(t)) })
}

// onServer are the options for a database on the server that all tests share.
func onServer(t testing.TB) Options {
	t.Helper()
	return Options{DSN: postgrestest.DSN(t), Spill: filepath.Join(t.TempDir(), "spill.db")}
}

// deadline bounds what a test waits for.
func deadline(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func flush(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Flush(deadline(t)); err != nil {
		t.Fatalf("Flush: %v", err)
	}
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatalf("Close: %v", err)
	}
}

// maintain lets the writer look after its files, as it does by itself.
func maintain(t testing.TB, l *Log) {
	t.Helper()
	if err := l.do(deadline(t), func(w *writer) error { w.maintain(l.now()); return nil }); err != nil {
		t.Fatal(err)
	}
}

// record is a request that used tokens; plain one that did not.
func record(n int) *Record {
	r := plain(n)
	r.Tokens = Tokens{Input: 10, Output: int64(n)}
	return r
}

func plain(n int) *Record {
	return &Record{ID: fmt.Sprintf("id-%06d", n), Start: t0.Add(time.Duration(n) * time.Millisecond), Outcome: OutcomeOK}
}

// addAll adds records numbered from..to-1.
func addAll(l *Log, from, to int) {
	for n := from; n < to; n++ {
		l.Add(record(n))
	}
}

// wantRows checks how many requests the log holds.
func wantRows(t testing.TB, l *Log, want int) {
	t.Helper()
	totals, err := l.Totals(deadline(t), time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if totals.Requests != int64(want) {
		t.Errorf("the log holds %d requests, want %d", totals.Requests, want)
	}
}

// wantBalance checks that every record is accounted for.
func wantBalance(t testing.TB, s Stats) {
	t.Helper()
	if sum := int64(s.Queued) + s.Written + s.Duplicates + s.Dropped.Total(); s.Added != sum {
		t.Errorf("added %d, but queued + written + duplicates + dropped = %d: %+v", s.Added, sum, s)
	}
}

// full is a record with everything in it.
func full() *Record {
	return &Record{
		ID: "req-1", Start: t0, Total: 2500 * time.Millisecond, First: 300 * time.Millisecond,
		Client: "team", ClientKey: "0a1b2c3d", Endpoint: "/v1/messages", Protocol: "messages", UpstreamProtocol: "chat",
		Asked: "smart", Model: "gpt-9", Provider: "acme", KeyID: "ACME_1", Status: 200, Class: "", Outcome: OutcomeOK, Streamed: true,
		Tokens: Tokens{Input: 1, CacheRead: 2, CacheWrite: 3, Output: 4, Reasoning: 5, Estimated: true},
		Cost:   0.125, CostKnown: true, BytesIn: 1000, BytesOut: 2000, Warnings: "top_k dropped",
		Attempts: []Attempt{
			{Provider: "other", Model: "m", KeyID: "K", Start: t0.Add(time.Millisecond), Duration: time.Second, Status: 429, Class: "rate_limited", Reason: "slow down", Cooled: time.Minute},
			{Provider: "acme", Model: "gpt-9", KeyID: "ACME_1", Start: t0.Add(time.Second), Duration: time.Second, Status: 200},
		},
		Skipped: []Skip{{Provider: "third", Model: "x", Why: "breaker", Reason: "its last attempts failed"}},
		Queue:   time.Millisecond,
	}
}

func TestRequestComesBackWithAttemptsAndSkips(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		want := full()
		if !l.Add(full()) {
			t.Fatal("Add dropped a record")
		}
		flush(t, l)
		got, err := l.Request(deadline(t), "req-1")
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("Request = %+v\nwant      %+v", got, want)
		}
		if _, err := l.Request(deadline(t), "req-2"); !errors.Is(err, ErrNotFound) {
			t.Errorf("Request of another id: %v, want %v", err, ErrNotFound)
		}
	})
}

func TestUnknownCostStaysUnknown(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		for i, r := range []*Record{
			{Cost: 1, CostKnown: false},
			{Cost: nan(), CostKnown: true},
			{Cost: 0, CostKnown: true},
		} {
			r.ID = fmt.Sprint(i)
			l.Add(r)
		}
		flush(t, l)
		for i, want := range []bool{false, false, true} {
			r, err := l.Request(deadline(t), fmt.Sprint(i))
			if err != nil {
				t.Fatal(err)
			}
			if r.CostKnown != want || r.Cost != 0 {
				t.Errorf("record %d: cost %v known %v, want 0, %v", i, r.Cost, r.CostKnown, want)
			}
		}
	})
}

func nan() float64 {
	zero := 0.0
	return zero / zero
}

func TestSameIDIsWrittenOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		l.Add(full())
		flush(t, l)
		again := full()
		again.Provider = "changed"
		l.Add(again)
		l.Add(full())
		l.Add(&Record{}) // gets an id of its own
		l.Add(&Record{})
		flush(t, l)
		wantRows(t, l, 3)
		s := l.Stats()
		if s.Written != 3 || s.Duplicates != 2 {
			t.Errorf("written %d, duplicates %d, want 3, 2", s.Written, s.Duplicates)
		}
		wantBalance(t, s)
		got, err := l.Request(deadline(t), "req-1")
		if err != nil {
			t.Fatal(err)
		}
		if got.Provider != "acme" || len(got.Attempts) != 2 {
			t.Errorf("provider %q with %d attempts, want that of the first: acme with 2", got.Provider, len(got.Attempts))
		}
	})
}

func TestOnlyTheOwnerCanReadTheFiles(t *testing.T) {
	l := open(t, Options{})
	l.Add(full())
	flush(t, l)
	files, err := os.ReadDir(filepath.Dir(l.path))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", file.Name(), info.Mode())
		}
		names = append(names, file.Name())
	}
	if got, want := strings.Join(names, " "), "llm.db llm.db-ballast llm.db-open llm.db-shm llm.db-wal"; got != want {
		t.Errorf("files %s, want %s", got, want)
	}
}

func TestEveryConnectionHasItsPragmas(t *testing.T) {
	l := open(t, Options{})
	store := l.store.Load()
	for _, tc := range []struct {
		pragma               string
		writer, readerOfBoth int
	}{
		{"busy_timeout", 1000, 1000},
		{"synchronous", 2, 2}, // FULL
		{"temp_store", 2, 2},  // memory
		{"auto_vacuum", 2, 2}, // incremental
		{"query_only", 0, 1},
	} {
		var got int
		if err := store.write.Get(&got, "PRAGMA "+tc.pragma); err != nil || got != tc.writer {
			t.Errorf("writer's %s = %d (%v), want %d", tc.pragma, got, err, tc.writer)
		}
		for range maxReaders {
			conn, err := store.read.Connx(deadline(t)) // both at once, so that both are asked
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.GetContext(deadline(t), &got, "PRAGMA "+tc.pragma); err != nil || got != tc.readerOfBoth {
				t.Errorf("reader's %s = %d (%v), want %d", tc.pragma, got, err, tc.readerOfBoth)
			}
			if tc.pragma == "query_only" {
				if _, err := conn.ExecContext(deadline(t), "DELETE FROM requests"); err == nil {
					t.Error("a reader could delete")
				}
			}
			_ = conn.Close()
		}
	}
	var mode string
	if err := store.write.Get(&mode, "PRAGMA journal_mode"); err != nil || mode != "wal" {
		t.Errorf("journal_mode = %q (%v), want wal", mode, err)
	}
}

func TestOpenRefusesPathsThatCannotBeRight(t *testing.T) {
	directory := t.TempDir()
	newer := filepath.Join(directory, "newer.db")
	l := open(t, Options{Path: newer})
	if err := l.do(deadline(t), func(w *writer) error {
		_, err := l.store.Load().write.Exec("PRAGMA user_version = 99")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	closeLog(t, l)
	for _, tc := range []struct{ path, want string }{
		{"", "no path"},
		{filepath.Join(directory, "missing", "x.db"), "directory of the file does not exist"},
		{directory, "no regular file"},
		{newer, "newer version"},
	} {
		l, err := Open(Options{Path: tc.path, FreeSpace: roomy})
		if err == nil {
			_ = l.Close()
			t.Errorf("Open(%q) succeeded", tc.path)
		} else if !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Open(%q) = %v, want %q in it", tc.path, err, tc.want)
		}
	}
}

func TestOddNamesOfFilesWork(t *testing.T) {
	for _, name := range []string{"a b.db", "q?mode=memory.db", "h#1.db", "p%41.db", "ü.db"} {
		path := filepath.Join(t.TempDir(), name)
		l := open(t, Options{Path: path})
		l.Add(full())
		closeLog(t, l)
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v, want a database of that name", name, err)
		}
	}
}

func TestReopenedLogKeepsItsRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "llm.db")
	for n := range 3 {
		l := open(t, Options{Path: path})
		if l.Stats().UncleanEnd {
			t.Errorf("opening number %d: an unclean end is told, but there was none", n)
		}
		addAll(l, n*10, n*10+10)
		closeLog(t, l)
		if l.Add(record(1000)) {
			t.Error("a closed log took a record")
		}
		s := l.Stats()
		if s.Dropped.Closed != 1 || s.DroppedAccounting != 1 || s.Healthy {
			t.Errorf("after closing: %+v, want one record dropped because of that, and not healthy", s)
		}
		wantBalance(t, s)
		if err := l.Flush(deadline(t)); !errors.Is(err, ErrClosed) {
			t.Errorf("Flush of a closed log = %v, want %v", err, ErrClosed)
		}
	}
	l := open(t, Options{Path: path})
	wantRows(t, l, 30)
}

// A second process, such as `caddy validate`, opens the log beside one that serves.
func TestSecondLogBesideTheFirstHarmsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "llm.db")
	first := open(t, Options{Path: path})
	addAll(first, 0, 10)
	second := open(t, Options{Path: path})
	if second.Stats().UncleanEnd {
		t.Error("the second takes the first for one that died")
	}
	addAll(second, 10, 20)
	closeLog(t, second)
	flush(t, first)
	wantRows(t, first, 20)
	if _, err := os.Stat(path + "-open"); err != nil {
		t.Errorf("the first one's mark is gone: %v", err)
	}
}
