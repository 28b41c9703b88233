package logging

import (
	"context"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
)

// What is inserted into the tables, in the order of the functions that append values.
const (
	labelColumns   = "id, hour, client, client_key, endpoint, protocol, upstream_protocol, asked, model, provider, key_id, status, class, outcome, streamed, tokens_estimated"
	requestColumns = "seq, id, start_us, total_us, queue_us, first_us, labels, " +
		"tokens_input, tokens_cache_read, tokens_cache_write, tokens_output, tokens_reasoning, cost, bytes_in, bytes_out, warnings, attempts, only_us"
	attemptColumns = "request, number, labels, start_us, duration_us, reason, cooled_us"
	skipColumns    = "request, number, provider, model, why, reason"
	bodiesColumns  = "request, start_us, request_body, answer_body, request_is_cut, answer_is_cut"
)

// insertion is a way to insert rows into a table, unless they are there.
type insertion struct {
	columns    int
	groups     []int        // the dialect's
	statements []*sqlx.Stmt // one for each of groups
	values     []any        // has no elements, only room for those of a batch
}

// inserts are the ways to insert the parts of a record.
type inserts struct{ labels, requests, attempts, skips, bodies insertion }

func prepareInserts(ctx context.Context, db *sqlx.DB, groups []int) (s inserts, err error) {
	for _, p := range []struct {
		to             *insertion
		table, columns string
	}{
		{&s.labels, "labels", labelColumns},
		{&s.requests, "requests", requestColumns},
		{&s.attempts, "attempts", attemptColumns},
		{&s.skips, "skips", skipColumns},
		{&s.bodies, "bodies", bodiesColumns},
	} {
		*p.to = insertion{columns: strings.Count(p.columns, ",") + 1, groups: groups, statements: make([]*sqlx.Stmt, len(groups))}
		row := ", (" + strings.Repeat(", ?", p.to.columns)[2:] + ")"
		for i, n := range groups {
			statement := "INSERT INTO " + p.table + " (" + p.columns + ") VALUES " + strings.Repeat(row, n)[2:] + " ON CONFLICT DO NOTHING"
			if p.to.statements[i], err = db.PreparexContext(ctx, db.Rebind(statement)); err != nil {
				return inserts{}, err
			}
		}
	}
	return s, nil
}

// insert writes all records or none. duplicates is how many were there already.
func (s *store) insert(ctx context.Context, records []*Record) (duplicates int, err error) {
	tx, err := s.write.BeginTxx(ctx, nil)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			s.labels.forget() // those that are not there now
		}
		_ = tx.Rollback()
	}()
	if s.patience == 0 {
		// The driver starts a goroutine for each statement that can be cancelled,
		// and those of a file are over at once. The transaction still is cancelled.
		ctx = context.WithoutCancel(ctx)
	}
	use, err := s.useLabels(ctx, tx, records)
	if err != nil {
		return 0, err
	}
	seqs, err := s.insertRequests(ctx, tx, records, use.requests)
	if err != nil {
		return 0, err
	}
	attempts, skips, bodies := s.inserts.attempts.rows(), s.inserts.skips.rows(), s.inserts.bodies.rows()
	for i, r := range records {
		of := use.attempts[:r.attemptRows()]
		use.attempts = use.attempts[len(of):]
		if seqs[i] == 0 {
			duplicates++
			continue
		}
		attempts = appendAttempts(attempts, seqs[i], of, r)
		skips = appendSkips(skips, seqs[i], r)
		bodies = appendBodies(bodies, seqs[i], r)
	}
	for _, part := range []struct {
		to     *insertion
		values []any
	}{{&s.inserts.attempts, attempts}, {&s.inserts.skips, skips}, {&s.inserts.bodies, bodies}} {
		if _, err := part.to.insert(ctx, tx, part.values); err != nil {
			return 0, err
		}
	}
	return duplicates, tx.Commit()
}

// insertRequests inserts the rows of requests and returns the seq of each, 0 for one
// that was there already.
func (s *store) insertRequests(ctx context.Context, tx *sqlx.Tx, records []*Record, labels []*label) ([]int64, error) {
	seqs, err := s.dialect.number(ctx, tx, "requests", "seq", len(records))
	if err != nil {
		return nil, err
	}
	values := s.inserts.requests.rows()
	for i, r := range records {
		values = appendRequest(values, seqs[i], labels[i].id, r)
	}
	inserted, err := s.inserts.requests.insert(ctx, tx, values)
	if err != nil || inserted == int64(len(records)) {
		return seqs, err
	}
	query, ours, err := sqlx.In("SELECT seq FROM requests WHERE seq IN (?)", seqs)
	if err != nil {
		return nil, err
	}
	var there []int64
	if err := tx.SelectContext(ctx, &there, tx.Rebind(query), ours...); err != nil {
		return nil, err
	}
	for i, seq := range seqs {
		if !slices.Contains(there, seq) {
			seqs[i] = 0
		}
	}
	return seqs, nil
}

// rows are the values of no row yet, for insert.
func (i *insertion) rows() []any { return i.values }

// insert inserts rows of a table and returns how many were not there. Each statement
// has as many rows as there is one for.
func (i *insertion) insert(ctx context.Context, tx *sqlx.Tx, values []any) (inserted int64, err error) {
	i.values = values[:0]
	defer clear(values) // what is written need not stay in memory
	for at, n := range i.groups {
		most := n * i.columns
		if len(values) < most {
			continue
		}
		statement := tx.StmtxContext(ctx, i.statements[at])
		for ; len(values) >= most; values = values[most:] {
			result, err := statement.ExecContext(ctx, values[:most]...)
			if err != nil {
				return 0, err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return 0, err
			}
			inserted += n
		}
	}
	return inserted, nil
}

func appendRequest(values []any, seq, labels int64, r *Record) []any {
	queue, only := r.Queue.Microseconds(), any(nil)
	if a := r.only(); a != nil {
		queue, only = micros(a.Start)-micros(r.Start), a.Duration.Microseconds()
	}
	return append(values,
		seq, clean(r.ID, maxName), micros(r.Start), r.Total.Microseconds(), queue, r.First.Microseconds(), labels,
		r.Tokens.Input, r.Tokens.CacheRead, r.Tokens.CacheWrite, r.Tokens.Output, r.Tokens.Reasoning,
		cost(r), r.BytesIn, r.BytesOut, textOrNull(r.Warnings, maxDetail), len(r.Attempts), only)
}

func appendAttempts(values []any, seq int64, labels []*label, r *Record) []any {
	for i, of := range labels {
		a := &r.Attempts[i]
		values = append(values, seq, i+1, of.id, micros(a.Start), a.Duration.Microseconds(), textOrNull(a.Reason, maxReason), a.Cooled.Microseconds())
	}
	return values
}

func appendSkips(values []any, seq int64, r *Record) []any {
	for i := range r.Skipped[:min(len(r.Skipped), maxEntries)] {
		k := &r.Skipped[i]
		values = append(values, seq, i+1, clean(k.Provider, maxName), clean(k.Model, maxName), clean(k.Why, maxName), clean(k.Reason, maxReason))
	}
	return values
}

func appendBodies(values []any, seq int64, r *Record) []any {
	b := r.Bodies
	if b == nil {
		return values
	}
	return append(values, seq, micros(r.Start), b.Request, b.Answer, flag(b.RequestCut), flag(b.AnswerCut))
}
