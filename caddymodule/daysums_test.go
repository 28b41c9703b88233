package caddymodule

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/dustin/go-humanize"

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
func (u *usageSums) add(row *requestAnswer) {
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
	if row.Cost != nil {
		u.Cost += *row.Cost
	} else if row.Tokens.read()+row.Tokens.written() > 0 {
		u.CostUnknown++
	}
	u.BytesIn += row.BytesIn
	u.BytesOut += row.BytesOut
}

// compareSums wants `usage` and `db stats` to print the sums of the rows, by whatever
// they are summed. It is called while the book is whole.
func (b *book) compareSums(t *testing.T) {
	t.Helper()
	var total usageSums
	for _, row := range b.byID {
		total.add(&row)
	}
	for _, by := range usageGroups {
		want := make(map[string]*usageSums)
		for _, row := range b.byID {
			name := groupOf(by, &row)
			if want[name] == nil {
				want[name] = new(usageSums)
			}
			want[name].add(&row)
		}
		var has usageAnswer
		printed(t, &has, "usage", "--by", string(by))
		if len(has.Rows) != len(want) {
			t.Errorf("usage --by %s: %d rows, want %d", by, len(has.Rows), len(want))
		}
		for _, row := range has.Rows {
			if w := want[row.Name]; w == nil || !row.same(w) {
				t.Errorf("usage --by %s prints %+v, the rows come to %+v", by, row, w)
			}
		}
		if !has.Total.same(&total) {
			t.Errorf("usage --by %s prints the total %+v, the rows come to %+v", by, has.Total, total)
		}
		compareTable(t, &has)
	}
	var database databaseAnswer
	printed(t, &database, "db", "stats")
	if database.Rows != int64(len(b.byID)) || !database.Totals.same(&total) || database.Log.Dropped.Total() != 0 {
		t.Errorf("db stats prints %+v, the rows come to %+v", database, total)
	}
	said := run(t, "", "db", "stats", "--address=localhost:2999").want(t, 0).stdout
	for _, want := range []int64{total.Requests, total.OK, total.Failed, total.ClientClosed, total.Attempts, total.Tokens.Input, total.Tokens.Output, total.Tokens.Reasoning} {
		if !strings.Contains(said, humanize.Comma(want)) {
			t.Errorf("db stats does not print %d:\n%s", want, said)
		}
	}
}

// printed reads the JSON that a command prints.
func printed(t *testing.T, answer any, arguments ...string) {
	t.Helper()
	said := run(t, "", append(arguments, "--json", "--address=localhost:2999")...).want(t, 0).stdout
	if err := json.Unmarshal([]byte(said), answer); err != nil {
		t.Fatal(err)
	}
}

// same tells whether two sums are the same, but for the average time, which is none.
func (u usageSums) same(other *usageSums) bool {
	u.AverageMS = other.AverageMS
	if sameMoney(u.Cost, other.Cost) {
		u.Cost = other.Cost
	}
	return u == *other
}

// sameMoney compares two sums that were added up in different orders.
func sameMoney(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

// twoSpaces are between the columns of a table.
var twoSpaces = regexp.MustCompile(` {2,}`)

// compareTable wants the table of `usage` to say the same as its JSON.
func compareTable(t *testing.T, has *usageAnswer) {
	t.Helper()
	said := run(t, "", "usage", "--by", string(has.By), "--address=localhost:2999").want(t, 0).stdout
	lines := strings.Split(strings.TrimSpace(said), "\n")
	columns := twoSpaces.Split(lines[0], -1)
	rows := has.Rows
	if len(rows) > 1 {
		rows = append(slices.Clone(rows), usageReport{"(total)", has.Total})
	}
	if len(lines) != len(rows)+1 {
		t.Fatalf("usage --by %s prints %d lines for %d rows:\n%s", has.By, len(lines)-1, len(rows), said)
	}
	for i, line := range lines[1:] {
		row, cells := &rows[i], twoSpaces.Split(strings.TrimSpace(line), -1)
		for name, want := range map[string]any{
			strings.ToUpper(string(has.By)): cmp.Or(row.Name, "-"), "REQUESTS": row.Requests, "OK": row.OK, "FAILED": row.Failed, "LEFT": row.ClientClosed,
			"TRIED": row.Attempts, "INPUT": row.Tokens.Input, "CACHE READ": row.Tokens.CacheRead, "CACHE WRITE": row.Tokens.CacheWrite,
			"OUTPUT": row.Tokens.Output, "REASONING": row.Tokens.Reasoning, "COST": row.cost(),
		} {
			at := slices.Index(columns, name)
			if at < 0 || at >= len(cells) || cells[at] != fmt.Sprint(want) {
				t.Errorf("usage --by %s prints %q under %q, want %v in column %s", has.By, cells, columns, want, name)
			}
		}
	}
}
