package caddymodule

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dashboard is the part of Grafana's dashboard model that holds queries.
type dashboard struct {
	Templating struct {
		List []struct {
			Name       string
			Type       string
			Definition string
			Query      json.RawMessage
		}
	}
	Panels []struct {
		ID      int
		Type    string
		Title   string
		GridPos struct{ H, W, X, Y int }
		Targets []struct {
			RefID, Expr, LegendFormat string
		}
	}
}

func readDashboard(t *testing.T) (d dashboard) {
	t.Helper()
	text, err := os.ReadFile("dashboard/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// notShown are metrics that the dashboard leaves out on purpose, and why.
var notShown = map[string]string{}

// The dashboard asks for nothing that is not there, and for all that is.
func TestTheDashboardAsksForWhatIsThere(t *testing.T) {
	d, metrics := readDashboard(t), readGoldenMetrics(t)
	shown := make(map[string]bool)
	variables := []string{"__rate_interval", "__range"}
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
		if v.Type != "query" {
			continue
		}
		q := valuesQuery.FindStringSubmatch(v.Definition)
		if q == nil || !slices.Contains(metrics[q[1]], q[2]) {
			t.Errorf("variable %s: %q asks for no label of a metric", v.Name, v.Definition)
		}
	}
	for _, panel := range d.Panels {
		if (panel.Type == "row") != (len(panel.Targets) == 0) {
			t.Errorf("panel %q of type %s has %d queries", panel.Title, panel.Type, len(panel.Targets))
		}
		for _, target := range panel.Targets {
			q, problem := readQuery(target.Expr)
			if problem != "" {
				t.Errorf("panel %q: %s: %s", panel.Title, target.Expr, problem)
				continue
			}
			for _, problem := range q.judge(metrics, variables, target.LegendFormat) {
				t.Errorf("panel %q: %s: %s", panel.Title, target.Expr, problem)
			}
			for _, selector := range q.selectors {
				shown[selector.metric(metrics)] = true
			}
		}
	}
	for name := range metrics {
		if _, left := notShown[name]; left == shown[name] {
			t.Errorf("%s is shown: %t, left out on purpose: %t", name, shown[name], left)
		}
	}
}

func TestTheDashboardsPanelsDoNotOverlap(t *testing.T) {
	taken := make(map[[2]int]string)
	ids := make(map[int]bool)
	for _, panel := range readDashboard(t).Panels {
		if ids[panel.ID] {
			t.Errorf("two panels have the id %d", panel.ID)
		}
		ids[panel.ID] = true
		at := panel.GridPos
		if at.X+at.W > 24 || at.W == 0 || at.H == 0 {
			t.Errorf("panel %q is at %+v", panel.Title, at)
		}
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Errorf("panel %q lies upon %q", panel.Title, other)
				}
				taken[[2]int{x, y}] = panel.Title
			}
		}
	}
}

// query is what a PromQL expression of the dashboard is made of.
type query struct {
	selectors []selector
	grouped   []string // labels of by (...)
	variables []string
	functions []string
}

// selector is a metric and the labels that it is chosen by.
type selector struct {
	name   string
	labels []string
}

// metric is the name that the golden file has.
func (s selector) metric(metrics map[string][]string) string {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		if name, cut := strings.CutSuffix(s.name, suffix); cut && strings.HasSuffix(name, "_seconds") {
			if _, known := metrics[name]; known {
				return name
			}
		}
	}
	return s.name
}

var (
	valuesQuery = regexp.MustCompile(`^label_values\((\w+), (\w+)\)$`)

	// The parts of PromQL that the dashboard uses; anything else is a problem.
	queryParts = regexp.MustCompile(`^(?:` +
		`(?P<by>by \((?P<labels>[\w, ]+)\))` +
		`|(?P<metric>caddy_\w+)(?:\{(?P<matchers>[^}]*)\})?` +
		`|\[\$(?P<variable>\w+)\]` +
		`|(?P<replace>, "(?P<replaced>\w+)", "[^"]+", "(?P<source>\w+)", "[^"]*"\))` + // the end of label_replace
		`|(?P<other>or vector\(0\)|> 0|[0-9.]+|[()*/,] ?| )` + // before functions, or these would be some
		`|(?P<function>[a-z_]+)(?: ?\(| )` +
		`)`)
	queryMatcher = regexp.MustCompile(`^(\w+)(=|!=|=~|!~)"([^"]*)"$`)
	legendLabel  = regexp.MustCompile(`\{\{(\w+)\}\}`)
)

