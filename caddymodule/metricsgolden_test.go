package caddymodule

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// goldenMetrics is the file of all metrics: other people's dashboards use them.
const goldenMetrics = "testdata/metrics.golden"

// touch makes those metrics appear that only trouble brings about.
func touch() {
	lossesTotal.WithLabelValues("openai", "anthropic", "dropped")
	streamsBrokenTotal.WithLabelValues("p", "up", "broken")
	fallbacksTotal.WithLabelValues("m", "p", "up", "broken")
	unpricedTotal.WithLabelValues("p", "up")
	estimatedTotal.WithLabelValues("p", "up")
	costTotal.WithLabelValues("tests", "p", "up")
	betweenContentSeconds.WithLabelValues("p", "up")
	firstContentSeconds.WithLabelValues("p", "up")
}

func TestTheNamesOfMetricsStay(t *testing.T) {
	g, _ := operated(t)
	g.config = strings.Replace(g.config, "breaker {", "log postgres postgres://nobody@127.0.0.1:1/logs {\n spill "+filepath.Join(g.dir, "spill.db")+"\n}\n breaker {", 1)
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}
	touch()
	families := gather(t)
	var text strings.Builder
	for _, f := range families {
		fmt.Fprintf(&text, "%s %s {%s}\n    %s\n", f.name, f.kind, strings.Join(f.labels, ", "), f.help)
	}
	if *updateAdmin {
		if err := os.WriteFile(goldenMetrics, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenMetrics)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(want) {
		t.Errorf("%s differs; run with -update-admin and look at the difference. Got:\n%s", goldenMetrics, text.String())
	}
	served := admin(t, http.MethodGet, "/metrics", "").want(t, 200).body
	for _, f := range families {
		if problem := f.breach(); problem != "" {
			t.Errorf("%s: %s", f.name, problem)
		}
		if !strings.Contains(served, "# TYPE "+f.name+" ") {
			t.Errorf("/metrics of the administration does not have %s", f.name)
		}
	}
}

// family is a metric as the golden file has it.
type family struct {
	name, kind, help string
	labels           []string
}

// gather returns all metrics, and fails the test if one is described that is not
// there.
func gather(t *testing.T) (all []family) {
	t.Helper()
	registry := prometheus.NewRegistry()
	if err := registerMetrics(registry); err != nil {
		t.Fatal(err)
	}
	gathered, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range gathered {
		labels := make(map[string]bool)
		for _, m := range f.GetMetric() {
			for _, label := range m.GetLabel() {
				labels[label.GetName()] = true
			}
		}
		all = append(all, family{f.GetName(), strings.ToLower(f.GetType().String()), f.GetHelp(), slices.Sorted(maps.Keys(labels))})
	}
	described := make(chan *prometheus.Desc)
	go func() {
		defer close(described)
		registry.Describe(described)
	}()
	for desc := range described {
		_, name, _ := strings.Cut(desc.String(), `fqName: "`)
		name, _, _ = strings.Cut(name, `"`)
		if !slices.ContainsFunc(all, func(f family) bool { return f.name == name }) {
			t.Errorf("%s is described, but the test does not make it appear, so that the golden file lacks it", name)
		}
	}
	return all
}

// breach says which convention of Prometheus a metric breaks, if it breaks one.
func (f *family) breach() string {
	switch {
	case !strings.HasPrefix(f.name, "caddy_llm_proxy_"):
		return "wants our prefix"
	case !strings.HasSuffix(f.help, "."):
		return "wants a help that is a sentence"
	case (f.kind == "counter") != strings.HasSuffix(f.name, "_total"):
		return "counters end in _total, and nothing else does"
	case f.kind == "histogram" && !strings.HasSuffix(f.name, "_seconds"):
		return "is no histogram of seconds"
	}
	return ""
}

// The manual's table has every metric with its labels.
func TestTheManualTellsEveryMetric(t *testing.T) {
	table := section(t, "README.md", "## Metrics")
	for name, labels := range readGoldenMetrics(t) {
		row := regexp.MustCompile("(?m)^\\| .*`" + name + "`.*$").FindString(table)
		if row == "" {
			t.Errorf("caddymodule/README.md has no row for %s", name)
		}
		for _, label := range labels {
			if !strings.Contains(row, "`"+label+"`") {
				t.Errorf("caddymodule/README.md does not tell that %s has the label %s", name, label)
			}
		}
	}
}

// readGoldenMetrics are the labels of all metrics by their names.
func readGoldenMetrics(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(goldenMetrics)
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(line, " ") {
			continue
		}
		_, labels, _ := strings.Cut(rest, "{")
		labels = strings.TrimSuffix(labels, "}")
		all[name] = nil
		if labels != "" {
			all[name] = strings.Split(labels, ", ")
		}
	}
	return all
}
