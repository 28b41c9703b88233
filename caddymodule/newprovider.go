package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// providerFormats are what a new provider may speak.
var providerFormats = []string{"openai", "responses", "anthropic", "gemini", "azure"}

// newProvider is what a provider's file is made of.
type newProvider struct {
	// Name is the file's and the provider's name.
	Name string
	// DisplayName is the name for people. Required.
	DisplayName string
	// BaseURL is where the API is; where it has no path, that is the usual one of
	// the format.
	BaseURL string
	// Format is one of providerFormats.
	Format string
	// Keyless says that it takes no key, as local servers do.
	Keyless bool
}

// providerText is the shape of a provider's file, in the order in which the shipped
// ones are written.
type providerText struct {
	Name           string        `json:"name"`
	DisplayName    string        `json:"display_name"`
	Enabled        bool          `json:"enabled"`
	APIKeys        *apiKeysText  `json:"api_keys,omitempty"`
	Endpoints      endpointsText `json:"endpoints"`
	Authentication authText      `json:"authentication"`
	Quirks         *quirksText   `json:"quirks,omitempty"`
}

type apiKeysText struct {
	EnvVarPatterns []string `json:"env_var_patterns"`
}

type endpointsText struct {
	BaseURL          string `json:"base_url"`
	CompatibleFormat string `json:"compatible_format"`
	TranslateTo      string `json:"translate_to,omitempty"`
	Completions      string `json:"completions,omitempty"`
	Responses        string `json:"responses,omitempty"`
	Messages         string `json:"messages,omitempty"`
	CountTokens      string `json:"count_tokens,omitempty"`
	Embeddings       string `json:"embeddings,omitempty"`
	Models           string `json:"models"`
}

type authText struct {
	Type              string       `json:"type"`
	HeaderName        string       `json:"header_name,omitempty"`
	HeaderFormat      string       `json:"header_format,omitempty"`
	AdditionalHeaders *headersText `json:"additional_headers,omitempty"`
}

type headersText struct {
	AnthropicVersion string `json:"anthropic-version"`
}

type quirksText struct {
	MaxTokensField    string `json:"max_tokens_field,omitempty"`
	ThoughtSignatures bool   `json:"thought_signatures,omitempty"`
	WebSearch         bool   `json:"web_search,omitempty"`
}

// text is the provider's file.
func (p *newProvider) text() ([]byte, error) {
	if strings.TrimSpace(p.DisplayName) == "" {
		return nil, errors.New("the display name is empty; it is what people are shown")
	}
	base := strings.TrimRight(strings.TrimSpace(p.BaseURL), "/")
	file := providerText{
		Name: p.Name, DisplayName: strings.TrimSpace(p.DisplayName), Enabled: true,
		APIKeys:        &apiKeysText{[]string{"{PROVIDER}_API_KEY", "{PROVIDER}_API_KEY_{INDEX}"}},
		Endpoints:      endpointsText{BaseURL: base, CompatibleFormat: p.Format},
		Authentication: authText{Type: "bearer", HeaderName: "Authorization", HeaderFormat: "Bearer {api_key}"},
	}
	root := ""
	if !hasPath(base) {
		root = map[string]string{"gemini": "/v1beta/openai", "azure": "/openai/v1"}[p.Format]
		if root == "" {
			root = "/v1"
		}
	}
	e := &file.Endpoints
	e.Models = root + "/models"
	switch p.Format {
	case "openai":
		e.Completions = root + "/chat/completions"
	case "responses":
		e.Responses = root + "/responses"
	case "anthropic":
		e.Messages, e.CountTokens = root+"/messages", root+"/messages/count_tokens"
		file.Authentication = authText{"api_key", "x-api-key", "{api_key}", &headersText{"2023-06-01"}}
	case "gemini":
		// Google's interface in the manner of OpenAI, as the shipped file has it.
		if strings.HasSuffix(base, "/v1beta") {
			root, e.Models = "/openai", "/openai/models"
		}
		e.CompatibleFormat, e.Completions, e.Embeddings = "openai", root+"/chat/completions", root+"/embeddings"
		file.Quirks = &quirksText{ThoughtSignatures: true}
	case "azure":
		e.TranslateTo, e.Completions, e.Responses, e.Embeddings = "responses", root+"/chat/completions", root+"/responses", root+"/embeddings"
		file.Authentication = authText{"api_key", "api-key", "{api_key}", nil}
		file.Quirks = &quirksText{MaxTokensField: "max_completion_tokens", WebSearch: true}
	}
	if p.Keyless {
		file.APIKeys, file.Authentication = nil, authText{Type: "none", AdditionalHeaders: file.Authentication.AdditionalHeaders}
	}
	return fileText(file)
}

// hasPath reports whether a base URL goes on behind the host. One that is a
// variable as a whole is taken for one that does.
func hasPath(base string) bool {
	_, rest, found := strings.Cut(base, "://")
	return !found || strings.Contains(rest, "/")
}

// fileText is a value as the text of a file.
func fileText(value any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("writing the file's text: %w", err)
	}
	return b.Bytes(), nil
}

// errExists refuses to write over a file.
type errExists struct{ what, name, file string }

// Error implements error.
func (e *errExists) Error() string {
	return fmt.Sprintf("%s %q exists already, as %s; --overwrite replaces it, edit %s changes it", e.what, e.name, e.file, e.what)
}

// addProvider writes the file of a new provider: the text that newProvider makes,
// or a complete one. One that exists is refused, unless overwrite is set.
func (c *configFiles) addProvider(name string, text []byte, overwrite bool) (*fileChange, error) {
	path, err := c.providerFile(name)
	if err != nil {
		return nil, err
	}
	return c.add("provider", name, path, text, overwrite)
}

// add writes a whole file.
func (c *configFiles) add(what, name, path string, text []byte, overwrite bool) (*fileChange, error) {
	replaced := false
	change, err := c.put(path, func(present []byte) ([]byte, error) {
		if present != nil && !overwrite {
			return nil, &errExists{what, name, path}
		}
		replaced = present != nil
		return text, nil
	})
	if err == nil && replaced && change.Action == "changed" {
		change.Action = "replaced"
	}
	return change, err
}
