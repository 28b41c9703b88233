package bench

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// spread is a value of several rounds: the median, the least and the most.
type spread struct{ mid, low, high float64 }

// newSpread returns false if there are no values.
func newSpread(values []float64) (spread, bool) {
	if len(values) == 0 {
		return spread{}, false
	}
	v := slices.Sorted(slices.Values(values))
	return spread{(v[(len(v)-1)/2] + v[len(v)/2]) / 2, v[0], v[len(v)-1]}, true
}

// over is the spread of what one target's runs measured.
func over(runs []Run, target string, value func(Run) float64) (spread, bool) {
	var values []float64
	for _, r := range runs {
		if r.Target == target {
			values = append(values, value(r))
		}
	}
	return newSpread(values)
}

// against is the spread of a comparison of two targets within each round.
func against(runs []Run, target, base string, compare func(target, base Run) float64) (spread, bool) {
	var values []float64
	for _, t := range runs {
		for _, b := range runs {
			if t.Target == target && b.Target == base && t.Round == b.Round {
				values = append(values, compare(t, b))
			}
		}
	}
	return newSpread(values)
}

func cpuRatio(target, base Run) float64 { return target.CPU / base.CPU }

// column is a heading and what stands below it for a target.
type column struct {
	heading string
	cell    func(runs []Run, target string) string
}

// none stands where a target has no value.
const none = "-"

// median shows the median of what a target's runs measured.
func median(heading, format string, value func(Run) float64) column {
	return column{heading, func(runs []Run, target string) string {
		s, ok := over(runs, target, value)
		if !ok {
			return none
		}
		return fmt.Sprintf(format, s.mid)
	}}
}

// proxied blanks a column for the target that has no process of its own.
func proxied(c column) column {
	return column{c.heading, func(runs []Run, target string) string {
		if target == Direct {
			return none
		}
		return c.cell(runs, target)
	}}
}

// added shows by how much more a target took than the straight way.
func added(heading, format string, value func(Run) float64) column {
	return proxied(column{heading, func(runs []Run, target string) string {
		s, ok := against(runs, target, Direct, func(t, b Run) float64 { return value(t) - value(b) })
		if !ok {
			return none
		}
		return fmt.Sprintf(format, s.mid)
	}})
}

var logColumn = column{"x without log", func(runs []Run, target string) string {
	s, ok := against(runs, target, LLMProxy, cpuRatio)
	if !ok || target != Logging {
		return none
	}
	return s.format("%.2f")
}}

var ratioColumn = proxied(column{"x reverse_proxy", func(runs []Run, target string) string {
	s, ok := against(runs, target, ReverseProxy, cpuRatio)
	if !ok {
		return none
	}
	return s.format("%.2f")
}})

func (s spread) format(verb string) string {
	return fmt.Sprintf(verb+" ("+verb+".."+verb+")", s.mid, s.low, s.high)
}

// requestColumns are shown for requests that follow each other.
var requestColumns = []column{
	proxied(median("CPU us/request", "%.0f", func(r Run) float64 { return r.CPU })),
	ratioColumn,
	logColumn,
	median("p50 us", "%.0f", func(r Run) float64 { return r.P50 }),
	median("p99 us", "%.0f", func(r Run) float64 { return r.P99 }),
	added("added p50 us", "%.0f", func(r Run) float64 { return r.P50 }),
	added("added p99 us", "%.0f", func(r Run) float64 { return r.P99 }),
	median("requests/s", "%.0f", Run.rate),
	proxied(median("peak RSS MiB", "%.0f", func(r Run) float64 { return float64(r.PeakRSS) / 1024 })),
	failedColumn,
}

// streamColumns are shown for streams that are open together.
var streamColumns = []column{
	proxied(column{"KiB per open stream", func(runs []Run, target string) string {
		s, ok := over(runs, target, Run.streamKiB)
		if !ok {
			return none
		}
		return s.format("%.0f")
	}}),
	proxied(median("idle RSS MiB", "%.0f", func(r Run) float64 { return float64(r.IdleRSS) / 1024 })),
	proxied(median("peak RSS MiB", "%.0f", func(r Run) float64 { return float64(r.PeakRSS) / 1024 })),
	proxied(median("CPU us/stream", "%.0f", func(r Run) float64 { return r.CPU })),
	ratioColumn,
	median("gap p50 ms", "%.1f", func(r Run) float64 { return r.GapP50 / 1000 }),
	median("gap p99 ms", "%.1f", func(r Run) float64 { return r.GapP99 / 1000 }),
	failedColumn,
}

var failedColumn = column{"failed", func(runs []Run, target string) string {
	failed := 0
	for _, r := range runs {
		if r.Target == target {
			failed += r.Failed
		}
	}
	return fmt.Sprint(failed)
}}