// readQuery takes an expression apart.
func readQuery(expr string) (q query, problem string) {
	part := func(found []string, name string) string { return found[queryParts.SubexpIndex(name)] }
	if strings.Count(expr, "(") != strings.Count(expr, ")") {
		return q, "the brackets do not match"
	}
	for rest := expr; rest != ""; {
		found := queryParts.FindStringSubmatch(rest)
		if found == nil {
			return q, "what is " + rest + "?"
		}
		rest = rest[len(found[0]):]
		switch {
		case part(found, "by") != "":
			q.grouped = append(q.grouped, strings.Split(part(found, "labels"), ", ")...)
		case part(found, "replace") != "":
			q.grouped = append(q.grouped, part(found, "replaced"), part(found, "source"))
		case part(found, "metric") != "":
			s := selector{name: part(found, "metric")}
			for matcher := range strings.SplitSeq(part(found, "matchers"), ",") {
				if matcher == "" {
					continue
				}
				m := queryMatcher.FindStringSubmatch(matcher)
				if m == nil {
					return q, "what is {" + matcher + "}?"
				}
				s.labels = append(s.labels, m[1])
				if name, is := strings.CutPrefix(m[3], "$"); is {
					q.variables = append(q.variables, name)
				}
			}
			q.selectors = append(q.selectors, s)
		case part(found, "variable") != "":
			q.variables = append(q.variables, part(found, "variable"))
		case part(found, "function") != "":
			q.functions = append(q.functions, part(found, "function"))
		}
	}
	return q, ""
}

// judge says what is wrong with a query.
func (q *query) judge(metrics map[string][]string, variables []string, legend string) (problems []string) {
	functions := []string{"sum", "min", "max", "rate", "increase", "histogram_quantile", "label_replace"}
	for _, f := range q.functions {
		if !slices.Contains(functions, f) {
			problems = append(problems, f+" is no function that the dashboard uses")
		}
	}
	for _, v := range q.variables {
		if !slices.Contains(variables, v) {
			problems = append(problems, "$"+v+" is no variable")
		}
	}
	if len(q.selectors) == 0 {
		problems = append(problems, "it asks for no metric")
	}
	for _, s := range q.selectors {
		labels, known := metrics[s.metric(metrics)]
		if !known {
			problems = append(problems, s.name+" is no metric")
		}
		if strings.HasSuffix(s.name, "_bucket") {
			labels = append(slices.Clone(labels), "le")
		}
		for _, label := range slices.Concat(s.labels, q.grouped) {
			if !slices.Contains(labels, label) {
				problems = append(problems, s.name+" has no label "+label)
			}
		}
		if counter := strings.HasSuffix(s.name, "_total") || strings.HasSuffix(s.name, "_bucket"); counter != slices.ContainsFunc(q.functions, func(f string) bool { return f == "rate" || f == "increase" }) {
			problems = append(problems, s.name+": counters, and only they, are asked how they grow")
		}
	}
	for _, label := range legendLabel.FindAllStringSubmatch(legend, -1) {
		if !slices.Contains(q.grouped, label[1]) {
			problems = append(problems, "the legend's "+label[1]+" is not grouped by")
		}
	}
	return problems
}

// The test above would not be worth much if it took anything.
func TestAWrongQueryOfTheDashboardIsFound(t *testing.T) {
	metrics, variables := readGoldenMetrics(t), []string{"__rate_interval", "provider"}
	for expr, want := range map[string]string{
		`sum by (provider) (rate(caddy_llm_proxy_attempts_total{provider=~"$provider"}[$__rate_interval]))`: "",
		`sum(caddy_llm_proxy_open_streams)`:                                                                                 "",
		`sum(rate(caddy_llm_proxy_attempt_total[$__rate_interval]))`:                                                        "is no metric",
		`sum(rate(caddy_llm_proxy_attempts_total{host="x"}[$__rate_interval]))`:                                             "no label host",
		`sum by (host) (rate(caddy_llm_proxy_attempts_total[$__rate_interval]))`:                                            "no label host",
		`sum(caddy_llm_proxy_attempts_total)`:                                                                               "are asked how they grow",
		`sum(rate(caddy_llm_proxy_open_streams[$__rate_interval]))`:                                                         "are asked how they grow",
		`sum(rate(caddy_llm_proxy_attempts_total{provider=~"$nobody"}[$__rate_interval]))`:                                  "is no variable",
		`mean(caddy_llm_proxy_open_streams)`:                                                                                "no function",
		`sum(caddy_llm_proxy_open_streams`:                                                                                  "brackets",
		`sum(caddy_llm_proxy_open_streams) > 5`:                                                                             "what is > 5?",
		`sum(caddy_llm_proxy_open_streams) or vector(0)`:                                                                    "",
		`sum(caddy_llm_proxy_open_streams) or vector(1)`:                                                                    "no function",
		`label_replace(sum by (provider) (caddy_llm_proxy_keys), "provider", "(none)", "provider", "")`:                     "",
		`label_replace(sum by (provider) (caddy_llm_proxy_keys), "host", "(none)", "provider", "")`:                         "no label host",
		`label_replace(sum by (provider) (caddy_llm_proxy_keys), provider, "(none)", "provider", "")`:                       "what is provider",
		`sum(caddy_llm_proxy_keys{provider})`:                                                                               "what is {provider}?",
		`histogram_quantile(0.5, sum by (le) (rate(caddy_llm_proxy_overhead_seconds_bucket{model="x"}[$__rate_interval])))`: "no label model",
		`sum(rate(caddy_llm_proxy_overhead_seconds_buckets[$__rate_interval]))`:                                             "is no metric",
	} {
		q, problem := readQuery(expr)
		if problem == "" {
			problem = strings.Join(q.judge(metrics, variables, ""), "; ")
		}
		if (problem == "") != (want == "") || !strings.Contains(problem, want) {
			t.Errorf("%s: %q, want %q", expr, problem, want)
		}
	}
}
