package routing

import (
	"cmp"
	"slices"
	"strings"
)

// Catalog is everything that the provider and model files say, checked and
// connected. It never changes, so any number of goroutines may use it; what it
// returns must not be changed either.
type Catalog struct {
	providers    map[string]*Provider // by ID
	providerList []*Provider          // by ID
	models       map[string]*Model    // by logical name
	modelList    []*Model             // by logical name
	aliases      map[string]*Model    // without '*'
	globs        []glob               // longest first
	digest       Digest
}

func newCatalog() *Catalog {
	return &Catalog{
		providers: make(map[string]*Provider),
		models:    make(map[string]*Model),
		aliases:   make(map[string]*Model),
	}
}

// addProvider takes a provider in; they have to come in the order of their IDs.
func (c *Catalog) addProvider(p *Provider) {
	c.providers[p.ID] = p
	c.providerList = append(c.providerList, p)
}

func (c *Catalog) addModel(m *Model) {
	c.models[m.LogicalName] = m
	c.modelList = append(c.modelList, m)
	for _, alias := range m.Aliases {
		if strings.Contains(alias, "*") {
			c.globs = append(c.globs, newGlob(alias, m))
		} else {
			c.aliases[alias] = m
		}
	}
}

// sort ends the building of a catalog.
func (c *Catalog) sort() {
	slices.SortFunc(c.modelList, func(a, b *Model) int { return cmp.Compare(a.LogicalName, b.LogicalName) })
	slices.SortFunc(c.globs, func(a, b glob) int {
		return cmp.Or(cmp.Compare(len(b.pattern), len(a.pattern)), cmp.Compare(a.pattern, b.pattern))
	})
}

// Provider finds a provider by its ID.
func (c *Catalog) Provider(id string) (*Provider, bool) {
	p, ok := c.providers[id]
	return p, ok
}

// Providers are all providers, also disabled and unusable ones, by ID.
func (c *Catalog) Providers() []*Provider { return c.providerList }

// Model finds a model by its logical name.
func (c *Catalog) Model(logicalName string) (*Model, bool) {
	m, ok := c.models[logicalName]
	return m, ok
}

// Models are all models, by logical name.
func (c *Catalog) Models() []*Model { return c.modelList }

// Resolve finds the model that answers to a name: the one of that logical
// name, else the one with that alias, else the one whose alias with '*' is the
// longest that matches. Of two that are equally long the first by the alphabet
// counts. The name may come from a client as it is: it is compared, never
// opened or parsed.
func (c *Catalog) Resolve(name string) (*Model, bool) {
	if m, ok := c.models[name]; ok {
		return m, true
	}
	if m, ok := c.aliases[name]; ok {
		return m, true
	}
	for i := range c.globs {
		if c.globs[i].match(name) {
			return c.globs[i].model, true
		}
	}
	return nil, false
}

// glob is an alias with '*'.
type glob struct {
	pattern string
	parts   []string // between the '*'; at least two, the outer ones may be empty
	model   *Model
}

func newGlob(pattern string, m *Model) glob {
	return glob{pattern, strings.Split(pattern, "*"), m}
}

// match reports whether '*' can stand for runs of characters so that the
// pattern becomes name. Each part is found at its first place, so the time is
// linear in a name's length, whatever a client sends.
func (g *glob) match(name string) bool {
	name, ok := strings.CutPrefix(name, g.parts[0])
	if !ok {
		return false
	}
	last := len(g.parts) - 1
	for _, part := range g.parts[1:last] {
		_, name, ok = strings.Cut(name, part)
		if !ok {
			return false
		}
	}
	return strings.HasSuffix(name, g.parts[last])
}
