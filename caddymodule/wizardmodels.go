package caddymodule

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

func (w *wizard) askModels() error {
	var choices []choice
	var reachable []string
	for _, m := range w.stock.catalog.Models() {
		if !w.reaches(m) {
			continue
		}
		label := m.LogicalName
		if len(m.Aliases) > 0 {
			label += ", also " + firstOf(m.Aliases, 3)
		}
		choices = append(choices, choice{m.LogicalName, label})
		reachable = append(reachable, m.LogicalName)
	}
	preset, typed := reachable, ""
	if len(w.answers.Models) > 0 {
		isListed := func(name string) bool { return slices.Contains(reachable, name) }
		preset = slices.DeleteFunc(slices.Clone(w.answers.Models), func(name string) bool { return !isListed(name) })
		typed = strings.Join(slices.DeleteFunc(slices.Clone(w.answers.Models), isListed), ", ")
	}
	var chosen []string
	var err error
	if len(choices) > 0 {
		if chosen, err = w.prompt.pickSome("Which models shall clients see?", choices, preset, func([]string) error { return nil }); err != nil {
			return err
		}
	}
	looked, err := w.lookUpModels()
	if err != nil {
		return err
	}
	typed = strings.Join(distinct(append(split(typed), looked...)), ", ")
	text, err := w.prompt.ask("More models, as provider/model, with commas between (empty: none)", typed, false, func(text string) error {
		if len(chosen) == 0 && strings.TrimSpace(text) == "" {
			return errors.New("there has to be a model; write one as provider/model, for example " + w.answers.Providers[0] + "/<model>")
		}
		return w.checkTyped(split(text))
	})
	if err != nil {
		return err
	}
	w.answers.Models = distinct(append(chosen, split(text)...))
	return nil
}

// reaches reports whether a route of a model leads to a provider that was chosen.
func (w *wizard) reaches(m *routing.Model) bool {
	return slices.ContainsFunc(m.ModelRoutings, func(r routing.Route) bool {
		return slices.Contains(w.answers.Providers, r.ProviderName)
	})
}

// checkTyped makes sure that models are written as provider/model.
func (w *wizard) checkTyped(names []string) error {
	for _, name := range names {
		provider, model, ok := strings.Cut(name, "/")
		switch {
		case !ok || model == "":
			return fmt.Errorf("there is no model %q with these providers; write provider/model, for example openrouter/%s", name, name)
		case !slices.Contains(w.answers.Providers, provider):
			return fmt.Errorf("%q is none of the chosen providers %s", provider, strings.Join(w.answers.Providers, ", "))
		case !isFileName(model):
			return fmt.Errorf("%q cannot be the name of a file", model)
		}
	}
	return nil
}

// split are the parts of a text with commas, or spaces, between.
func split(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// distinct are the words of a list, each once.
func distinct(words []string) []string {
	var found []string
	for _, word := range words {
		if !slices.Contains(found, word) {
			found = append(found, word)
		}
	}
	return found
}
