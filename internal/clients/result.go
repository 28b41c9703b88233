//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
)

// result is what became of one run, as a line of the results file.
type result struct {
	OK       bool     `json:"ok"`
	Client   string   `json:"client"`
	Upstream upstream `json:"upstream"`
	Scenario string   `json:"scenario"`
	Millis   int64    `json:"ms"`
	Problems []string `json:"problems,omitempty"`
	// Stderr is the end of what a client that failed said.
	Stderr string `json:"stderr,omitempty"`
	// Thinking and IDs are how much of the reasoning and how many of the tool
	// call ids came back to the upstream as it had sent them: "2 of 3".
	Thinking string `json:"thinking_returned,omitempty"`
	IDs      string `json:"tool_ids,omitempty"`
	// Losses are what the gateway could not translate, as Llm-Proxy-Warnings
	// tells it.
	Losses []string `json:"losses,omitempty"`
	// Warnings are about requests that a provider would take, but not every one.
	Warnings []string `json:"warnings,omitempty"`
}

// take takes what the harness says.
func (r *result) take(j judgement) {
	r.OK, r.Millis, r.Problems = j.OK, j.Millis, j.Problems
	r.Thinking, r.IDs, r.Warnings = j.Upstream.Thinking, j.Upstream.IDs, j.Upstream.Warnings
	if !r.OK {
		r.Stderr = strings.Join(strings.Fields(j.Stderr), " ")
	}
}

func (r *result) addProblem(err error) {
	if err != nil {
		r.OK = false
		r.Problems = append(r.Problems, err.Error())
	}
}

// changed reports tool calls whose arguments came back to the upstream other
// than it had sent them. The harness forgives that: a client may have done it.
// None does.
func (r *result) changed() error {
	for _, warning := range r.Warnings {
		if strings.Contains(warning, "arguments differ") {
			return errors.New("upstream: " + warning)
		}
	}
	return nil
}

// forgotten reports reasoning that did not come back to the upstream.
func (r *result) forgotten() error {
	if got, all, found := strings.Cut(r.Thinking, " of "); found && got != all {
		return fmt.Errorf("upstream: only %s pieces of reasoning came back", r.Thinking)
	}
	return nil
}

func (r *result) seconds() float64 { return float64(r.Millis) / 1000 }

func (r *result) verdict() string {
	if r.OK {
		return "PASS"
	}
	return "FAIL"
}

func failures(results []result) int {
	n := 0
	for _, r := range results {
		if !r.OK {
			n++
		}
	}
	return n
}

// writeResults writes the results to a file, one line of JSON for each.
func writeResults(name string, results []result) error {
	if name == "" {
		return nil
	}
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	for _, r := range results {
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
	return os.WriteFile(name, b.Bytes(), 0o600)
}