// writeTable writes the table of one scenario.
func writeTable(w io.Writer, s Scenario, runs []Run) error {
	columns := requestColumns
	if s.Ramp > 0 {
		columns = streamColumns
	}
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n| target |", s.Name)
	for _, c := range columns {
		fmt.Fprintf(&b, " %s |", c.heading)
	}
	b.WriteString("\n|" + strings.Repeat("---|", len(columns)+1) + "\n")
	for _, target := range Targets() {
		if !slices.ContainsFunc(runs, func(r Run) bool { return r.Target == target }) {
			continue
		}
		fmt.Fprintf(&b, "| %s |", target)
		for _, c := range columns {
			fmt.Fprintf(&b, " %s |", c.cell(runs, target))
		}
		b.WriteByte('\n')
	}
	for _, v := range judge(s, runs) {
		fmt.Fprintf(&b, "\nAim: %s. Measured: %s: %s.\n", v.aim, v.measured, v.word())
	}
	fmt.Fprintf(&b, "\n%s\n\n", surroundings(runs))
	_, err := io.WriteString(w, b.String())
	return err
}

// quiet is how much CPU others may use, in CPUs, before results are doubtful.
const quiet = 0.1

// surroundings tells what else used the processors during the runs.
func surroundings(runs []Run) string {
	mid := func(value func(Run) float64) float64 {
		var values []float64
		for _, r := range runs {
			values = append(values, value(r))
		}
		s, _ := newSpread(values)
		return s.mid
	}
	others := mid(func(r Run) float64 { return r.OthersCPU })
	text := fmt.Sprintf("Per request the upstream took %.0f us and the load generator %.0f us of CPU; everything else on the machine used %.2f CPUs",
		mid(func(r Run) float64 { return r.UpstreamCPU }), mid(func(r Run) float64 { return r.GeneratorCPU }), others)
	if others > quiet {
		return text + ", which disturbs: measure again when it is quiet."
	}
	return text + "."
}

// verdict compares an aim with what was measured.
type verdict struct {
	scenario, aim, measured string
	ok                      bool
}

func (v verdict) word() string {
	if v.ok {
		return "ok"
	}
	return "miss"
}

// logRatio is how much CPU a request may take at most with the request log on,
// against one without.
const logRatio = 1.1

// judge compares a scenario's aims with its runs; an aim for which a target was
// not measured is left out.
func judge(s Scenario, runs []Run) []verdict {
	var verdicts []verdict
	if ratio, ok := against(runs, LLMProxy, ReverseProxy, cpuRatio); ok && s.Aim.CPURatio > 0 {
		aim := fmt.Sprintf("CPU <= %.2f x reverse_proxy", s.Aim.CPURatio)
		verdicts = append(verdicts, verdict{s.Name, aim, ratio.format("%.2f"), ratio.mid <= s.Aim.CPURatio})
	}
	// Open streams are too few, for the time that they take, to tell what one costs.
	if ratio, ok := against(runs, Logging, LLMProxy, cpuRatio); ok && s.Ramp == 0 {
		aim := fmt.Sprintf("CPU with log <= %.2f x llm_proxy", logRatio)
		verdicts = append(verdicts, verdict{s.Name, aim, ratio.format("%.2f"), ratio.mid <= logRatio})
	}
	if memory, ok := over(runs, LLMProxy, Run.streamKiB); ok && s.Aim.StreamKiB > 0 {
		aim := fmt.Sprintf("<= %.0f KiB per open stream", s.Aim.StreamKiB)
		verdicts = append(verdicts, verdict{s.Name, aim, memory.format("%.0f"), memory.mid <= s.Aim.StreamKiB})
	}
	return verdicts
}

// writeVerdicts writes the table of all aims.
func writeVerdicts(w io.Writer, verdicts []verdict) error {
	if len(verdicts) == 0 {
		return nil
	}
	var b strings.Builder
	b.WriteString("### aims\n\n| scenario | aim | measured | |\n|---|---|---|---|\n")
	for _, v := range verdicts {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", v.scenario, v.aim, v.measured, v.word())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// line is a run for the one who watches.
func (r Run) line(s Scenario) string {
	line := fmt.Sprintf("%.0f requests/s, p50 %.0f us", r.rate(), r.P50)
	if s.Ramp > 0 {
		line = fmt.Sprintf("%d open at once, gap p99 %.1f ms", r.MostOpen, r.GapP99/1000)
	}
	if r.Target != Direct {
		line += fmt.Sprintf(", %.0f us of CPU each", r.CPU)
	}
	if s.Ramp > 0 && r.Target != Direct {
		line += fmt.Sprintf(", %.0f KiB each", r.streamKiB())
	}
	return fmt.Sprintf("%s, %d failed", line, r.Failed)
}
