package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

// adminQueryTime bounds a question to the request log.
const adminQueryTime = 10 * time.Second

// requestSummary is one request.
type requestSummary struct {
	ID               string     `json:"id"` // X-Request-Id
	Began            time.Time  `json:"began"`
	QueueMS          float64    `json:"queue_ms,omitempty"` // until the first upstream was asked
	TotalMS          float64    `json:"total_ms"`
	FirstMS          float64    `json:"first_content_ms,omitempty"`
	Client           string     `json:"client"` // empty: anonymous
	ClientKey        string     `json:"client_key,omitempty"`
	Endpoint         string     `json:"endpoint"`
	Protocol         string     `json:"protocol"`
	UpstreamProtocol string     `json:"upstream_protocol,omitempty"`
	Asked            string     `json:"asked"`
	Model            string     `json:"model,omitempty"`
	Provider         string     `json:"provider,omitempty"`
	KeyID            string     `json:"key_id,omitempty"`
	Status           int        `json:"status"`
	Class            string     `json:"class,omitempty"`
	Outcome          string     `json:"outcome"` // ok, error, partial or client_closed
	Streamed         bool       `json:"streamed"`
	Tokens           tokenCount `json:"tokens"`
	Cost             *float64   `json:"cost_usd,omitempty"` // nil: nothing answered, or a price is not known
	BytesIn          int64      `json:"bytes_in"`
	BytesOut         int64      `json:"bytes_out"`
	Warnings         string     `json:"warnings,omitempty"`
	Attempts         int        `json:"attempts"`
}

// tokenCount is what a request, or several, used. The kinds do not overlap.
type tokenCount struct {
	Input      int64 `json:"input"`
	CacheRead  int64 `json:"cache_read"`
	CacheWrite int64 `json:"cache_write"`
	Output     int64 `json:"output"`
	Reasoning  int64 `json:"reasoning"`
	// Estimated says of one request that its upstream did not tell all of them.
	Estimated bool `json:"estimated,omitempty"`
}

// requestAnswer is the body of GET /llm_proxy/requests/{id}.
type requestAnswer struct {
	requestSummary
	Tried   []attemptReport `json:"tried"`
	Skipped []skipReport    `json:"skipped"`
	// CostOf is how the cost is made, by the prices that the files have now. It is
	// left out where those, or the log, are of another time and do not make it.
	CostOf []costPart `json:"cost_of,omitempty"`
	// Bodies are what the client and the model said, as far as the log keeps it.
	Bodies *bodiesReport `json:"bodies,omitempty"`
}

// bodiesReport is a request and its answer, or the beginnings of them.
type bodiesReport struct {
	Request    string `json:"request"`
	RequestCut bool   `json:"request_cut,omitempty"` // there was more of it
	Answer     string `json:"answer"`                // events as the text that they are
	AnswerCut  bool   `json:"answer_cut,omitempty"`
}

// attemptReport is one upstream call.
type attemptReport struct {
	Provider string    `json:"provider"`
	Model    string    `json:"model"`
	KeyID    string    `json:"key_id"`
	Began    time.Time `json:"began"`
	TookMS   float64   `json:"took_ms"`
	Status   int       `json:"status,omitempty"`
	Class    string    `json:"class"` // ok for the one that answered
	Reason   string    `json:"reason,omitempty"`
	KeyRests float64   `json:"key_rests_seconds,omitempty"`
}

// skipReport is one candidate that was passed over.
type skipReport struct {
	Provider string `json:"provider"`
	Model    string `json:"model"`
	Why      string `json:"why"`
	Reason   string `json:"reason,omitempty"`
}

// usageAnswer is the body of GET /llm_proxy/usage.
type usageAnswer struct {
	By logging.By `json:"by"`
	// Rows are at most 1000: those with the most requests, or the last days.
	Rows []usageReport `json:"rows"`
	// More tells that there are more groups.
	More bool `json:"more,omitempty"`
	// Total is the sum over all groups, also those that are not among the rows.
	Total usageSums `json:"total"`
}

// usageReport is what the requests of one group come to.
type usageReport struct {
	Name string `json:"name"`
	usageSums
}

// usageSums are what a number of requests come to.
type usageSums struct {
	Requests     int64      `json:"requests"`
	OK           int64      `json:"ok"`
	Failed       int64      `json:"failed"`
	ClientClosed int64      `json:"client_closed"`
	Streamed     int64      `json:"streamed"`
	Attempts     int64      `json:"attempts"`
	Tokens       tokenCount `json:"tokens"`
	Estimated    int64      `json:"estimated"`    // of how many requests the tokens are an estimate
	Cost         float64    `json:"cost_usd"`     // of those whose cost is known
	CostUnknown  int64      `json:"cost_unknown"` // of how many requests with tokens it is not
	BytesIn      int64      `json:"bytes_in"`
	BytesOut     int64      `json:"bytes_out"`
	AverageMS    float64    `json:"average_ms"`
}

func sumsOf(s *logging.Sums) usageSums {
	return usageSums{
		Requests: s.Requests, OK: s.OK, Failed: s.Failed, ClientClosed: s.ClientClosed, Streamed: s.Streamed, Attempts: s.Attempts,
		Tokens:    tokenCount{Input: s.Input, CacheRead: s.CacheRead, CacheWrite: s.CacheWrite, Output: s.Output, Reasoning: s.Reasoning},
		Estimated: s.Estimated, Cost: s.Cost, CostUnknown: s.CostUnknown,
		BytesIn: s.BytesIn, BytesOut: s.BytesOut, AverageMS: milliseconds(s.Average()),
	}
}

