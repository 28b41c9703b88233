package caddymodule

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

func keysCommand() *cobra.Command {
	return group("keys", "Lists and tests the keys of providers", keysListCommand(), keysTestCommand())
}

func keysListCommand() *cobra.Command {
	var offline bool
	cmd := &cobra.Command{
		Use:   "list [<provider>] [--offline]",
		Short: "Lists the keys of providers, and which of them rest",
		Long: `Lists the keys of providers by their public names, and which of them rest.

Asks the running gateway. With --offline it tells which keys the files and the
environment make; whether one rests only the running gateway knows.`,
		Args: cobra.MaximumNArgs(1),
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "Read files and environment instead of asking the gateway")
	addFileFlags(cmd)
	addAddressFlag(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, arguments []string) error {
		var only string
		if len(arguments) > 0 {
			only = arguments[0]
		}
		var answer keysAnswer
		var err error
		if offline {
			answer.Providers, err = offlineKeys(cmd, only)
		} else {
			path := "/llm_proxy/keys"
			if only != "" {
				path += "?" + url.Values{"provider": {only}}.Encode()
			}
			err = askAdmin(cmd, path, "; --offline reads the files instead", &answer)
		}
		if err != nil {
			return err
		}
		out := newOutput(cmd)
		if out.json {
			err = out.printJSON(answer)
		} else {
			printKeys(out, answer.Providers, offline, time.Now())
		}
		if err != nil {
			return err
		}
		return out.flush(cmd)
	}
	return cmd
}

// offlineKeys are the keys that files and environment make, in the shape in which
// the gateway tells of them.
func offlineKeys(cmd *cobra.Command, only string) ([]providerReport, error) {
	catalog, _, vars, err := loadCatalog(cmd)
	if err != nil {
		return nil, err
	}
	directory := absolute(loadOptions(cmd, nil).ProvidersDir)
	reports := []providerReport{}
	for _, p := range catalog.Providers() {
		if only != "" && only != p.ID || only == "" && !p.Enabled {
			continue
		}
		report := routing.ProviderReport{Provider: p.ID, Keys: []keys.KeyStatus{}, Models: []keys.ModelStatus{}}
		for _, key := range discovered(catalog, p, vars.environ) {
			report.Keys = append(report.Keys, keys.KeyStatus{ID: key.ID, Source: key.Source, Cooling: []keys.Cooling{}})
		}
		reports = append(reports, providerReport{Directory: directory, ProviderReport: report})
	}
	if len(reports) == 0 && only != "" {
		return nil, unknownProviderName(only)
	}
	return reports, nil
}

// loadCatalog reads the files and the variables. What is broken is left out, and told
// as a problem.
func loadCatalog(cmd *cobra.Command) (*routing.Catalog, []routing.Problem, variables, error) {
	vars, err := readVariables(cmd)
	if err != nil {
		return nil, nil, vars, err
	}
	options := loadOptions(cmd, vars.environ)
	options.KeepGoing = true
	catalog, problems, err := routing.Load(options)
	return catalog, problems, vars, err
}

func unknownProviderName(name string) error {
	return fmt.Errorf("there is no provider %q; config list providers shows those that there are", name)
}

func printKeys(out *output, providers []providerReport, offline bool, now time.Time) {
	var without []string
	n := 0
	for _, p := range providers {
		n += len(p.Keys)
		if len(p.Keys) == 0 {
			without = append(without, p.Provider)
		}
	}
	if n > 0 {
		table := out.newTable("PROVIDER", "KEY", "VARIABLE", out.paint(uncoloured, "STATE"), "WHY")
		for _, p := range providers {
			for _, key := range p.Keys {
				printKey(out, table, p.Provider, &key, offline, now)
			}
		}
		table.end()
	}
	if len(without) > 0 {
		out.printf("without keys: %s", strings.Join(without, ", "))
	}
}

// printKey adds a key's lines: one, or one for each thing that keeps it out of
// use.
func printKey(out *output, table *table, provider string, key *keys.KeyStatus, offline bool, now time.Time) {
	source := cmp.Or(key.Source, "none needed")
	switch {
	case offline && key.Source != "":
		table.row(provider, key.ID, source, out.paint(uncoloured, "set"), "")
	case len(key.Cooling) == 0:
		table.row(provider, key.ID, source, out.paint(green, "usable"), "")
	}
	for _, c := range key.Cooling {
		state := out.paint(red, "rests")
		why := strings.ReplaceAll(string(c.Why), "_", " ") + " for " + roundUp(c.Until.Sub(now))
		if c.HalfOpen {
			state = out.paint(yellow, "on trial")
			why = "was " + strings.ReplaceAll(string(c.Why), "_", " ") + ", has not worked since"
		}
		switch c.Scope {
		case keys.ScopeKeyModel:
			why += ", for model " + c.Model
		case keys.ScopeProvider:
			why += ", with all of the provider"
		}
		table.row(provider, key.ID, source, state, why)
	}
}

// ownKeys are the keys of a provider. One that takes none has an empty key, as in
// the gateway.
func ownKeys(p *routing.Provider, environ []string) []*keys.Key {
	if p.Keyless() {
		return []*keys.Key{keys.NewKey(p.ID, "", "")}
	}
	found, _ := keys.Discover(p.ID, p.KeyPatterns(), environ)
	return found
}

// discovered are the keys of a provider and those that only single routes of it
// use.
func discovered(catalog *routing.Catalog, p *routing.Provider, environ []string) []*keys.Key {
	found := ownKeys(p, environ)
	for _, m := range catalog.Models() {
		for i := range m.ModelRoutings {
			r := &m.ModelRoutings[i]
			if r.Provider != p || len(r.APIKeyEnv) == 0 {
				continue
			}
			own, _ := keys.Discover(p.ID, r.APIKeyEnv, environ)
			for _, key := range own {
				if !slices.ContainsFunc(found, func(k *keys.Key) bool { return k.ID == key.ID }) {
					found = append(found, key)
				}
			}
		}
	}
	return found
}
