package caddymodule

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

// groupOf is by what usage sums a row.
func groupOf(by logging.By, row *requestAnswer) string {
	switch by {
	case logging.ByModel:
		return row.Model
	case logging.ByAsked:
		return row.Asked
	case logging.ByClient:
		return row.Client
	case logging.ByProvider:
		return row.Provider
	case logging.ByKey:
		if row.KeyID == "" {
			return ""
		}
		return row.Provider + "/" + row.KeyID
	case logging.ByEndpoint:
		return row.Endpoint
	case logging.ByClass:
		return row.Class
	}
	return row.Began.UTC().Format(time.DateOnly)
}

// add counts a row in.
func (u *usageReport) add(row *requestAnswer) {
	u.Requests++
	switch row.Outcome {
	case logging.OutcomeOK:
		u.OK++
	case logging.OutcomeClientClosed:
		u.ClientClosed++
	default:
		u.Failed++
	}
	if row.Streamed {
		u.Streamed++
	}
	u.Attempts += int64(row.Attempts)
	u.Tokens.Input += row.Tokens.Input
	u.Tokens.CacheRead += row.Tokens.CacheRead
	u.Tokens.CacheWrite += row.Tokens.CacheWrite
	u.Tokens.Output += row.Tokens.Output
	u.Tokens.Reasoning += row.Tokens.Reasoning
	if row.Tokens.Estimated {
		u.Estimated++
	}
	switch {
	case row.Cost != nil:
		u.Cost += *row.Cost
	case row.Tokens.read()+row.Tokens.written() > 0:
		u.CostUnknown++
	}
	u.BytesIn += row.BytesIn
	u.BytesOut += row.BytesOut
}

// compareSums wants `usage` to print the sums of the rows, by whatever they are
// summed. It is called while the book is whole.
func (b *book) compareSums(t *testing.T) {
	t.Helper()
	for _, by := range usageGroups {
		want := make(map[string]*usageReport)
		for _, row := range b.byID {
			name := groupOf(by, &row)
			if want[name] == nil {
				want[name] = &usageReport{Name: name}
			}
			want[name].add(&row)
		}
		var has usageAnswer
		said := run(t, "", "usage", "--by", string(by), "--json", "--address=localhost:2999").want(t, 0).stdout
		if err := json.Unmarshal([]byte(said), &has); err != nil {
			t.Fatal(err)
		}
		if len(has.Rows) != len(want) {
			t.Errorf("usage --by %s: %d rows, want %d", by, len(has.Rows), len(want))
		}
		table := strings.Split(run(t, "", "usage", "--by", string(by), "--address=localhost:2999").want(t, 0).stdout, "\n")
		for _, row := range has.Rows {
			row.AverageMS = 0
			line := row.line()
			if w := want[row.Name]; w != nil && math.Abs(w.Cost-row.Cost) < 1e-9 {
				row.Cost = w.Cost // but for the order of the sum
			}
			if w := want[row.Name]; w == nil || row != *w {
				t.Errorf("usage --by %s prints %+v, the rows come to %+v", by, row, w)
			}
			if !slices.ContainsFunc(table, func(printed string) bool {
				return strings.HasPrefix(strings.Join(strings.Fields(printed), " "), line)
			}) {
				t.Errorf("usage --by %s prints no line %q:\n%s", by, line, strings.Join(table, "\n"))
			}
		}
	}
}

// line is how the row begins in the table, with single spaces.
func (u *usageReport) line() string {
	return fmt.Sprint(cmp.Or(u.Name, "-"), " ", u.Requests, " ", u.OK, " ", u.Failed, " ", u.ClientClosed, " ", u.Attempts, " ",
		u.Tokens.Input, " ", u.Tokens.CacheRead, " ", u.Tokens.CacheWrite, " ", u.Tokens.Output, " ", u.Tokens.Reasoning, " ", u.cost())
}
