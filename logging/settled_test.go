package logging

import (
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
)

// gatewayThatWrites is a transaction of another gateway on the log's server.
func gatewayThatWrites(t *testing.T, l *Log) *sqlx.Tx {
	t.Helper()
	db := l.engine.(*server).connect(1, queryTimeout, nil)
	t.Cleanup(func() { _ = db.Close() })
	tx, err := db.BeginTxx(deadline(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback() })
	return tx
}

// Another gateway's rows may be older than the newest one, and come later.
func TestRowsThatComeLateAreReadInTheirOrder(t *testing.T) {
	l := open(t, onServer(t))
	defer closeLog(t, l)
	addAll(l, 0, 2)
	flush(t, l)
	other := gatewayThatWrites(t, l)
	if _, err := other.ExecContext(deadline(t), "SELECT id FROM labels LIMIT 1 FOR KEY SHARE"); err != nil {
		t.Fatal(err)
	}
	columns := strings.TrimPrefix(requestColumns, "seq, id, ")
	if _, err := other.ExecContext(deadline(t), "INSERT INTO requests (id, "+columns+") SELECT 'late', "+columns+" FROM requests LIMIT 1"); err != nil {
		t.Fatal(err)
	}
	addAll(l, 2, 3)
	flush(t, l)

	type page struct {
		rows []Row
		err  error
	}
	pages := make(chan page)
	for _, f := range []Filter{{Order: WrittenFirst}, {Order: WrittenFirst, After: &Row{Seq: 2}}} {
		go func() {
			rows, err := l.Requests(deadline(t), f)
			pages <- page{rows, err}
		}()
	}
	// Both have seen the newest row, and that somebody writes.
	wait(t, "two readers to wait", func() bool {
		return ask[int](t, l, "SELECT COUNT(*) FROM pg_stat_activity WHERE query LIKE '%pg_locks%virtualtransaction IN (%' AND pid <> pg_backend_pid()") == 2
	})
	if err := other.Commit(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		got := <-pages
		var ids []string
		for _, row := range got.rows {
			ids = append(ids, row.ID)
		}
		said := strings.Join(ids, " ")
		if got.err != nil || !strings.Contains(said, "late") || len(ids) == 2 && ids[0] != "late" {
			t.Errorf("the pages have %q (%v), want the late row in its place", said, got.err)
		}
	}
}

// Whom nobody ends is not waited for without end.
func TestATransactionThatHangsDoesNotKeepReadersForEver(t *testing.T) {
	l := open(t, onServer(t))
	defer closeLog(t, l)
	addAll(l, 0, 2)
	flush(t, l)
	other := gatewayThatWrites(t, l)
	if _, err := other.ExecContext(deadline(t), "DELETE FROM labels WHERE hour < 0"); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	rows, err := l.Requests(deadline(t), Filter{Order: WrittenFirst})
	if took := time.Since(begin); err != nil || len(rows) != 2 || took < serverPatience || took > queryTimeout {
		t.Errorf("Requests = %d rows, %v after %v; want 2 after %v", len(rows), err, took, settlePatience)
	}
}

// What was read last may be deleted first, and its number go to another row.
func TestReadingGoesOnBehindRowsThatAreGone(t *testing.T) {
	for _, tc := range []struct {
		name  string
		setup func(t testing.TB) Options
	}{{"sqlite", func(t testing.TB) Options { return Options{Path: t.TempDir() + "/requests.db"} }}, {"postgres", onServer}} {
		t.Run(tc.name, func(t *testing.T) {
			l := open(t, tc.setup(t))
			defer closeLog(t, l)
			addAll(l, 0, 5)
			flush(t, l)
			all, err := l.Requests(deadline(t), Filter{Order: WrittenFirst})
			if err != nil || len(all) != 5 {
				t.Fatalf("Requests = %d rows, %v", len(all), err)
			}
			read := []Row{all[4], all[3], all[2]}
			want := func(n int, why string) {
				t.Helper()
				rows, err := l.Requests(deadline(t), Filter{Order: WrittenFirst, Behind: read})
				if err != nil || len(rows) != n {
					t.Errorf("%s: %d rows are behind, %v; want %d", why, len(rows), err, n)
				}
			}
			want(0, "nothing new")
			remove := func(rows ...Row) {
				t.Helper()
				var records []*Record
				for _, row := range rows {
					records = append(records, &row.Record)
				}
				if err := l.store.Load().deleteRequests(deadline(t), records); err != nil {
					t.Fatal(err)
				}
			}
			remove(all[4])
			want(0, "the last one gone")
			addAll(l, 5, 7)
			flush(t, l)
			want(2, "two more")
			remove(all[3], all[2])
			want(4, "all gone that were read") // so the log has begun anew
		})
	}
}
