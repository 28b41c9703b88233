//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Keys of this run. The first is built into the harness's clients.
const (
	clientKey   = "test-key"
	upstreamKey = "key-of-the-upstream"
)

// upstream is a kind of provider that the scripted one stands for. That one
// speaks all protocols; the gateway's files in the directory of this name say in
// which it is asked, and what it takes.
type upstream string

// The upstreams.
const (
	// own is asked in the client's own protocol.
	own upstream = "own"
	// openai, responses and anthropic are one for each protocol, as the vendor
	// that made it serves it for a new model.
	openai    upstream = "openai"
	responses upstream = "responses"
	anthropic upstream = "anthropic"
	// compatible speaks Chat Completions as the other vendors do.
	compatible upstream = "compatible"
	// budget speaks Messages for a model whose thinking has a budget.
	budget upstream = "anthropic-budget"
)

var (
	upstreams  = []upstream{own, openai, responses, anthropic, compatible, budget}
	ofProtocol = []upstream{openai, responses, anthropic}
)

// title is what the upstream is called in a table for readers.
func (u upstream) title() string {
	switch u {
	case own:
		return "own protocol"
	case openai:
		return "Chat Completions"
	case responses:
		return "Responses"
	case anthropic:
		return "Messages"
	}
	return string(u)
}

// parseUpstreams reads a list of names, in which "all" stands for one of each
// protocol.
func parseUpstreams(names string) ([]upstream, error) {
	var chosen []upstream
	for name := range strings.SplitSeq(names, ",") {
		switch u := upstream(name); {
		case name == "all":
			chosen = append(chosen, ofProtocol...)
		case slices.Contains(upstreams, u):
			chosen = append(chosen, u)
		default:
			return nil, fmt.Errorf("unknown upstream %q; there are all, %q", name, upstreams)
		}
	}
	return chosen, nil
}

// startUpstream starts the scripted provider. It refuses what the real
// providers would refuse.
func startUpstream(ctx context.Context, s *session) (*server, string, error) {
	portFile := filepath.Join(s.dir, "port")
	mock, err := start(ctx, filepath.Join(s.dir, "upstream.log"), nil,
		filepath.Join(os.Getenv("HARNESS_BIN"), "llmmock"), "serve",
		"-scenarios", filepath.Join(s.harness, "scenarios"),
		"-main", playedBy(s.client), "-log", s.record, "-port-file", portFile)
	if err != nil {
		return nil, "", err
	}
	var port []byte
	err = mock.await(ctx, 10*time.Second, func() error {
		port, err = os.ReadFile(portFile)
		return err
	})
	if err != nil {
		mock.stop()
		return nil, "", err
	}
	return mock, "http://127.0.0.1:" + string(port), nil
}

// credentialForwarded reports a request of the record that carries the client's
// own key, which is for the gateway only.
func credentialForwarded(record string) error {
	file, err := os.Open(record)
	if err != nil {
		return err
	}
	defer file.Close()
	for lines := json.NewDecoder(file); ; {
		var line struct {
			Path    string      `json:"path"`
			Headers [][2]string `json:"headers"`
		}
		if err := lines.Decode(&line); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading %s: %w", record, err)
		}
		for _, header := range line.Headers {
			if strings.Contains(header[1], clientKey) {
				return fmt.Errorf("upstream: %s carries the client's key in %s", line.Path, header[0])
			}
		}
	}
}
