// Package bench measures what llm_proxy costs beside Caddy's own reverse_proxy:
// CPU time per request, latency, and memory per open stream, all in one run and
// against one simulated upstream.
package bench

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/load"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/process"
)

// settle is how long an idle target rests after its warm-up, before its memory
// is read and streams are opened.
const settle = time.Second

// Options say what to measure and how.
type Options struct {
	// Caddy is the binary that serves the targets.
	Caddy string
	// Upstream is the command that serves the simulated upstream at the address
	// that is appended to it.
	Upstream []string
	// Targets to measure, of those that Targets lists.
	Targets []string
	// Only scenarios whose names match. Default: all.
	Only *regexp.Regexp
	// Full adds the scenarios that are rare.
	Full bool
	// Rounds visit every target once. The scenario of open streams, which takes
	// as long as its streams, has half as many.
	Rounds int
	// Duration of a run.
	Duration time.Duration
	// Quick makes the open streams fewer and shorter, and the report say so.
	Quick bool
	// Profiles is the directory for profiles of llm_proxy, with and without its log. Default: none are taken.
	Profiles string

	// Report receives tables in Markdown, Progress a line per run, and Lines,
	// unless it is nil, a JSON object per run.
	Report, Progress, Lines io.Writer
}

// Main runs the benchmark and ends all that it started before it returns. The
// error tells of everything that went wrong, among it each answer that was not
// complete, but not of missed aims. It must be called from a goroutine that is
// locked to its thread (see process.Start).
func Main(ctx context.Context, o Options) error {
	if err := process.Supported(); err != nil {
		return err
	}
	scenarios, err := o.scenarios()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "llm-proxy-bench-")
	if err != nil {
		return fmt.Errorf("making a directory for configurations: %w", err)
	}
	defer os.RemoveAll(dir)
	upstream, address, err := startUpstream(ctx, o.Upstream)
	if err != nil {
		return err
	}
	defer upstream.Stop()
	b := &bench{
		Options:  o,
		upstream: upstream.PID(),
		workshop: workshop{caddy: o.Caddy, upstream: address, admin: o.Profiles != "", dir: dir},
	}
	if err := b.workshop.writeModels(scenarios); err != nil {
		return err
	}
	return b.all(ctx, scenarios)
}

// scenarios are those to run. It prepares this process for them.
func (o Options) scenarios() ([]Scenario, error) {
	var chosen []Scenario
	files := 0
	for _, s := range Scenarios() {
		if s.Rare && !o.Full || o.Only != nil && !o.Only.MatchString(s.Name) {
			continue
		}
		if o.Quick {
			s = s.quick()
		}
		chosen = append(chosen, s)
		files = max(files, s.Connections)
	}
	if len(chosen) == 0 {
		return nil, errors.New("no scenario has such a name, or only one of a full benchmark")
	}
	// A proxy has two connections per stream; the rest is for its other files.
	return chosen, process.RaiseFileLimit(uint64(2*files + 256))
}

func startUpstream(ctx context.Context, argv []string) (*process.Child, string, error) {
	addresses, err := freeAddresses(1)
	if err != nil {
		return nil, "", fmt.Errorf("looking for a free port: %w", err)
	}
	child, err := process.Start(process.Command{Argv: append(slices.Clone(argv), addresses[0])})
	if err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := child.AwaitPort(ctx, addresses[0]); err != nil {
		child.Stop()
		return nil, "", fmt.Errorf("starting the upstream: %w", err)
	}
	return child, addresses[0], nil
}

// bench is a benchmark in progress.
type bench struct {
	Options
	workshop workshop
	upstream int // process id
}

