//go:build unix

package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"text/tabwriter"
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
	fmt.Fprintf(p.out, "[%d/%d] %s %s on %s, %s, %.1f s\n", len(p.results), p.total, r.verdict(), r.Client, r.Upstream, r.Scenario, r.seconds())
	for _, problem := range r.Problems {
		fmt.Fprintf(p.out, "        %s\n", problem)
	}
}

// tally counts the runs of a cell.
type tally struct{ passed, total int }

func (t tally) String() string {
	if t.total == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", t.passed, t.total)
}

// count counts the results that belong to a cell.
func count(results []result, belongs func(result) bool) tally {
	var t tally
	for _, r := range results {
		if !belongs(r) {
			continue
		}
		t.total++
		if r.OK {
			t.passed++
		}
	}
	return t
}

// table has a row for each client and a column for each upstream.
func table(clients []string, columns []upstream, results []result) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	row := func(name string, cell func(upstream) string) {
		fmt.Fprint(w, name)
		for _, u := range columns {
			fmt.Fprintf(w, "\t%s", cell(u))
		}
		fmt.Fprintln(w)
	}
	cells := func(name string, mine func(result) bool) {
		row(name, func(u upstream) string {
			return count(results, func(r result) bool { return r.Upstream == u && mine(r) }).String()
		})
	}
	row("client", func(u upstream) string { return string(u) })
	for _, client := range clients {
		cells(client, func(r result) bool { return r.Client == client })
	}
	cells("all", func(result) bool { return true })
	_ = w.Flush() // to memory
	return b.String()
}

// markdown has the results for README.md beside this file: a row for each family of clients.
func markdown(columns []upstream, results []result) string {
	var b strings.Builder
	b.WriteString("| client |")
	for _, u := range columns {
		fmt.Fprintf(&b, " %s |", u.title())
	}
	b.WriteString("\n|---|" + strings.Repeat("---|", len(columns)) + "\n")
	for _, f := range families {
		if count(results, f.has).total == 0 {
			continue
		}
		fmt.Fprintf(&b, "| %s |", f.title)
		for _, u := range columns {
			cell := count(results, func(r result) bool { return r.Upstream == u && f.has(r) })
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// complaints lists what went wrong.
func complaints(results []result) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d passed.\n", len(results)-failures(results), len(results))
	for _, r := range results {
		if r.OK {
			continue
		}
		fmt.Fprintf(&b, "\n- %s on %s, %s:\n", r.Client, r.Upstream, r.Scenario)
		for _, problem := range r.Problems {
			fmt.Fprintf(&b, "  - %s\n", problem)
		}
		if r.Stderr != "" {
			fmt.Fprintf(&b, "  - it says: %s\n", r.Stderr)
		}
	}
	return b.String()
}
