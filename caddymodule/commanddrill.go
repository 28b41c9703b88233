package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/logging"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

func drillCommand() *cobra.Command {
	protocol := translate.Chat
	var stream bool
	var faults, only []string
	requests := 1
	cmd := &cobra.Command{
		Use:   "drill [<model>] [--fail <provider>=<fault> ...] [--protocol openai|responses|anthropic] [--stream]",
		Short: "Lets upstreams fail, and shows how routing answers",
		Long: `Lets upstreams fail, and shows how routing answers: what the client sees, what is
tried and passed over and why, which keys rest and which breakers open.

The provider and model files are yours, those of the Caddyfile in the working
directory where there is one, and nothing else: a simulated provider in this
process stands for every provider, keys are made up (as many as there are,
and at least one), and no host is ever asked. All waits are 200 times shorter.
Settings of the Caddyfile have their defaults. Without a model, a setup of two
providers that is built in is drilled.

A fault is a status (500; 429-7 with Retry-After: 7), hang, slow-2000, cut, eof,
empty, html, error-first, error-late, quota, context, policy, unreachable, or
several joined by "+". openai=500 means all keys of openai, openai#1=401 the
first. Without --fail there is a tour of scenarios.

Exits with 0 when each scenario ended as routing promises. Otherwise the findings
say why it could not, and what to add.`,
		Args: cobra.MaximumNArgs(1),
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&faults, "fail", nil, "What a provider, or one of its keys, answers; may be repeated")
	flags.StringSliceVar(&only, "scenario", nil, "Only these scenarios of the tour")
	flags.Var(aNumber(&requests, 1, 100), "requests", "How many requests there are, one after the other, with --fail")
	flags.Var(aProtocol(&protocol), "protocol", "What the client speaks: openai, responses or anthropic")
	flags.BoolVar(&stream, "stream", false, "The client wants a stream")
	addFileFlags(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, arguments []string) error {
		d := &driller{stream: stream, protocol: protocol}
		scenarios, err := scenariosOf(faults, only, requests)
		if err != nil {
			return err
		}
		if len(arguments) == 0 {
			var cleanUp func()
			if d.setup, cleanUp, err = builtInDrillSetup(); err != nil {
				return err
			}
			defer cleanUp()
			d.model, d.builtIn = drillModel, true
		} else {
			vars, err := readVariables(cmd)
			if err != nil {
				return err
			}
			options, err := drillOptions(cmd)
			if err != nil {
				return err
			}
			if d.setup, err = readDrillSetup(options, vars.environ); err != nil {
				return err
			}
			d.model = arguments[0]
		}
		return runDrill(cmd, d, scenarios)
	}
	return cmd
}

// drillOptions are the files that are drilled: those of the flags, else those of the
// Caddyfile in the working directory, where it has a block.
func drillOptions(cmd *cobra.Command) (routing.LoadOptions, error) {
	options := loadOptions(cmd, nil)
	if cmd.Flags().Changed("providers") || cmd.Flags().Changed("models") {
		return options, nil
	}
	const otherwise = "say with --providers and --models which files to drill"
	if err := adoptVariables(cmd); err != nil {
		return options, err
	}
	config, err := findConfiguration("")
	if err != nil {
		return options, fmt.Errorf("%w; put that right, or %s", err, otherwise)
	}
	if config == nil {
		return options, nil
	}
	options.ProvidersDir, options.ModelsDir = config.blocks[0].Providers, config.blocks[0].Models
	for _, block := range config.blocks[1:] {
		if block.Providers != options.ProvidersDir || block.Models != options.ModelsDir {
			return options, fmt.Errorf("the llm_proxy blocks of %s have different files; %s", config.path, otherwise)
		}
	}
	return options, nil
}

// scenariosOf are the scenarios that a command line asks for.
func scenariosOf(faults, only []string, requests int) ([]*scenario, error) {
	if len(faults) > 0 {
		if len(only) > 0 {
			return nil, usageError{"--scenario is for the tour, which there is without --fail"}
		}
		s, err := askedFor(requests, faults)
		return []*scenario{s}, err
	}
	if len(only) == 0 {
		return tour, nil
	}
	var names []string
	for _, s := range tour {
		names = append(names, s.name)
	}
	var scenarios []*scenario
	for _, name := range only {
		i := slices.Index(names, name)
		if i < 0 {
			return nil, usageError{fmt.Sprintf("--scenario takes %s, not %q", strings.Join(names, ", "), name)}
		}
		scenarios = append(scenarios, tour[i])
	}
	return scenarios, nil
}

