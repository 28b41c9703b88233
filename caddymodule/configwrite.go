package caddymodule

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// configFileMode lets everybody read a provider or model file: it holds no secret.
const configFileMode fs.FileMode = 0o644

// configFiles are the provider and model files that commands change.
type configFiles struct {
	// providers and models are their directories.
	providers, models string
	// environ is the environment by which they are judged, as the gateway's.
	environ []string
}

// fileChange is what a command did to a file.
type fileChange struct {
	// Action is added, replaced, changed, removed or unchanged.
	Action string `json:"action"`
	File   string `json:"file"`
	// Warnings are about what works since then, but is hardly meant.
	Warnings []problemReport `json:"warnings"`
}

// put writes a file: what edit makes of its text, which is nil where there is no
// file. Nothing is written where edit fails, where the file would not load, or
// where another one that loads would not any more.
func (c *configFiles) put(path string, edit func(text []byte) ([]byte, error)) (*fileChange, error) {
	unlock, err := lockDirectory(c.providers)
	if err != nil {
		return nil, err
	}
	defer unlock()
	target, present, err := lookAt(path)
	if err != nil {
		return nil, err
	}
	change, mode := &fileChange{Action: "added", File: path, Warnings: []problemReport{}}, configFileMode
	var text []byte
	if present != nil {
		change.Action, mode = "changed", present.Mode().Perm()
		if text, err = os.ReadFile(target); err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, cause(err))
		}
	}
	changed, err := edit(text)
	if err != nil {
		return nil, err
	}
	if present != nil && bytes.Equal(changed, text) {
		change.Action = "unchanged"
		return change, nil
	}
	problems, warnings := c.judge(path, changed)
	if len(problems) > 0 {
		return nil, fmt.Errorf("nothing is written: %w", &routing.LoadError{Problems: problems})
	}
	change.Warnings = reportProblems(warnings)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("writing %s: making its directory: %w", path, cause(err))
	}
	return change, exchangeFile(path, changed, mode)
}

// judge tells what a draft of a file breaks: what is wrong with it, and with others
// because of it. nil stands for a file that is gone. What is wrong with others
// already is not told. warnings are likewise those of the file, and new ones.
func (c *configFiles) judge(path string, draft []byte) (problems, warnings []routing.Problem) {
	broken, known := c.load(nil)
	problems, warnings = c.load(map[string][]byte{path: draft})
	isOld := func(p routing.Problem, old []routing.Problem) bool {
		return p.File != path && slices.ContainsFunc(old, func(o routing.Problem) bool {
			return o.File == p.File && o.Field == p.Field && o.Message == p.Message
		})
	}
	problems = slices.DeleteFunc(problems, func(p routing.Problem) bool { return isOld(p, broken) })
	warnings = slices.DeleteFunc(warnings, func(p routing.Problem) bool {
		// Where others are broken, nothing was told of what is old.
		return isOld(p, known) || len(broken) > 0 && p.File != path
	})
	return problems, warnings
}

// load loads all files, with a draft, and tells what is wrong with them.
func (c *configFiles) load(drafts map[string][]byte) (problems, warnings []routing.Problem) {
	_, warnings, err := routing.Load(routing.LoadOptions{ProvidersDir: c.providers, ModelsDir: c.models, Environ: c.environ, Drafts: drafts})
	var broken *routing.LoadError
	if errors.As(err, &broken) {
		problems = broken.Problems
	}
	return problems, warnings
}

// providerFile is the path of a provider's file. A name that can be none's is
// refused, and with it whatever would lead elsewhere.
func (c *configFiles) providerFile(name string) (string, error) {
	if !routing.ValidProviderName(name) {
		return "", fmt.Errorf("%q cannot name a provider: a name has up to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit", name)
	}
	return filepath.Join(c.providers, name+".json"), nil
}

// wantProvider wants a provider's file to be there.
func (c *configFiles) wantProvider(name string) error {
	path, err := c.providerFile(name)
	if err != nil {
		return err
	}
	if _, present, err := lookAt(path); err != nil || present == nil {
		return cmp.Or(err, unknownProviderName(name))
	}
	return nil
}

// modelFile is the path of the file of a model: the one that says so, else where it
// belongs. A name that would lead elsewhere is refused.
func (c *configFiles) modelFile(name string) (path string, present bool, err error) {
	// A broken provider does not hide where the models are.
	catalog, _, err := routing.Load(routing.LoadOptions{ProvidersDir: c.providers, ModelsDir: c.models, KeepGoing: true})
	if err == nil {
		if m, ok := catalog.Model(name); ok {
			return m.File, true, nil
		}
	}
	local := filepath.FromSlash(name + ".json")
	hidden := slices.ContainsFunc(strings.Split(name, "/"), func(part string) bool { return strings.HasPrefix(part, ".") || part == "" })
	if hidden || !filepath.IsLocal(local) || strings.ContainsFunc(name, func(r rune) bool { return dangerous(r) || r == '\\' }) {
		return "", false, fmt.Errorf("%q cannot name a model's file: no part of a name between '/' may be empty or begin with a '.', and none has a '\\' or a control character", name)
	}
	path = filepath.Join(c.models, local)
	_, found, err := lookAt(path)
	return path, found != nil, err
}
