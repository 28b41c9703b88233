package logging

import (
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
)

// count is how many rows a query of the log's database counts.
func count(t *testing.T, l *Log, query string) (n int) {
	t.Helper()
	if err := l.store.Load().read.GetContext(deadline(t), &n, query); err != nil {
		t.Fatal(err)
	}
	return n
}

// What many requests have in common is written once an hour, and read with each.
func TestLabelsAreSharedByTheRequestsOfAnHour(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		const each = 700 // more than a batch
		want := make(map[string]*Record)
		for n := range 4 * each {
			r := full()
			r.ID, r.Start = record(n).ID, t0.Truncate(time.Hour).Add(time.Duration(n%2)*time.Hour)
			if n%4 >= 2 {
				r.Status, r.Class, r.Outcome = 500, "upstream_error", OutcomeError
			}
			want[r.ID] = r
			if !l.Add(r) {
				flush(t, l)
				l.Add(r)
			}
		}
		flush(t, l)
		// Two kinds of requests and two kinds of attempts, in two hours.
		if n := count(t, l, "SELECT COUNT(*) FROM labels"); n != 8 {
			t.Errorf("%d labels, want 8", n)
		}
		for _, id := range []string{record(0).ID, record(1).ID, record(2).ID, record(4*each - 1).ID} {
			got, err := l.Request(deadline(t), id)
			if err != nil {
				t.Fatal(err)
			}
			want[id].added = 0
			if !reflect.DeepEqual(got, want[id]) {
				t.Errorf("Request(%s) = %+v\nwant %+v", id, got, want[id])
			}
		}
		rows, _, err := l.Usage(deadline(t), ByClass, time.Time{}, time.Time{})
		if err != nil || len(rows) != 2 || rows[0].Requests != 2*each || rows[1].Requests != 2*each {
			t.Errorf("usage by class = %+v (%v), want two rows of %d", rows, err, 2*each)
		}
	})
}

// Labels go with the last requests that have them, and are written anew if a late one
// comes, also where another process has deleted them.
func TestLabelsGoWithTheirRequests(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		now := &clock{now: t0}
		o.Now, o.Retain = now.Now, 3*time.Hour
		l := open(t, o)
		add := func(n int, start time.Time) {
			t.Helper()
			r := full()
			r.ID, r.Start = record(n).ID, start
			l.Add(r)
			flush(t, l)
		}
		for n := range 6 {
			add(n, t0.Add(time.Duration(n)*time.Hour))
		}
		now.advance(6 * time.Hour)
		maintain(t, l)
		if n := count(t, l, "SELECT COUNT(*) FROM requests"); n != 3 {
			t.Fatalf("%d requests are left, want those of 3 hours", n)
		}
		// Three labels an hour, and one hour more.
		if n := count(t, l, "SELECT COUNT(*) FROM labels"); n != 4*3 {
			t.Errorf("%d labels are left, want 12", n)
		}
		add(6, t0.Add(time.Hour)) // its labels are gone
		if _, err := l.store.Load().write.ExecContext(deadline(t), "DELETE FROM labels"); err != nil {
			t.Fatal(err)
		}
		add(7, t0.Add(5*time.Hour))
		got, err := l.Request(deadline(t), record(7).ID)
		if err != nil || got.Client != "team" || len(got.Attempts) != 2 || got.Attempts[0].Provider != "other" {
			t.Errorf("the request after its labels were deleted = %+v (%v), want it whole", got, err)
		}
	})
}

// A client that makes up names fills neither the memory nor the log of others.
func TestMadeUpNamesAreForgotten(t *testing.T) {
	l := open(t, Options{Queue: 1 << 16, QueueBytes: 1 << 30})
	const rows = 3 * maxLabels
	for n := range rows {
		r := record(n)
		r.Asked = fmt.Sprint("made-up-", n)
		l.Add(r)
	}
	flush(t, l)
	var known int
	if err := l.do(deadline(t), func(*writer) error { known = len(l.store.Load().labels.known); return nil }); err != nil {
		t.Fatal(err)
	}
	if known > maxLabels+2*batchRows {
		t.Errorf("%d labels are known by heart, want about %d at most", known, maxLabels)
	}
	wantRows(t, l, rows)
}

