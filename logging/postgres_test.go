package logging

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
)

// ask runs a query on a connection of its own.
func ask[T any](t testing.TB, l *Log, query string) (answer T) {
	t.Helper()
	db := l.engine.(*server).connect(1, queryTimeout, nil)
	defer db.Close()
	if err := db.GetContext(deadline(t), &answer, query); err != nil {
		t.Fatal(err)
	}
	return answer
}

// change runs a statement on a connection of its own.
func change(t testing.TB, l *Log, statement string) {
	t.Helper()
	db := l.engine.(*server).connect(1, queryTimeout, nil)
	defer db.Close()
	if _, err := db.ExecContext(deadline(t), statement); err != nil {
		t.Fatal(err)
	}
}

const dsnPassword = "canary-pw"

func TestDSNThatCannotBeRightIsRefusedWithoutItsPassword(t *testing.T) {
	spill := filepath.Join(t.TempDir(), "spill.db")
	for _, dsn := range []string{
		"dsn",
		"postgres://user:" + dsnPassword + "@localhost:port/db",
		"postgres://user:" + dsnPassword + "%zz@localhost/db",
		"postgres://user:p@" + dsnPassword + "@localhost/db",
		"postgres://user:1/" + dsnPassword + "@localhost/db",
		"postgres://user:p?" + dsnPassword + "@:x@localhost/db",
		"host=localhost password=a " + dsnPassword,
		"postgres://user:" + dsnPassword + "@localhost/db?sslmode=nonsense",
		"mysql://user:" + dsnPassword + "@localhost/db",
		"postgres://user@localhost/db&password=" + dsnPassword,
		"postgres://user@localhost/db;password=" + dsnPassword,
		"user=u;password=" + dsnPassword + ";host=h",
		"host=localhost password=a " + dsnPassword + "=x dbname=d",
	} {
		l, err := Open(Options{DSN: dsn, Spill: spill, FreeSpace: roomy})
		if err == nil {
			_ = l.Close()
			t.Errorf("Open(%q) succeeded", dsn)
		} else if strings.Contains(err.Error(), dsnPassword) || !strings.Contains(err.Error(), "percent-encoded") {
			t.Errorf("Open(%q) = %v, want how a DSN is written, without the password", dsn, err)
		}
	}
	for _, tc := range []struct {
		options Options
		want    string
	}{
		{Options{DSN: "postgres://localhost/db"}, "needs a file"},
		{Options{DSN: "postgres://localhost/db", Path: "x.db"}, "both a path and a DSN"},
		{Options{DSN: "postgres://localhost/db", Spill: "/nonexistent/spill.db"}, "directory of the file does not exist"},
	} {
		if _, err := Open(tc.options); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("Open(%+v) = %v, want %q", tc.options, err, tc.want)
		}
	}
}

func TestServerThatIsNotThereIsToldWithoutThePassword(t *testing.T) {
	spill := filepath.Join(t.TempDir(), "spill.db")
	begin := time.Now()
	l := open(t, Options{DSN: "postgres://someone:" + dsnPassword + "@127.0.0.1:1/db", Spill: spill})
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("Open took %v", took)
	}
	addAll(l, 0, 10)
	flush(t, l) // into the spill
	if _, err := l.Requests(deadline(t), Filter{}); !errors.Is(err, errNoDatabase) {
		t.Errorf("Requests = %v, want %v", err, errNoDatabase)
	}
	s := l.Stats()
	if s.Healthy || s.LastError == "" || strings.Contains(fmt.Sprintf("%+v", s), dsnPassword) || s.Spill.Waiting != 10 || !s.Spill.Healthy || s.Written != 10 {
		t.Errorf("stats %+v %+v, want unhealthy, without the password, 10 spilled", s, s.Spill)
	}
	wantBalance(t, s)
	if kind, place := l.Place(); kind != Postgres || place != "127.0.0.1:1/db" {
		t.Errorf("Place = %s, %s, want postgres, 127.0.0.1:1/db", kind, place)
	}
	closeLog(t, l)
	if rows := wantIntegrity(t, spill); rows != 10 {
		t.Errorf("the spill holds %d requests, want 10", rows)
	}
}

