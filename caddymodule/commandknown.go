package caddymodule

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// discoverTimeout bounds how long a provider is asked for its models.
const discoverTimeout = 30 * time.Second

// addCustom notes a model of a provider.
func addCustom(cmd *cobra.Command, f *modelFlags) error {
	if err := wantAll(map[string]string{"--provider": f.provider, "--model": f.model}, "--provider", "--model"); err != nil {
		return err
	}
	files, err := filesToChange(cmd)
	if err != nil {
		return err
	}
	if err := files.wantProvider(f.provider); err != nil {
		return err
	}
	change, err := files.addCustomModel(f.provider, f.model)
	if err != nil {
		return err
	}
	out := newOutput(cmd)
	if out.json {
		err = out.printJSON(change)
	} else {
		switch change.Action {
		case "unchanged":
			out.printf("%s  %s has model %s of %s already", out.paint(yellow, "warning"), change.File, f.model, f.provider)
		default:
			out.printf("%s %s to %s, as a model of %s", out.paint(green, "added"), f.model, change.File, f.provider)
		}
	}
	return cmp.Or(err, out.flush(cmd))
}

// discoverModels asks a provider for its models and notes them.
func discoverModels(cmd *cobra.Command, f *modelFlags) error {
	if f.provider == "" {
		return usageError{"--provider is missing; it says who is asked"}
	}
	catalog, _, vars, err := loadCatalog(cmd)
	if err != nil {
		return err
	}
	p, ok := catalog.Provider(f.provider)
	if !ok {
		return unknownProviderName(f.provider)
	}
	found := ownKeys(p, vars.environ)
	switch {
	case p.Unusable != "":
		return fmt.Errorf("%s cannot be asked: %s", p.ID, p.Unusable)
	case len(found) == 0:
		return fmt.Errorf("no key of %s is set; set %s", p.ID, keys.Variable(p.ID, p.KeyPatterns()))
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(cmd.Context(), discoverTimeout)
	defer cancel()
	test := &routing.KeyTest{Provider: p, BaseURL: p.BaseURL, Transport: transport}
	models, opinion := test.Models(ctx, found[0])
	if opinion.Verdict != routing.KeyOK {
		return fmt.Errorf("%s does not tell its models (%s): %s", p.ID, opinion.Verdict, opinion.Reason)
	}
	files := &configFiles{loadOptions(cmd, nil).ProvidersDir, loadOptions(cmd, nil).ModelsDir, vars.environ}
	change, err := files.setDiscoveredModels(p.ID, models, time.Now())
	if err != nil {
		return err
	}
	out := newOutput(cmd)
	if out.json {
		err = out.printJSON(change)
	} else {
		out.printf("%s %s: %s has %d models", out.paint(green, change.Action), change.File, p.ID, len(models))
		out.printf("next: caddy llm-proxy add model --list --provider %s", p.ID)
	}
	return cmp.Or(err, out.flush(cmd))
}

// knownModel is a model that a provider is known to have.
type knownModel struct {
	Model string `json:"model"`
	// From is custom, where somebody noted it, or discovered.
	From string `json:"from"`
}

// known are the models that a provider is known to have.
func (c *configFiles) known(provider string) ([]knownModel, error) {
	text, err := c.readKnownModels()
	if err != nil {
		return nil, err
	}
	models := []knownModel{}
	for _, list := range []struct{ kind, from string }{{customModels, "custom"}, {discoveredModels, "discovered"}} {
		names, err := modelsIn(text, list.kind, provider)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", c.knownModelsFile(), err)
		}
		for _, name := range names {
			models = append(models, knownModel{name, list.from})
		}
	}
	slices.SortStableFunc(models, func(a, b knownModel) int { return cmp.Compare(a.Model, b.Model) })
	return models, nil
}

func listKnown(cmd *cobra.Command, provider string) error {
	o := loadOptions(cmd, nil)
	files := &configFiles{o.ProvidersDir, o.ModelsDir, nil}
	if err := files.wantProvider(provider); err != nil {
		return err
	}
	models, err := files.known(provider)
	if err != nil {
		return err
	}
	out := newOutput(cmd)
	if out.json {
		err = out.printJSON(models)
	} else if len(models) == 0 {
		out.printf("no models of %s are known; --discover asks it", provider)
	} else {
		table := out.newTable("MODEL", "FROM")
		for _, m := range models {
			table.row(m.Model, m.From)
		}
		table.end()
	}
	return cmp.Or(err, out.flush(cmd))
}

// completeModels lets the shell complete providers, and the models that they are
// known to have.
func completeModels(cmd *cobra.Command) {
	complete := func(flag string, words func(*configFiles) []string) {
		// It fails where there is no such flag only.
		_ = cmd.RegisterFlagCompletionFunc(flag, func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
			o := loadOptions(cmd, nil)
			return words(&configFiles{o.ProvidersDir, o.ModelsDir, nil}), cobra.ShellCompDirectiveNoFileComp
		})
	}
	complete("provider", func(*configFiles) []string {
		providers, _ := providersForKeys(cmd)
		var names []string
		for _, p := range providers {
			names = append(names, p.ID)
		}
		return names
	})
	complete("model", func(files *configFiles) []string {
		provider, _ := cmd.Flags().GetString("provider")
		models, _ := files.known(provider)
		var names []string
		for _, m := range models {
			if !strings.ContainsFunc(m.Model, dangerous) { // it came from the provider
				names = append(names, m.Model)
			}
		}
		return names
	})
}