// Labels of requests that are gone do not push out those that are there.
func TestLabelsAreDeletedAlongWithTheOldestRequests(t *testing.T) {
	now := &clock{now: t0}
	l := open(t, Options{Now: now.Now, Queue: 1 << 16, QueueBytes: 1 << 30, MaxSize: 2 << 20})
	const rows = 12000
	for n := range rows {
		r := record(n)
		r.Start, r.Asked = t0.Add(time.Duration(n)*10*time.Second), fmt.Sprintf("made-up-%0200d", n)
		l.Add(r)
	}
	flush(t, l)
	now.advance(rows * 10 * time.Second)
	maintain(t, l)
	wait(t, "the oldest rows are gone", func() bool {
		var pruning bool
		if err := l.do(deadline(t), func(w *writer) error { pruning = w.pruning; return nil }); err != nil {
			t.Fatal(err)
		}
		return !pruning
	})
	left, names := count(t, l, "SELECT COUNT(*) FROM requests"), count(t, l, "SELECT COUNT(*) FROM labels")
	t.Logf("%d requests and %d labels are left", left, names)
	if left < rows/5 || left >= rows || names > 2*left+1000 {
		t.Errorf("%d requests and %d labels are left, want a part, and not many more labels", left, names)
	}
}

// beforeLabels makes a database of the schema without labels, with three requests as of
// full, and returns a connection to it.
func beforeLabels(t *testing.T, o *Options) *sqlx.DB {
	t.Helper()
	d := sqliteDialect
	var db *sqlx.DB
	if o.DSN == "" {
		o.Path = filepath.Join(t.TempDir(), "old.db")
		if _, err := create(o.Path); err != nil {
			t.Fatal(err)
		}
		db = other(t, o.Path)
	} else {
		place, err := newServer(o.DSN)
		if err != nil {
			t.Fatal(err)
		}
		d, db = postgresDialect, place.connect(1, queryTimeout, nil)
		t.Cleanup(func() { _ = db.Close() })
	}
	tx := db.MustBegin()
	if err := d.begin(deadline(t), tx); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"0001_requests.sql", "0002_bodies.sql"} {
		statements, err := migrations.ReadFile("migrations/" + name)
		if err != nil {
			t.Fatal(err)
		}
		tx.MustExec(d.rewrite.Replace(string(statements)))
	}
	start := t0.UnixMicro()
	for n := range 3 {
		tx.MustExec(tx.Rebind(`INSERT INTO requests VALUES (?, ?, ?, 2500000, 300000, 'team', '0a1b2c3d', '/v1/messages', 'messages', 'chat',
			'smart', 'gpt-9', 'acme', 'ACME_1', 200, '', 'ok', 1, 1, 2, 3, 4, 5, 1, 0.125, 1000, 2000, 'top_k dropped', 2, 1000)`),
			n+1, fmt.Sprint("req-", n+1), start)
		tx.MustExec(tx.Rebind(`INSERT INTO attempts VALUES (?, 1, 'other', 'm', 'K', ?, 1000000, 429, 'rate_limited', 'slow down', 60000000),
			(?, 2, 'acme', 'gpt-9', 'ACME_1', ?, 1000000, 200, '', '', 0)`), n+1, start+1000, n+1, start+1000000)
		tx.MustExec(tx.Rebind(`INSERT INTO skips VALUES (?, 1, 'third', 'x', 'breaker', 'its last attempts failed')`), n+1)
	}
	if err := d.setVersion(deadline(t), tx, 2); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return db
}

