package logging

import (
	"context"
	"math"

	"github.com/jmoiron/sqlx"
)

// serverSize is what the tables of a server take on its disk, in bytes.
func serverSize(ctx context.Context, db *sqlx.DB) (size int64, err error) {
	return size, db.GetContext(ctx, &size, `SELECT pg_total_relation_size('requests') + pg_total_relation_size('attempts') +
		pg_total_relation_size('skips') + pg_total_relation_size('bodies') + pg_total_relation_size('labels')`)
}

// serverSurplus tells how many of the oldest requests have to go.
//
// The files do not get smaller by what is deleted: the room is used again for
// later rows. So they say only that there may be too many rows. How many there
// are, and what one takes by the newest of them, says how much room is in use.
func serverSurplus(ctx context.Context, db *sqlx.DB, most int64) (int64, error) {
	size, err := serverSize(ctx, db)
	if err != nil || size <= most {
		return 0, err
	}
	var used struct {
		Requests int64   `db:"requests"`
		Each     float64 `db:"each"`     // bytes of one in the tables
		Overhead float64 `db:"overhead"` // how much more indexes make of it
	}
	// Each row has a header and a pointer, 28 bytes together.
	if err := db.GetContext(ctx, &used, `WITH newest AS (SELECT * FROM requests ORDER BY seq DESC LIMIT 1000)
		SELECT (SELECT COUNT(*) FROM requests) AS requests,
			CAST(COALESCE((SELECT SUM(28 + pg_column_size(n.*)) FROM newest AS n), 0)
				+ COALESCE((SELECT SUM(28 + pg_column_size(a.*)) FROM attempts AS a WHERE a.request IN (SELECT seq FROM newest)), 0)
				+ COALESCE((SELECT SUM(28 + pg_column_size(s.*)) FROM skips AS s WHERE s.request IN (SELECT seq FROM newest)), 0)
				+ COALESCE((SELECT SUM(60 + COALESCE(pg_column_size(b.request_body), 0) + COALESCE(pg_column_size(b.answer_body), 0))
					FROM bodies AS b WHERE b.request IN (SELECT seq FROM newest)), 0)
				+ COALESCE((SELECT SUM(28 + pg_column_size(l.*)) FROM labels AS l WHERE l.id IN (SELECT labels FROM newest)), 0)
				AS DOUBLE PRECISION) / GREATEST((SELECT COUNT(*) FROM newest), 1) AS each,
			CAST(pg_total_relation_size('requests') + pg_total_relation_size('attempts') + pg_total_relation_size('skips') + pg_total_relation_size('bodies')
				+ pg_total_relation_size('labels') AS DOUBLE PRECISION)
				/ GREATEST(pg_table_size('requests') + pg_table_size('attempts') + pg_table_size('skips') + pg_table_size('bodies') + pg_table_size('labels'), 1) AS overhead`); err != nil {
		return 0, err
	}
	each := used.Each * used.Overhead
	if each <= 0 {
		return 0, nil
	}
	return max(0, used.Requests-int64(math.Floor(float64(most)/each))), nil
}
