package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// progressFile is where setup keeps what was answered until it is done. The name
// is that of the service which this project replaces.
const progressFile = ".model-proxy-setup-progress"

// setupProgress is what a setup that was broken off has got to know. Secrets are
// never in it.
type setupProgress struct {
	CompletedSteps []string      `json:"completed_steps"`
	Answers        wizardAnswers `json:"answers"`
}

// readProgress reads what was answered before. A file that is not there, or is
// none of this program's, counts as no progress.
func readProgress() *setupProgress {
	progress := new(setupProgress)
	file, err := os.Open(progressFile)
	if err != nil {
		return progress
	}
	defer file.Close()
	text, err := readAtMost(file, maxGivenFile)
	if err != nil || json.Unmarshal(text, progress) != nil {
		return new(setupProgress)
	}
	known := func(name string) bool {
		for _, step := range wizardSteps {
			if step.name == name {
				return true
			}
		}
		return false
	}
	// What the other service has written tells no answers to these questions.
	progress.CompletedSteps = slices.DeleteFunc(progress.CompletedSteps, func(name string) bool { return !known(name) })
	if len(progress.Answers.Providers) == 0 {
		return new(setupProgress)
	}
	return progress
}

func saveProgress(progress *setupProgress) error {
	text, err := json.MarshalIndent(progress, "", "  ")
	if err != nil {
		return fmt.Errorf("keeping the progress: %w", err)
	}
	return exchangeFile(progressFile, append(text, '\n'), 0o600)
}

// forgetProgress removes the progress of a setup that is done.
func forgetProgress() error {
	if err := os.Remove(progressFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing the progress: %w", err)
	}
	return nil
}

// setupStatus tells how far the working directory is a gateway.
type setupStatus struct {
	// Percent counts the three parts below, each of which is there or not.
	Percent         int      `json:"percent"`
	Providers       []string `json:"providers"` // that are enabled
	Models          []string `json:"models"`
	Keys            int      `json:"keys"`
	Recommendations []string `json:"recommendations"`
	// Interrupted says that a setup was broken off, which --resume goes on with.
	Interrupted bool `json:"interrupted,omitempty"`
}

// statusOf looks at the files and variables of the working directory.
func statusOf(vars *variables) *setupStatus {
	status := &setupStatus{Providers: []string{}, Models: []string{}, Recommendations: []string{}}
	status.Interrupted = len(readProgress().CompletedSteps) > 0
	o := filesOptions(vars.environ)
	o.KeepGoing = true
	catalog, _, err := routing.Load(o)
	if err != nil {
		// There may be providers and no models yet. A broken model is left out,
		// while a directory without any is an error.
		o.Drafts = map[string][]byte{filepath.Join(o.ModelsDir, "none.json"): {'{'}}
		catalog, _, err = routing.Load(o)
	}
	answering := false
	if err == nil {
		for _, p := range catalog.Providers() {
			if !p.Enabled {
				continue
			}
			status.Providers = append(status.Providers, p.ID)
			n := 0
			if !p.Keyless() {
				n = len(discovered(catalog, p, vars.environ))
			}
			status.Keys += n
			answering = answering || n > 0 || p.Keyless()
		}
		for _, m := range catalog.Models() {
			status.Models = append(status.Models, m.LogicalName)
		}
	}
	status.sumUp(answering)
	return status
}

// sumUp counts the parts that are there, and recommends the others.
func (s *setupStatus) sumUp(answering bool) {
	parts := 0
	for _, part := range []struct {
		there          bool
		recommendation string
	}{
		{len(s.Providers) > 0, "providers: choose at least one; demo needs no key"},
		{len(s.Models) > 0, "models: choose those that clients shall see"},
		{answering, "keys: set the key of a provider"},
	} {
		if part.there {
			parts++
		} else {
			s.Recommendations = append(s.Recommendations, part.recommendation)
		}
	}
	s.Percent = parts * 100 / 3
}

func (s *setupStatus) print(out *output) {
	const width = 30
	filled := s.Percent * width / 100
	out.printf("set up to %d %%  [%s%s]", s.Percent, strings.Repeat("#", filled), strings.Repeat(".", width-filled))
	out.printf("providers  %s", cmp.Or(firstOf(s.Providers, 5), "none"))
	out.printf("models     %s", cmp.Or(firstOf(s.Models, 5), "none"))
	out.printf("keys       %d", s.Keys)
	for _, recommendation := range s.Recommendations {
		out.printf("%s  %s", out.paint(yellow, "to do"), recommendation)
	}
	if s.Interrupted {
		out.printf("a setup was broken off; --resume goes on with it")
	}
}
