//go:build unix

// Command clients runs real agents and SDKs through the gateway and prints how
// many scenarios each of them finishes on an upstream of each protocol. It fails
// if one is not finished. run.sh installs the clients and calls it.
//
// Every client has an upstream and a gateway of its own, so that the errors
// that a scenario scripts for one client rest the keys of no other, and so that
// the upstream's record is that client's alone.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// options is what the command line says.
type options struct {
	harness   string   // directory of the client harness
	caddy     string   // the gateway's binary; empty: no gateway in between
	clients   []string // names that the harness knows
	upstreams []upstream
	scenarios []string // of them, each client runs those that it can
	jobs      int      // clients that run at once
	keep      bool     // what the clients and servers leave, even if all is well
	markdown  bool     // print the table as Markdown
	results   string   // file for one line of JSON per run; empty: none
	patience  time.Duration
	limit     time.Duration
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
		defer stop()
		err = run(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("clients", flag.ContinueOnError)
	flags.StringVar(&o.harness, "harness", "", "`directory` of the client harness")
	flags.StringVar(&o.caddy, "caddy", "./caddy", "the gateway's `binary`")
	upstreams := flags.String("upstream", string(own), "comma-separated `names` of upstreams, or all: one of each protocol")
	scenarios := flags.String("scenarios", "", "comma-separated `names` (default: all)")
	flags.IntVar(&o.jobs, "jobs", 2, "`number` of clients that run at once")
	flags.BoolVar(&o.keep, "keep", false, "keep the logs even if all is well")
	flags.BoolVar(&o.markdown, "markdown", false, "print the table as Markdown")
	flags.StringVar(&o.results, "results", "", "`file` for one line of JSON per run")
	direct := flags.Bool("direct", false, "leave the gateway out")
	flags.DurationVar(&o.patience, "timeout", 2*time.Minute, "how `long` one client may take for one scenario")
	flags.DurationVar(&o.limit, "limit", 3*time.Hour, "how `long` everything may take")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.jobs < 1 {
		return o, errors.New("-jobs must be above 0")
	}
	if o.clients = flags.Args(); len(o.clients) == 0 {
		return o, errors.New("no client is named")
	}
	var err error
	if o.upstreams, err = parseUpstreams(*upstreams); err != nil {
		return o, err
	}
	if *direct {
		o.caddy, o.upstreams = "", []upstream{own}
	}
	if o.scenarios, err = parseScenarios(*scenarios); err != nil {
		return o, err
	}
	return o, absolute(&o.harness, &o.caddy, &o.results)
}

// absolute makes the paths independent of the working directory.
func absolute(paths ...*string) error {
	for _, path := range paths {
		if *path == "" {
			continue
		}
		full, err := filepath.Abs(*path)
		if err != nil {
			return err
		}
		*path = full
	}
	return nil
}

// run runs all clients and prints the table. What they leave is removed, unless
// one failed: then it is kept to be read.
func run(ctx context.Context, o options) error {
	ctx, cancel := context.WithTimeoutCause(ctx, o.limit, fmt.Errorf("not done after %v", o.limit))
	defer cancel()

	// Not below the repository: agents look for a project around their working
	// directory, and would take this one.
	work, err := os.MkdirTemp("", "llm-proxy-clients-")
	if err != nil {
		return err
	}
	results, err := runAll(ctx, o, work)
	shown := table(o.clients, o.upstreams, results)
	if o.markdown {
		shown = markdown(o.upstreams, results)
	}
	fmt.Print(shown, "\n", complaints(results))
	err = errors.Join(err, writeResults(o.results, results))
	if failed := failures(results); failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d failed", failed, len(results)))
	}
	if err == nil && !o.keep {
		return os.RemoveAll(work)
	}
	fmt.Fprintln(os.Stderr, "logs are in", work)
	return err
}

// runAll lets o.jobs pairings run at once. It fails if it ran out of time or
// was interrupted; what a client or a server does wrong is a result.
func runAll(ctx context.Context, o options, work string) ([]result, error) {
	var (
		queue   = make(chan pairing)
		workers sync.WaitGroup
		report  = newReporter(os.Stderr, countRuns(o))
	)
	for range o.jobs {
		workers.Go(func() {
			for p := range queue {
				runPairing(ctx, o, p, filepath.Join(work, p.client+"-on-"+string(p.upstream)), report)
			}
		})
	}
	for _, client := range o.clients {
		for _, u := range o.upstreams {
			select {
			case queue <- pairing{client, u}:
			case <-ctx.Done():
			}
		}
	}
	close(queue)
	workers.Wait()
	return report.results, context.Cause(ctx)
}
