package caddymodule

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// clientKeyVariable is the variable that Caddyfile.example takes the clients' key
// from, as the gateway does by itself where its block names no client.
const clientKeyVariable = "CLIENT_API_KEY"

// settingVariables are those that Caddyfile.example and the gateway read beside
// keys.
var settingVariables = []string{
	"FAIL_ON_STARTUP_VALIDATION", "KEY_COOLDOWN_SECONDS", "LLM_CONFIG", "LLM_DATABASE", hostVariable, logLevelVariable, portVariable,
	"MAX_KEY_RETRY_CYCLES", "RATE_LIMIT_REQUESTS_PER_MINUTE", "REQUIRE_CLIENT_API_KEY",
}

// unreadVariables are those that the service read which this project replaces, and
// what takes their place.
var unreadVariables = []unreadVariable{
	{"CORS_ORIGINS", "CORS is Caddy's: see import cors in Caddyfile.example"},
	{"DATABASE_URL", "write log in the llm_proxy block"},
	{"GEMINI_INCLUDE_THOUGHT_SIGNATURE", "signatures of tool calls always come back to Gemini"},
	{"MODEL_PROXY_HOST", "set LLM_HOST"},
	{"MODEL_PROXY_PORT", "set LLM_PORT"},
	{"SQLALCHEMY_DATABASE_URL", "write log in the llm_proxy block"},
	{"VERBOSE_HTTP_ERRORS", "errors always have the provider's words where the mistake is the request's"},
}

func envCommand() *cobra.Command {
	return group("env", "Checks the environment", envCheckCommand())
}

// environmentReport is the output of env check. It holds names of variables and
// never a value.
type environmentReport struct {
	Healthy   bool                  `json:"healthy"`
	Problems  []string              `json:"problems"`
	ClientKey variableReport        `json:"client_key"`
	Providers []providerEnvironment `json:"providers"`
	Settings  []variableReport      `json:"settings"`
	// Unread are variables that are set and have no effect, and what does instead.
	Unread []unreadVariable `json:"unread,omitempty"`
}

// unreadVariable is a variable without effect.
type unreadVariable struct {
	Name    string `json:"name"`
	Instead string `json:"instead"`
}

// providerEnvironment is what one provider wants.
type providerEnvironment struct {
	Provider string `json:"provider"`
	Enabled  bool   `json:"enabled"`
	// State is ready, no key, incomplete (a key is there, another variable is
	// not), or no need (it takes no key and wants nothing else).
	State     string           `json:"state"`
	Variables []variableReport `json:"variables"`
}

// variableReport is what can be told about a variable.
type variableReport struct {
	Name string `json:"name"`
	// For is key, base_url or header, with what names it further.
	For string `json:"for,omitempty"`
	Set bool   `json:"set"`
	// Optional says that there is a default.
	Optional bool `json:"optional,omitempty"`
	// From is the file that it comes from, empty for the environment.
	From string `json:"from,omitempty"`
	// Duplicate says that another variable of the provider has the same value.
	Duplicate bool `json:"duplicate,omitempty"`
}

// state is a variable's state in words.
func (v *variableReport) state() (colour, string) {
	switch {
	case v.Duplicate:
		return yellow, "set, same as another"
	case v.Set && v.From != "":
		return green, "set in " + v.From
	case v.Set:
		return green, "set"
	case v.Optional:
		return uncoloured, "not set (optional)"
	}
	return yellow, "not set"
}

func envCheckCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "check [--all]",
		Short: "Tells which variables are wanted, and which are set",
		Long: `Tells which variables the clients' key, the providers and the settings come
from, and which of them are set; never what they hold.

Exits with 1 when CLIENT_API_KEY is not set, or when a provider that has a key
lacks another variable.`,
		Args: noArguments,
	}
	cmd.Flags().BoolVar(&all, "all", false, "Tell about disabled providers too")
	addFileFlags(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		vars, err := readVariables(cmd)
		if err != nil {
			return err
		}
		// Without any variable nothing is filled in, and no provider is in use
		// whose file could be wrong for want of one.
		options := loadOptions(cmd, nil)
		options.KeepGoing = true
		catalog, _, err := routing.Load(options)
		if err != nil {
			return err
		}
		report, out := checkEnvironment(catalog, &vars, all), newOutput(cmd)
		if err := printEnvironment(out, report); err != nil {
			return err
		}
		if err := out.flush(cmd); err != nil {
			return err
		}
		if !report.Healthy {
			return errTold
		}
		return nil
	}
	return cmd
}

func checkEnvironment(catalog *routing.Catalog, vars *variables, all bool) *environmentReport {
	report := &environmentReport{Problems: []string{}, ClientKey: vars.report(clientKeyVariable, "")}
	if !report.ClientKey.Set {
		report.Problems = append(report.Problems, clientKeyVariable+" is not set; set it, unless the Caddyfile names clients of its own or says allow_anonymous")
	}
	report.Providers = []providerEnvironment{}
	for _, p := range catalog.Providers() {
		if !p.Enabled && !all {
			continue
		}
		e := vars.ofProvider(catalog, p)
		if e.State == "incomplete" && p.Enabled {
			for _, v := range e.Variables {
				if !v.Set && !v.Optional && !strings.HasPrefix(v.For, "key") {
					report.Problems = append(report.Problems, fmt.Sprintf("%s, which %s needs, is not set", v.Name, p.ID))
				}
			}
		}
		report.Providers = append(report.Providers, e)
	}
	for _, name := range settingVariables {
		report.Settings = append(report.Settings, variableReport{Name: name, Optional: true, Set: vars.get(name) != "", From: vars.from(name)})
	}
	for _, v := range unreadVariables {
		if vars.get(v.Name) != "" {
			report.Unread = append(report.Unread, v)
		}
	}
	report.Healthy = len(report.Problems) == 0
	return report
}

