package bench

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares text with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
	}
}

// requests are three rounds of a scenario of requests, the last one disturbed.
func requests(name string) []Run {
	var runs []Run
	for round, slower := range []float64{1, 1.1, 3} {
		runs = append(runs,
			Run{Scenario: name, Target: Direct, Round: round + 1, Requests: 60000, Seconds: 2, UpstreamCPU: 20, GeneratorCPU: 10, OthersCPU: 0.02, P50: 30, P99: 90},
			Run{Scenario: name, Target: ReverseProxy, Round: round + 1, Requests: 8000, Seconds: 2, CPU: 140, UpstreamCPU: 22, GeneratorCPU: 12, OthersCPU: 0.03, P50: 180, P99: 400, IdleRSS: 50 << 10, PeakRSS: 56 << 10},
			Run{Scenario: name, Target: LLMProxy, Round: round + 1, Requests: 9000, Failed: round, Seconds: 2, CPU: 70 * slower, UpstreamCPU: 22, GeneratorCPU: 12, OthersCPU: 0.5, P50: 100 * slower, P99: 300 * slower, IdleRSS: 51 << 10, PeakRSS: 58 << 10},
			Run{Scenario: name, Target: Logging, Round: round + 1, Requests: 9000, Seconds: 2, CPU: 76 * slower, UpstreamCPU: 22, GeneratorCPU: 12, OthersCPU: 0.02, P50: 100 * slower, P99: 300 * slower, IdleRSS: 60 << 10, PeakRSS: 80 << 10})
	}
	return runs
}

func openStreams(name string) []Run {
	return []Run{
		{Scenario: name, Target: Direct, Round: 1, Requests: 2000, Seconds: 14, UpstreamCPU: 2000, GeneratorCPU: 1000, OthersCPU: 0.2, GapP50: 50000, GapP99: 51500, MostOpen: 2000},
		{Scenario: name, Target: ReverseProxy, Round: 1, Requests: 2000, Seconds: 14, CPU: 3300, UpstreamCPU: 2000, GeneratorCPU: 1000, OthersCPU: 0.2, GapP50: 49900, GapP99: 180000, MostOpen: 2000, IdleRSS: 50000, PeakRSS: 250000},
		{Scenario: name, Target: LLMProxy, Round: 1, Requests: 2000, Seconds: 14, CPU: 3000, UpstreamCPU: 2000, GeneratorCPU: 1000, OthersCPU: 0.2, GapP50: 49900, GapP99: 150000, MostOpen: 2000, IdleRSS: 50000, PeakRSS: 230000},
	}
}

func TestTheReportShowsCostsBesideAims(t *testing.T) {
	small := Scenario{Name: "small", Aim: Aim{CPURatio: 0.65}}
	large := Scenario{Name: "no baseline", Aim: Aim{CPURatio: 1.2}}
	streams := Scenario{Name: "streams", Ramp: time.Second, Aim: Aim{StreamKiB: 80}}
	var b bytes.Buffer
	var verdicts []verdict
	for _, tc := range []struct {
		s    Scenario
		runs []Run
	}{
		{small, requests("small")},
		{large, requests("no baseline")[:1]},
		{streams, openStreams("streams")},
	} {
		if err := writeTable(&b, tc.s, tc.runs); err != nil {
			t.Fatal(err)
		}
		verdicts = append(verdicts, judge(tc.s, tc.runs)...)
	}
	if err := writeVerdicts(&b, verdicts); err != nil {
		t.Fatal(err)
	}
	golden(t, "report.md", b.Bytes())
}

func TestASpreadIsTheMedianBetweenItsEnds(t *testing.T) {
	for _, tc := range []struct {
		values []float64
		want   spread
	}{
		{[]float64{5}, spread{5, 5, 5}},
		{[]float64{9, 1, 2}, spread{2, 1, 9}},
		{[]float64{4, 1, 2, 9}, spread{3, 1, 9}},
	} {
		if got, ok := newSpread(tc.values); !ok || got != tc.want {
			t.Errorf("newSpread(%v) = %v, %v, want %v", tc.values, got, ok, tc.want)
		}
	}
	if got, ok := newSpread(nil); ok {
		t.Errorf("newSpread(nil) = %v, true", got)
	}
}
