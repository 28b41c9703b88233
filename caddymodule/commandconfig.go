package caddymodule

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize/english"
	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

func configCommand() *cobra.Command {
	return group("config", "Lists, checks and shows the provider and model files",
		configListCommand(), configValidateCommand(), configShowCommand())
}

// Where files lie if nobody says otherwise.
const (
	usualProviders = configDirectory + "/providers"
	usualModels    = configDirectory + "/models"
)

// addFileFlags gives a command the flags that say which files it reads.
func addFileFlags(cmd *cobra.Command) {
	cmd.Flags().String("providers", usualProviders, "Directory of provider files")
	cmd.Flags().String("models", usualModels, "Directory of model files")
	addEnvFileFlag(cmd)
}

// loadOptions are what a command reads, by its flags.
func loadOptions(cmd *cobra.Command, environ []string) routing.LoadOptions {
	providers, _ := cmd.Flags().GetString("providers")
	models, _ := cmd.Flags().GetString("models")
	return routing.LoadOptions{ProvidersDir: providers, ModelsDir: models, Environ: environ}
}

// problemReport is a problem of a file as JSON has it.
type problemReport struct {
	File    string `json:"file"`
	Line    int    `json:"line,omitempty"`
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
	Fix     string `json:"fix,omitempty"`
}

func reportProblems(problems []routing.Problem) []problemReport {
	reports := make([]problemReport, len(problems)) // not nil, which would be null in JSON
	for i, p := range problems {
		reports[i] = problemReport(p)
	}
	return reports
}

// validation is the output of config validate.
type validation struct {
	Valid     bool            `json:"valid"`
	Providers int             `json:"providers"` // of valid files
	Models    int             `json:"models"`
	Errors    []problemReport `json:"errors"`
	Warnings  []problemReport `json:"warnings"`
}

func configValidateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "validate [--providers <dir>] [--models <dir>]",
		Short: "Checks all provider and model files",
		Long: `Checks all provider and model files, each by itself and against each other, as
the gateway does when it starts: with the variables that are set here.

Exits with 1 when a file is not valid. Warnings are about what works, but is
hardly meant.`,
		Args: noArguments,
	}
	addFileFlags(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		vars, err := readVariables(cmd)
		if err != nil {
			return err
		}
		catalog, warnings, err := routing.Load(loadOptions(cmd, vars.environ))
		result := validation{Valid: err == nil, Errors: []problemReport{}, Warnings: reportProblems(warnings)}
		var failed *routing.LoadError
		if errors.As(err, &failed) {
			adviseSetup(failed.Problems)
			result.Errors = reportProblems(failed.Problems)
		} else if err != nil {
			return err
		}
		if catalog != nil {
			result.Providers, result.Models = len(catalog.Providers()), len(catalog.Models())
		}
		out := newOutput(cmd)
		if err := printValidation(out, &result); err != nil {
			return err
		}
		if err := out.flush(cmd); err != nil {
			return err
		}
		if !result.Valid {
			return errTold
		}
		return nil
	}
	return cmd
}

func printValidation(out *output, result *validation) error {
	if out.json {
		return out.printJSON(result)
	}
	for _, kind := range []struct {
		colour   colour
		name     string
		problems []problemReport
	}{{red, "error", result.Errors}, {yellow, "warning", result.Warnings}} {
		for _, p := range kind.problems {
			out.printf("%s  %s", out.paint(kind.colour, kind.name), routing.Problem(p))
		}
	}
	if result.Valid {
		out.printf("%s: %s and %s, %s", out.paint(green, "valid"), english.Plural(result.Models, "model", ""),
			english.Plural(result.Providers, "provider", ""), english.Plural(len(result.Warnings), "warning", ""))
	} else {
		out.printf("%s: %s", out.paint(red, "not valid"), english.Plural(len(result.Errors), "error", ""))
	}
	return nil
}

// modelListing is a line of config list models.
type modelListing struct {
	Model     string          `json:"model"`
	File      string          `json:"file"`
	State     string          `json:"state"`  // ok, no route (all are out of use), broken
	Routes    []string        `json:"routes"` // provider/model; only those in use
	Fallbacks []string        `json:"fallbacks"`
	Aliases   []string        `json:"aliases"`
	Problems  []problemReport `json:"problems"`
}

// providerListing is a line of config list providers.
type providerListing struct {
	Provider string `json:"provider"`
	File     string `json:"file"`
	State    string `json:"state"`  // ready, no key, disabled, unusable
	Reason   string `json:"reason"` // of unusable
	Keys     int    `json:"keys"`
	Protocol string `json:"protocol"`
	BaseURL  string `json:"base_url"` // as the file has it
}