// liveLog is the request log of the process's handlers, and the settings of one that
// has it. Where several keep one each, it is that of the first.
func liveLog() (*logging.Log, *Log, error) {
	for _, h := range live.all() {
		if log := h.current.Load().log; log != nil {
			return log, h.Log, nil
		}
	}
	return nil, nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: errors.New("no request log is kept; write log sqlite <file> or log postgres <dsn> in llm_proxy")}
}

// asked runs a question to the request log, with all in it that was added before.
func asked[T any](r *http.Request, question func(context.Context, *logging.Log) (T, error)) (answer T, err error) {
	log, _, err := liveLog()
	if err != nil {
		return answer, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), adminQueryTime)
	defer cancel()
	for _, h := range live.all() {
		h.current.Load().bodies.flush(ctx)
	}
	// What cannot be written now is missing; the log's own state says so.
	_ = log.Flush(ctx)
	answer, err = question(ctx, log)
	if errors.Is(err, logging.ErrNotFound) {
		return answer, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: err}
	}
	return answer, err
}

// showRequest answers GET /llm_proxy/requests/{id}.
func showRequest(r *http.Request, _ url.Values) (any, error) {
	id := strings.TrimPrefix(r.URL.Path, "/llm_proxy/requests/")
	return asked(r, func(ctx context.Context, log *logging.Log) (any, error) {
		record, err := log.Request(ctx, id)
		if err != nil {
			return nil, err
		}
		answer := requestAnswer{
			requestSummary: summaryOf(record, len(record.Attempts)),
			Tried:          []attemptReport{},
			Skipped:        []skipReport{},
			CostOf:         costOf(record),
		}
		for i := range record.Attempts {
			a := &record.Attempts[i]
			answer.Tried = append(answer.Tried, attemptReport{
				a.Provider, a.Model, a.KeyID, a.Start, milliseconds(a.Duration), a.Status,
				cmp.Or(a.Class, classAnswered), a.Reason, a.Cooled.Seconds(),
			})
		}
		for _, s := range record.Skipped {
			answer.Skipped = append(answer.Skipped, skipReport(s))
		}
		if b := record.Bodies; b != nil {
			answer.Bodies = &bodiesReport{string(b.Request), b.RequestCut, string(b.Answer), b.AnswerCut}
		}
		return answer, nil
	})
}

// usageGroups are what usage can be summed by.
var usageGroups = []logging.By{
	logging.ByModel, logging.ByAsked, logging.ByClient, logging.ByProvider,
	logging.ByKey, logging.ByEndpoint, logging.ByClass, logging.ByDay,
}

// showUsage answers GET /llm_proxy/usage.
func showUsage(r *http.Request, query url.Values) (any, error) {
	by := cmp.Or(logging.By(query.Get("by")), logging.ByModel)
	if !slices.Contains(usageGroups, by) {
		return nil, badRequest(fmt.Errorf("by: %q is none of %v", by, usageGroups))
	}
	since, until, err := timesIn(query)
	if err != nil {
		return nil, badRequest(err)
	}
	return asked(r, func(ctx context.Context, log *logging.Log) (any, error) {
		rows, more, err := log.Usage(ctx, by, since, until)
		if err != nil {
			return nil, err
		}
		totals, err := log.Totals(ctx, since, until)
		answer := usageAnswer{By: by, Rows: []usageReport{}, More: more, Total: sumsOf(&totals.Sums)}
		for i := range rows {
			answer.Rows = append(answer.Rows, usageReport{rows[i].Name, sumsOf(&rows[i].Sums)})
		}
		return answer, err
	})
}

// timesIn reads since and until: RFC 3339, or a duration before now.
func timesIn(query url.Values) (since, until time.Time, err error) {
	for name, to := range map[string]*time.Time{"since": &since, "until": &until} {
		text := query.Get(name)
		if text == "" {
			continue
		}
		if *to, err = momentIn(text, time.Now()); err != nil {
			return since, until, fmt.Errorf("%s: %w", name, err)
		}
	}
	return since, until, nil
}

func summaryOf(r *logging.Record, attempts int) requestSummary {
	var cost *float64
	if r.CostKnown {
		cost = &r.Cost
	}
	return requestSummary{
		ID: r.ID, Began: r.Start.UTC(), QueueMS: milliseconds(r.Queue), TotalMS: milliseconds(r.Total), FirstMS: milliseconds(r.First),
		Client: r.Client, ClientKey: r.ClientKey, Endpoint: r.Endpoint, Protocol: r.Protocol, UpstreamProtocol: r.UpstreamProtocol,
		Asked: r.Asked, Model: r.Model, Provider: r.Provider, KeyID: r.KeyID,
		Status: r.Status, Class: r.Class, Outcome: r.Outcome, Streamed: r.Streamed,
		Tokens: tokenCount{r.Tokens.Input, r.Tokens.CacheRead, r.Tokens.CacheWrite, r.Tokens.Output, r.Tokens.Reasoning, r.Tokens.Estimated},
		Cost:   cost, BytesIn: r.BytesIn, BytesOut: r.BytesOut, Warnings: r.Warnings, Attempts: attempts,
	}
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
