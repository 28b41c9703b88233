package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// keyChange is what a command did to a key in a file of variables. It holds the
// key's public name only.
type keyChange struct {
	// Action is added, replaced, unchanged or removed.
	Action string `json:"action"`
	// Provider is whose key it is, empty for a variable of nobody's.
	Provider string `json:"provider,omitempty"`
	// Key is its public name, empty where it is of no provider.
	Key      string `json:"key,omitempty"`
	Variable string `json:"variable"`
	File     string `json:"file"`
	// Overridden says that the environment sets the variable too, which goes
	// before the file.
	Overridden bool `json:"overridden,omitempty"`
}

// addKey adds a key of a provider to a file of variables (empty: .env), in a
// variable in which the provider's patterns find it: the one that is named, or the
// first free one. environ is the environment without that file; what it sets goes
// before the file, so no variable of it is free. A key that is set already is
// refused.
func addKey(path string, p *routing.Provider, secret, variable string, environ []string) (*keyChange, error) {
	change := &keyChange{Action: "added", Provider: p.ID, Variable: variable, File: cmp.Or(path, defaultEnvFile)}
	key, err := newKeyOf(p, secret)
	if err != nil {
		return nil, err
	}
	change.Key = key.ID
	if variable != "" && !findsKey(p, variable) {
		// It is not repeated: somebody may have mixed up the flags.
		return nil, fmt.Errorf("provider %s does not look for keys in this variable, but in %s; see api_keys in %s", p.ID, strings.Join(patternsOf(p), ", "), p.File)
	}
	return change, changeEnvFile(path, func(text string) (string, error) {
		merged, err := readEnviron(text, environ)
		if err != nil {
			return "", fmt.Errorf("%s:%w", change.File, err)
		}
		if err := wantNew(p, key, "", merged); err != nil {
			return "", err
		}
		free := func(name string) bool { return !isSet(environ, name) && variableOf(merged, name) == "" }
		switch {
		case change.Variable == "":
			if change.Variable = freeVariable(p, free); change.Variable == "" {
				return "", fmt.Errorf("each variable in which %s looks for keys is set (%s); edit key replaces one", p.ID, strings.Join(patternsOf(p), ", "))
			}
		case isSet(environ, change.Variable):
			return "", fmt.Errorf("%s is set in the environment, which goes before %s; change it there", change.Variable, change.File)
		case !free(change.Variable):
			return "", fmt.Errorf("%s is set in %s; edit key replaces it", change.Variable, change.File)
		}
		changed, err := setVariable(text, change.Variable, key.Secret(), p.DisplayName)
		if err != nil {
			return "", fmt.Errorf("%s: %w", change.File, err)
		}
		return changed, nil
	})
}

// replaceKey gives a variable that a file of variables (empty: .env) sets another
// value. The variable is named, or the key that it holds by its public name.
func replaceKey(path string, providers []*routing.Provider, name, secret string, environ []string) (*keyChange, error) {
	change := &keyChange{Action: "replaced", File: cmp.Or(path, defaultEnvFile)}
	return change, changeEnvFile(path, func(text string) (string, error) {
		p, err := change.find(text, providers, name, environ)
		if err != nil {
			return "", err
		}
		key := keys.NewKey("", "", secret)
		if p != nil {
			if key, err = newKeyOf(p, secret); err != nil {
				return "", err
			}
			change.Key = key.ID
			merged, err := readEnviron(text, environ)
			if err == nil {
				err = wantNew(p, key, change.Variable, merged)
			}
			if err != nil {
				return "", err
			}
		} else if key.Secret() == "" {
			return "", errNoKey
		}
		changed, err := setVariable(text, change.Variable, key.Secret(), "")
		if err != nil {
			return "", fmt.Errorf("%s: %w", change.File, err)
		}
		if changed == text {
			change.Action = "unchanged"
		}
		return changed, nil
	})
}

// removeKey takes a variable out of a file of variables (empty: .env). It is named
// as in replaceKey. agree is asked before anything changes.
func removeKey(path string, providers []*routing.Provider, name string, environ []string, agree func(*keyChange) error) (*keyChange, error) {
	change := &keyChange{Action: "removed", File: cmp.Or(path, defaultEnvFile)}
	remove := func(text string) (string, error) {
		p, err := change.find(text, providers, name, environ)
		if err != nil {
			return "", err
		}
		comment := ""
		if p != nil {
			comment = p.DisplayName
		}
		changed, _, err := unsetVariable(text, change.Variable, comment)
		return changed, err
	}
	// Nobody else shall wait while a person thinks.
	text, err := readEnvFile(path)
	if err != nil {
		return nil, err
	}
	if _, err := remove(text); err != nil {
		return nil, err
	}
	if err := agree(change); err != nil {
		return nil, err
	}
	return change, changeEnvFile(path, remove)
}

