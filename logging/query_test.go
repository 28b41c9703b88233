package logging

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
)

// mixed fills a log with n requests of all kinds, several of them at the same
// moment, and returns them as they were added.
func mixed(t testing.TB, l *Log, n int) []Record {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	outcomes := []string{OutcomeOK, OutcomeOK, OutcomeError, OutcomePartial, OutcomeClientClosed}
	var added []Record
	for i := range n {
		r := Record{
			ID: fmt.Sprintf("%04d", random.IntN(1000)*1000+i), Start: t0.Add(time.Duration(random.IntN(n/3)) * time.Hour), Total: time.Second,
			Client: fmt.Sprint("c", random.IntN(3)), Endpoint: "/v1/messages", Asked: fmt.Sprint("a", random.IntN(3)),
			Model: fmt.Sprint("m", random.IntN(3)), Provider: fmt.Sprint("p", random.IntN(3)), KeyID: "K",
			Status: 200, Outcome: outcomes[random.IntN(len(outcomes))], Streamed: random.IntN(2) == 0,
			Tokens: Tokens{Input: int64(random.IntN(100)), CacheRead: 1, CacheWrite: 2, Output: int64(random.IntN(100)), Reasoning: 3},
			Cost:   float64(random.IntN(8)) / 8, CostKnown: random.IntN(4) > 0, BytesIn: 5, BytesOut: 6,
			Attempts: make([]Attempt, random.IntN(3)),
		}
		if r.Outcome == OutcomeError {
			r.Status, r.Class = 503, "overloaded"
		}
		added = append(added, r)
		l.Add(&r)
	}
	flush(t, l)
	return added
}

// expected are the IDs that a filter should find, newest first.
func expected(added []Record, f Filter) []string {
	var found []Record
	for _, r := range added {
		if (f.Since.IsZero() || !r.Start.Before(f.Since)) && (f.Until.IsZero() || r.Start.Before(f.Until)) &&
			(f.Client == "" || r.Client == f.Client) && (f.Asked == "" || r.Asked == f.Asked) && (f.Model == "" || r.Model == f.Model) &&
			(f.Provider == "" || r.Provider == f.Provider) && (f.Class == "" || r.Class == f.Class) && (f.Outcome == "" || r.Outcome == f.Outcome) &&
			(f.Status == 0 || r.Status == f.Status) && (!f.Trouble || r.Outcome != OutcomeOK) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b Record) int {
		if c := b.Start.Compare(a.Start); c != 0 {
			return c
		}
		return strings.Compare(b.ID, a.ID)
	})
	var ids []string
	for _, r := range found {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestPagesHoldEveryRequestOnce(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		added := mixed(t, l, 300)
		for _, f := range []Filter{
			{},
			{Client: "c1"},
			{Asked: "a2"},
			{Model: "m0", Provider: "p1"},
			{Provider: "p2", Trouble: true},
			{Class: "overloaded"},
			{Outcome: OutcomePartial},
			{Status: 503},
			{Trouble: true},
			{Since: t0.Add(10 * time.Hour), Until: t0.Add(40 * time.Hour)},
			{Since: t0.Add(10 * time.Hour), Client: "c2"},
			{Client: "nobody"},
			{Client: "' OR 1=1 --"},
		} {
			want := expected(added, f)
			for _, order := range []Order{NewestFirst, OldestFirst, WrittenFirst} {
				var got []string
				f.Order, f.After, f.Limit = order, nil, 7
				for {
					rows, err := l.Requests(deadline(t), f)
					if err != nil {
						t.Fatalf("%+v: %v", f, err)
					}
					if len(rows) > 7 {
						t.Fatalf("%+v: a page of %d, want 7 at most", f, len(rows))
					}
					for i := range rows {
						got = append(got, rows[i].ID)
					}
					if len(rows) < 7 {
						break
					}
					f.After = &rows[len(rows)-1]
				}
				switch order {
				case OldestFirst:
					slices.Reverse(got)
				case WrittenFirst:
					got = inOrder(added, got, want)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%+v:\ngot  %v\nwant %v", f, got, want)
				}
			}
		}
	})
}

// inOrder returns want if got holds the same IDs in the order in which they were
// added, else got.
func inOrder(added []Record, got, want []string) []string {
	var written []string
	for _, r := range added {
		if slices.Contains(want, r.ID) {
			written = append(written, r.ID)
		}
	}
	if slices.Equal(got, written) {
		return want
	}
	return got
}

func TestRowsTellWhatTheRecordTold(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		l.Add(full())
		flush(t, l)
		rows, err := l.Requests(deadline(t), Filter{})
		if err != nil || len(rows) != 1 {
			t.Fatalf("Requests = %v, %v, want one", rows, err)
		}
		want := full()
		got := rows[0]
		if got.AttemptCount != 2 || got.Cost != want.Cost || got.Tokens != want.Tokens || got.Warnings != want.Warnings || !got.Start.Equal(want.Start) || got.First != want.First {
			t.Errorf("row %+v, want what %+v tells", got, want)
		}
	})
}

