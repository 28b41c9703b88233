package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// testsAtOnce bounds how many keys are tested at the same time.
const testsAtOnce = 8

// keyTestReport is what came of the test of one key.
type keyTestReport struct {
	Provider string `json:"provider"`
	Key      string `json:"key"`      // its public name; empty for a provider that takes none
	Variable string `json:"variable"` // that it comes from
	// Result is ok, dead, rate limited, unreachable or unclear.
	Result routing.KeyVerdict `json:"result"`
	Asked  string             `json:"asked"` // for: models, one token; empty: nothing
	Reason string             `json:"reason"`
	// DurationMS is how long the answer took, in milliseconds.
	DurationMS int64 `json:"duration_ms"`
}

// keyToTest is one key, and how to ask about it.
type keyToTest struct {
	provider *routing.Provider
	key      *keys.Key
	test     *routing.KeyTest
}

func keysTestCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "test [<provider>]",
		Short: "Asks providers whether their keys work",
		Long: `Asks providers whether the keys that are set here work: all enabled ones, or the
one that is named.

A provider is asked for its list of models, which costs nothing, where it has one
that takes a key; else for one token of an answer of a model that a model file
names.

A key is ok, dead (the provider refuses it), rate limited (it is good, but has to
wait), unreachable (the provider could not be asked, or had a fault of its own) or
unclear (the answer tells nothing about the key). Exits with 1 unless every key is
ok or rate limited, and when there is no key.`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 20*time.Second, "How long to wait for a provider's answer about a key")
	addFileFlags(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, arguments []string) error {
		if timeout <= 0 {
			return usageError{"--timeout takes a time above 0, such as 20s"}
		}
		catalog, _, vars, err := loadCatalog(cmd)
		if err != nil {
			return err
		}
		providers := catalog.Providers()
		if len(arguments) > 0 {
			p, ok := catalog.Provider(arguments[0])
			if !ok {
				return unknownProviderName(arguments[0])
			}
			providers = []*routing.Provider{p}
		} else {
			providers = slices.DeleteFunc(slices.Clone(providers), func(p *routing.Provider) bool { return !p.Enabled || p.Keyless() })
		}
		transport := http.DefaultTransport.(*http.Transport).Clone()
		defer transport.CloseIdleConnections()
		var tests []keyToTest
		for _, p := range providers {
			tests = append(tests, testsOf(catalog, p, vars.environ, transport)...)
		}
		if len(tests) == 0 {
			switch len(providers) {
			case 0:
				return errors.New("no enabled provider takes a key; llm-proxy add provider makes one that does")
			case 1:
				return fmt.Errorf("no key of %s is set; set %s", providers[0].ID, keys.Variable(providers[0].ID, providers[0].KeyPatterns()))
			}
			return errors.New("no key is set; llm-proxy env check tells which variables are wanted")
		}
		out := newOutput(cmd)
		progress := cmd.ErrOrStderr()
		if out.json {
			progress = io.Discard
		}
		reports := runTests(cmd.Context(), tests, timeout, progress)
		if err := printTests(out, reports); err != nil {
			return err
		}
		if err := out.flush(cmd); err != nil {
			return err
		}
		return testFailure(reports)
	}
	return cmd
}

// testsOf are the tests of a provider's keys, and of those that only single routes
// to it use.
func testsOf(catalog *routing.Catalog, p *routing.Provider, environ []string, transport http.RoundTripper) []keyToTest {
	own := &routing.KeyTest{Provider: p, BaseURL: p.BaseURL, Transport: transport}
	var tests []keyToTest
	for _, key := range ownKeys(p, environ) {
		tests = append(tests, keyToTest{p, key, own})
	}
	for _, m := range catalog.Models() {
		for i := range m.ModelRoutings {
			r := &m.ModelRoutings[i]
			if r.Provider != p {
				continue
			}
			model := r.Model
			if model == "*" {
				model = "" // the client decides
			}
			if len(r.APIKeyEnv) == 0 {
				own.Model = cmp.Or(own.Model, model)
				continue
			}
			special, _ := keys.Discover(p.ID, r.APIKeyEnv, environ)
			test := &routing.KeyTest{Provider: p, BaseURL: r.BaseURL, Model: model, Transport: transport}
			for _, key := range special {
				if !slices.ContainsFunc(tests, func(t keyToTest) bool { return t.key.ID == key.ID && t.test.BaseURL == r.BaseURL }) {
					tests = append(tests, keyToTest{p, key, test})
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Models)) {
		own.Model = cmp.Or(own.Model, name)
	}
	return tests
}

// runTests makes tests, some at a time, and tells of each on progress when it has
// ended. The reports are in the order of the tests.
func runTests(ctx context.Context, tests []keyToTest, timeout time.Duration, progress io.Writer) []keyTestReport {
	reports := make([]keyTestReport, len(tests))
	slots := make(chan struct{}, testsAtOnce)
	var all sync.WaitGroup
	var mu sync.Mutex // of done and progress
	done := 0
	for i := range tests {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			reports[i] = tests[i].run(ctx, timeout)
			mu.Lock()
			defer mu.Unlock()
			done++
			r := &reports[i]
			fmt.Fprintf(progress, "[%d/%d] %s\n", done, len(tests), escape(strings.TrimSpace(r.Provider+" "+r.Key)+": "+string(r.Result)))
		})
	}
	all.Wait()
	return reports
}

func (t *keyToTest) run(ctx context.Context, timeout time.Duration) keyTestReport {
	report := keyTestReport{Provider: t.provider.ID, Key: t.key.ID, Variable: t.key.Source}
	if t.provider.Keyless() {
		report.Key = ""
	}
	if t.provider.Unusable != "" {
		report.Result, report.Reason = routing.KeyUnreachable, t.provider.Unusable
		return report
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	begin := time.Now()
	opinion := t.test.Ask(ctx, t.key)
	report.Result, report.Asked, report.Reason = opinion.Verdict, opinion.Asked, opinion.Reason
	report.DurationMS = time.Since(begin).Milliseconds()
	return report
}

func printTests(out *output, reports []keyTestReport) error {
	if out.json {
		return out.printJSON(reports)
	}
	table := out.newTable("PROVIDER", "KEY", "VARIABLE", out.paint(uncoloured, "RESULT"), "ASKED FOR", "WHY")
	for _, r := range reports {
		c := red
		switch r.Result {
		case routing.KeyOK:
			c = green
		case routing.KeyLimited, routing.KeyUnclear:
			c = yellow
		}
		table.row(r.Provider, r.Key, r.Variable, out.paint(c, string(r.Result)), r.Asked, r.Reason)
	}
	table.end()
	return nil
}

// testFailure sums up what is wrong with the keys.
func testFailure(reports []keyTestReport) error {
	count := make(map[routing.KeyVerdict]int)
	for _, r := range reports {
		count[r.Result]++
	}
	var problems []string
	for _, bad := range []struct {
		verdict routing.KeyVerdict
		fix     string
	}{
		{routing.KeyRefused, "replace what is dead, or take it out of the environment"},
		{routing.KeyUnreachable, "see whether the provider is up and its base_url right"},
		{routing.KeyUnclear, "see what the provider says"},
	} {
		if n := count[bad.verdict]; n > 0 {
			problems = append(problems, fmt.Sprintf("%d of %d keys %s: %s", n, len(reports), bad.verdict, bad.fix))
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return errors.New(strings.Join(problems, "; "))
}