func TestServerOfANewerVersionIsRefused(t *testing.T) {
	o := onServer(t)
	l := open(t, o)
	change(t, l, "UPDATE llm_proxy_schema SET version = 99")
	closeLog(t, l)
	if l, err := Open(o); err == nil || !errors.Is(err, errNewer) {
		t.Errorf("Open = %v, %v, want %v", l, err, errNewer)
	}
}

func TestSeveralProcessesMakeTheTablesTogether(t *testing.T) {
	o := onServer(t)
	logs := make(chan *Log)
	for range 4 {
		go func() {
			o := o
			o.Spill = filepath.Join(t.TempDir(), "spill.db")
			l, err := Open(o)
			if err != nil {
				t.Error(err)
			}
			logs <- l
		}()
	}
	for n := range 4 {
		l := <-logs
		t.Cleanup(func() { _ = l.Close() })
		addAll(l, 100*n, 100*n+110) // ten are of another one too
		flush(t, l)
		if s := l.Stats(); !s.Healthy || s.LastError != "" {
			t.Errorf("stats %+v, want healthy without any trouble", s)
		}
	}
	wantRows(t, open(t, o), 410)
}

// The standard schema is made by us; a server may be shared with others.
func TestTablesHaveASchemaOfTheirOwn(t *testing.T) {
	o := onServer(t)
	dsn, _, _ := strings.Cut(o.DSN, "search_path=")
	o.DSN = strings.TrimRight(dsn, "?& ")
	l := open(t, o)
	id := fmt.Sprint("schema-", time.Now().UnixNano())
	l.Add(&Record{ID: id, Start: t0})
	flush(t, l)
	if n := ask[int](t, l, "SELECT COUNT(*) FROM llm_proxy.requests WHERE id = '"+id+"'"); n != 1 {
		t.Errorf("%d rows in the schema llm_proxy, want 1", n)
	}
}