func runDrill(cmd *cobra.Command, d *driller, scenarios []*scenario) error {
	// Files of the built-in setup are not to be left behind.
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report, err := d.drill(ctx, scenarios)
	if err != nil {
		return err
	}
	if err := show(cmd, report, func(out *output) { printDrill(out, report) }); err != nil {
		return err
	}
	if !report.OK {
		return errors.New("not every scenario ended as routing promises; the findings say what to do")
	}
	return nil
}

func printDrill(out *output, report *drillReport) {
	var made []string
	for _, provider := range slices.Sorted(maps.Keys(report.Keys)) {
		made = append(made, fmt.Sprintf("%s %d", provider, report.Keys[provider]))
	}
	if len(made) == 0 {
		made = []string{"none is wanted"}
	}
	files := ""
	if report.BuiltIn {
		files = " of the built-in setup"
	}
	out.printf("model %s%s; made-up keys: %s; no host is asked", report.Model, files, cell{escape(strings.Join(made, ", "))})
	held := 0
	for _, s := range report.Scenarios {
		out.printf("")
		verdict := out.paint(green, "as promised")
		if s.OK {
			held++
		} else {
			verdict = out.paint(red, "not as promised")
		}
		out.printf("%s: %s (%s)", s.Name, verdict, s.About)
		for i, r := range s.Requests {
			printDrilled(out, i+1, r)
		}
		for _, r := range s.Rests {
			out.printf("  rests      %s", restInWords(&r))
		}
		for _, b := range s.Breakers {
			out.printf("  breaker    %s, model %s, is asked last for %s", b.Provider, b.Model, inSeconds(b.Seconds))
		}
		for _, finding := range s.Findings {
			out.printf("  %s    %s", out.paint(yellow, "finding"), finding)
		}
	}
	out.printf("")
	out.printf("%d of %d scenarios ended as routing promises", held, len(report.Scenarios))
}

// printDrilled tells about one request.
func printDrilled(out *output, n int, r *drilled) {
	what := fmt.Sprintf("status %d", r.Status)
	switch {
	case r.Outcome == logging.OutcomeOK && r.Via != "":
		what += fmt.Sprintf(", answered by %s with model %s, of the fallback model %s", r.Provider, r.Model, r.Via)
	case r.Outcome == logging.OutcomeOK:
		what += fmt.Sprintf(", answered by %s with model %s", r.Provider, r.Model)
	default:
		what += ": " + r.Error
	}
	if wait := r.Headers["Retry-After"]; wait != "" {
		what += "; Retry-After: " + wait
	}
	out.printf("  request %d  %s, after %s", n, what, inMilliseconds(r.TookMS))
	for i := range r.Tried {
		a := &r.Tried[i]
		out.printf("    tried %d  %s, model %s, key %s, %s: %s", i+1, a.Provider, a.Model, a.KeyID, inMilliseconds(a.TookMS), attemptInWords(a))
	}
	for _, s := range r.Skipped {
		out.printf("    skipped  %s, model %s: %s", s.Provider, s.Model, skipInWords(&s))
	}
}

// restInWords tells what rests, for how long and why.
func restInWords(r *drillRest) string {
	what := fmt.Sprintf("%s, key %s (%s)", r.Provider, r.KeyID, cmp.Or(r.Variable, "none needed"))
	switch r.Scope {
	case keys.ScopeProvider:
		what = fmt.Sprintf("%s, with all its keys", r.Provider)
	case keys.ScopeKeyModel:
		what += ", for model " + r.Model
	}
	return fmt.Sprintf("%s, for %s: %s", what, inSeconds(r.Seconds), strings.ReplaceAll(string(r.Why), "_", " "))
}

func inSeconds(seconds float64) string {
	return time.Duration(seconds * float64(time.Second)).Round(time.Second).String()
}
