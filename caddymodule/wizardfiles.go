package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// plannedFile is a file that setup means to write. .env is none of them, because
// it is added to.
type plannedFile struct {
	path, text string
	present    bool // and different
}

// setupPlan is what setup is going to do.
type setupPlan struct {
	site  *site
	files []plannedFile
	// models are the names that clients will see.
	models []string
}

// plan works out what the answers mean.
func (w *wizard) plan() (*setupPlan, error) {
	where, err := parseSite(w.answers.Address)
	if err != nil {
		return nil, err
	}
	where.ClientKey = true
	where.Demo = slices.Contains(w.answers.Providers, demoProvider)
	if w.answers.RequestLog != off {
		where.Database = w.answers.RequestLog
	}
	w.announce(where)
	plan := &setupPlan{site: where}
	for _, p := range w.providers() {
		plan.addShipped(w.stock, p.File)
	}
	var typed []newModel
	for _, name := range w.answers.Models {
		if m, ok := w.stock.catalog.Model(name); ok {
			if err := w.planModel(plan, m); err != nil {
				return nil, err
			}
		} else {
			typed = addTyped(typed, name)
		}
	}
	for i := range typed {
		if err := plan.planTyped(&typed[i]); err != nil {
			return nil, err
		}
	}
	// The Caddyfile comes last: when it is there, all that it wants is.
	return plan, plan.add(defaultCaddyfile, where.text())
}

// announce plans to write into .env where the gateway serves, unless the variables
// say so already: they count before what the Caddyfile says by itself, and health and
// chat go by them.
func (w *wizard) announce(where *site) {
	if where.Domain != "" {
		return
	}
	said := w.vars.site()
	if said.Port != where.Port {
		w.secrets[portVariable] = where.Port
	}
	switch {
	case where.Host != "" && said.Host != where.Host:
		w.secrets[hostVariable] = where.Host
	case where.Host == "" && said.url() != (&site{Host: standardHost, Port: said.Port}).url():
		w.secrets[hostVariable] = "0.0.0.0"
	}
	for _, name := range placeVariables {
		if w.secrets[name] != "" && w.vars.get(name) != "" && w.vars.from(name) == "" {
			w.tell("%s is set in the environment, which counts before .env: unset it before the gateway starts", name)
		}
	}
}

// addShipped plans to write a shipped file, unless one of its name is there.
func (p *setupPlan) addShipped(s *stock, path string) {
	if text, shipped := s.shipped[path]; shipped {
		p.files = append(p.files, plannedFile{path, string(text), false})
	}
}

// add plans to write a file, unless it has that text already.
func (p *setupPlan) add(path, text string) error {
	present, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.files = append(p.files, plannedFile{path, text, false})
	case err != nil:
		return fmt.Errorf("looking at %s: %w", path, err)
	case string(present) != text:
		p.files = append(p.files, plannedFile{path, text, true})
	}
	return nil
}

// planModel plans the file of a model that the program ships, with the routes that
// lead to the chosen providers. One that is there stays as it is.
func (w *wizard) planModel(plan *setupPlan, m *routing.Model) error {
	plan.models = append(plan.models, m.LogicalName)
	text, shipped := w.stock.shipped[m.File]
	if !shipped {
		return nil
	}
	trimmed, err := w.trim(string(text))
	if err != nil {
		return fmt.Errorf("choosing the routes of %s: %w", m.LogicalName, err)
	}
	plan.files = append(plan.files, plannedFile{m.File, trimmed, false})
	return nil
}

// addTyped adds a provider/model to models: the same model of another provider is
// a further route.
func addTyped(models []newModel, name string) []newModel {
	provider, model, _ := strings.Cut(name, "/")
	route := newRoute{provider, model}
	if i := slices.IndexFunc(models, func(m newModel) bool { return m.Name == model }); i >= 0 {
		models[i].Routes = append(models[i].Routes, route)
		return models
	}
	return append(models, newModel{Name: model, Routes: []newRoute{route}})
}

// planTyped plans the file of a model that was written as provider/model, unless a
// chosen file answers to its name.
func (p *setupPlan) planTyped(m *newModel) error {
	if slices.Contains(p.models, m.Name) {
		return nil
	}
	p.models = append(p.models, m.Name)
	text, err := m.text()
	if err != nil {
		return fmt.Errorf("writing the model %s: %w", m.Name, err)
	}
	return p.add(filepath.Join(configDirectory, "models", filepath.FromSlash(m.Name)+".json"), string(text))
}

