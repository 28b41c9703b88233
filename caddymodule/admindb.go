package caddymodule

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

// databaseAnswer is the body of GET /llm_proxy/db.
type databaseAnswer struct {
	databasePlace
	// Rows is how many requests are in the database.
	Rows int64 `json:"rows"`
	// SizeBytes is what they take on the disk.
	SizeBytes int64 `json:"size_bytes"`
	// Oldest and Newest are when the first and the last of them began.
	Oldest time.Time `json:"oldest,omitzero"`
	Newest time.Time `json:"newest,omitzero"`
	// ErrorRate is the share of requests that failed, from 0 to 1.
	ErrorRate float64 `json:"error_rate"`
	// Totals are the sums that usage has too.
	Totals usageSums `json:"totals"`
	// Log tells how writing goes; nil where no gateway was asked.
	Log *logging.Stats `json:"log,omitempty"`
}

// databasePlace says where a database is.
type databasePlace struct {
	Engine string `json:"engine"`
	// Where is the path of the file, or the host and the name of the database;
	// never a user or a password.
	Where string `json:"where"`
}

// place says where the log is.
func (l *Log) place() databasePlace {
	if l.Postgres == "" {
		return databasePlace{"sqlite", absolute(l.SQLite)}
	}
	where, _ := logging.Place(l.dsn) // it was understood when the log was opened
	return databasePlace{"postgres", where}
}

// setTotals fills in what a database sums up to.
func (a *databaseAnswer) setTotals(t *logging.Totals) {
	a.Rows, a.Totals = t.Requests, sumsOf(&t.Sums)
	if t.Requests > 0 {
		a.Oldest, a.Newest = t.Oldest.UTC(), t.Newest.UTC()
		a.ErrorRate = float64(t.Failed) / float64(t.Requests)
	}
}

// showDatabase answers GET /llm_proxy/db. A database that cannot be read now is no
// error: what can be told then is how the log is.
func showDatabase(r *http.Request, _ url.Values) (any, error) {
	_, settings, err := liveLog()
	if err != nil {
		return nil, err
	}
	return asked(r, func(ctx context.Context, log *logging.Log) (any, error) {
		totals, err := log.Totals(ctx, time.Time{}, time.Time{})
		stats := log.Stats()
		answer := databaseAnswer{databasePlace: settings.place(), SizeBytes: stats.FileSize, Log: &stats}
		answer.setTotals(&totals)
		if err != nil && !stats.Healthy {
			return answer, nil
		}
		return answer, err
	})
}

// databaseReset is the body of the answer to POST /llm_proxy/db/reset.
type databaseReset struct {
	databasePlace
	// Deleted is how many requests were in the database.
	Deleted int64 `json:"deleted"`
}

// resetDatabase answers POST /llm_proxy/db/reset.
func resetDatabase(r *http.Request, _ url.Values) (any, error) {
	_, settings, err := liveLog()
	if err != nil {
		return nil, err
	}
	return asked(r, func(ctx context.Context, log *logging.Log) (any, error) {
		totals, err := log.Totals(ctx, time.Time{}, time.Time{})
		if err != nil {
			return nil, err
		}
		return databaseReset{settings.place(), totals.Requests}, log.Reset(ctx)
	})
}
