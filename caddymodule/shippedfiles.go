package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/config"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// configDirectory is where the files of providers and models lie.
const configDirectory = "config"

// stock are the provider and model files that setup has to offer: those of the
// working directory, and the shipped ones that it does not have.
type stock struct {
	// shipped are the texts of the latter, by the path where they belong.
	shipped map[string][]byte
	catalog *routing.Catalog
}

// takeStock finds the files that there are.
func takeStock() (*stock, error) {
	s := &stock{shipped: make(map[string][]byte)}
	err := fs.WalkDir(config.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		path := filepath.Join(configDirectory, filepath.FromSlash(name))
		if err != nil || entry.IsDir() {
			return err
		}
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		text, err := config.Files.ReadFile(name)
		s.shipped[path] = text
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("looking for provider and model files: %w", err)
	}
	s.catalog, err = s.load(nil)
	return s, err
}

// load reads all files with the variables of an environment. Broken models are
// left out.
func (s *stock) load(environ []string) (*routing.Catalog, error) {
	o := filesOptions(environ)
	o.Drafts, o.KeepGoing = s.shipped, true
	catalog, _, err := routing.Load(o)
	if err != nil {
		return nil, fmt.Errorf("%w\nput that right first, or move the file away", err)
	}
	return catalog, nil
}

// filesOptions load the files of the working directory.
func filesOptions(environ []string) routing.LoadOptions {
	return routing.LoadOptions{
		ProvidersDir: filepath.Join(configDirectory, "providers"), ModelsDir: filepath.Join(configDirectory, "models"),
		Environ: environ,
	}
}

// loadWith loads the files of the working directory as they will be with others in
// their places, and tells what would be wrong.
func loadWith(environ []string, drafts map[string][]byte) error {
	o := filesOptions(environ)
	o.Drafts = maps.Clone(drafts)
	_, _, err := routing.Load(o)
	return err
}
