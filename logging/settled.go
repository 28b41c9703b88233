package logging

import (
	"context"
	"errors"
	"time"

	"github.com/jmoiron/sqlx"
)

const (
	// settlePatience is how long settled waits for transactions: somewhat longer than
	// ours take at most.
	settlePatience = serverPatience + time.Second
	settlePause    = 10 * time.Millisecond // between its looks
)

// settled returns a Seq, 0 in a log without rows, up to which all rows of a server's
// database are there that ever will be. Several gateways write at the same time, and a
// row gets its Seq before its transaction ends: who reads on behind the newest row would
// never see those that came late.
//
// It looks which transactions write rows after it has seen the newest row, and waits
// until these have ended: so have all, then, that took a Seq before that row's. Writers
// do not wait for it. Transactions that do not end, as those of a machine that is gone,
// are not waited for any longer than settlePatience.
func settled(ctx context.Context, db *sqlx.DB) (last int64, err error) {
	if err := db.GetContext(ctx, &last, "SELECT COALESCE(MAX(seq), 0) FROM requests"); err != nil || last == 0 {
		return 0, err
	}
	// Whoever writes has locked rows of labels, or written some, before it took a Seq.
	const writers = `SELECT virtualtransaction FROM pg_locks
		WHERE locktype = 'relation' AND relation = 'labels'::regclass AND mode IN ('RowShareLock', 'RowExclusiveLock') AND granted
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
	var before []string
	if err := db.SelectContext(ctx, &before, writers); err != nil {
		return 0, err
	}
	waiting, cancel := context.WithTimeout(ctx, settlePatience)
	defer cancel()
	for len(before) > 0 {
		select {
		case <-time.After(settlePause):
		case <-waiting.Done():
			return last, ctx.Err()
		}
		query, values, err := sqlx.In(writers+" AND virtualtransaction IN (?)", before)
		if err != nil {
			return 0, err
		}
		before = nil
		if err := db.SelectContext(waiting, &before, db.Rebind(query), values...); err != nil {
			if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
				return last, nil
			}
			return 0, err
		}
	}
	return last, nil
}
