// Command bench measures what llm_proxy costs beside Caddy's own reverse_proxy
// and prints the result as Markdown. It needs a Caddy binary with llm_proxy:
//
//	go run ./internal/bench/cmd/bench -caddy ./caddy
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/upstream"
)

// upstreamCommand is the hidden subcommand as which this program starts itself
// to simulate the upstream.
const upstreamCommand = "upstream"

func init() {
	// Children live as long as the thread that starts them, and the main
	// goroutine starts them: keep it on the main thread, which lives longest.
	runtime.LockOSThread()
}

func main() {
	run := benchmark
	if len(os.Args) > 1 && os.Args[1] == upstreamCommand {
		run = serveUpstream
	}
	switch err := run(os.Args[1:]); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func serveUpstream(args []string) error {
	flags := flag.NewFlagSet(upstreamCommand, flag.ContinueOnError)
	address := flags.String("addr", "127.0.0.1:9900", "listen `address`")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", *address)
	if err != nil {
		return err
	}
	return upstream.Serve(listener)
}

func benchmark(args []string) (err error) {
	o, lines, err := options(args)
	if err != nil {
		return err
	}
	if lines != "" {
		file, err := os.Create(lines)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		o.Lines = file
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := bench.Main(ctx, o); ctx.Err() == nil {
		return err
	}
	return errors.New("interrupted")
}

// options reads the flags; lines is the file for JSON, which is not yet open.
func options(args []string) (o bench.Options, lines string, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	caddy := flags.String("caddy", "./caddy", "Caddy `binary` with llm_proxy")
	targets := flags.String("targets", strings.Join(bench.Targets(), ","), "`names` of targets to measure, separated by commas")
	only := flags.String("only", "", "measure only scenarios whose names match the `regexp`")
	flags.BoolVar(&o.Full, "full", false, "measure all six crossings from one protocol to another, and not only Messages on Chat Completions and Responses on Messages")
	flags.IntVar(&o.Rounds, "rounds", 5, "visit every target `n` times per scenario")
	flags.DurationVar(&o.Duration, "d", 2*time.Second, "`duration` of a run")
	flags.BoolVar(&o.Quick, "quick", false, "see in some seconds that all scenarios work; the numbers mean little (overrides -rounds and -d)")
	flags.StringVar(&o.Profiles, "pprof", "", "keep profiles of llm_proxy in the `directory`: CPU time, or the heap with open streams")
	flags.StringVar(&lines, "json", "", "write a JSON object per run to the `file`")
	if err := flags.Parse(args); err != nil {
		return o, "", err
	}
	o.Report, o.Progress = os.Stdout, os.Stderr
	if flags.NArg() > 0 || o.Rounds < 1 || o.Duration <= 0 {
		return o, "", errors.New("arguments, and rounds or durations below 1, make no sense: see -help")
	}
	if o.Quick {
		o.Rounds, o.Duration = 1, 150*time.Millisecond
	}
	if o.Targets, err = bench.ParseTargets(strings.Split(*targets, ",")); err != nil {
		return o, "", err
	}
	if o.Only, err = regexp.Compile(*only); err != nil {
		return o, "", fmt.Errorf("reading -only: %w", err)
	}
	return o, lines, paths(&o, *caddy)
}

// paths completes what names files: targets run in another directory.
func paths(o *bench.Options, caddy string) (err error) {
	if o.Caddy, err = filepath.Abs(caddy); err != nil {
		return err
	}
	if _, err := os.Stat(o.Caddy); err != nil {
		return fmt.Errorf("looking for Caddy, which ./xcaddy.sh builds: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("looking for this program: %w", err)
	}
	o.Upstream = []string{self, upstreamCommand, "-addr"}
	if o.Profiles == "" {
		return nil
	}
	return os.MkdirAll(o.Profiles, 0o755)
}
