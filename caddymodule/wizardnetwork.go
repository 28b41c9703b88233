package caddymodule

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// keyTestTimeout is how long a provider may take to say whether a key works.
const keyTestTimeout = 15 * time.Second

// tryKeys asks the providers whether their keys work, and for others in place of
// those that do not.
func (w *wizard) tryKeys(providers []*routing.Provider) error {
	keyed := slices.ContainsFunc(providers, func(p *routing.Provider) bool { return !p.Keyless() && len(w.keysOf(p)) > 0 })
	if !keyed {
		return nil
	}
	try, err := w.prompt.confirm("Ask the providers whether these keys work? It costs nothing, or one token", w.testKeys)
	if err != nil || !try {
		return err
	}
	catalog, err := w.stock.load(w.environ())
	if err != nil {
		return err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	var tests []keyToTest
	for _, chosen := range providers {
		if p, ok := catalog.Provider(chosen.ID); ok && !p.Keyless() {
			tests = append(tests, testsOf(catalog, p, w.environ(), transport)...)
		}
	}
	for _, report := range runTests(w.ctx, tests, keyTestTimeout, io.Discard) {
		w.tell("%s %s: %s %s", report.Provider, report.Variable, string(report.Result), report.Reason)
		if report.Result != routing.KeyRefused {
			continue
		}
		title := fmt.Sprintf("%s does not work. Another key (empty: keep this one)", report.Variable)
		if _, entered := w.secrets[report.Variable]; !entered {
			w.tell("%s comes from %s: change it there", report.Variable, cmp.Or(w.vars.from(report.Variable), "the environment"))
			continue
		}
		if err := w.askVariable(report.Variable, title, true); err != nil {
			return err
		}
	}
	return w.ctx.Err()
}

// lookUpModels lets the person choose among the models that providers say they
// have, as provider/model.
func (w *wizard) lookUpModels() ([]string, error) {
	var names []string
	for _, p := range w.providers() {
		if p.Endpoints.Models != "" && p.ID != demoProvider && (p.Keyless() || len(w.keysOf(p)) > 0) {
			names = append(names, p.ID)
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	ask, err := w.prompt.confirm(fmt.Sprintf("Look for more in the lists of %s?", firstOf(names, 5)), false)
	if err != nil || !ask {
		return nil, err
	}
	catalog, err := w.stock.load(w.environ())
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	var found []string
	for _, name := range names {
		p, ok := catalog.Provider(name)
		if !ok {
			continue
		}
		models, err := w.modelsOf(p, transport)
		if err != nil {
			w.tell("%s: %s", p.DisplayName, err)
			continue
		}
		choices := make([]choice, len(models))
		for i, model := range models {
			choices[i] = choice{p.ID + "/" + model, model}
		}
		picked, err := w.prompt.pickSome("Models of "+p.DisplayName, choices, nil, func([]string) error { return nil })
		if err != nil {
			return nil, err
		}
		found = append(found, picked...)
	}
	return found, w.ctx.Err()
}

// modelsOf are the models that a provider says it has, but for those whose names
// no file can have.
func (w *wizard) modelsOf(p *routing.Provider, transport http.RoundTripper) ([]string, error) {
	ctx, cancel := context.WithTimeout(w.ctx, keyTestTimeout)
	defer cancel()
	test := &routing.KeyTest{Provider: p, BaseURL: p.BaseURL, Transport: transport}
	models, opinion := test.Models(ctx, ownKeys(p, w.environ())[0])
	if opinion.Verdict != routing.KeyOK {
		return nil, errors.New(opinion.Reason)
	}
	return slices.DeleteFunc(models, func(name string) bool { return !isFileName(name) }), nil
}
