package logging

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// ErrNotFound is returned for a request that is not in the log.
var ErrNotFound = errors.New("no such request in the log")

// errNoDatabase is returned while the database cannot be opened.
var errNoDatabase = errors.New("the request log's database cannot be opened now")

// How many rows a page has: by default, and at most.
const (
	defaultLimit = 100
	maxLimit     = 1000
)

// Order is the order of a list.
type Order string

// All orders there are.
const (
	NewestFirst  Order = ""        // by the time at which requests arrived
	OldestFirst  Order = "oldest"  // the same, backwards
	WrittenFirst Order = "written" // as rows were written: when requests ended. To follow the log.
)

// Filter says which requests are asked for. Its zero value asks for the newest.
type Filter struct {
	Since, Until time.Time // began at Since or later, and before Until; zero: any time

	// Empty: any. Asked and Model are those of Record.
	Client, Asked, Model, Provider, Class, Outcome string

	Status  int  // 0: any
	Trouble bool // only those whose Outcome is not OutcomeOK

	Order Order
	// After is the last row of the page before: this one begins behind it.
	After *Row
	// Behind are, for WrittenFirst, rows that were seen before, by Seq and ID: the page
	// begins behind the one of them that was written last, of those that are still
	// there, and else at the beginning. Rows are deleted by when they began, so the
	// one that was written last may be the first to go; and in a file its Seq goes to
	// another one then.
	Behind []Row
	// Limit is how many rows are returned at most. Default: 100; at most 1000.
	Limit int
}

// What is read of the views.
const (
	requestLogColumns = "seq, id, start_us, total_us, queue_us, first_us, client, client_key, endpoint, protocol, upstream_protocol, " +
		"asked, model, provider, key_id, status, class, outcome, streamed, " +
		"tokens_input, tokens_cache_read, tokens_cache_write, tokens_output, tokens_reasoning, tokens_estimated, " +
		"cost, bytes_in, bytes_out, warnings, attempts"
	attemptLogColumns = "request, number, provider, model, key_id, start_us, duration_us, status, class, reason, cooled_us"
)

// where is a condition, joined by AND, with the values of its parameters.
type where struct {
	conditions []string
	values     []any
}

func (w *where) add(condition string, values ...any) {
	w.conditions = append(w.conditions, condition)
	w.values = append(w.values, values...)
}

// span asks for requests that began at since or later, and before until.
func (w *where) span(since, until time.Time) {
	if !since.IsZero() {
		w.add("start_us >= ?", micros(since))
	}
	if !until.IsZero() {
		w.add("start_us < ?", micros(until))
	}
}

// String is the clause, empty without conditions.
func (w *where) String() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// statement is the query for a filter. Values are always parameters, and columns
// always of our own writing.
//
// Rows beyond last are left out; 0: none are.
func (f *Filter) statement(last int64) (string, []any, error) {
	var w, of where
	w.span(f.Since, f.Until)
	if last > 0 {
		w.add("seq <= ?", last)
	}
	for _, equal := range []struct{ column, value string }{
		{"client", f.Client},
		{"asked", f.Asked},
		{"model", f.Model},
		{"provider", f.Provider},
		{"class", f.Class},
		{"outcome", f.Outcome},
	} {
		if equal.value != "" {
			of.add(equal.column+" = ?", clean(equal.value, maxName)) // as it was stored
		}
	}
	if f.Status != 0 {
		of.add("status = ?", f.Status)
	}
	if f.Trouble {
		of.add("outcome <> 'ok'")
	}
	if len(of.conditions) > 0 {
		// Not of the view, lest a database begins with the labels and has to sort
		// all of their requests for a page of them.
		w.add("labels IN (SELECT labels.id FROM labels"+of.String()+")", of.values...)
	}
	var order string
	switch f.Order {
	case NewestFirst:
		order = "start_us DESC, id DESC"
		if f.After != nil {
			w.add("(start_us, id) < (?, ?)", micros(f.After.Start), f.After.ID)
		}
	case OldestFirst:
		order = "start_us, id"
		if f.After != nil {
			w.add("(start_us, id) > (?, ?)", micros(f.After.Start), f.After.ID)
		}
	case WrittenFirst:
		order = "seq"
		if f.After != nil {
			w.add("seq > ?", f.After.Seq)
		}
		if len(f.Behind) > 0 {
			var seqs, ids []any
			for i := range f.Behind {
				seqs, ids = append(seqs, f.Behind[i].Seq), append(ids, clean(f.Behind[i].ID, maxName))
			}
			// Found by their Seqs: only these have an index.
			among := " IN (?" + strings.Repeat(", ?", len(ids)-1) + ")"
			w.add("seq > COALESCE((SELECT MAX(seq) FROM requests WHERE seq"+among+" AND id"+among+"), 0)", append(seqs, ids...)...)
		}
	default:
		return "", nil, fmt.Errorf("unknown order %q", f.Order)
	}
	limit := f.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	return "SELECT " + requestLogColumns + " FROM request_log" + w.String() + " ORDER BY " + order + " LIMIT ?",
		append(w.values, min(limit, maxLimit)), nil
}

