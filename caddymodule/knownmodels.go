package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// The objects of the list of known models, each with a sorted list of models by
// provider: those that somebody wrote, and those that providers told of.
const (
	customModels     = "custom_models"
	discoveredModels = "discovered_models"
)

// addCustomModel notes a model of a provider in the list of known models. The
// action is "unchanged" where it is in it.
func (c *configFiles) addCustomModel(provider, model string) (*fileChange, error) {
	model = strings.TrimSpace(model)
	if strings.ContainsFunc(model, isControl) {
		return nil, fmt.Errorf("%q cannot name a model: it has control characters", model)
	}
	return c.changeKnownModels(func(text []byte) ([]byte, error) {
		return noteModels(text, customModels, provider, func(known []string) []string { return append(known, model) })
	})
}

// setDiscoveredModels notes which models a provider has told of at a time.
func (c *configFiles) setDiscoveredModels(provider string, models []string, now time.Time) (*fileChange, error) {
	return c.changeKnownModels(func(text []byte) ([]byte, error) {
		text, err := noteModels(text, discoveredModels, provider, func([]string) []string { return models })
		if err != nil {
			return nil, err
		}
		return setField(text, []string{"last_updated"}, quoteJSON(now.UTC().Format(time.RFC3339)))
	})
}

// noteModels changes one provider's list in the text of the list of known models.
func noteModels(text []byte, kind, provider string, change func(known []string) []string) ([]byte, error) {
	known, err := modelsIn(text, kind, provider)
	if err != nil {
		return nil, err
	}
	next := change(slices.Clone(known))
	slices.Sort(next)
	if next = slices.Compact(next); slices.Equal(next, known) {
		return text, nil
	}
	list, err := json.MarshalIndent(next, "    ", "  ")
	if err != nil {
		return nil, err
	}
	return setField(text, []string{kind, provider}, string(list))
}

// modelsIn reads one provider's list.
func modelsIn(text []byte, kind, provider string) ([]string, error) {
	var models []string
	value, known := gjson.GetBytes(text, kind).Map()[provider] // names may have dots
	if known && !value.IsArray() {
		return nil, errWrongList
	}
	for _, model := range value.Array() {
		models = append(models, model.String())
	}
	return models, nil
}

// errWrongList says that the list of known models cannot be changed.
var errWrongList = errors.New("it is not a list of known models; move it away")

// knownModelsFile is the list of known models, beside the directory of models. The
// gateway does not read it.
func (c *configFiles) knownModelsFile() string {
	directory := filepath.Clean(c.models)
	if name := filepath.Base(directory); name == "." || name == ".." {
		directory = absolute(directory) // these are no names
	}
	return directory + ".json"
}

// noKnownModels is the list before anything is known.
const noKnownModels = "{\n  \"discovered_models\": {},\n  \"custom_models\": {}\n}\n"

// readKnownModels reads the list of known models.
func (c *configFiles) readKnownModels() ([]byte, error) {
	target, present, err := lookAt(c.knownModelsFile())
	if err != nil || present == nil {
		return []byte(noKnownModels), err
	}
	text, err := os.ReadFile(target)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", c.knownModelsFile(), cause(err))
	}
	return text, nil
}

// changeKnownModels writes the list of known models anew.
func (c *configFiles) changeKnownModels(change func(text []byte) ([]byte, error)) (*fileChange, error) {
	path := c.knownModelsFile()
	unlock, err := lockDirectory(c.providers)
	if err != nil {
		return nil, err
	}
	defer unlock()
	text, err := c.readKnownModels()
	if err != nil {
		return nil, err
	}
	changed, err := change(text)
	if err != nil {
		return nil, fmt.Errorf("changing %s: %w", path, err)
	}
	done, mode := &fileChange{Action: "added", File: path, Warnings: []problemReport{}}, configFileMode
	if _, present, _ := lookAt(path); present != nil {
		done.Action, mode = "changed", present.Mode().Perm()
	}
	if string(changed) == string(text) {
		done.Action = "unchanged"
		return done, nil
	}
	return done, exchangeFile(path, changed, mode)
}
