package logging

import (
	"context"
	"strings"

	"github.com/jmoiron/sqlx"
)

// inserts are the statements that write a record.
type inserts struct{ request, attempt, skip *sqlx.Stmt }

// requestColumns are what a row of requests holds, in the order of values.
const requestColumns = "id, start_us, total_us, first_us, client, client_key, endpoint, protocol, upstream_protocol, " +
	"asked, model, provider, key_id, status, class, outcome, streamed, " +
	"tokens_input, tokens_cache_read, tokens_cache_write, tokens_output, tokens_reasoning, tokens_estimated, " +
	"cost, bytes_in, bytes_out, warnings, attempts"

const (
	attemptColumns = "request, number, provider, model, key_id, start_us, duration_us, status, class, reason, cooled_us"
	skipColumns    = "request, number, provider, model, why, reason"
)

// insertInto is the statement that inserts one row, unless it is there.
func insertInto(table, columns string) string {
	marks := strings.Repeat(", ?", strings.Count(columns, ",")+1)[2:]
	return "INSERT INTO " + table + " (" + columns + ") VALUES (" + marks + ") ON CONFLICT DO NOTHING"
}

func prepareInserts(ctx context.Context, db *sqlx.DB) (s inserts, err error) {
	for _, p := range []struct {
		to             **sqlx.Stmt
		table, columns string
	}{
		{&s.request, "requests", requestColumns},
		{&s.attempt, "attempts", attemptColumns},
		{&s.skip, "skips", skipColumns},
	} {
		if *p.to, err = db.PreparexContext(ctx, insertInto(p.table, p.columns)); err != nil {
			return inserts{}, err
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
	to := inserts{tx.StmtxContext(ctx, s.inserts.request), tx.StmtxContext(ctx, s.inserts.attempt), tx.StmtxContext(ctx, s.inserts.skip)}
	for _, r := range records {
		fresh, err := to.insert(ctx, r)
		if err != nil {
			return 0, err
		}
		if !fresh {
			duplicates++
		}
	}
	return duplicates, tx.Commit()
}

// insert writes a record unless its ID is there.
func (s inserts) insert(ctx context.Context, r *Record) (fresh bool, err error) {
	attempts, skips := r.Attempts[:min(len(r.Attempts), maxEntries)], r.Skipped[:min(len(r.Skipped), maxEntries)]
	result, err := s.request.ExecContext(ctx,
		clean(r.ID, maxName), micros(r.Start), r.Total.Microseconds(), r.First.Microseconds(),
		clean(r.Client, maxName), clean(r.ClientKey, maxName), clean(r.Endpoint, maxName),
		clean(r.Protocol, maxName), clean(r.UpstreamProtocol, maxName), clean(r.Asked, maxName),
		clean(r.Model, maxName), clean(r.Provider, maxName), clean(r.KeyID, maxName),
		r.Status, clean(r.Class, maxName), clean(r.Outcome, maxName), flag(r.Streamed),
		r.Tokens.Input, r.Tokens.CacheRead, r.Tokens.CacheWrite, r.Tokens.Output, r.Tokens.Reasoning, flag(r.Tokens.Estimated),
		cost(r), r.BytesIn, r.BytesOut, clean(r.Warnings, maxDetail), len(r.Attempts))
	if err != nil {
		return false, err
	}
	rows, err := result.RowsAffected()
	if err != nil || rows == 0 {
		return false, err
	}
	seq, err := result.LastInsertId()
	if err != nil {
		return false, err
	}
	for i := range attempts {
		a := &attempts[i]
		if _, err := s.attempt.ExecContext(ctx, seq, i+1, clean(a.Provider, maxName), clean(a.Model, maxName), clean(a.KeyID, maxName),
			micros(a.Start), a.Duration.Microseconds(), a.Status, clean(a.Class, maxName), clean(a.Reason, maxReason), a.Cooled.Microseconds()); err != nil {
			return false, err
		}
	}
	for i := range skips {
		k := &skips[i]
		if _, err := s.skip.ExecContext(ctx, seq, i+1, clean(k.Provider, maxName), clean(k.Model, maxName),
			clean(k.Why, maxName), clean(k.Reason, maxReason)); err != nil {
			return false, err
		}
	}
	return true, nil
}