var errNoKey = errors.New("there is no key; write it to the standard input, or use --key")

// find finds the variable of a file that is meant by its name or by the public name
// of the key in it, and its provider, which is nil where it is nobody's. What was
// asked for is not repeated: it may be a key itself.
func (c *keyChange) find(text string, providers []*routing.Provider, name string, environ []string) (*routing.Provider, error) {
	own, err := parseEnv(text)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", c.File, err)
	}
	set := make(map[string]bool)
	for _, v := range own {
		set[v.name] = true
	}
	defer func() { c.Overridden = c.Variable != "" && isSet(environ, c.Variable) }()
	c.Variable, c.Provider, c.Key = "", "", ""
	if set[name] {
		c.Variable = name
	}
	inFile, err := readEnviron(text, nil)
	if err != nil {
		return nil, err
	}
	for _, p := range providers {
		found, _ := keys.Discover(p.ID, patternsOf(p), inFile)
		for _, key := range found {
			if key.Source == c.Variable || c.Variable == "" && key.ID == name {
				c.Variable, c.Provider, c.Key = key.Source, p.ID, key.ID
				return p, nil
			}
		}
		if c.Variable != "" && findsKey(p, c.Variable) {
			c.Provider = p.ID
			return p, nil
		}
	}
	switch {
	case c.Variable != "":
		return nil, nil
	case isVariable(name) && isSet(environ, name):
		return nil, fmt.Errorf("this variable is set in the environment, and not in %s; change it where it is set", c.File)
	}
	return nil, fmt.Errorf("%s sets no such variable, and no key has this public name; keys list --offline shows both", c.File)
}

// newKeyOf checks what is to be a key of a provider.
func newKeyOf(p *routing.Provider, secret string) (*keys.Key, error) {
	key := keys.NewKey(p.ID, "", secret)
	switch {
	case p.Keyless():
		return nil, takesNoKey(p)
	case key.Secret() == "":
		return nil, errNoKey
	}
	return key, nil
}

func takesNoKey(p *routing.Provider) error {
	return fmt.Errorf("provider %s takes no key (authentication.type is none in %s)", p.ID, p.File)
}

// wantNew refuses a key that the provider has in another variable already: one of
// the two would not count.
func wantNew(p *routing.Provider, key *keys.Key, variable string, environ []string) error {
	found, _ := keys.Discover(p.ID, patternsOf(p), environ)
	for _, other := range found {
		if other.ID == key.ID && other.Source != variable {
			return fmt.Errorf("this key of %s is set already, as %s", p.ID, other.Source)
		}
	}
	return nil
}

// patternsOf are the patterns of the variables in which a provider looks for keys.
func patternsOf(p *routing.Provider) []string {
	if patterns := p.KeyPatterns(); len(patterns) > 0 {
		return patterns
	}
	return keys.DefaultPatterns()
}

// findsKey reports whether a provider looks for a key in a variable.
func findsKey(p *routing.Provider, variable string) bool {
	found, _ := keys.Discover(p.ID, patternsOf(p), []string{variable + "=x"})
	return isVariable(variable) && len(found) > 0
}

// freeVariable is the first numbered variable of a provider that is free, else the
// first without a number. Empty: there is none.
func freeVariable(p *routing.Provider, free func(name string) bool) string {
	const index = "{INDEX}"
	patterns := patternsOf(p)
	for _, pattern := range patterns {
		if !strings.Contains(pattern, index) {
			continue
		}
		for number := 1; ; number++ {
			name := keys.Variable(p.ID, []string{strings.ReplaceAll(pattern, index, strconv.Itoa(number))})
			if free(name) {
				return name
			}
		}
	}
	for _, pattern := range patterns {
		if name := keys.Variable(p.ID, []string{pattern}); free(name) {
			return name
		}
	}
	return ""
}

// variableOf is a variable's value in the form of os.Environ.
func variableOf(environ []string, name string) string {
	v := variables{environ: environ}
	return v.get(name)
}
