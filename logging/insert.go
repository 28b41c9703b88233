package logging

import (
	"context"
	"strings"

	"github.com/jmoiron/sqlx"
)

// requestColumns are what a row of requests holds, in the order of requestValues.
const requestColumns = "id, start_us, total_us, queue_us, first_us, client, client_key, endpoint, protocol, upstream_protocol, " +
	"asked, model, provider, key_id, status, class, outcome, streamed, " +
	"tokens_input, tokens_cache_read, tokens_cache_write, tokens_output, tokens_reasoning, tokens_estimated, " +
	"cost, bytes_in, bytes_out, warnings, attempts"

const (
	attemptColumns = "request, number, provider, model, key_id, start_us, duration_us, status, class, reason, cooled_us"
	skipColumns    = "request, number, provider, model, why, reason"
	bodiesColumns  = "request, start_us, request_body, answer_body, request_is_cut, answer_is_cut"
)

// insertion is a way to insert rows into a table, unless they are there.
type insertion struct {
	columns    int
	groups     []int        // the dialect's
	statements []*sqlx.Stmt // one for each of groups
}

// inserts are the ways to insert the parts of a record.
type inserts struct{ requests, attempts, skips, bodies insertion }

func prepareInserts(ctx context.Context, db *sqlx.DB, groups []int) (s inserts, err error) {
	for _, p := range []struct {
		to                        *insertion
		table, columns, returning string
	}{
		{&s.requests, "requests", requestColumns, " RETURNING id, seq"},
		{&s.attempts, "attempts", attemptColumns, ""},
		{&s.skips, "skips", skipColumns, ""},
		{&s.bodies, "bodies", bodiesColumns, ""},
	} {
		*p.to = insertion{columns: strings.Count(p.columns, ",") + 1, groups: groups, statements: make([]*sqlx.Stmt, len(groups))}
		row := ", (" + strings.Repeat(", ?", p.to.columns)[2:] + ")"
		for i, n := range groups {
			statement := "INSERT INTO " + p.table + " (" + p.columns + ") VALUES " + strings.Repeat(row, n)[2:] + " ON CONFLICT DO NOTHING" + p.returning
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
	defer func() { _ = tx.Rollback() }()
	seqs, err := s.inserts.requests.insertRequests(ctx, tx, records)
	if err != nil {
		return 0, err
	}
	duplicates = len(records) - len(seqs)
	var attempts, skips, bodies []any
	for _, r := range records {
		id := clean(r.ID, maxName)
		seq, fresh := seqs[id]
		if !fresh {
			continue
		}
		delete(seqs, id) // lest another of this ID in the batch adds to it
		attempts = appendAttempts(attempts, seq, r)
		skips = appendSkips(skips, seq, r)
		bodies = appendBodies(bodies, seq, r)
	}
	for _, part := range []struct {
		to     insertion
		values []any
	}{{s.inserts.attempts, attempts}, {s.inserts.skips, skips}, {s.inserts.bodies, bodies}} {
		if err := part.to.insert(ctx, tx, part.values); err != nil {
			return 0, err
		}
	}
	return duplicates, tx.Commit()
}

// insertRequests inserts rows of requests and returns the seq of each that was not
// there, by its ID.
func (i insertion) insertRequests(ctx context.Context, tx *sqlx.Tx, records []*Record) (map[string]int64, error) {
	seqs := make(map[string]int64, len(records))
	values := make([]any, 0, len(records)*i.columns)
	for _, r := range records {
		values = appendRequest(values, r)
	}
	return seqs, i.each(ctx, tx, values, func(statement *sqlx.Stmt, values []any) error {
		rows, err := statement.QueryxContext(ctx, values...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			var seq int64
			if err := rows.Scan(&id, &seq); err != nil {
				return err
			}
			seqs[id] = seq
		}
		return rows.Err()
	})
}

// insert inserts rows of a table.
func (i insertion) insert(ctx context.Context, tx *sqlx.Tx, values []any) error {
	return i.each(ctx, tx, values, func(statement *sqlx.Stmt, values []any) error {
		_, err := statement.ExecContext(ctx, values...)
		return err
	})
}

// each calls do with the values of as many rows at a time as there are
// statements for.
func (i insertion) each(ctx context.Context, tx *sqlx.Tx, values []any, do func(*sqlx.Stmt, []any) error) error {
	for at, n := range i.groups {
		most := n * i.columns
		if len(values) < most {
			continue
		}
		statement := tx.StmtxContext(ctx, i.statements[at])
		for ; len(values) >= most; values = values[most:] {
			if err := do(statement, values[:most]); err != nil {
				return err
			}
		}
	}
	return nil
}

func appendRequest(values []any, r *Record) []any {
	return append(values,
		clean(r.ID, maxName), micros(r.Start), r.Total.Microseconds(), r.Queue.Microseconds(), r.First.Microseconds(),
		clean(r.Client, maxName), clean(r.ClientKey, maxName), clean(r.Endpoint, maxName),
		clean(r.Protocol, maxName), clean(r.UpstreamProtocol, maxName), clean(r.Asked, maxName),
		clean(r.Model, maxName), clean(r.Provider, maxName), clean(r.KeyID, maxName),
		statusCode(r.Status), clean(r.Class, maxName), clean(r.Outcome, maxName), flag(r.Streamed),
		r.Tokens.Input, r.Tokens.CacheRead, r.Tokens.CacheWrite, r.Tokens.Output, r.Tokens.Reasoning, flag(r.Tokens.Estimated),
		cost(r), r.BytesIn, r.BytesOut, clean(r.Warnings, maxDetail), len(r.Attempts))
}

func appendAttempts(values []any, seq int64, r *Record) []any {
	for i := range r.Attempts[:min(len(r.Attempts), maxEntries)] {
		a := &r.Attempts[i]
		values = append(values, seq, i+1, clean(a.Provider, maxName), clean(a.Model, maxName), clean(a.KeyID, maxName),
			micros(a.Start), a.Duration.Microseconds(), statusCode(a.Status), clean(a.Class, maxName), clean(a.Reason, maxReason), a.Cooled.Microseconds())
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
