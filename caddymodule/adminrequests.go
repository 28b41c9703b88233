package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

// requestsAnswer is the body of GET /llm_proxy/requests.
type requestsAnswer struct {
	// Requests are a page of requests, by default the newest; before=<id of the
	// last> asks for those that began earlier.
	Requests []requestSummary `json:"requests"`
	// Next is what after= takes, with order=written, to go on with what was
	// written to the log after these.
	Next string `json:"next,omitempty"`
	// Log tells how the request log is.
	Log logging.Stats `json:"log"`
}

// requestParameters are what GET /llm_proxy/requests takes.
var requestParameters = []string{
	"client", "asked", "model", "provider", "class", "outcome", "status", "trouble", "since", "until",
	"order", "before", "after", "limit",
}

// requestOrders are the orders by the words of the parameter order.
var requestOrders = map[string]logging.Order{
	"newest": logging.NewestFirst, "oldest": logging.OldestFirst, "written": logging.WrittenFirst,
}

// showRequests answers GET /llm_proxy/requests.
func showRequests(r *http.Request, query url.Values) (any, error) {
	filter, err := filterIn(query)
	if err != nil {
		return nil, badRequest(err)
	}
	after, err := placeIn(query)
	if err != nil {
		return nil, badRequest(err)
	}
	return asked(r, func(ctx context.Context, log *logging.Log) (any, error) {
		if id := query.Get("before"); id != "" {
			last, err := log.Request(ctx, id)
			if errors.Is(err, logging.ErrNotFound) {
				return nil, caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("before: %w", err)}
			}
			if err != nil {
				return nil, err
			}
			filter.After = &logging.Row{Record: *last}
		}
		rows, err := after.read(ctx, log, filter)
		answer := requestsAnswer{Requests: []requestSummary{}, Next: query.Get("after"), Log: log.Stats()}
		newest := int64(-1)
		for i := range rows {
			answer.Requests = append(answer.Requests, summaryOf(&rows[i].Record, rows[i].AttemptCount))
			if rows[i].Seq > newest {
				newest = rows[i].Seq
				answer.Next = logPlace{rows[i].Seq, rows[i].ID}.String()
			}
		}
		return answer, err
	})
}

// filterIn reads which requests are asked for.
func filterIn(query url.Values) (f logging.Filter, err error) {
	f = logging.Filter{
		Client: query.Get("client"), Asked: query.Get("asked"), Model: query.Get("model"),
		Provider: query.Get("provider"), Class: query.Get("class"), Outcome: query.Get("outcome"),
	}
	if f.Since, f.Until, err = timesIn(query); err != nil {
		return f, err
	}
	if f.Trouble, err = strconv.ParseBool(cmp.Or(query.Get("trouble"), "false")); err != nil {
		return f, fmt.Errorf("trouble: %q is neither true nor false", query.Get("trouble"))
	}
	for _, number := range []struct {
		name        string
		least, most int
		to          *int
	}{{"status", 100, 599, &f.Status}, {"limit", 1, 1000, &f.Limit}} {
		text := query.Get(number.name)
		if text == "" {
			continue
		}
		if *number.to, err = numberIn(text, number.least, number.most); err != nil {
			return f, fmt.Errorf("%s: %w", number.name, err)
		}
	}
	order, known := requestOrders[cmp.Or(query.Get("order"), "newest")]
	switch {
	case !known:
		return f, fmt.Errorf("order: %q is none of newest, oldest and written", query.Get("order"))
	case order != logging.WrittenFirst && query.Get("after") != "":
		return f, errors.New("after: takes order=written")
	case order == logging.WrittenFirst && query.Get("before") != "":
		return f, errors.New("before: does not go with order=written; after=<next of the answer before> does")
	}
	f.Order = order
	return f, nil
}

// logPlace is a row's place in the order in which rows are written. The row's ID
// tells it from one that has the same number in a log that began anew.
type logPlace struct {
	seq int64
	id  string
}

// String is what the parameter after takes.
func (p logPlace) String() string { return strconv.FormatInt(p.seq, 10) + "-" + p.id }

// placeIn reads the parameter after: a place, or just its number.
func placeIn(query url.Values) (p logPlace, err error) {
	text := query.Get("after")
	if text == "" {
		return p, nil
	}
	number, id, _ := strings.Cut(text, "-")
	if p.seq, err = strconv.ParseInt(number, 10, 64); err != nil || p.seq < 0 {
		return p, fmt.Errorf("after: %q is no place in the log; it takes what the answer before has as next", text)
	}
	p.id = id
	return p, nil
}

// read returns the rows that a filter asks for and, with a place, only those
// behind it. Where another row is there, or none, the log has begun anew, and so
// do the rows.
func (p logPlace) read(ctx context.Context, log *logging.Log, f logging.Filter) ([]logging.Row, error) {
	if p.seq == 0 {
		return log.Requests(ctx, f)
	}
	behind := f
	if p.id == "" {
		behind.After = &logging.Row{Seq: p.seq}
		return log.Requests(ctx, behind)
	}
	behind.After = &logging.Row{Seq: p.seq - 1}
	if f.Limit > 0 {
		behind.Limit++ // for the row of the place itself
	}
	rows, err := log.Requests(ctx, behind)
	if err != nil {
		return nil, err
	}
	if len(rows) > 0 && rows[0].Seq == p.seq && rows[0].ID == p.id {
		return rows[1:], nil
	}
	// The filter may leave out the row of the place: a since that is how long ago
	// moves on.
	there, err := log.Requests(ctx, logging.Filter{Order: logging.WrittenFirst, After: behind.After, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(there) == 0 || there[0].Seq != p.seq || there[0].ID != p.id {
		return log.Requests(ctx, f)
	}
	if f.Limit > 0 && len(rows) > f.Limit {
		rows = rows[:f.Limit]
	}
	return rows, nil
}
