package routing

import (
	"testing"
)

func TestOnlyProvidersThatAreCalledNeedTheirVariables(t *testing.T) {
	const (
		needsURL    = `{"name":"up","enabled":true,"endpoints":{"base_url":"https://${UP_HOST}/v1","completions":"/chat"},"authentication":{"type":"bearer"}}`
		needsHeader = `{"name":"up","enabled":true,"endpoints":{"base_url":"https://h/v1","completions":"/chat"},"authentication":{"type":"bearer","additional_headers":{"X-Team":"${UP_TEAM}-${UP_DESK}"}}}`
		urlFix      = `; set it, or write ${UP_HOST:-default}, or set "enabled": false`
		unset       = `environment variable UP_HOST is not set`
	)
	key := []string{"UP_API_KEY_2=k"}
	for _, tc := range []struct {
		name      string
		provider  string
		model     string
		environ   []string
		problem   string
		warning   string
		routes    int
		unusable  string
		otherBase string
	}{
		{name: "set", provider: needsURL, environ: []string{"UP_API_KEY=k", "UP_HOST=h"}, routes: 1},
		{name: "set, without a key", provider: needsURL, environ: []string{"UP_HOST=h"}, routes: 1},
		{
			name: "a route and a key", provider: needsURL, environ: key,
			problem: "providers/up.json:1: endpoints.base_url: " + unset + urlFix,
		},
		{
			name: "empty counts as not set", provider: needsURL, environ: []string{"UP_API_KEY=k", "UP_HOST="},
			problem: "providers/up.json:1: endpoints.base_url: " + unset + urlFix,
		},
		{
			name: "a route and no key", provider: needsURL,
			warning: "providers/up.json:1: endpoints.base_url: " + unset + "; the provider cannot be used", unusable: unset,
		},
		{
			name: "an empty key is none", provider: needsURL, environ: []string{"UP_API_KEY="},
			warning: "providers/up.json:1: endpoints.base_url: " + unset + "; the provider cannot be used", unusable: unset,
		},
		{
			name: "a key and no route", provider: needsURL, environ: key, model: with(t, plainModel, "model_routings.0.provider", `"other"`),
			warning: "providers/up.json:1: endpoints.base_url: " + unset + "; the provider cannot be used", unusable: unset, routes: 1,
		},
		{
			name: "a route with a key of its own", provider: needsURL, environ: []string{"MINE=k"}, model: with(t, plainModel, "model_routings.0.api_key_env", `["MINE"]`),
			problem: "providers/up.json:1: endpoints.base_url: " + unset + urlFix,
		},
		{
			name: "a route that wants another key", provider: needsURL, environ: key, model: with(t, plainModel, "model_routings.0.api_key_env", `["MINE"]`),
			warning: "providers/up.json:1: endpoints.base_url: " + unset + "; the provider cannot be used", unusable: unset,
		},
		{
			name: "no key needed", provider: with(t, needsURL, "authentication", `{"type":"none"}`),
			problem: "providers/up.json:1: endpoints.base_url: " + unset + urlFix,
		},
		{
			name: "a route with a base URL of its own", provider: needsURL, environ: key, model: with(t, plainModel, "model_routings.0.base_url", `"http://side/v1"`),
			warning: "providers/up.json:1: endpoints.base_url: " + unset + "; the provider cannot be used", unusable: unset, routes: 1,
		},
		{
			name: "disabled", provider: with(t, needsURL, "enabled", "false"), environ: key,
			warning: `models/m.json:1: model_routings[0].provider: provider "up" is disabled; the route is skipped`, unusable: unset,
		},
		{name: "a default", provider: with(t, needsURL, "endpoints.base_url", `"https://${UP_HOST:-h}/v1"`), environ: key, routes: 1},
		{
			name: "an override in its place", provider: with(t, needsURL, "proxy_support", `{"enabled":true,"base_url_override":"https://gateway/v1"}`),
			environ: key, routes: 1,
		},
		{
			name: "an override that needs one too", provider: with(t, needsURL, "proxy_support", `{"enabled":true,"base_url_override":"https://${UP_GATEWAY}/v1"}`), environ: key,
			problem: `providers/up.json:1: proxy_support.base_url_override: environment variable UP_GATEWAY is not set; set it, or write ${UP_GATEWAY:-default}, or set "enabled": false`,
		},
		{
			name: "a header", provider: needsHeader, environ: key,
			problem: `providers/up.json:1: authentication.additional_headers.X-Team: environment variable UP_TEAM is not set; set it, or write ${UP_TEAM:-default}, or set "enabled": false|` +
				`providers/up.json:1: authentication.additional_headers.X-Team: environment variable UP_DESK is not set; set it, or write ${UP_DESK:-default}, or set "enabled": false`,
		},
		{
			name: "a header without a key", provider: needsHeader, environ: []string{"UP_DESK=d"},
			warning:  `providers/up.json:1: authentication.additional_headers.X-Team: environment variable UP_TEAM is not set; the provider cannot be used`,
			unusable: "environment variable UP_TEAM is not set",
		},
		{
			name: "a header with control characters", provider: needsHeader, environ: []string{"UP_DESK=d", "UP_TEAM=SECRET\r\nX: y"},
			problem: `providers/up.json:1: authentication.additional_headers.X-Team: has control characters once its variables are filled in`,
		},
		{
			name: "a URL that a variable breaks", provider: needsURL, environ: []string{"UP_HOST=u:SECRET@h"},
			problem: `providers/up.json:1: endpoints.base_url: must not have a user or password in it; write e.g. "https://api.example.com/v1", with variables as ${NAME} or ${NAME:-default}`,
		},
		{
			name: "a route's own URL", provider: plainProvider, environ: key, model: with(t, plainModel, "model_routings.0.base_url", `"http://${SIDE}/v1"`),
			problem: `models/m.json:1: model_routings[0].base_url: environment variable SIDE is not set; set it, or write ${SIDE:-default}, or remove the route`,
		},
		{
			name: "a route's own URL without a key", provider: plainProvider, model: with(t, plainModel, "model_routings.0.base_url", `"http://${SIDE}/v1"`),
			warning: `models/m.json:1: model_routings[0].base_url: environment variable SIDE is not set; the route is skipped`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := configFiles{"providers/up.json": tc.provider, "providers/other.json": with(t, plainProvider, "name", `"other"`)}
			if tc.model != "" {
				files["models/m.json"] = tc.model
			}
			c, problems, warnings := files.load(t, LoadOptions{Environ: tc.environ})
			compareProblems(t, problems, tc.problem)
			compareProblems(t, warnings, tc.warning)
			if c == nil {
				return
			}
			p, _ := c.Provider("up")
			if p.Unusable != tc.unusable {
				t.Errorf("Unusable = %q, want %q", p.Unusable, tc.unusable)
			}
			m, _ := c.Model("m")
			if len(m.Routes) != tc.routes || len(m.ModelRoutings) != 1 {
				t.Errorf("%d routes of %d, want %d", len(m.Routes), len(m.ModelRoutings), tc.routes)
			}
			for _, r := range m.Routes {
				if r.BaseURL == "" {
					t.Error("a usable route has no base URL")
				}
			}
		})
	}
}

