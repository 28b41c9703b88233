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
	"strings"
	"time"
)

// Keys of this run. The first is built into the harness's clients.
const (
	clientKey   = "test-key"
	upstreamKey = "key-of-the-upstream"
)

// startUpstream starts the scripted provider. It refuses what the real
// providers would refuse.
func startUpstream(ctx context.Context, s *session) (*server, string, error) {
	portFile := filepath.Join(s.dir, "port")
	upstream, err := start(ctx, filepath.Join(s.dir, "upstream.log"), nil,
		filepath.Join(os.Getenv("HARNESS_BIN"), "llmmock"), "serve",
		"-scenarios", filepath.Join(s.harness, "scenarios"),
		"-main", playedBy(s.client), "-log", s.record, "-port-file", portFile)
	if err != nil {
		return nil, "", err
	}
	var port []byte
	err = upstream.await(ctx, 10*time.Second, func() error {
		port, err = os.ReadFile(portFile)
		return err
	})
	if err != nil {
		upstream.stop()
		return nil, "", err
	}
	return upstream, "http://127.0.0.1:" + string(port), nil
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
