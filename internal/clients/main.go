//go:build unix

// Command clients runs real agents and SDKs through the gateway and prints
// which of them finish which scenario, as a Markdown table. It fails if one
// does not. run.sh installs the clients and calls it.
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
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// options is what the command line says.
type options struct {
	harness   string   // directory of the client harness
	caddy     string   // the gateway's binary; empty: no gateway in between
	clients   []string // names that the harness knows
	scenarios []string // of them, each client runs those that it can
	jobs      int      // clients that run at once
	keep      bool     // what the clients and servers leave, even if all is well
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
	scenarios := flags.String("scenarios", "", "comma-separated `names` (default: all)")
	flags.IntVar(&o.jobs, "jobs", 2, "`number` of clients that run at once")
	flags.BoolVar(&o.keep, "keep", false, "keep the logs even if all is well")
	direct := flags.Bool("direct", false, "leave the gateway out")
	flags.DurationVar(&o.patience, "timeout", 2*time.Minute, "how `long` one client may take for one scenario")
	flags.DurationVar(&o.limit, "limit", time.Hour, "how `long` everything may take")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.jobs < 1 {
		return o, errors.New("-jobs must be above 0")
	}
	if o.clients = flags.Args(); len(o.clients) == 0 {
		return o, errors.New("no client is named")
	}
	if *direct {
		o.caddy = ""
	}
	o.scenarios = allScenarios()
	if *scenarios != "" {
		o.scenarios = strings.Split(*scenarios, ",")
	}
	for _, name := range o.scenarios {
		if !slices.Contains(allScenarios(), name) {
			return o, fmt.Errorf("unknown scenario %q; there are %s", name, strings.Join(allScenarios(), ", "))
		}
	}
	return o, absolute(&o.harness, &o.caddy)
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
	fmt.Print(table(o.clients, o.scenarios, results))
	if failed := failures(results); failed > 0 {
		err = errors.Join(err, fmt.Errorf("%d of %d failed", failed, len(results)))
	}
	if err == nil && !o.keep {
		return os.RemoveAll(work)
	}
	fmt.Fprintln(os.Stderr, "logs are in", work)
	return err
}

// runAll lets o.jobs clients run at once. An error is one of the servers; what
// a client does wrong is a result.
func runAll(ctx context.Context, o options, work string) ([]result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		queue   = make(chan string)
		workers sync.WaitGroup
		report  = newReporter(os.Stderr, countRuns(o.clients, o.scenarios))
	)
	for range o.jobs {
		workers.Go(func() {
			for client := range queue {
				if err := runClient(ctx, o, client, filepath.Join(work, client), report); err != nil {
					cancel(fmt.Errorf("%s: %w", client, err))
				}
			}
		})
	}
	for _, client := range o.clients {
		select {
		case queue <- client:
		case <-ctx.Done():
		}
	}
	close(queue)
	workers.Wait()
	return report.results, context.Cause(ctx)
}