func TestReadersOfAServerCannotWriteAndHaveALimit(t *testing.T) {
	l := open(t, onServer(t))
	err := l.query(deadline(t), func(ctx context.Context, db *sqlx.DB) error {
		var limit string
		if err := db.GetContext(ctx, &limit, "SHOW statement_timeout"); err != nil || limit != "10s" {
			t.Errorf("statement_timeout = %s (%v), want 10s", limit, err)
		}
		if n := db.Stats().MaxOpenConnections; n != 2 {
			t.Errorf("%d readers, want 2", n)
		}
		_, err := db.ExecContext(ctx, "DELETE FROM requests")
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("a reader could delete: %v", err)
	}
}

// RELIABILITY B7, split clocks: what is old is the server's to say.
func TestB7GatewayWhoseClockIsFastDeletesNothingOfOthers(t *testing.T) {
	o := onServer(t)
	now := &clock{now: time.Now().AddDate(10, 0, 0)}
	o.Now, o.Retain, o.RetainBodies = now.Now, 24*time.Hour, time.Hour
	l := open(t, o)
	for n, age := range []time.Duration{0, 12 * time.Hour, 36 * time.Hour} {
		r := record(n)
		r.Start = time.Now().Add(-age)
		l.Add(r)
	}
	flush(t, l)
	now.advance(checkInterval)
	maintain(t, l)
	wantRows(t, l, 2)
}

func TestB6RecordThatPostgresRefusesTakesNoOtherWithIt(t *testing.T) {
	l := open(t, onServer(t))
	change(t, l, `CREATE FUNCTION poison() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION 'poisoned'; END $$ LANGUAGE plpgsql`)
	change(t, l, `CREATE TRIGGER poison BEFORE INSERT ON labels FOR EACH ROW WHEN (NEW.client = 'poison') EXECUTE FUNCTION poison()`)
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
	if s.Written != rows-3 || s.Dropped.Unwritable != 3 || !s.Healthy || s.Spill.Spilled != 0 {
		t.Errorf("stats %+v, want %d written, 3 unwritable and none spilled", s, rows-3)
	}
	wantBalance(t, s)
	wantRows(t, l, rows-3)
}

// A server that is too slow is relieved, before records are dropped.
func TestSlowServerIsRelieved(t *testing.T) {
	o := onServer(t)
	o.Queue = many(1000)
	l := open(t, o)
	change(t, l, `CREATE FUNCTION slow() RETURNS trigger AS $$ BEGIN PERFORM pg_sleep(1); RETURN NEW; END $$ LANGUAGE plpgsql`)
	change(t, l, `CREATE TRIGGER slow BEFORE INSERT ON requests FOR EACH STATEMENT EXECUTE FUNCTION slow()`)
	paced(t, l, 0, many(6000))
	change(t, l, `DROP TRIGGER slow ON requests`)
	wait(t, "all are home", func() bool { s := l.Stats(); return s.Queued == 0 && s.Spill.Waiting == 0 })
	s := l.Stats()
	if s.Dropped.Total() != 0 || s.Spill.Spilled == 0 {
		t.Errorf("stats %+v %+v, want none dropped, and some spilled", s, s.Spill)
	}
	wantRows(t, l, many(6000))
}

// paced adds records, about 2000 a second without the race detector. Nobody may wait for that: 99 of 100
// take 5 ms at most, so much as the machine has to do.
func paced(t testing.TB, l *Log, from, to int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var took []time.Duration
	for n := from; n < to; n++ {
		if n%many(20) == 0 {
			<-tick.C
		}
		begin := time.Now()
		l.Add(record(n))
		took = append(took, time.Since(begin))
	}
	wantQuick(t, took)
}

// wantQuick checks how long adding took.
func wantQuick(t testing.TB, took []time.Duration) {
	t.Helper()
	slices.Sort(took)
	if p99 := took[len(took)*99/100]; p99 > 5*time.Millisecond && !raceEnabled {
		t.Errorf("one of 100 records took %v to add, want 5ms at most", p99)
	}
}

func TestServerIsPrunedByAgeAndSize(t *testing.T) {
	now := &clock{now: t0}
	o := onServer(t)
	o.Now, o.Queue, o.QueueBytes, o.MaxSize = now.Now, 20000, 1<<30, int64(many(2<<20))
	l := open(t, o)
	rows := many(8000)
	for n := range rows {
		r := full()
		r.ID, r.Start = record(n).ID, t0.Add(time.Duration(n)*time.Second)
		l.Add(r)
	}
	flush(t, l)
	for range 3 {
		now.advance(checkInterval)
		maintain(t, l)
		wait(t, "the oldest rows are gone", func() bool {
			var pruning bool
			if err := l.do(deadline(t), func(w *writer) error { pruning = w.pruning; return nil }); err != nil {
				t.Fatal(err)
			}
			return !pruning
		})
	}
	totals, err := l.Totals(deadline(t), time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	// The tables are as large as they were, but no longer full: one more look
	// must not find too many rows again.
	if totals.Requests < int64(rows/10) || totals.Requests > int64(rows*9/10) {
		t.Errorf("%d of %d requests are left, want a part", totals.Requests, rows)
	}
	if want := t0.Add(time.Duration(rows-1) * time.Second); !totals.Newest.Equal(want) {
		t.Errorf("the newest is of %v, want %v: the oldest go first", totals.Newest, want)
	}
	for _, table := range []string{"attempts", "skips"} {
		if orphans := ask[int](t, l, "SELECT COUNT(*) FROM "+table+" WHERE request NOT IN (SELECT seq FROM requests)"); orphans != 0 {
			t.Errorf("%d %s without their request", orphans, table)
		}
	}
	// What is left would take as much in tables without holes.
	change(t, l, "VACUUM FULL")
	if size := ask[int64](t, l, "SELECT pg_total_relation_size('requests') + pg_total_relation_size('attempts') + pg_total_relation_size('skips')"); size < o.MaxSize/2 || size > o.MaxSize*3/2 {
		t.Errorf("the rows that are left take %d bytes, want about %d", size, o.MaxSize)
	}
	if s := l.Stats(); s.FileSize < o.MaxSize/2 {
		t.Errorf("stats tell of %d bytes", s.FileSize)
	}
}