func TestKeepGoingLeavesBrokenModelsOut71(t *testing.T) {
	files := configFiles{
		"models/a.json":      `{"logical_name":`,
		"models/b.json":      `{"logical_name":"b","model_routings":[{"provider":"nope","model":"x"}],"aliases":["c"]}`,
		"models/c.json":      `{"logical_name":"c","model_routings":[{"provider":"up","model":"x"}],"fallback_model_routings":["b","m"]}`,
		"models/d.json":      `{"logical_name":"m","model_routings":[{"provider":"up","model":"x"}]}`,
		"models/later.json":  `{"logical_name":"later","model_routings":[{"provider":"up","model":"x"}],"aliases":["l-*"]}`,
		"models/latest.json": `{"logical_name":"latest","model_routings":[{"provider":"up","model":"x"}],"aliases":["l-*"]}`,
	}
	c, problems, warnings := files.load(t, LoadOptions{KeepGoing: true})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	compareProblems(t, warnings, `models/a.json:1: is not a JSON object: unexpected end of input, expected a value (the model is left out)`+
		`|models/b.json:1: model_routings[0].provider: there is no provider "nope" (the model is left out); write one of up`+
		`|models/c.json:1: fallback_model_routings[0]: no model answers to "b"; skipped`+
		`|models/d.json:1: logical_name: "m" is not the file's name; clients ask for "m"`+
		`|models/latest.json:1: aliases[0]: "l-*" is an alias in models/later.json too (the model is left out); one name can mean one model only`+
		`|models/m.json:1: logical_name: "m" is the logical_name in models/d.json too (the model is left out); give each model a name of its own`)
	for name, want := range map[string]bool{"a": false, "b": false, "c": true, "m": true, "later": true, "latest": false, "l-1": true} {
		if _, ok := c.Resolve(name); ok != want {
			t.Errorf("Resolve(%q) = %v, want %v", name, ok, want)
		}
	}
	if m, _ := c.Model("c"); len(m.Fallbacks) != 1 || m.Fallbacks[0].Name != "m" {
		t.Errorf("fallbacks = %v", m.Fallbacks)
	}

	files["providers/up.json"] = `{`
	if _, problems, _ = files.load(t, LoadOptions{KeepGoing: true}); len(problems) == 0 {
		t.Error("a broken provider file is no error")
	}
	if _, problems, _ = files.load(t, LoadOptions{}); len(problems) != 5 {
		t.Errorf("without KeepGoing: %q, want 5 problems", problems)
	}
}

func TestAChainOfAThousandFallbacksLoads(t *testing.T) {
	files := configFiles{}
	for i := range 1000 {
		name := "m" + string(rune('a'+i/100)) + string(rune('a'+i/10%10)) + string(rune('a'+i%10))
		next := (i + 1) % 1000
		to := "m" + string(rune('a'+next/100)) + string(rune('a'+next/10%10)) + string(rune('a'+next%10))
		files["models/"+name+".json"] = `{"logical_name":"` + name + `","model_routings":[{"provider":"up","model":"x"}],"fallback_model_routings":["` + to + `"]}`
	}
	c, problems, warnings := files.load(t, LoadOptions{})
	if len(problems)+len(warnings) > 0 || len(c.Models()) != 1001 {
		t.Fatalf("Load: %.3q %.3q", problems, warnings)
	}
}
