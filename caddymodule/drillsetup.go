package caddymodule

import (
	"embed"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// drillFiles are the provider and model files of the built-in setup: two providers,
// and a model with a fallback.
//
//go:embed drill
var drillFiles embed.FS

// The model of the built-in setup, and how many keys each of its providers has.
const (
	drillModel = "demo"
	drillKeys  = 2
)

// drillHaste is by how much all waits for upstreams are shortened, and drillTick
// what is left at least of one: deadlines are looked at every 25 ms.
const (
	drillHaste = 200
	drillTick  = 100 * time.Millisecond
)

// drillSetup is the files of a drill, and an environment in which every secret is
// made up.
type drillSetup struct {
	options routing.LoadOptions
	keys    []string            // made up
	sources map[string][]string // the variables of the made-up keys, by provider
	ofRoute map[string]bool     // the made-up keys that only a route names
}

// readDrillSetup prepares the files in two directories. environ is the real
// environment: only how many keys it has is taken from it.
func readDrillSetup(options routing.LoadOptions, environ []string) (*drillSetup, error) {
	// Without variables nothing is filled in, so that it can be seen which of
	// them are wanted.
	options.Environ, options.KeepGoing = nil, true
	catalog, _, err := routing.Load(options)
	if err != nil {
		return nil, err
	}
	s := &drillSetup{options: options, sources: make(map[string][]string), ofRoute: make(map[string]bool)}
	for _, p := range catalog.Providers() {
		for _, text := range writtenTexts(catalog, p) {
			s.makeUpVariables(text.text)
		}
		if !p.Keyless() {
			s.makeUpKeys(p.ID, p.KeyPatterns(), environ, false)
		}
	}
	for _, m := range catalog.Models() {
		for i := range m.ModelRoutings {
			if r := &m.ModelRoutings[i]; len(r.APIKeyEnv) > 0 {
				s.makeUpKeys(r.ProviderName, r.APIKeyEnv, environ, true)
			}
		}
	}
	return s, nil
}

// builtInDrillSetup prepares the setup that needs no files. cleanUp deletes what
// it has written.
func builtInDrillSetup() (s *drillSetup, cleanUp func(), err error) {
	dir, err := os.MkdirTemp("", "llm-proxy-drill-")
	if err != nil {
		return nil, nil, fmt.Errorf("writing the files of the built-in setup: %w", err)
	}
	cleanUp = func() { _ = os.RemoveAll(dir) }
	files, err := fs.Sub(drillFiles, "drill")
	if err == nil {
		err = os.CopyFS(dir, files)
	}
	if err != nil {
		cleanUp()
		return nil, nil, fmt.Errorf("writing the files of the built-in setup: %w", err)
	}
	var environ []string
	for _, provider := range []string{"ALPHA", "BETA"} {
		for n := range drillKeys {
			environ = append(environ, fmt.Sprintf("%s_API_KEY_%d=%d", provider, n+1, n))
		}
	}
	s, err = readDrillSetup(routing.LoadOptions{ProvidersDir: filepath.Join(dir, "providers"), ModelsDir: filepath.Join(dir, "models")}, environ)
	if err != nil {
		cleanUp()
	}
	return s, cleanUp, err
}

// makeUpKeys makes up as many keys as the environment has for some patterns, and
// at least one.
func (s *drillSetup) makeUpKeys(provider string, patterns, environ []string, ofRoute bool) {
	found, _ := keys.Discover(provider, patterns, environ)
	variables := []string{keys.Variable(provider, patterns)}
	for i, key := range found {
		variables = append(variables[:i], key.Source)
	}
	for _, name := range variables {
		if s.has(name) {
			continue
		}
		key := madeUpKey(provider, len(s.sources[provider])+1)
		s.options.Environ = append(s.options.Environ, name+"="+key)
		s.keys = append(s.keys, key)
		s.ofRoute[key] = ofRoute
		s.sources[provider] = append(s.sources[provider], name)
	}
}

// madeUpKey is a provider's key of this number, from 1. None is the beginning of
// another.
func madeUpKey(provider string, n int) string { return fmt.Sprintf("drill-%s-%d-key", provider, n) }

// makeUpVariables makes up the variables of a text that have no default, so that a
// base URL remains one.
func (s *drillSetup) makeUpVariables(text string) {
	for _, reference := range references.FindAllStringSubmatchIndex(text, -1) {
		name := text[reference[2]:reference[3]]
		if reference[4] >= 0 || s.has(name) {
			continue
		}
		value := "1"
		if reference[0] == 0 {
			value = "http://drill.invalid"
		}
		s.options.Environ = append(s.options.Environ, name+"="+value)
	}
}

// has reports whether a variable has been made up.
func (s *drillSetup) has(name string) bool {
	for _, entry := range s.options.Environ {
		if strings.HasPrefix(entry, name+"=") {
			return true
		}
	}
	return false
}

// keyIn finds the made-up key that a request presents, wherever its provider wants
// to have it.
func (s *drillSetup) keyIn(r *http.Request) string {
	for _, values := range r.Header {
		for _, value := range values {
			for _, key := range s.keys {
				if strings.Contains(value, key) {
					return key
				}
			}
		}
	}
	return ""
}

// gateway makes a gateway of the files that asks the drill's network. Its settings
// are the defaults of an llm_proxy block, but that it waits less. close ends it.
func (s *drillSetup) gateway(network *drillNetwork) (h *Handler, rt *runtime, err error) {
	catalog, _, err := routing.Load(s.options)
	if err != nil {
		return nil, nil, err
	}
	hasten(catalog)
	h = &Handler{AllowAnonymous: true, logger: zap.NewNop(), clients: keys.NewClients()}
	if err := h.setDefaults(); err != nil {
		return nil, nil, err
	}
	options := h.routerOptions()
	options.Timeouts = hastened(options.Timeouts)
	options.Catalog, options.Keys, options.Environ = catalog, keys.NewState(), s.options.Environ
	options.Transport = func(p *routing.Provider, _ time.Duration) (http.RoundTripper, error) {
		return &drillTransport{network, p}, nil
	}
	rt = &runtime{catalog: catalog}
	rt.refs.Store(1)
	if rt.router, _, err = routing.New(options); err != nil {
		return nil, nil, err
	}
	rt.names = newRouteNames(rt.router)
	rt.closers = append(rt.closers, rt.router.Close)
	h.current.Store(rt)
	return h, rt, nil
}

// hasten shortens the waits that files set.
func hasten(catalog *routing.Catalog) {
	for _, p := range catalog.Providers() {
		p.Timeouts, p.RequestConfig.Timeout = hastened(p.Timeouts), sooner(p.RequestConfig.Timeout)
		for name, model := range p.Models {
			model.Timeouts, model.Timeout = hastened(model.Timeouts), sooner(model.Timeout)
			p.Models[name] = model
		}
	}
	for _, m := range catalog.Models() {
		m.Timeouts, m.Timeout, m.HedgeAfter = hastened(m.Timeouts), sooner(m.Timeout), sooner(m.HedgeAfter)
		for i := range m.ModelRoutings {
			r := &m.ModelRoutings[i]
			r.Timeouts, r.Timeout = hastened(r.Timeouts), sooner(r.Timeout)
		}
	}
}

func hastened(t routing.Timeouts) routing.Timeouts {
	return routing.Timeouts{Connect: t.Connect, FirstContent: sooner(t.FirstContent), Idle: sooner(t.Idle), Total: sooner(t.Total)}
}

// sooner is a wait as a drill has it. One that is not set remains so.
func sooner(d time.Duration) time.Duration {
	if d <= 0 {
		return d
	}
	return max(d/drillHaste, drillTick)
}

// spareVariable names a variable in which one more key of a provider would be
// found. Empty: its file names none.
func (s *drillSetup) spareVariable(p *routing.Provider) string {
	patterns := p.KeyPatterns()
	if len(patterns) == 0 {
		patterns = []string{"{PROVIDER}_API_KEY_{INDEX}"}
	}
	for n := range len(s.sources[p.ID]) + 1 {
		for _, pattern := range patterns {
			name := keys.Variable(p.ID, []string{strings.ReplaceAll(pattern, "{INDEX}", strconv.Itoa(n+2))})
			if !s.has(name) {
				return name
			}
		}
	}
	return ""
}