// query runs f on a connection that can only read, for at most 10 s. At most two
// run at the same time; others wait for their turn.
func (l *Log) query(ctx context.Context, f func(context.Context, *sqlx.DB) error) error {
	store := l.store.Load()
	if store == nil {
		select {
		case <-l.done:
			return ErrClosed
		default:
			return errNoDatabase
		}
	}
	return store.query(ctx, queryTimeout, f)
}

// Requests returns a page of requests. What waits in the queue is not among them:
// see Flush.
func (l *Log) Requests(ctx context.Context, f Filter) ([]Row, error) {
	var found []requestRow
	err := l.query(ctx, func(ctx context.Context, db *sqlx.DB) error {
		var last int64
		if l.spill != nil && f.Order == WrittenFirst {
			var err error
			if last, err = settled(ctx, db); err != nil {
				return err
			}
		}
		statement, values, err := f.statement(last)
		if err != nil {
			return err
		}
		return db.SelectContext(ctx, &found, db.Rebind(statement), values...)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the request log: %w", err)
	}
	rows := make([]Row, len(found))
	for i := range found {
		rows[i] = found[i].row()
	}
	return rows, nil
}

// Request returns everything about one request, or ErrNotFound.
func (l *Log) Request(ctx context.Context, id string) (*Record, error) {
	var records []*Record
	err := l.query(ctx, func(ctx context.Context, db *sqlx.DB) (err error) {
		records, err = whole(ctx, db, "id = ? ORDER BY start_us DESC LIMIT 1", clean(id, maxName)) // the newest are asked for most
		return err
	})
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the request log: %w", err)
	case len(records) == 0:
		return nil, ErrNotFound
	}
	return records[0], nil
}

// snapshot is a transaction in which all queries see the same, lest retention
// comes in between.
var snapshot = &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}

// whole reads requests with all that belongs to them, as they were written. The
// condition, and what follows it, is of our own writing.
func whole(ctx context.Context, db *sqlx.DB, condition string, values ...any) (records []*Record, err error) {
	tx, err := db.BeginTxx(ctx, snapshot)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }()
	var rows []requestRow
	if err := tx.SelectContext(ctx, &rows, tx.Rebind("SELECT "+requestLogColumns+" FROM request_log WHERE "+condition), values...); err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, nil
	}
	seqs := make([]int64, len(rows))
	bySeq := make(map[int64]*Record, len(rows))
	for i := range rows {
		record := rows[i].row().Record
		seqs[i], records = rows[i].Seq, append(records, &record)
		bySeq[rows[i].Seq] = &record
	}
	return records, parts(ctx, tx, seqs, bySeq)
}

// parts reads what belongs to requests.
func parts(ctx context.Context, tx *sqlx.Tx, seqs []int64, of map[int64]*Record) error {
	var attempts []attemptRow
	var skips []skipRow
	var bodies []bodiesRow
	for _, part := range []struct {
		into  any
		query string
	}{
		{&attempts, "SELECT " + attemptLogColumns + " FROM attempt_log WHERE request IN (?) ORDER BY request, number"},
		{&skips, "SELECT " + skipColumns + " FROM skips WHERE request IN (?) ORDER BY request, number"},
		{&bodies, "SELECT " + bodiesColumns + " FROM bodies WHERE request IN (?)"},
	} {
		query, values, err := sqlx.In(part.query, seqs)
		if err != nil {
			return err
		}
		if err := tx.SelectContext(ctx, part.into, tx.Rebind(query), values...); err != nil {
			return err
		}
	}
	for i := range attempts {
		r := of[attempts[i].Request]
		r.Attempts = append(r.Attempts, attempts[i].attempt())
	}
	for i := range skips {
		r := of[skips[i].Request]
		r.Skipped = append(r.Skipped, skips[i].skip())
	}
	for i := range bodies {
		of[bodies[i].Request].Bodies = bodies[i].bodies()
	}
	return nil
}
