package caddymodule

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// What is different in every run of the database's commands.
var (
	someMoment = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
	someSize   = regexp.MustCompile(`\d+ (B|KiB|MiB)\b`)
	someTook   = regexp.MustCompile(`(?m)^(average +)\S+$`)
)

// wantDatabase is wantOutput for what tells about a database.
func wantDatabase(t *testing.T, golden, got, file string) {
	t.Helper()
	got = strings.ReplaceAll(got, file, "/var/lib/requests.db")
	got = someMoment.ReplaceAllString(got, "2026-01-02 03:04:05")
	got = someSize.ReplaceAllString(got, "48 KiB")
	got = someTook.ReplaceAllString(got, "${1}12ms")
	got = regexp.MustCompile(`"(size_bytes|file_size|average_ms|bytes_in|bytes_out)": [0-9.]+`).ReplaceAllString(got, `"$1": 12`)
	wantOutput(t, golden, got, "no directory")
}

// busy is a gateway whose log has requests of every kind.
func busy(t *testing.T) (g *gateway, file string) {
	t.Helper()
	g, file = keepingLog(t, inTurn(answers(200, chatAnswer), answers(500, brokenBody), answers(500, brokenBody)), inTurn(answers(200, chatAnswer), answers(500, brokenBody)))
	g.post(chatPath, chatRequest).want(t, 200)
	g.post(chatPath, chatRequest).want(t, 200)
	g.post(chatPath, chatRequest).want(t, 502)
	g.post(chatPath, `{"model":"m"`).want(t, 400)
	return g, file
}

func TestDBStatsTellWhatIsInTheLog133(t *testing.T) {
	_, file := busy(t)
	const address = "--address=localhost:2999"
	wantDatabase(t, "db_stats.txt", run(t, "", "db", "stats", address).want(t, 0).stdout, file)
	wantDatabase(t, "db_stats.json", run(t, "", "db", "stats", "--json", address).want(t, 0).stdout, file)
	wantDatabase(t, "db_stats_file.txt", run(t, "", "db", "stats", "--file", file).want(t, 0).stdout, file)
	loadNothing(t)
	wantDatabase(t, "db_stats_file.txt", run(t, "", "db", "stats", "--file", file).want(t, 0).stdout, file)
	run(t, "", "db", "stats", address).want(t, 1, "no request log is kept")
	run(t, "", "db", "stats", "--address=localhost:1").want(t, 1, "cannot connect", "--file reads an SQLite database")
	run(t, "", "db", "stats", "--file", file+".missing").want(t, 1, "no such file")
}

// The same sums, whoever is asked.
func TestUsageAndDBStatsPrintTheSameSums(t *testing.T) {
	_, file := busy(t)
	const address = "--address=localhost:2999"
	read := func(to any, arguments ...string) {
		t.Helper()
		if err := json.Unmarshal([]byte(run(t, "", append(arguments, "--json")...).want(t, 0).stdout), to); err != nil {
			t.Fatal(err)
		}
	}
	var stats, offline databaseAnswer
	read(&stats, "db", "stats", address)
	read(&offline, "db", "stats", "--file", file)
	if stats.Totals != offline.Totals || stats.Rows != 4 || stats.Totals.Failed != 2 || stats.ErrorRate != 0.5 {
		t.Errorf("db stats tell %+v, of the file %+v", stats, offline)
	}
	for _, by := range usageGroups {
		var usage usageAnswer
		read(&usage, "usage", "--by", string(by), address)
		if usage.Total != stats.Totals {
			t.Errorf("usage by %s sums up to %+v, want %+v", by, usage.Total, stats.Totals)
		}
		var sum usageSums
		for i := range usage.Rows {
			row := &usage.Rows[i]
			sum.Requests += row.Requests
			sum.Attempts += row.Attempts
			sum.Tokens.Input += row.Tokens.Input
			sum.Tokens.Output += row.Tokens.Output
		}
		if sum.Requests != usage.Total.Requests || sum.Attempts != usage.Total.Attempts || sum.Tokens != usage.Total.Tokens {
			t.Errorf("the rows of usage by %s sum up to %+v, want %+v", by, sum, usage.Total)
		}
	}
	table := run(t, "", "usage", "--by", "class", address).want(t, 0).stdout
	if !regexp.MustCompile(`(?m)^\(total\) +4 +2 +2 `).MatchString(table) {
		t.Errorf("usage has no total:\n%s", table)
	}
}

func TestDBResetDeletesOnlyWhatWasConfirmed134(t *testing.T) {
	g, file := busy(t)
	const address = "--address=localhost:2999"
	if help := run(t, "", "db", "reset", "--help").want(t, 0).stdout; !strings.Contains(help, "-y, --confirm") {
		t.Errorf("help is\n%s", help)
	}
	run(t, "yes\n", "db", "reset", address).want(t, 1, "nothing is deleted", "--confirm")
	if n := len(rows(t, "")); n != 4 {
		t.Fatalf("%d requests are left without a confirmation, want 4", n)
	}
	if got := run(t, "", "db", "reset", "--confirm", address).want(t, 0).stdout; got != "deleted 4 requests from "+file+"\n" {
		t.Errorf("stdout is %q", got)
	}
	if all := rows(t, ""); len(all) != 0 {
		t.Errorf("rows = %+v, want none", all)
	}
	wantDatabase(t, "db_stats_empty.txt", run(t, "", "db", "stats", address).want(t, 0).stdout, file)
	id := g.post(chatPath, `{"model":"m"`).want(t, 400).header.Get("X-Request-Id")
	if all := rows(t, ""); len(all) != 1 || all[0].ID != id {
		t.Errorf("rows = %+v, want the request that came after", all)
	}
	if got := run(t, "", "db", "reset", "-y", "--json", address).want(t, 0).stdout; !strings.Contains(got, `"deleted": 1`) {
		t.Errorf("stdout is %q", got)
	}
	admin(t, http.MethodGet, "/llm_proxy/db/reset", "").want(t, 405)
	admin(t, http.MethodPost, "/llm_proxy/db", "").want(t, 405)
	admin(t, http.MethodGet, "/llm_proxy/db?x=1", "").want(t, 400)
}