// from is the file that a variable comes from, empty for the environment.
func (v *variables) from(name string) string {
	if v.fromFile[name] {
		return v.file
	}
	return ""
}

func (v *variables) report(name, use string) variableReport {
	return variableReport{Name: name, For: use, Set: v.get(name) != "", From: v.from(name)}
}

// ofProvider is what a provider wants, and what of that is there.
func (v *variables) ofProvider(catalog *routing.Catalog, p *routing.Provider) providerEnvironment {
	e := providerEnvironment{Provider: p.ID, Enabled: p.Enabled, State: "ready", Variables: []variableReport{}}
	keyed := p.Keyless()
	if !p.Keyless() {
		found, duplicates := keys.Discover(p.ID, p.KeyPatterns(), v.environ)
		keyed = len(found) > 0
		for _, key := range found {
			e.Variables = append(e.Variables, v.report(key.Source, "key"))
		}
		for _, name := range duplicates {
			duplicate := v.report(name, "key")
			duplicate.Duplicate = true
			e.Variables = append(e.Variables, duplicate)
		}
		if !keyed {
			e.Variables = append(e.Variables, v.report(keys.Variable(p.ID, p.KeyPatterns()), "key"))
		}
	}
	complete := true
	for _, text := range writtenTexts(catalog, p) {
		for _, reference := range references.FindAllStringSubmatch(text.text, -1) {
			one := v.report(reference[1], text.use)
			one.Optional = reference[2] != ""
			if slices.ContainsFunc(e.Variables, func(other variableReport) bool { return other.Name == one.Name && other.For == one.For }) {
				continue
			}
			complete = complete && (one.Set || one.Optional)
			e.Variables = append(e.Variables, one)
		}
	}
	for _, one := range v.ofRoutes(catalog, p) {
		e.Variables = append(e.Variables, one)
		keyed = keyed || one.Set
	}
	switch {
	case !keyed:
		e.State = "no key"
	case !complete:
		e.State = "incomplete"
	case len(e.Variables) == 0:
		e.State = "no need"
	}
	return e
}

// ofRoutes are the variables of the keys that only single routes use.
func (v *variables) ofRoutes(catalog *routing.Catalog, p *routing.Provider) []variableReport {
	var reports []variableReport
	for _, m := range catalog.Models() {
		for i := range m.ModelRoutings {
			r := &m.ModelRoutings[i]
			if r.Provider != p || len(r.APIKeyEnv) == 0 {
				continue
			}
			found, _ := keys.Discover(p.ID, r.APIKeyEnv, v.environ)
			for _, key := range found {
				reports = append(reports, v.report(key.Source, "key of model "+m.LogicalName))
			}
			if len(found) == 0 {
				reports = append(reports, v.report(keys.Variable(p.ID, r.APIKeyEnv), "key of model "+m.LogicalName))
			}
		}
	}
	return reports
}

// references are the variables in a text of a file, as routing fills them in.
var references = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(:-[^}]*)?\}`)

// written is a text of a file that may have variables in it.
type written struct{ use, text string }

// writtenTexts are those of a provider and its routes, in a catalog that was
// loaded without variables.
func writtenTexts(catalog *routing.Catalog, p *routing.Provider) []written {
	base := p.Endpoints.BaseURL
	if p.ProxySupport.Enabled && p.ProxySupport.BaseURLOverride != "" {
		base = p.ProxySupport.BaseURLOverride
	}
	texts := []written{{"base_url", base}}
	for _, name := range slices.Sorted(maps.Keys(p.Authentication.AdditionalHeaders)) {
		texts = append(texts, written{"header " + name, p.Authentication.AdditionalHeaders[name]})
	}
	for _, m := range catalog.Models() {
		for _, r := range m.ModelRoutings {
			if r.Provider == p && strings.Contains(r.BaseURL, "${") {
				texts = append(texts, written{"base_url of model " + m.LogicalName, r.BaseURL})
			}
		}
	}
	return texts
}

func printEnvironment(out *output, report *environmentReport) error {
	if out.json {
		return out.printJSON(report)
	}
	table := out.newTable("WANTED BY", "FOR", "VARIABLE", out.paint(uncoloured, "STATE"))
	row := func(by string, v *variableReport) {
		c, state := v.state()
		table.row(by, v.For, v.Name, out.paint(c, state))
	}
	client := report.ClientKey
	client.For = "key"
	row("clients", &client)
	for _, p := range report.Providers {
		by := p.Provider
		if !p.Enabled {
			by += " (disabled)"
		}
		for _, v := range p.Variables {
			row(by, &v)
		}
	}
	for _, v := range report.Settings {
		row("settings", &v)
	}
	table.end()
	for _, v := range report.Unread {
		out.printf("%s  %s is set, but nothing reads it: %s", out.paint(yellow, "warning"), v.Name, v.Instead)
	}
	for _, problem := range report.Problems {
		out.printf("%s  %s", out.paint(red, "problem"), problem)
	}
	return nil
}
