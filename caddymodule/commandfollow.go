package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// followInterval is how often the log is asked for what is new, and followPage
// how many requests it may then tell at once.
const (
	followInterval = time.Second
	followPage     = 500
)

// followPause is time's After but in tests.
var followPause = time.After

// follower prints requests as they end.
type follower struct {
	cmd    *cobra.Command
	filter url.Values
	out    *output
	widths []int // of the columns so far
	next   string
	failed int // questions in a row that were not answered
}

// follow prints the newest requests, and then each that ends, until the command
// is interrupted. Only the first question must succeed: a gateway may be reloaded
// or started anew while somebody watches it.
func (f *follower) follow(limit int) error {
	ctx, stop := signal.NotifyContext(f.cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	f.cmd.SetContext(ctx)
	requests, err := f.ask(url.Values{"limit": {strconv.Itoa(limit)}})
	if err != nil {
		return f.unlessOver(err)
	}
	slices.Reverse(requests)
	for err = f.print(requests); err == nil; err = f.print(requests) {
		if len(requests) < followPage && !f.pause(ctx) {
			return nil
		}
		if requests, err = f.goOn(); err != nil {
			return f.unlessOver(err)
		}
	}
	return err
}

// pause waits until it is time to ask again. It is false when the command ends.
func (f *follower) pause(ctx context.Context) bool {
	select {
	case <-followPause(followInterval):
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// goOn asks for what is new. That the gateway does not answer is said once.
func (f *follower) goOn() ([]requestSummary, error) {
	requests, err := f.ask(url.Values{"order": {"written"}, "after": {f.next}, "limit": {strconv.Itoa(followPage)}})
	switch {
	case f.cmd.Context().Err() != nil:
		return nil, err
	case err != nil:
		// The endpoint may be gone for a moment at each reload.
		if f.failed++; f.failed == 2 {
			note := "the gateway does not answer"
			if said, refused := gatewayError(""), (usageError{}); errors.As(err, &said) || errors.As(err, &refused) {
				note = escape(err.Error())
			}
			f.cmd.PrintErrln("Note: " + note + "; asking again every second")
		}
		return nil, nil
	}
	if f.failed >= 2 {
		f.cmd.PrintErrln("Note: the gateway answers again")
	}
	f.failed = 0
	return requests, nil
}

// ask asks for the requests of the filter, and keeps in mind where to go on.
func (f *follower) ask(more url.Values) ([]requestSummary, error) {
	query := maps.Clone(f.filter)
	maps.Copy(query, more)
	if query.Get("after") == "" {
		query.Del("after")
	}
	var answer requestsAnswer
	if err := askAdmin(f.cmd, "/llm_proxy/requests?"+query.Encode(), "", &answer); err != nil {
		return nil, err
	}
	f.next = answer.Next
	return answer.Requests, nil
}

// unlessOver is an error, or nil if it is only that the command was interrupted.
func (f *follower) unlessOver(err error) error {
	if f.cmd.Context().Err() != nil {
		return nil
	}
	return err
}

// print writes requests at once.
func (f *follower) print(requests []requestSummary) error {
	if len(requests) == 0 {
		return nil
	}
	if f.out.json {
		for i := range requests {
			if err := f.out.printJSONLine(&requests[i]); err != nil {
				return err
			}
		}
	} else {
		f.lines(requests)
	}
	defer f.out.Reset()
	return f.out.flush(f.cmd)
}

// lines adds rows to a table whose columns grow with what they have to hold: what
// will come is not known.
func (f *follower) lines(requests []requestSummary) {
	var rows [][]any
	if f.widths == nil {
		rows = append(rows, requestColumns(f.out))
		f.widths = make([]int, len(rows[0]))
	}
	for i := range requests {
		rows = append(rows, requestCells(f.out, &requests[i]))
	}
	last := len(f.widths) - 1
	for _, row := range rows {
		for i, value := range row {
			f.widths[i] = max(f.widths[i], utf8.RuneCountInString(inCell(value, i == last)))
		}
	}
	for _, row := range rows {
		for i, value := range row[:last] {
			fmt.Fprintf(&f.out.Buffer, "%-*s  ", f.widths[i], inCell(value, false))
		}
		f.out.WriteString(inCell(row[last], true) + "\n")
	}
}