func configListCommand() *cobra.Command {
	format := "table"
	cmd := &cobra.Command{
		Use:   "list [models|providers]",
		Short: "Lists the models, also broken ones, or the providers",
		Args:  cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{
			"models", "providers",
		},
	}
	addFileFlags(cmd)
	addJSONFlag(cmd)
	cmd.Flags().VarP(aWord(&format, "table", "json"), "format", "f", "table or json")
	cmd.RunE = func(cmd *cobra.Command, arguments []string) error {
		out := newOutput(cmd)
		out.json = out.json || format == "json"
		return listFiles(cmd, out, slices.Contains(arguments, "providers"))
	}
	return cmd
}

// listFiles lists what the files hold: the providers, or the models and with them
// broken files.
func listFiles(cmd *cobra.Command, out *output, providers bool) error {
	catalog, problems, vars, err := loadCatalog(cmd)
	if err != nil {
		return err
	}
	if providers {
		err = printProviders(out, listProviders(catalog, vars.environ))
	} else {
		err = printModels(out, listModels(catalog, loadOptions(cmd, nil).ModelsDir, problems))
	}
	return cmp.Or(err, out.flush(cmd))
}

// listModels lists the models of a catalog, and the files in directory that are
// none because of problems.
func listModels(catalog *routing.Catalog, directory string, problems []routing.Problem) []modelListing {
	listings := []modelListing{}
	byFile := make(map[string]int)
	for _, m := range catalog.Models() {
		byFile[m.File] = len(listings)
		l := modelListing{
			Model: m.LogicalName, File: m.File, State: "ok",
			Routes:    []string{},
			Fallbacks: append([]string{}, m.FallbackModelRoutings...),
			Aliases:   append([]string{}, m.Aliases...),
			Problems:  []problemReport{},
		}
		for _, r := range m.Routes {
			l.Routes = append(l.Routes, r.ProviderName+"/"+r.Model)
		}
		if len(l.Routes) == 0 && len(m.Fallbacks) == 0 {
			l.State = "no route"
		}
		listings = append(listings, l)
	}
	for _, p := range problems {
		name, err := filepath.Rel(directory, p.File)
		if err != nil || !filepath.IsLocal(name) || !strings.HasSuffix(name, ".json") {
			continue // of a provider
		}
		i, listed := byFile[p.File]
		if !listed {
			i = len(listings)
			byFile[p.File] = i
			listings = append(listings, modelListing{
				Model: strings.TrimSuffix(filepath.ToSlash(name), ".json"), File: p.File, State: "broken",
				Routes: []string{}, Fallbacks: []string{}, Aliases: []string{},
			})
		}
		listings[i].Problems = append(listings[i].Problems, problemReport(p))
	}
	slices.SortStableFunc(listings, func(a, b modelListing) int { return cmp.Compare(a.Model, b.Model) })
	return listings
}

func printModels(out *output, listings []modelListing) error {
	if out.json {
		return out.printJSON(listings)
	}
	table := out.newTable("MODEL", out.paint(uncoloured, "STATE"), "ROUTES", "FALLBACKS", "ALIASES")
	for _, l := range listings {
		c := green
		if l.State != "ok" {
			c = red
		}
		table.row(l.Model, out.paint(c, l.State), some(l.Routes), some(l.Fallbacks), some(l.Aliases))
	}
	table.end()
	for _, l := range listings {
		if l.State == "broken" {
			for _, p := range l.Problems {
				out.printf("%s", routing.Problem(p))
			}
		}
	}
	return nil
}

// some are the first few of many names.
func some(names []string) string { return firstOf(names, 3) }

// firstOf are the first few of many names, and how many more there are. A single
// one more takes no more room than its number.
func firstOf(names []string, few int) string {
	if len(names) > few+1 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}

func listProviders(catalog *routing.Catalog, environ []string) []providerListing {
	listings := []providerListing{}
	for _, p := range catalog.Providers() {
		found, _ := keys.Discover(p.ID, p.KeyPatterns(), environ)
		l := providerListing{
			Provider: p.ID, File: p.File, State: "ready", Reason: p.Unusable, Keys: len(found),
			Protocol: string(p.MainProtocol), BaseURL: p.Endpoints.BaseURL,
		}
		if p.ProxySupport.Enabled && p.ProxySupport.BaseURLOverride != "" {
			l.BaseURL = p.ProxySupport.BaseURLOverride
		}
		switch {
		case !p.Enabled:
			l.State = "disabled"
		case p.Unusable != "":
			l.State = "unusable"
		case len(found) == 0 && !p.Keyless():
			l.State = "no key"
		}
		listings = append(listings, l)
	}
	return listings
}

func printProviders(out *output, listings []providerListing) error {
	if out.json {
		return out.printJSON(listings)
	}
	table := out.newTable("PROVIDER", out.paint(uncoloured, "STATE"), "KEYS", "PROTOCOL", "BASE URL", "WHY")
	for _, l := range listings {
		c := yellow
		switch l.State {
		case "ready":
			c = green
		case "unusable":
			c = red
		}
		table.row(l.Provider, out.paint(c, l.State), l.Keys, l.Protocol, l.BaseURL, l.Reason)
	}
	table.end()
	return nil
}