// The log of the schema without labels is read as it was written.
func TestRequestsOfTheSchemaBeforeLabelsAreKept(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		if err := beforeLabels(t, &o).Close(); err != nil {
			t.Fatal(err)
		}
		l := open(t, o)
		if got, err := l.Request(deadline(t), "req-1"); err != nil || !reflect.DeepEqual(got, full()) {
			t.Errorf("Request = %+v (%v)\nwant      %+v", got, err, full())
		}
		if n := count(t, l, "SELECT COUNT(*) FROM labels"); n != 3 {
			t.Errorf("%d labels, want 3", n)
		}
		again := full() // it is there already
		addAll(l, 0, 10)
		l.Add(again)
		flush(t, l)
		wantRows(t, l, 13)
		if s := l.Stats(); s.Duplicates != 1 || s.Written != 10 {
			t.Errorf("stats %+v, want 10 written and 1 that was there", s)
		}
	})
}

// With millions of rows a migration takes longer than anything else on a server may.
func TestAMigrationMayTakeLong(t *testing.T) {
	o := onServer(t)
	db := beforeLabels(t, &o)
	reader := db.MustBegin()
	reader.MustExec("LOCK TABLE requests IN ACCESS SHARE MODE") // so it cannot be dropped
	release := time.AfterFunc(serverPatience+time.Second, func() { _ = reader.Commit() })
	defer release.Stop()
	l := open(t, o)
	if s := l.Stats(); !s.Healthy {
		t.Errorf("stats %+v, want a log that is well", s)
	}
	wantRows(t, l, 3)
}

// An attempt comes back as it was, whether it has a row of its own or not.
func TestTheOnlyAttemptNeedsNoRowOfItsOwn(t *testing.T) {
	plain := func(change func(r *Record, a *Attempt)) *Record {
		r := full()
		r.Attempts, r.Queue = r.Attempts[1:], time.Second
		change(r, &r.Attempts[0])
		return r
	}
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		for i, tc := range []struct {
			name string
			r    *Record
			rows int
		}{
			{"as the request", plain(func(*Record, *Attempt) {}), 0},
			{"failed as the request", plain(func(r *Record, a *Attempt) {
				r.Status, r.Class, a.Status, a.Class = 500, "upstream_error", 500, "upstream_error"
			}), 0},
			{"another status", plain(func(_ *Record, a *Attempt) { a.Status = 201 }), 1},
			{"another class", plain(func(_ *Record, a *Attempt) { a.Class = "broken" }), 1},
			{"another provider", plain(func(_ *Record, a *Attempt) { a.Provider = "other" }), 1},
			{"another model", plain(func(_ *Record, a *Attempt) { a.Model = "gpt-1" }), 1},
			{"another key", plain(func(_ *Record, a *Attempt) { a.KeyID = "ACME_2" }), 1},
			{"with a reason", plain(func(_ *Record, a *Attempt) { a.Reason = "slow" }), 1},
			{"a key that rests", plain(func(_ *Record, a *Attempt) { a.Cooled = time.Second }), 1},
			{"later than the queue says", plain(func(_ *Record, a *Attempt) { a.Start = a.Start.Add(time.Millisecond) }), 1},
			{"two", full(), 2},
			{"none", plain(func(r *Record, _ *Attempt) { r.Attempts = nil }), 0},
		} {
			before := count(t, l, "SELECT COUNT(*) FROM attempts")
			tc.r.ID = fmt.Sprint(tc.name, i)
			l.Add(tc.r)
			flush(t, l)
			if n := count(t, l, "SELECT COUNT(*) FROM attempts") - before; n != tc.rows {
				t.Errorf("%s: %d rows of attempts, want %d", tc.name, n, tc.rows)
			}
			tc.r.added = 0
			got, err := l.Request(deadline(t), tc.r.ID)
			if err != nil || !reflect.DeepEqual(got, tc.r) {
				t.Errorf("%s: Request = %+v (%v)\nwant %+v", tc.name, got, err, tc.r)
			}
		}
	})
}
