//go:build unix

package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// reporter collects results and tells about each as it comes.
type reporter struct {
	mu      sync.Mutex
	out     io.Writer
	total   int
	results []result
}

func newReporter(out io.Writer, total int) *reporter {
	return &reporter{out: out, total: total}
}

func (p *reporter) add(r result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.results = append(p.results, r)
	fmt.Fprintf(p.out, "[%d/%d] %s %s %s, %.1f s\n", len(p.results), p.total, verdict(r), r.Client, r.Scenario, seconds(r))
	for _, problem := range r.Problems {
		fmt.Fprintf(p.out, "        %s\n", problem)
	}
}

func verdict(r result) string {
	if r.OK {
		return "PASS"
	}
	return "FAIL"
}

func seconds(r result) float64 { return float64(r.Millis) / 1000 }

func failures(results []result) int {
	n := 0
	for _, r := range results {
		if !r.OK {
			n++
		}
	}
	return n
}

// table is Markdown: a row for each client, a column for each scenario, and
// below it what went wrong.
func table(clients, scenarios []string, results []result) string {
	cells := make(map[[2]string]string)
	var problems strings.Builder
	for _, r := range results {
		cells[[2]string{r.Client, r.Scenario}] = fmt.Sprintf("%s %.1f s", verdict(r), seconds(r))
		if r.OK {
			continue
		}
		fmt.Fprintf(&problems, "\n- %s, %s:\n", r.Client, r.Scenario)
		for _, problem := range r.Problems {
			fmt.Fprintf(&problems, "  - %s\n", problem)
		}
		if stderr := strings.Join(strings.Fields(r.Stderr), " "); stderr != "" {
			fmt.Fprintf(&problems, "  - it says: %s\n", stderr)
		}
	}

	var b strings.Builder
	fmt.Fprintf(&b, "| client | %s |\n", strings.Join(scenarios, " | "))
	fmt.Fprintf(&b, "|---|%s\n", strings.Repeat("---|", len(scenarios)))
	for _, client := range clients {
		fmt.Fprintf(&b, "| %s |", client)
		for _, scenario := range scenarios {
			cell, ran := cells[[2]string{client, scenario}]
			if !ran {
				cell = "-"
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "\n%d of %d passed.\n", len(results)-failures(results), len(results))
	b.WriteString(problems.String())
	return b.String()
}
