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
	// Limit is how many rows are returned at most. Default: 100; at most 1000.
	Limit int
}

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
func (f *Filter) statement() (string, []any, error) {
	var w where
	w.span(f.Since, f.Until)
	for _, equal := range []struct{ column, value string }{
		{"client", f.Client},
		{"asked", f.Asked},
		{"model", f.Model},
		{"provider", f.Provider},
		{"class", f.Class},
		{"outcome", f.Outcome},
	} {
		if equal.value != "" {
			w.add(equal.column+" = ?", equal.value)
		}
	}
	if f.Status != 0 {
		w.add("status = ?", f.Status)
	}
	if f.Trouble {
		w.add("outcome <> 'ok'") // no parameter, so that the index for these serves
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
	default:
		return "", nil, fmt.Errorf("unknown order %q", f.Order)
	}
	limit := f.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	return "SELECT seq, " + requestColumns + " FROM requests" + w.String() + " ORDER BY " + order + " LIMIT ?",
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
	statement, values, err := f.statement()
	if err != nil {
		return nil, fmt.Errorf("reading the request log: %w", err)
	}
	var found []requestRow
	err = l.query(ctx, func(ctx context.Context, db *sqlx.DB) error {
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
	var (
		row      requestRow
		attempts []attemptRow
		skips    []skipRow
	)
	err := l.query(ctx, func(ctx context.Context, db *sqlx.DB) error {
		// One transaction, lest retention comes in between.
		tx, err := db.BeginTxx(ctx, nil)
		if err != nil {
			return err
		}
		defer func() { _ = tx.Rollback() }()
		if err := tx.GetContext(ctx, &row, tx.Rebind("SELECT seq, "+requestColumns+" FROM requests WHERE id = ?"), id); err != nil {
			return err
		}
		if err := tx.SelectContext(ctx, &attempts, tx.Rebind("SELECT provider, model, key_id, start_us, duration_us, status, class, reason, cooled_us FROM attempts WHERE request = ? ORDER BY number"), row.Seq); err != nil {
			return err
		}
		return tx.SelectContext(ctx, &skips, tx.Rebind("SELECT provider, model, why, reason FROM skips WHERE request = ? ORDER BY number"), row.Seq)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("reading the request log: %w", err)
	}
	record := row.row().Record
	for i := range attempts {
		record.Attempts = append(record.Attempts, attempts[i].attempt())
	}
	for _, s := range skips {
		record.Skipped = append(record.Skipped, Skip(s))
	}
	return &record, nil
}
