package routing

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
)

// LoadOptions says what Load reads.
type LoadOptions struct {
	// ProvidersDir holds one JSON file per [Provider]. Required.
	ProvidersDir string

	// ModelsDir holds one JSON file per [Model], also in subdirectories.
	// Required.
	ModelsDir string

	// Environ is the environment in the form of os.Environ: where ${NAME}
	// and the keys of providers are found.
	Environ []string

	// KeepGoing turns what is wrong with a model file into warnings, and
	// leaves that model out. What is wrong with a provider file remains an
	// error.
	KeepGoing bool

	// Drafts are texts that are read instead of files, by the files' paths (a
	// directory as it is given here, joined with what is below it), whether or
	// not the files are there. nil stands for a file that is gone. So a change
	// can be judged before it is made.
	Drafts map[string][]byte
}

// Load reads all provider and model files and checks them, each by itself and
// against each other. It returns what they say, and warnings about what works
// but is hardly meant. The error is a *LoadError with everything that is
// wrong in any file; there is no Catalog then.
//
// An environment variable that a provider's base URL or header needs, and that
// is not set or empty, is an error where requests would fail for it: the
// provider is enabled, a route leads to it, and it has a key in the
// environment or takes none. Otherwise nothing can be sent to the provider
// anyway, so it is marked unusable, its routes are left out, and a warning
// names the variable; a disabled provider does not even get the warning. So
// the files of many providers can lie side by side, and only those in use need
// their variables.
func Load(o LoadOptions) (*Catalog, []Problem, error) {
	l := &loader{options: o, env: environmentOf(o.Environ), digest: sha256.New(), providers: make(map[string]*providerFile)}
	l.readProviders()
	l.readModels()
	l.checkModels()
	l.fillInProviders()
	if len(l.errors) > 0 {
		sortProblems(l.errors)
		return nil, nil, &LoadError{Problems: l.errors}
	}
	catalog := l.connect()
	sortProblems(l.warnings)
	return catalog, l.warnings, nil
}

// loader is one run of Load.
type loader struct {
	options LoadOptions
	env     lookup
	digest  hash.Hash // of all that is read

	providers map[string]*providerFile // by ID
	models    []*modelFile             // those without errors, once they are checked

	errors, warnings []Problem
}

// providerFile is a provider and the file that it came from.
type providerFile struct {
	*document
	*Provider
	routes []*Route // that lead to it
}

// modelFile is a model and the file that it came from.
type modelFile struct {
	*document
	*Model
	path string // below the models directory, without ".json"
}

// take moves a document's problems to the loader.
func (l *loader) take(d *document) {
	l.errors, l.warnings = append(l.errors, d.errors...), append(l.warnings, d.warnings...)
	d.errors, d.warnings = nil, nil
}

// readProviders reads the provider files and checks each by itself. A broken
// one is known by its name all the same, so that routes to it are not reported
// as well.
func (l *loader) readProviders() {
	files, warnings, errors := readDrafted(l.options.ProvidersDir, false, l.options.Drafts)
	sumUp(l.digest, files, warnings, errors)
	l.warnings, l.errors = append(l.warnings, warnings...), append(l.errors, errors...)
	byName, byFold := make(map[string]string), make(map[string]string)
	for _, file := range files {
		p := &providerFile{newDocument(file, providerHome), &Provider{ID: file.name, File: file.path, digest: sha256.Sum256(file.text)}, nil}
		if !p.broken {
			p.decode(p.Provider)
			checkProvider(p.Provider, p.document)
		}
		if other, taken := byName[p.Name]; taken && p.Name != "" {
			p.failAt("name", fmt.Sprintf("%q is the name in %s too", p.Name, other), "give each provider a name of its own")
		}
		if other, taken := byFold[strings.ToLower(p.ID)]; taken {
			p.fail(Problem{Message: "differs from " + other + " in upper and lower case only, so that both would share keys and metrics", Fix: "rename one of them"})
		}
		byName[p.Name], byFold[strings.ToLower(p.ID)] = file.path, file.path
		l.providers[p.ID] = p
		l.take(p.document)
	}
}

// readModels reads the model files and checks each by itself.
func (l *loader) readModels() {
	files, warnings, errors := readDrafted(l.options.ModelsDir, true, l.options.Drafts)
	sumUp(l.digest, files, warnings, errors)
	l.warnings, l.errors = append(l.warnings, warnings...), append(l.errors, errors...)
	for _, file := range files {
		m := &modelFile{newDocument(file, modelHome), &Model{File: file.path, digest: sha256.Sum256(file.text)}, file.name}
		if !m.broken {
			m.decode(m.Model)
			checkModel(m.Model, m.document, m.path)
		}
		l.models = append(l.models, m)
	}
}

// checkModels checks the model files against each other and the providers,
// and takes those with errors out. Their errors become the loader's, or
// warnings where it is to keep going.
func (l *loader) checkModels() {
	for _, m := range l.models {
		for i := range m.ModelRoutings {
			l.checkRoute(m, i)
		}
	}
	l.checkLogicalNames()
	l.checkAliases()
	good := l.models[:0]
	for _, m := range l.models {
		if l.leavesOut(m) {
			for _, p := range m.errors {
				p.Message += " (the model is left out)"
				l.warnings = append(l.warnings, p)
			}
			continue
		}
		l.take(m.document)
		if m.broken {
			continue
		}
		good = append(good, m)
		for i := range m.ModelRoutings {
			r := &m.ModelRoutings[i]
			l.providers[r.ProviderName].routes = append(l.providers[r.ProviderName].routes, r)
		}
	}
	l.models = good
}

