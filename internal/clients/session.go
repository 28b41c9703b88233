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

// result is the harness's judgement of one run, as its run-client prints it.
type result struct {
	OK       bool     `json:"ok"`
	Client   string   `json:"client"`
	Scenario string   `json:"scenario"`
	Millis   int64    `json:"ms"`
	Problems []string `json:"problems"`
	Stderr   string   `json:"stderr_tail"`
}

// session is one client with the servers that it talks to.
type session struct {
	options
	client string
	dir    string // everything that it leaves
	base   string // where the client sends its requests, without /v1
	record string // what the upstream saw and answered, as JSON lines
}

// runClient runs all scenarios of one client, one after the other. Its error
// is one of the servers.
func runClient(ctx context.Context, o options, client, dir string, report *reporter) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	s := session{options: o, client: client, dir: dir, record: filepath.Join(dir, "upstream.jsonl")}
	upstream, origin, err := startUpstream(ctx, &s)
	if err != nil {
		return err
	}
	defer upstream.stop()
	s.base = origin
	if o.caddy != "" {
		gateway, front, err := startGateway(ctx, &s, origin)
		if err != nil {
			return err
		}
		defer gateway.stop()
		s.base = front
	}
	for _, scenario := range o.scenarios {
		if !plays(client, scenario) {
			continue
		}
		r := s.play(ctx, scenario)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		report.add(r)
	}
	return nil
}

// play runs one scenario. What goes wrong on the way is a problem of the run.
func (s *session) play(ctx context.Context, scenario string) result {
	r := result{Client: s.client, Scenario: scenario}
	out := filepath.Join(s.dir, scenario)
	if err := s.prepare(out, scenario); err != nil {
		r.Problems = []string{err.Error()}
		return r
	}
	started := time.Now()
	cmd := exec.CommandContext(ctx, "node", filepath.Join(s.harness, "run-client.mjs"), s.client, s.base, scenario,
		"--mock-log", s.record, "--out", out, "--timeout", fmt.Sprint(s.patience.Seconds()), "--json")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	ownGroup(cmd)
	stdout, err := cmd.Output() // that it ends with an error is in the result too
	if broken := json.Unmarshal(stdout, &r); broken != nil {
		r = result{Client: s.client, Scenario: scenario, Millis: time.Since(started).Milliseconds()}
		r.Problems = []string{fmt.Sprintf("the harness gave no result (%v): %s", err, strings.TrimSpace(stderr.String()))}
		return r
	}
	if s.caddy != "" {
		r.addProblem(credentialForwarded(s.record))
	}
	return r
}

func (r *result) addProblem(err error) {
	if err != nil {
		r.OK = false
		r.Problems = append(r.Problems, err.Error())
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