// all runs the scenarios and reports on each when it is done.
func (b *bench) all(ctx context.Context, scenarios []Scenario) error {
	if b.Quick {
		fmt.Fprintln(b.Report, "A quick run shows that everything works; its numbers mean little.")
		fmt.Fprintln(b.Report)
	}
	var verdicts []verdict
	var failures []error
	for _, s := range scenarios {
		runs, err := b.scenario(ctx, s)
		if err != nil {
			return errors.Join(append(failures, fmt.Errorf("%s: %w", s.Name, err))...)
		}
		for _, r := range runs {
			failures = append(failures, r.failure(s))
		}
		if err := writeTable(b.Report, s, runs); err != nil {
			return err
		}
		verdicts = append(verdicts, judge(s, runs)...)
	}
	return errors.Join(append(failures, writeVerdicts(b.Report, verdicts))...)
}

// scenario runs all rounds of one scenario, each target in turn, so that a
// change in the machine's other load meets all of them alike.
func (b *bench) scenario(ctx context.Context, s Scenario) ([]Run, error) {
	rounds := b.Rounds
	if s.Ramp > 0 {
		rounds = (rounds + 1) / 2
	}
	on := stage{}
	defer on.clear()
	var runs []Run
	for round := range rounds {
		for _, name := range b.Targets {
			t, err := b.enter(ctx, s, on, name)
			if err != nil {
				return nil, err
			}
			r, err := b.measure(ctx, s, t, round+1)
			if err != nil {
				return nil, fmt.Errorf("measuring %s: %w", name, err)
			}
			if err := b.tell(s, r, rounds); err != nil {
				return nil, err
			}
			runs = append(runs, r)
		}
	}
	for _, name := range []string{LLMProxy, Logging} {
		t := on[name]
		if t == nil || b.Profiles == "" {
			continue
		}
		fmt.Fprintf(b.Progress, "%s: profiling %s\n", s.Name, name)
		if err := profile(ctx, b.Profiles, s, t, plan(s, t, b.Duration)); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// stage is the running targets of a scenario, by name.
type stage map[string]*target

func (on stage) clear() {
	for _, t := range on {
		t.stop()
	}
}

// enter brings a warm target on the stage, if none of that name is there that
// can be used again.
func (b *bench) enter(ctx context.Context, s Scenario, on stage, name string) (*target, error) {
	if t := on[name]; t != nil {
		if s.Ramp == 0 {
			return t, nil
		}
		// What a process has once taken for streams it does not give back
		// soon: idle again, it would look larger than it is.
		t.stop()
		delete(on, name)
	}
	t, err := b.prepare(ctx, s, name)
	if err != nil {
		return nil, err
	}
	on[name] = t
	return t, nil
}

// tell reports one run.
func (b *bench) tell(s Scenario, r Run, rounds int) error {
	fmt.Fprintf(b.Progress, "%s: round %d of %d, %s: %s\n", s.Name, r.Round, rounds, r.Target, r.line(s))
	if b.Lines == nil {
		return nil
	}
	return json.NewEncoder(b.Lines).Encode(r)
}

// prepare starts a target and warms it up.
func (b *bench) prepare(ctx context.Context, s Scenario, name string) (*target, error) {
	t, err := b.workshop.start(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := b.warm(ctx, s, t); err != nil {
		t.stop()
		return nil, fmt.Errorf("warming up %s: %w", name, err)
	}
	return t, nil
}

func (b *bench) warm(ctx context.Context, s Scenario, t *target) error {
	result, err := load.Run(ctx, plan(s.warmUp(), t, b.Duration/2))
	if err != nil {
		return err
	}
	if result.Failed > 0 || result.Complete == 0 {
		return fmt.Errorf("%d of %d requests failed: %s", result.Failed, result.Failed+result.Complete, someErrors(result.Errors))
	}
	if s.Ramp > 0 {
		select {
		case <-time.After(settle):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	memory, err := t.memory()
	t.idle = memory.Resident
	return err
}

// ParseTargets checks names of targets and brings them into the order of a
// round.
func ParseTargets(names []string) ([]string, error) {
	known := Targets()
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("no target is called %q, but these are: %q", name, known)
		}
	}
	chosen := slices.Clone(names)
	slices.SortFunc(chosen, func(a, b string) int { return cmp.Compare(slices.Index(known, a), slices.Index(known, b)) })
	return slices.Compact(chosen), nil
}