// leavesOut reports whether a model is known to be left out of the catalog, so
// that its names are free for others.
func (l *loader) leavesOut(m *modelFile) bool {
	return l.options.KeepGoing && m.broken
}

// checkLogicalNames makes sure that each name means one model.
func (l *loader) checkLogicalNames() {
	byName, byFold := make(map[string]string), make(map[string]*modelFile)
	for _, m := range l.models {
		if m.LogicalName == "" || l.leavesOut(m) {
			continue
		}
		if other, taken := byName[m.LogicalName]; taken {
			m.failAt("logical_name", fmt.Sprintf("%q is the logical_name in %s too", m.LogicalName, other), "give each model a name of its own")
			continue
		}
		byName[m.LogicalName] = m.file
		fold := strings.ToLower(m.LogicalName)
		if other, taken := byFold[fold]; taken {
			m.warnAt("logical_name", fmt.Sprintf("%q differs from %q in %s in upper and lower case only", m.LogicalName, other.LogicalName, other.file), "")
		}
		byFold[fold] = m
	}
}

// checkAliases makes sure that each alias means one model.
func (l *loader) checkAliases() {
	logical, taken := make(map[string]string), make(map[string]string)
	for _, m := range l.models {
		logical[m.LogicalName] = m.file
	}
	for _, m := range l.models {
		if l.leavesOut(m) {
			continue
		}
		for i, alias := range m.Aliases {
			field := fmt.Sprintf("aliases[%d]", i)
			if other, ok := taken[alias]; ok {
				m.failAt(field, fmt.Sprintf("%q is an alias in %s too", alias, other), "one name can mean one model only")
			}
			taken[alias] = m.file
			if other, ok := logical[alias]; ok && other != m.file {
				m.warnAt(field, fmt.Sprintf("has no effect: %q is the logical_name in %s", alias, other), "leave it out")
			}
		}
	}
}

// checkRoute finds a route's provider and makes sure that it can serve it.
func (l *loader) checkRoute(m *modelFile, i int) {
	r, field := &m.ModelRoutings[i], fmt.Sprintf("model_routings[%d]", i)
	missing := l.fillInRoute(m, field, r)
	if r.ProviderName == "" {
		return // reported already
	}
	p, ok := l.providers[r.ProviderName]
	if !ok {
		m.failAt(field+".provider", fmt.Sprintf("there is no provider %q", r.ProviderName), didYouMean(r.ProviderName, l.providerNames()))
		return
	}
	r.Provider, r.Owner = p.Provider, m.Model
	if p.broken {
		return
	}
	if !p.Enabled {
		m.warnAt(field+".provider", fmt.Sprintf("provider %q is disabled; the route is skipped", p.ID), "")
	}
	if r.WireProtocol != "" && !p.Speaks(r.WireProtocol) {
		m.failAt(field+".wire_protocol", fmt.Sprintf("provider %q has no endpoint for %q", p.ID, r.WireProtocol),
			fmt.Sprintf("add endpoints.%s to %s, or leave wire_protocol out", pathKeys[r.WireProtocol], p.file))
	}
	for _, name := range missing {
		if p.Enabled && l.callable(r) {
			m.failAt(field+".base_url", notSet(name), fixNotSet(name)+", or remove the route")
		} else if p.Enabled {
			m.warnAt(field+".base_url", notSet(name)+"; the route is skipped", "")
		}
	}
}

func (l *loader) providerNames() []string {
	return slices.Sorted(maps.Keys(l.providers))
}

// connect builds the catalog of what was checked.
func (l *loader) connect() *Catalog {
	c := newCatalog()
	c.digest = Digest(l.digest.Sum(nil))
	for _, name := range l.providerNames() {
		c.addProvider(l.providers[name].Provider)
	}
	for _, m := range l.models {
		for i := range m.ModelRoutings {
			r := &m.ModelRoutings[i]
			r.BaseURL = cmp.Or(r.BaseURL, r.Provider.BaseURL)
			if r.usable() {
				m.Routes = append(m.Routes, r)
			}
		}
		c.addModel(m.Model)
	}
	c.sort()
	for _, m := range l.models {
		m.Fallbacks = l.fallbacks(c, m, "fallback_model_routings", m.FallbackModelRoutings)
		m.ContextFallbacks = l.fallbacks(c, m, "context_window_fallbacks", m.ContextWindowFallbacks)
		m.PolicyFallbacks = l.fallbacks(c, m, "content_policy_fallbacks", m.ContentPolicyFallbacks)
		l.take(m.document)
	}
	return c
}

// fallbacks finds the models that a list of fallbacks names. What cannot be
// found is skipped, so that one model can be taken out without touching all
// that fall back to it.
func (l *loader) fallbacks(c *Catalog, m *modelFile, field string, names []string) []Fallback {
	var found []Fallback
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", field, i)
		switch model, ok := c.Resolve(name); {
		case !ok:
			m.warnAt(at, fmt.Sprintf("no model answers to %q; skipped", name), "")
		case model == m.Model:
			m.warnAt(at, fmt.Sprintf("%q is an alias of this very model; skipped", name), "give it a file of its own")
		default:
			found = append(found, Fallback{Name: name, Model: model})
		}
	}
	return found
}

// sortProblems brings problems into the order of files and lines.
func sortProblems(problems []Problem) {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field))
	})
}
