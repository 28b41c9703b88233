package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/process"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/upstream"
)

// TestMain lets the test binary stand for the programs that a benchmark starts:
// the upstream, and a Caddy that does not know llm_proxy.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 3 && os.Args[1] == "upstream":
		listener, err := net.Listen("tcp", os.Args[2])
		if err == nil {
			err = upstream.Serve(listener)
		}
		panic(err)
	case len(os.Args) > 1 && os.Args[1] == "run":
		fmt.Println("unrecognized directive: llm_proxy")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// straight are options to measure nothing but the upstream.
func straight(t *testing.T, only string) (o Options, report, lines *bytes.Buffer) {
	t.Helper()
	if err := process.Supported(); err != nil {
		t.Skip(err)
	}
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	report, lines = new(bytes.Buffer), new(bytes.Buffer)
	return Options{
		Upstream: []string{self, "upstream"}, Targets: []string{Direct}, Only: regexp.MustCompile(only),
		Rounds: 2, Duration: 40 * time.Millisecond, Quick: true, Full: true,
		Report: report, Progress: new(bytes.Buffer), Lines: lines,
	}, report, lines
}

func TestEveryScenarioOfRequestsIsAnsweredCompletely(t *testing.T) {
	o, report, lines := straight(t, "request|100 events")
	if err := Main(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(lines)
	runs := 0
	for ; decoder.More(); runs++ {
		var r Run
		if err := decoder.Decode(&r); err != nil {
			t.Fatal(err)
		}
		if r.Target != Direct || r.Requests == 0 || r.Failed > 0 || r.P50 <= 0 || r.P99 < r.P50 || r.Seconds <= 0 {
			t.Errorf("run = %+v", r)
		}
	}
	tables, want := strings.Count(report.String(), "### "), 0
	for _, s := range Scenarios() {
		if s.Ramp == 0 {
			want++
		}
	}
	if runs != tables*o.Rounds || tables != want {
		t.Errorf("%d tables, %d runs, want %d with %d each", tables, runs, want, o.Rounds)
	}
}

func TestOpenStreamsAreOpenTogether(t *testing.T) {
	o, _, lines := straight(t, "^2,000 open streams")
	if err := Main(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	var r Run
	if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.MostOpen != 100 || r.Requests != 100 || r.GapP99 < r.GapP50 || r.GapP99 == 0 {
		t.Errorf("run = %+v, want 100 streams open at once, with gaps", r)
	}
}

func TestOnlyAFullBenchmarkHasTheRareScenarios(t *testing.T) {
	usual, err := Options{}.scenarios()
	if err != nil {
		t.Fatal(err)
	}
	full, err := Options{Full: true}.scenarios()
	if err != nil || len(full) != len(Scenarios()) || len(usual) >= len(full) {
		t.Errorf("%d usual scenarios and %d in all, %v, want %d in all", len(usual), len(full), err, len(Scenarios()))
	}
	if _, err := (Options{Only: regexp.MustCompile("^chat client on messages")}).scenarios(); err == nil {
		t.Error("a rare scenario is no error without Full")
	}
}

func TestABinaryWithoutTheHandlerEndsTheBenchmarkWithItsReason(t *testing.T) {
	o, _, _ := straight(t, "small chat request, c=1$")
	o.Targets = []string{LLMProxy}
	o.Caddy = o.Upstream[0]
	if err := Main(t.Context(), o); err == nil || !strings.Contains(err.Error(), "unrecognized directive") {
		t.Errorf("Main = %v, want Caddy's reason", err)
	}
}

func TestABadRunIsAnError(t *testing.T) {
	streams := Scenario{Connections: 5, Ramp: time.Second}
	for _, tc := range []struct {
		s    Scenario
		run  Run
		want string // "": none
	}{
		{Scenario{}, Run{Requests: 1}, ""},
		{Scenario{}, Run{}, "no request was answered"},
		{Scenario{}, Run{Requests: 3, Failed: 2, Errors: map[string]int{"status 500": 2}}, "2 of 5 requests failed: status 500 (2 times)"},
		{streams, Run{Requests: 5, MostOpen: 5}, ""},
		{streams, Run{Requests: 5, MostOpen: 4}, "only 4 streams were open at once"},
	} {
		err := tc.run.failure(tc.s)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("failure(%+v) = %v, want %q", tc.run, err, tc.want)
		}
	}
}

func TestTargetsAreVisitedInOrder(t *testing.T) {
	for _, tc := range []struct{ names, want []string }{
		{Targets(), Targets()},
		{[]string{LLMProxy, Direct, LLMProxy}, []string{Direct, LLMProxy}},
		{[]string{"nginx"}, nil},
		{[]string{""}, nil},
	} {
		got, err := ParseTargets(tc.names)
		if !slices.Equal(got, tc.want) || (err == nil) != (tc.want != nil) {
			t.Errorf("ParseTargets(%q) = %q, %v, want %q", tc.names, got, err, tc.want)
		}
	}
}
