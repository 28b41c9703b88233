package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
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
	if len(after) == 1 && after[0].ID == "" {
		filter.After = &after[0]
	} else {
		filter.Behind = after
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
		rows, err := log.Requests(ctx, filter)
		answer := requestsAnswer{Requests: []requestSummary{}, Next: query.Get("after"), Log: log.Stats()}
		for i := range rows {
			answer.Requests = append(answer.Requests, summaryOf(&rows[i].Record, rows[i].AttemptCount))
		}
		if len(rows) > 0 {
			answer.Next = after.behind(rows).String()
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

// logPlace is a place in the order in which rows are written: the rows that were read
// last, the last one first, by Seq and ID. One without an ID is just a number.
type logPlace []logging.Row

// placeRows are how many rows a place has: as many may be deleted before what comes
// behind them is read.
const placeRows = 20

// String is what the parameter after takes.
func (p logPlace) String() string {
	var rows []string
	for i := range p {
		rows = append(rows, strconv.FormatInt(p[i].Seq, 10)+"-"+p[i].ID)
	}
	return strings.Join(rows, ",")
}

// behind is the place behind rows that were read from this one on.
func (p logPlace) behind(rows []logging.Row) logPlace {
	next := slices.SortedFunc(slices.Values(rows), func(a, b logging.Row) int { return cmp.Compare(b.Seq, a.Seq) })
	next = append(next, p...)
	return next[:min(len(next), placeRows)]
}

// placeIn reads the parameter after: a place, or just its number.
func placeIn(query url.Values) (p logPlace, err error) {
	text := query.Get("after")
	if text == "" {
		return nil, nil
	}
	for row := range strings.SplitSeq(text, ",") {
		number, id, _ := strings.Cut(row, "-")
		seq, err := strconv.ParseInt(number, 10, 64)
		if err != nil || seq < 0 || id == "" && row != text || len(p) == placeRows {
			return nil, fmt.Errorf("after: %q is no place in the log; it takes what the answer before has as next", text)
		}
		p = append(p, logging.Row{Seq: seq, Record: logging.Record{ID: id}})
	}
	return p, nil
}
