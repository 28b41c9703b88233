package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/dustin/go-humanize/english"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// setupWrites is what to do where files are missing.
const setupWrites = "caddy llm-proxy setup writes what is missing"

// adviseSetup tells how to come by the files of the usual directories, where problems
// are about a directory itself.
func adviseSetup(problems []routing.Problem) {
	for i := range problems {
		if p := &problems[i]; p.File == usualProviders || p.File == usualModels {
			p.Fix = setupWrites
		}
	}
}

// checkConfiguration reads the Caddyfile, or takes that of start.
func (x *examination) checkConfiguration() {
	path, _ := x.cmd.Flags().GetString("config")
	config, err := findConfiguration(path)
	switch {
	case err != nil:
		x.fail("Caddyfile", err.Error(), "put that right; "+setupWrites, nil)
		return
	case config == nil:
		x.warn("Caddyfile", "there is none with an llm_proxy block here", "caddy llm-proxy start serves one of its own, and setup writes one")
		if config, err = new(startFlags).ownConfiguration(); err != nil {
			x.fail("Caddyfile", err.Error(), "", nil)
			return
		}
	default:
		x.ok("Caddyfile", "%s can be read; llm_proxy blocks: %d", config.path, len(config.blocks))
	}
	x.config = config
}

// checkFiles checks the directories of a block, and all files in them.
func (x *examination) checkFiles(block *Handler) {
	missing := false
	for _, directory := range []string{block.Providers, block.Models} {
		switch _, err := os.ReadDir(directory); {
		case errors.Is(err, fs.ErrNotExist):
			missing = true
			x.fail("files", "there is no directory "+directory, setupWrites, func() (string, error) {
				return "made the directory " + directory, os.MkdirAll(directory, 0o755)
			})
		case err != nil:
			x.fail("files", fmt.Sprintf("reading the directory %s: %v", directory, cause(err)), "let the user of the gateway read it", nil)
		}
	}
	if missing {
		return
	}
	o := routing.LoadOptions{ProvidersDir: block.Providers, ModelsDir: block.Models, Environ: x.vars.environ}
	catalog, warnings, err := routing.Load(o)
	var broken *routing.LoadError
	if errors.As(err, &broken) {
		for _, p := range broken.Problems {
			if p.File == block.Providers || p.File == block.Models {
				p.Fix = setupWrites
			}
			x.fail("files", withoutFix(p), p.Fix, nil)
		}
		return
	}
	for _, p := range warnings {
		x.warn("files", withoutFix(p), p.Fix)
	}
	x.ok("files", "%s in %s and %s in %s load", english.Plural(len(catalog.Providers()), "provider", ""), block.Providers,
		english.Plural(len(catalog.Models()), "model", ""), block.Models)
	x.catalogs = append(x.catalogs, catalog)
	x.checkRoutes(catalog)
}

// withoutFix is a problem in words, but for what to do about it.
func withoutFix(p routing.Problem) string {
	p.Fix = ""
	return p.String()
}

// checkRoutes looks for models that nobody can answer.
func (x *examination) checkRoutes(catalog *routing.Catalog) {
	answered := 0
	for _, m := range catalog.Models() {
		wanted := ""
		if x.answers(catalog, m, &wanted, map[*routing.Model]bool{}) {
			answered++
			continue
		}
		x.warn("models", fmt.Sprintf("%s has no route that could be tried", m.LogicalName), wanted)
	}
	if answered == 0 {
		x.fail("models", "no model can be answered", "set the key of a provider in .env, or in the environment", nil)
		return
	}
	x.ok("models", "%d of %d have a provider with a key, or one that needs none", answered, len(catalog.Models()))
}

// answers reports whether a model, or one that it falls back to, has a route whose
// provider has a key. wanted becomes what would help.
func (x *examination) answers(catalog *routing.Catalog, m *routing.Model, wanted *string, seen map[*routing.Model]bool) bool {
	seen[m] = true
	for i := range m.ModelRoutings {
		r := &m.ModelRoutings[i]
		patterns := r.APIKeyEnv
		if len(patterns) == 0 {
			patterns = r.Provider.KeyPatterns()
		}
		found, _ := keys.Discover(r.Provider.ID, patterns, x.vars.environ)
		switch {
		case !r.Provider.Enabled:
			*wanted = fmt.Sprintf("set enabled to true in %s, or take the route out", r.Provider.File)
		case r.Provider.Unusable != "":
			*wanted = r.Provider.Unusable
		case len(found) > 0 || r.Provider.Keyless():
			return true
		default:
			*wanted = "set " + keys.Variable(r.Provider.ID, patterns)
		}
	}
	for _, f := range m.Fallbacks {
		if !seen[f.Model] && x.answers(catalog, f.Model, wanted, seen) {
			return true
		}
	}
	return false
}

// checkProviderVariables looks for variables that a provider with a key lacks.
func (x *examination) checkProviderVariables() {
	lacking, checked := 0, 0
	for _, block := range x.blocks() {
		// Without variables nothing is filled in, so what is written can be seen.
		catalog, _, err := routing.Load(routing.LoadOptions{ProvidersDir: block.Providers, ModelsDir: block.Models, KeepGoing: true})
		if err != nil {
			continue // told already
		}
		for _, p := range catalog.Providers() {
			if !p.Enabled {
				continue
			}
			wants := x.vars.ofProvider(catalog, p)
			checked += len(wants.Variables)
			if wants.State != "incomplete" {
				continue
			}
			for _, v := range wants.Variables {
				if !v.Set && !v.Optional && !strings.HasPrefix(v.For, "key") {
					lacking++
					x.fail("variables", fmt.Sprintf("%s has a key, but not %s, which is in its %s", p.ID, v.Name, v.For), "set "+v.Name, nil)
				}
			}
		}
	}
	if lacking == 0 && checked > 0 {
		x.ok("variables", "providers with a key have all others that they need")
	}
}

// checkClientKeys looks at the keys of clients.
func (x *examination) checkClientKeys() {
	if x.config == nil {
		return
	}
	replacer := caddy.NewReplacer()
	for _, block := range x.config.blocks {
		if block.AllowAnonymous {
			x.warn("clients", "callers without a key are answered", "take allow_anonymous out, unless nobody else can reach the gateway")
		}
		for _, client := range block.ClientKeys {
			if client.Key == "{env."+clientKeyVariable+"}" {
				continue // it is looked at below
			}
			key, err := replacer.ReplaceOrErr(client.Key, true, true)
			if err != nil {
				x.fail("clients", fmt.Sprintf("the key of %s: %v", client.Name, err), "set it", nil)
				continue
			}
			x.checkStrength(client.Name, key)
		}
	}
	switch key := x.vars.get(clientKeyVariable); {
	case !x.config.wantsClientKey():
	case key == "":
		x.fail("clients", clientKeyVariable+" is not set, so every request is refused", "set it in .env, or in the environment", writeClientKey)
	default:
		x.checkStrength("default", key)
	}
}

func (x *examination) checkStrength(client, key string) {
	if why := weakness(key); why != "" {
		x.warn("clients", fmt.Sprintf("the key of %s %s", client, why), "use one that nobody can guess, such as openssl rand -hex 16 makes")
		return
	}
	x.ok("clients", "%s has a key that is hard to guess", client)
}

// writeClientKey adds a new client key to .env.
func writeClientKey() (string, error) {
	return "wrote a new " + clientKeyVariable + " into " + defaultEnvFile, changeEnvFile(defaultEnvFile, func(text string) (string, error) {
		return setVariable(text, clientKeyVariable, newClientKey(), "Clients")
	})
}
