package caddymodule

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

func configShowCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show <model|provider>",
		Short: "Shows a file with its defaults filled in",
		Long: `Shows the file of a model or, where no model answers to the name, of a provider,
as JSON and with the defaults of what it leaves out. Variables remain as they
are written; values of headers that look secret are hidden.

model:<name> and provider:<name> say which of the two is meant.`,
		Args: justOne("a model or a provider"),
	}
	addFileFlags(cmd)
	addJSONFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, arguments []string) error {
		catalog, problems, _, err := loadCatalog(cmd)
		if err != nil {
			return err
		}
		text, err := showFile(catalog, arguments[0])
		if err != nil {
			for _, l := range listModels(catalog, loadOptions(cmd, nil).ModelsDir, problems) {
				if l.State == "broken" && l.Model == strings.TrimPrefix(arguments[0], "model:") {
					return errors.New(routing.Problem(l.Problems[0]).String())
				}
			}
			return err
		}
		out := newOutput(cmd)
		if err := out.printJSON(json.RawMessage(text)); err != nil {
			return err
		}
		return out.flush(cmd)
	}
	return cmd
}

// showFile is the text of the file that a name means.
func showFile(catalog *routing.Catalog, name string) (string, error) {
	kind, rest, ok := strings.Cut(name, ":")
	if !ok || kind != "model" && kind != "provider" {
		kind, rest = "", name // names of models may have a colon
	}
	if m, known := catalog.Resolve(rest); known && kind != "provider" {
		return completed(m.File, modelDefaults(m))
	}
	if p, known := catalog.Provider(rest); known && kind != "model" {
		text, err := completed(p.File, providerDefaults(p))
		if err != nil {
			return "", err
		}
		return hideSecrets(text, p), nil
	}
	return "", fmt.Errorf("no model answers to %q, and no provider has that name; config list shows what there is", name)
}

// member is a member of an object, by its path as sjson has it.
type member struct {
	path  string
	value any
}

// completed is the text of a file that loads, with defaults where it says
// nothing.
func completed(path string, defaults []member) (string, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the file: %w", err)
	}
	text := string(file)
	for _, d := range defaults {
		// null counts as not written.
		if written := gjson.Get(text, d.path); written.Exists() && written.Type != gjson.Null {
			continue
		}
		if text, err = sjson.Set(text, d.path, d.value); err != nil {
			return "", fmt.Errorf("completing %s: %w", path, err)
		}
	}
	return text, nil
}

func modelDefaults(m *routing.Model) []member {
	none := []string{}
	defaults := []member{
		{"display_name", cmp.Or(m.DisplayName, m.LogicalName)},
		{"aliases", none},
		{"policy", string(m.Policy)},
		{"hosted_tools", "drop"},
		{"fallback_model_routings", none},
		{"context_window_fallbacks", none},
		{"content_policy_fallbacks", none},
	}
	for i, r := range m.ModelRoutings {
		at := "model_routings." + strconv.Itoa(i) + "."
		defaults = append(defaults, member{at + "weight", 1})
		if r.Provider.Endpoints.BaseURL != "" {
			defaults = append(defaults, member{at + "base_url", r.Provider.Endpoints.BaseURL})
		}
	}
	return defaults
}

func providerDefaults(p *routing.Provider) []member {
	patterns := p.KeyPatterns()
	if len(patterns) == 0 {
		patterns = []string{"{PROVIDER}_API_KEY", "{PROVIDER}_API_KEY_{INDEX}"}
	}
	defaults := []member{
		{"display_name", cmp.Or(p.DisplayName, p.Name)},
		{"endpoints.compatible_format", string(p.MainProtocol)},
		{"endpoints.translate_to", string(p.Endpoints.TranslateTo)},
		{"error_handling", map[string]string{}},
		{"models", map[string]string{}},
		{"model_mapping", map[string]string{}},
	}
	if !p.Keyless() {
		defaults = append(defaults,
			member{"api_keys.env_var_patterns", patterns},
			member{"authentication.header_name", p.Authentication.HeaderName},
			member{"authentication.header_format", p.Authentication.HeaderFormat},
		)
	}
	return defaults
}

// hideSecrets hides the values of headers that should have been variables.
func hideSecrets(text string, p *routing.Provider) string {
	for _, name := range slices.Sorted(maps.Keys(p.Authentication.AdditionalHeaders)) {
		value := p.Authentication.AdditionalHeaders[name]
		if strings.Contains(value, "${") || !looksSecret(name) {
			continue
		}
		at := "authentication.additional_headers." + strings.NewReplacer(".", `\.`, "*", `\*`, "?", `\?`, "|", `\|`, "#", `\#`, "@", `\@`).Replace(name)
		if hidden, err := sjson.Set(text, at, "(hidden)"); err == nil {
			text = hidden
		}
	}
	return text
}

// looksSecret reports whether a header's name tells of a secret.
func looksSecret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"auth", "key", "token", "secret", "cookie", "passw", "credential"},
		func(word string) bool { return strings.Contains(name, word) })
}
