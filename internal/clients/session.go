//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// judgement is what the harness's run-client prints of one run.
type judgement struct {
	OK       bool     `json:"ok"`
	Millis   int64    `json:"ms"`
	Problems []string `json:"problems"`
	Stderr   string   `json:"stderr_tail"`
	Upstream struct {
		Thinking string   `json:"thinking_returned"`
		IDs      string   `json:"tool_ids"`
		Warnings []string `json:"warnings"`
	} `json:"upstream"`
}

// session is one client with the servers that it talks to.
type session struct {
	options
	pairing
	dir    string // everything that it leaves
	log    gatewayLog
	base   string // where the client sends its requests, without /v1
	record string // what the upstream saw and answered, as JSON lines
}

// pairing is a client and the upstream that it is brought together with.
type pairing struct {
	client   string
	upstream upstream
}

// runPairing runs all scenarios of one pairing, one after the other. What its
// servers do wrong is a problem of every run that needs them.
func runPairing(ctx context.Context, o options, p pairing, dir string, report *reporter) {
	s := session{options: o, pairing: p, dir: dir, record: filepath.Join(dir, "upstream.jsonl"), log: gatewayLog{name: filepath.Join(dir, "gateway.log")}}
	stop, err := s.open(ctx)
	defer stop()
	for _, scenario := range o.scenarios {
		if !plays(p.client, scenario) {
			continue
		}
		r := result{Client: p.client, Upstream: p.upstream, Scenario: scenario}
		if err == nil {
			s.play(ctx, &r)
		} else {
			r.Problems = []string{err.Error()}
		}
		if ctx.Err() != nil {
			return // it was not given the time
		}
		report.add(r)
	}
}

// open starts the servers; stop, which is never nil, ends them.
func (s *session) open(ctx context.Context) (stop func(), err error) {
	stop = func() {}
	if err := os.Mkdir(s.dir, 0o700); err != nil {
		return stop, err
	}
	mock, origin, err := startUpstream(ctx, s)
	if err != nil {
		return stop, err
	}
	s.base = origin
	if s.caddy == "" {
		return mock.stop, nil
	}
	gateway, front, err := startGateway(ctx, s, origin)
	if err != nil {
		return mock.stop, err
	}
	s.base = front
	return func() { gateway.stop(); mock.stop() }, nil
}

// play runs one scenario. What goes wrong on the way is a problem of the run.
func (s *session) play(ctx context.Context, r *result) {
	out := filepath.Join(s.dir, r.Scenario)
	if err := s.prepare(out, r.Scenario); err != nil {
		r.Problems = []string{err.Error()}
		return
	}
	// The harness ends a client that takes too long; this is for the harness.
	ctx, cancel := context.WithTimeout(ctx, s.patience+30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", filepath.Join(s.harness, "run-client.mjs"), s.client, s.base, r.Scenario,
		"--mock-log", s.record, "--out", out, "--timeout", fmt.Sprint(s.patience.Seconds()), "--json")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	ownGroup(cmd)
	started := time.Now()
	stdout, err := cmd.Output() // that it ends with an error is in the judgement too
	var j judgement
	if broken := json.Unmarshal(stdout, &j); broken != nil {
		r.Millis = time.Since(started).Milliseconds()
		r.Problems = []string{fmt.Sprintf("the harness gave no result (%v): %s", err, strings.TrimSpace(stderr.String()))}
		return
	}
	r.take(j)
	if s.caddy == "" {
		return
	}
	r.Losses, err = s.log.losses()
	r.addProblem(err)
	r.addProblem(credentialForwarded(s.record))
	r.addProblem(r.changed())
	if s.keepsThinking() {
		r.addProblem(r.forgotten())
	}
}

// prepare lays out what a scenario expects to find.
func (s *session) prepare(out, scenario string) error {
	if !strings.HasSuffix(scenario, "image") {
		return nil
	}
	work := filepath.Join(out, "work")
	if err := os.MkdirAll(work, 0o700); err != nil {
		return err
	}
	image, err := os.ReadFile(filepath.Join(s.harness, "img.png"))
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(work, "img.png"), image, 0o600)
}
