package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
)

// sumsBy is the usage by something.
func sumsBy(t *testing.T, by logging.By) (answer usageAnswer) {
	t.Helper()
	if err := json.Unmarshal([]byte(admin(t, http.MethodGet, "/llm_proxy/usage?by="+string(by), "").want(t, 200).body), &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// However requests end, usage by anything and db stats add up to all of them.
func TestUsageAndDatabaseAddUpForEveryOutcome(t *testing.T) {
	file := t.TempDir() + "/requests.db"
	t.Setenv("P_API_KEY", "upstream-secret")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", "http://localhost:1", "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		directive: "transport faulty\nbreaker off\nlog sqlite " + file,
	})
	requests, want := int64(0), map[string]int64{}
	for _, tc := range []struct {
		body, way, outcome string
		status             int
	}{
		{chatRequest, "", logging.OutcomeOK, 200},
		{chatRequest, "panics", logging.OutcomeError, 500},
		{chatStreamed, "panics later", logging.OutcomePartial, 200},
		{`{"model":`, "", logging.OutcomeError, 400},
		{strings.Replace(chatRequest, `"m"`, `"nobody"`, 1), "", logging.OutcomeError, 404},
		{chatRequest, "panics beside", logging.OutcomeClientClosed, 0},
	} {
		r := request{path: chatPath, body: tc.body, header: map[string]string{"Session-Id": tc.way}}
		if tc.status == 0 { // the client leaves
			conn, _ := g.dial(r)
			comesTrue(t, "the request does not arrive", func() bool { return inFlight.MatchString(admin(t, http.MethodGet, "/llm_proxy/keys", "").body) })
			conn.Close()
		} else {
			g.do(r).want(t, tc.status)
		}
		requests++
		want[tc.outcome]++
		comesTrue(t, fmt.Sprintf("%q, %q is no row", tc.body, tc.way), func() bool { return int64(len(rows(t, ""))) == requests })
		if got := firstRow(t, "").Outcome; got != tc.outcome {
			t.Errorf("%q, %q: outcome %s, want %s", tc.body, tc.way, got, tc.outcome)
		}
	}
	ended := func(s usageSums) [4]int64 { return [4]int64{s.Requests, s.OK, s.Failed, s.ClientClosed} }
	all := [4]int64{requests, want[logging.OutcomeOK], want[logging.OutcomeError] + want[logging.OutcomePartial], want[logging.OutcomeClientClosed]}
	if all[1]+all[2]+all[3] != requests {
		t.Fatalf("%v outcomes of %d requests", want, requests)
	}
	for _, by := range usageGroups {
		answer := sumsBy(t, by)
		var sum [4]int64
		for _, row := range answer.Rows {
			got := ended(row.usageSums)
			if got[1]+got[2]+got[3] != got[0] {
				t.Errorf("by %s: %q has %d requests, of which %d ended well, %d failed and %d were left", by, row.Name, got[0], got[1], got[2], got[3])
			}
			for i := range sum {
				sum[i] += got[i]
			}
		}
		if sum != all || ended(answer.Total) != all {
			t.Errorf("by %s: rows add up to %v, the total is %v, want %v", by, sum, ended(answer.Total), all)
		}
	}
	var database databaseAnswer
	if err := json.Unmarshal([]byte(admin(t, http.MethodGet, "/llm_proxy/db", "").want(t, 200).body), &database); err != nil {
		t.Fatal(err)
	}
	if got := ended(database.Totals); got != all || database.Rows != requests || database.ErrorRate != float64(all[2])/float64(requests) {
		t.Errorf("db tells %v, %d rows, error rate %v, want %v", got, database.Rows, database.ErrorRate, all)
	}
}
