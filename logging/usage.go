package logging

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/jmoiron/sqlx"
)

// By is what usage is summed by.
type By string

// All that usage can be summed by.
const (
	ByModel    By = "model"    // the upstream's model that answered
	ByAsked    By = "asked"    // the model that clients asked for
	ByClient   By = "client"   // the name of the client
	ByProvider By = "provider" // that answered
	ByKey      By = "key"      // the provider's key, as provider/key
	ByEndpoint By = "endpoint"
	ByClass    By = "class" // of the failure
	ByDay      By = "day"   // in UTC, as 2006-01-02
)

// groups are the expressions to group by: only these ever get into a statement.
var groups = map[By]string{
	ByModel:    "model",
	ByAsked:    "asked",
	ByClient:   "client",
	ByProvider: "provider",
	ByKey:      "CASE WHEN key_id = '' THEN '' ELSE provider || '/' || key_id END",
	ByEndpoint: "endpoint",
	ByClass:    "class",
	ByDay:      "start_us / 86400000000",
}

// maxGroups is how many rows usage has at most.
const maxGroups = 1000

// Sums are what a number of requests come to.
type Sums struct {
	Requests int64 `db:"requests"`
	// OK, Failed and ClientClosed add up to Requests. Failed includes streams
	// that the upstream broke off.
	OK           int64 `db:"ok"`
	Failed       int64 `db:"failed"`
	ClientClosed int64 `db:"client_closed"`
	Streamed     int64 `db:"streamed"`
	Attempts     int64 `db:"attempts"`

	Input      int64 `db:"tokens_input"`
	CacheRead  int64 `db:"tokens_cache_read"`
	CacheWrite int64 `db:"tokens_cache_write"`
	Output     int64 `db:"tokens_output"`
	Reasoning  int64 `db:"tokens_reasoning"`
	// Estimated is of how many requests the tokens are an estimate.
	Estimated int64 `db:"estimated"`

	Cost float64 `db:"cost"` // in US dollars, where it is known
	// CostUnknown is of how many requests with tokens it is not.
	CostUnknown int64 `db:"cost_unknown"`

	BytesIn  int64 `db:"bytes_in"`
	BytesOut int64 `db:"bytes_out"`

	AverageMicros int64 `db:"average_us"` // from the request to the last byte, on average
}

// Average is how long a request took on average, from its arrival to the last byte.
func (s *Sums) Average() time.Duration { return duration(s.AverageMicros) }

// sums are the columns of Sums.
const sums = `COUNT(*) AS requests,
	COALESCE(SUM(CASE WHEN outcome = 'ok' THEN 1 ELSE 0 END), 0) AS ok,
	COALESCE(SUM(CASE WHEN outcome IN ('ok', 'client_closed') THEN 0 ELSE 1 END), 0) AS failed,
	COALESCE(SUM(CASE WHEN outcome = 'client_closed' THEN 1 ELSE 0 END), 0) AS client_closed,
	COALESCE(SUM(streamed), 0) AS streamed,
	COALESCE(SUM(attempts), 0) AS attempts,
	COALESCE(SUM(tokens_input), 0) AS tokens_input,
	COALESCE(SUM(tokens_cache_read), 0) AS tokens_cache_read,
	COALESCE(SUM(tokens_cache_write), 0) AS tokens_cache_write,
	COALESCE(SUM(tokens_output), 0) AS tokens_output,
	COALESCE(SUM(tokens_reasoning), 0) AS tokens_reasoning,
	COALESCE(SUM(tokens_estimated), 0) AS estimated,
	COALESCE(SUM(cost), 0.0) AS cost,
	COALESCE(SUM(CASE WHEN cost IS NULL AND tokens_input + tokens_cache_read + tokens_cache_write + tokens_output + tokens_reasoning > 0 THEN 1 ELSE 0 END), 0) AS cost_unknown,
	COALESCE(SUM(bytes_in), 0) AS bytes_in,
	COALESCE(SUM(bytes_out), 0) AS bytes_out,
	COALESCE(CAST(SUM(total_us) AS BIGINT) / COUNT(*), 0) AS average_us`

// UsageRow is what the requests of one group come to.
type UsageRow struct {
	// Name is what they have in common, such as the model. Empty: none.
	Name string `db:"name"`
	Sums
}

// Usage sums the requests that began at since or later, and before until; a zero
// time is no limit. The busiest groups come first, of days the last. There are at
// most 1000 rows; more tells that there are more groups.
func (l *Log) Usage(ctx context.Context, by By, since, until time.Time) (rows []UsageRow, more bool, err error) {
	group, ok := groups[by]
	if !ok {
		return nil, false, fmt.Errorf("reading usage: cannot sum by %q", by)
	}
	order := "requests DESC, name"
	if by == ByDay {
		order = "name DESC"
	}
	var w where
	w.span(since, until)
	statement := "SELECT " + group + " AS name, " + sums + " FROM request_log" + w.String() + " GROUP BY 1 ORDER BY " + order + " LIMIT ?"
	rows = []UsageRow{}
	err = l.query(ctx, func(ctx context.Context, db *sqlx.DB) error {
		return db.SelectContext(ctx, &rows, db.Rebind(statement), append(w.values, maxGroups+1)...)
	})
	if err != nil {
		return nil, false, fmt.Errorf("reading usage: %w", err)
	}
	if more = len(rows) > maxGroups; more {
		rows = rows[:maxGroups]
	}
	if by == ByDay {
		for i := range rows {
			day, err := strconv.ParseInt(rows[i].Name, 10, 64)
			if err != nil {
				return nil, false, fmt.Errorf("reading usage: %w", err)
			}
			rows[i].Name = time.Unix(day*24*60*60, 0).UTC().Format(time.DateOnly)
		}
	}
	return rows, more, nil
}

// Totals are the sums over all requests of a time.
type Totals struct {
	Sums
	// Oldest and Newest are when the first and the last of them began; zero
	// without any.
	Oldest, Newest time.Time
}

// Totals sums all requests that began at since or later, and before until; a zero
// time is no limit.
func (l *Log) Totals(ctx context.Context, since, until time.Time) (totals Totals, err error) {
	err = l.query(ctx, func(ctx context.Context, db *sqlx.DB) (err error) {
		totals, err = totalsIn(ctx, db, since, until)
		return err
	})
	if err != nil {
		return Totals{}, fmt.Errorf("reading usage: %w", err)
	}
	return totals, nil
}

// totalsIn is Totals for a database.
func totalsIn(ctx context.Context, db *sqlx.DB, since, until time.Time) (Totals, error) {
	var w where
	w.span(since, until)
	var row struct {
		Sums
		Oldest int64 `db:"oldest"`
		Newest int64 `db:"newest"`
	}
	statement := "SELECT " + sums + ", COALESCE(MIN(start_us), 0) AS oldest, COALESCE(MAX(start_us), 0) AS newest FROM request_log" + w.String()
	if err := db.GetContext(ctx, &row, db.Rebind(statement), w.values...); err != nil {
		return Totals{}, err
	}
	return Totals{Sums: row.Sums, Oldest: moment(row.Oldest), Newest: moment(row.Newest)}, nil
}