// isFileName reports whether a model's name, with slashes for directories, can be
// that of a file.
func isFileName(name string) bool {
	return filepath.IsLocal(filepath.FromSlash(name)) && !strings.ContainsFunc(name, dangerous) && !strings.ContainsAny(name, `\*?"<>|`)
}

// trim is the text of a model file without routes to providers, and fallbacks to
// models, that were not chosen.
func (w *wizard) trim(text string) (string, error) {
	for _, list := range []struct {
		key  string
		keep func(gjson.Result) bool
	}{
		{"model_routings", func(r gjson.Result) bool { return slices.Contains(w.answers.Providers, r.Get("provider").String()) }},
		{"fallback_model_routings", w.isChosen},
		{"context_window_fallbacks", w.isChosen},
		{"content_policy_fallbacks", w.isChosen},
	} {
		var kept []string
		all := gjson.Get(text, list.key).Array()
		for _, entry := range all {
			if list.keep(entry) {
				kept = append(kept, entry.Raw)
			}
		}
		if len(kept) == len(all) {
			continue
		}
		raw := "[]"
		if len(kept) > 0 {
			raw = "[\n    " + strings.Join(kept, ",\n    ") + "\n  ]"
		}
		var err error
		if text, err = sjson.SetRaw(text, list.key, raw); err != nil {
			return "", err
		}
	}
	return text, nil
}

func (w *wizard) isChosen(model gjson.Result) bool {
	return slices.Contains(w.answers.Models, model.String())
}

// differing are the files that are there and say something else.
func (p *setupPlan) differing() []string {
	var paths []string
	for _, f := range p.files {
		if f.present {
			paths = append(paths, f.path)
		}
	}
	return paths
}

// chosen are the files that are to be written: all, or only those that are new.
func (p *setupPlan) chosen(replace bool) []plannedFile {
	return slices.DeleteFunc(slices.Clone(p.files), func(f plannedFile) bool { return f.present && !replace })
}

// keeps reports whether a file that is there, and says something else, remains.
func (p *setupPlan) keeps(path string, chosen []plannedFile) bool {
	return slices.Contains(p.differing(), path) && !slices.ContainsFunc(chosen, func(f plannedFile) bool { return f.path == path })
}

// write writes files, and the variables into .env, provided that the gateway could
// load them. Where writing fails, what was new is removed again.
func (w *wizard) write(files []plannedFile) (err error) {
	drafts := make(map[string][]byte, len(files))
	for _, f := range files {
		drafts[f.path] = []byte(f.text)
	}
	if err := loadWith(w.environ(), drafts); err != nil {
		return fmt.Errorf("nothing is written, because the gateway could not load it: %w", err)
	}
	var made []string
	defer func() {
		if err != nil {
			for _, path := range made {
				_ = os.Remove(path)
			}
		}
	}()
	for _, f := range files {
		if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
			return fmt.Errorf("writing %s: making its directory: %w", f.path, cause(err))
		}
		mode := configFileMode
		switch _, now, err := lookAt(f.path); {
		case err != nil:
			return err
		case now != nil && !f.present:
			return fmt.Errorf("writing %s: somebody else has made it meanwhile; call setup again", f.path)
		case now != nil:
			mode = now.Mode().Perm() // a Caddyfile may hold what only its owner shall read
		}
		if err := exchangeFile(f.path, []byte(f.text), mode); err != nil {
			return err
		}
		if !f.present {
			made = append(made, f.path)
		}
	}
	if len(w.secrets) == 0 {
		return nil
	}
	err = changeEnvFile(defaultEnvFile, func(text string) (_ string, err error) {
		for _, name := range w.secretNames() {
			if text, err = setVariable(text, name, w.secrets[name], w.useOf(name)); err != nil {
				return "", fmt.Errorf("%s: %w", name, err)
			}
		}
		return text, nil
	})
	if err != nil {
		return fmt.Errorf("writing %s: %w", defaultEnvFile, err)
	}
	return nil
}

// useOf is the comment above a variable.
func (w *wizard) useOf(name string) string {
	switch {
	case name == clientKeyVariable:
		return "Clients"
	case slices.Contains(placeVariables, name):
		return "Where the gateway serves"
	}
	for _, p := range w.providers() {
		for _, key := range w.keysOf(p) {
			if key.Source == name {
				return p.DisplayName
			}
		}
		for _, text := range writtenTexts(w.stock.catalog, p) {
			if strings.Contains(text.text, "${"+name) {
				return p.DisplayName
			}
		}
	}
	return "Set by llm-proxy setup"
}