func TestPagesAreBounded(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		addAll(l, 0, 1500)
		flush(t, l)
		for _, tc := range []struct{ limit, want int }{
			{0, 100}, {-5, 100}, {1, 1}, {1000, 1000}, {1 << 40, 1000},
		} {
			rows, err := l.Requests(deadline(t), Filter{Limit: tc.limit})
			if err != nil || len(rows) != tc.want {
				t.Errorf("Limit %d: %d rows (%v), want %d", tc.limit, len(rows), err, tc.want)
			}
		}
	})
}

func TestColumnsOfStrangersAreRefused(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		if _, err := l.Requests(deadline(t), Filter{Order: "id; DROP TABLE requests"}); err == nil {
			t.Error("Requests took an order of a stranger's")
		}
		if _, _, err := l.Usage(deadline(t), "id; DROP TABLE requests", time.Time{}, time.Time{}); err == nil {
			t.Error("Usage took a column of a stranger's")
		}
	})
}

// PostgreSQL takes neither NUL nor what is not UTF-8; who asks for such a name is to
// find what was stored of it, and nothing else.
func TestTextsThatNoDatabaseTakesCanBeAskedFor(t *testing.T) {
	onEveryEngine(t, func(t *testing.T, o Options) {
		l := open(t, o)
		const odd = "a\x00b\xff"
		l.Add(&Record{ID: odd, Start: t0, Asked: odd, Client: odd, Outcome: OutcomeOK})
		l.Add(&Record{ID: "plain", Start: t0, Asked: "ab", Client: "ab", Outcome: OutcomeOK})
		flush(t, l)
		for _, tc := range []struct {
			filter Filter
			want   int
		}{
			{Filter{Asked: odd}, 1},
			{Filter{Client: odd, Asked: odd}, 1},
			{Filter{Client: "\x00"}, 0},
			{Filter{Provider: "\xff"}, 0},
			{Filter{Model: strings.Repeat("x", 1<<20)}, 0},
			{Filter{Class: "'; DROP TABLE requests;--"}, 0},
		} {
			rows, err := l.Requests(deadline(t), tc.filter)
			if err != nil || len(rows) != tc.want {
				t.Errorf("%.100q: %d rows (%v), want %d", fmt.Sprint(tc.filter), len(rows), err, tc.want)
			}
		}
		if r, err := l.Request(deadline(t), odd); err != nil || r.Asked != "a\uFFFDb\uFFFD" {
			t.Errorf("Request(%q) = %+v, %v", odd, r, err)
		}
		if _, err := l.Request(deadline(t), "\x00"); !errors.Is(err, ErrNotFound) {
			t.Errorf("Request of NUL = %v, want %v", err, ErrNotFound)
		}
	})
}

// No list sorts the requests: each is read in its order, until the page is full.
func TestListsAreReadInTheirOrder(t *testing.T) {
	l := open(t, Options{})
	addAll(l, 0, 2000)
	flush(t, l)
	row := &Row{Record: *record(1000), Seq: 1000}
	for _, tc := range []struct {
		filter Filter
		by     string
	}{
		{Filter{}, "requests_start"},
		{Filter{After: row}, "requests_start"},
		{Filter{Order: OldestFirst, After: row}, "requests_start"},
		{Filter{Since: t0}, "requests_start"},
		{Filter{Client: "c"}, "requests_start"},
		{Filter{Client: "c", After: row}, "requests_start"},
		{Filter{Model: "m", Provider: "p", Since: t0}, "requests_start"},
		{Filter{Trouble: true}, "requests_start"},
		{Filter{Order: WrittenFirst, After: row}, "INTEGER PRIMARY KEY"},
		{Filter{Order: WrittenFirst, After: row, Client: "c"}, "INTEGER PRIMARY KEY"},
	} {
		statement, values, err := tc.filter.statement(0)
		if err != nil {
			t.Fatal(err)
		}
		var plan []struct {
			ID, Parent, Notused int
			Detail              string
		}
		if err := l.store.Load().read.Select(&plan, "EXPLAIN QUERY PLAN "+statement, values...); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan[0].Detail, "requests") || !strings.Contains(plan[0].Detail, tc.by) {
			t.Errorf("%+v begins with %q, want the requests by %s", tc.filter, plan[0].Detail, tc.by)
		}
		for _, step := range plan {
			if strings.Contains(step.Detail, "TEMP B-TREE") {
				t.Errorf("%+v is sorted: %+v", tc.filter, plan)
			}
		}
	}
}

func TestB6AtMostTwoQueriesRunAtATime(t *testing.T) {
	l := open(t, Options{})
	store := l.store.Load()
	for range maxReaders {
		conn, err := store.read.Connx(deadline(t))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.Requests(ctx, Filter{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a third query = %v, want it to wait until its context ends", err)
	}
	addAll(l, 0, 100) // the writer has a connection of its own
	flush(t, l)
}

// A long query ends soon after the caller left, and its connection still works.
func TestB6QueriesAreInterrupted(t *testing.T) {
	l := open(t, Options{})
	for range 3 {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
		begin := time.Now()
		var n int
		err := l.store.Load().query(ctx, queryTimeout, func(ctx context.Context, db *sqlx.DB) error {
			return db.GetContext(ctx, &n, "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT COUNT(*) FROM c")
		})
		cancel()
		if took := time.Since(begin); err == nil || took > 2*time.Second {
			t.Errorf("an endless query ended after %v with %v, want it interrupted at once", took, err)
		}
	}
	wantRows(t, l, 0)
}
