package bench

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/load"
)

// profile puts the load on a target once more, unmeasured, and keeps a profile
// of its process: of its CPU time or, for open streams, of its heap at the
// moment when all are open.
func profile(ctx context.Context, dir string, s Scenario, t *target, p load.Plan) error {
	name := slug(s.Name + " " + t.name)
	path, file := "profile?seconds=", filepath.Join(dir, name+".cpu.pprof")
	wait := time.Duration(0)
	if s.Ramp > 0 {
		path, file = "heap", filepath.Join(dir, name+".heap.pprof")
		wait = s.Ramp + s.Ramp/4
	} else {
		seconds := max(math.Round(p.Duration.Seconds()), 1)
		path += fmt.Sprint(seconds)
		p.Duration = time.Duration((seconds + 0.5) * float64(time.Second))
	}
	loaded := make(chan error, 1)
	go func() {
		_, err := load.Run(ctx, p)
		loaded <- err
	}()
	err := func() error {
		select {
		case <-time.After(wait):
			return fetch(ctx, "http://"+t.admin+"/debug/pprof/"+path, file)
		case <-ctx.Done():
			return ctx.Err()
		}
	}()
	if loadErr := <-loaded; err == nil {
		err = loadErr
	}
	if err != nil {
		return fmt.Errorf("profiling %s: %w", t.name, err)
	}
	return nil
}

// fetch saves what the URL answers.
func fetch(ctx context.Context, url, file string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("fetching %s: %s", url, response.Status)
	}
	profile, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	return os.WriteFile(file, profile, 0o644)
}

// slug is a scenario's name as a file name.
func slug(name string) string {
	words := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	})
	return strings.Join(words, "-")
}
