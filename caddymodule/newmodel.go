package caddymodule

import (
	"errors"
	"fmt"
)

// newModel is what a model's file is made of.
type newModel struct {
	// Name is what clients ask for. A '/' in it is a subdirectory.
	Name string
	// Routes are where it is found, the first one first. At least one.
	Routes []newRoute
	// Timeout is the longest silence of a provider, in seconds; 0 leaves it to
	// the provider and the gateway.
	Timeout int
	// Fallbacks are models whose routes are tried after these.
	Fallbacks []string
}

// newRoute is one place where a model is found.
type newRoute struct {
	Provider string `json:"provider"`
	Model    string `json:"model"`
}

// modelText is the shape of a model's file.
type modelText struct {
	LogicalName           string     `json:"logical_name"`
	TimeoutSeconds        int        `json:"timeout_seconds,omitempty"`
	ModelRoutings         []newRoute `json:"model_routings"`
	FallbackModelRoutings []string   `json:"fallback_model_routings"`
}

// text is the model's file.
func (m *newModel) text() ([]byte, error) {
	switch {
	case len(m.Routes) == 0:
		return nil, errors.New("a model needs a route: a provider, and the name that the model has there")
	case m.Timeout < 0:
		return nil, fmt.Errorf("a timeout is a number of seconds above 0, not %d", m.Timeout)
	}
	file := modelText{m.Name, m.Timeout, m.Routes, m.Fallbacks}
	if file.FallbackModelRoutings == nil {
		file.FallbackModelRoutings = []string{} // not null
	}
	return fileText(file)
}

// addModel writes the file of a new model. One that exists is refused, unless
// overwrite is set.
func (c *configFiles) addModel(m *newModel, overwrite bool) (*fileChange, error) {
	text, err := m.text()
	if err != nil {
		return nil, err
	}
	path, present, err := c.modelFile(m.Name)
	if err != nil {
		return nil, err
	}
	if present && !overwrite {
		return nil, &errExists{"model", m.Name, path}
	}
	return c.add("model", m.Name, path, text, overwrite)
}
