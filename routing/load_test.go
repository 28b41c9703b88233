package routing

import (
	"errors"
	"strings"
	"testing"

	"github.com/tidwall/sjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

const (
	// plainProvider is as short as a provider file can be.
	plainProvider = `{"name":"up","enabled":true,"endpoints":{"base_url":"http://127.0.0.1:1/v1","completions":"/chat"},"authentication":{"type":"bearer"}}`
	// plainModel is as short as a model file can be.
	plainModel = `{"logical_name":"m","model_routings":[{"provider":"up","model":"x"}]}`
)

// files is what the two directories hold, by path.
type configFiles map[string]string

// load writes the files to a new directory and loads them, with errors and
// warnings as texts. A provider "up" and a model "m" are there unless files
// says otherwise; an empty text leaves a file out.
func (files configFiles) load(t *testing.T, o LoadOptions) (c *Catalog, problems, warnings []string) {
	t.Helper()
	inEmptyDir(t)
	for path, text := range map[string]string{"providers/up.json": plainProvider, "models/m.json": plainModel} {
		if _, given := files[path]; !given {
			writeConfig(t, path, text)
		}
	}
	for path, text := range files {
		if text != "" {
			writeConfig(t, path, text)
		}
	}
	o.ProvidersDir, o.ModelsDir = "providers", "models"
	c, found, err := Load(o)
	if err != nil {
		var all *LoadError
		if !errors.As(err, &all) || c != nil || found != nil {
			t.Fatalf("Load = %v, %v, %v (%T)", c, found, err, err)
		}
		return nil, problemTexts(all.Problems), nil
	}
	return c, nil, problemTexts(found)
}

// with changes a file's text: pairs of paths and values as JSON; an empty
// value deletes.
func with(t *testing.T, text string, changes ...string) string {
	t.Helper()
	for i := 0; i < len(changes); i += 2 {
		var err error
		if changes[i+1] == "" {
			text, err = sjson.Delete(text, changes[i])
		} else {
			text, err = sjson.SetRaw(text, changes[i], changes[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return text
}

func TestAShortProviderGetsWorkingDefaults(t *testing.T) {
	c, problems, warnings := configFiles{}.load(t, LoadOptions{})
	if len(problems)+len(warnings) > 0 {
		t.Fatalf("Load: %q %q", problems, warnings)
	}
	p, ok := c.Provider("up")
	if !ok {
		t.Fatal("the provider is missing")
	}
	if p.ID != "up" || p.File != "providers/up.json" || p.Name != "up" || p.DisplayName != "up" || !p.Enabled || p.Unusable != "" {
		t.Errorf("provider = %+v", *p)
	}
	if p.MainProtocol != translate.Chat || p.BaseURL != "http://127.0.0.1:1/v1" || p.KeyPatterns() != nil || p.Keyless() {
		t.Errorf("provider = %+v", *p)
	}
	if a := p.Authentication; a.HeaderName != "Authorization" || a.HeaderFormat != "Bearer {api_key}" {
		t.Errorf("authentication = %+v", a)
	}
	m, ok := c.Resolve("m")
	if !ok || m.DisplayName != "m" || len(m.Routes) != 1 || m.File != "models/m.json" {
		t.Fatalf("model = %+v", m)
	}
	if r := m.Routes[0]; r.Provider != p || r.Owner != m || r.BaseURL != p.BaseURL || r.WireProtocol != "" {
		t.Errorf("route = %+v", r)
	}
}

// compareProblems wants the problems that want holds, with '|' between them.
func compareProblems(t *testing.T, got []string, want string) {
	t.Helper()
	if joined := strings.Join(got, "|"); joined != want {
		t.Errorf("got  %s\nwant %s", joined, want)
	}
	for _, text := range got {
		if strings.Contains(text, "SECRET") || strings.ContainsAny(text, "\n\r") {
			t.Errorf("a message tells a secret or has two lines: %q", text)
		}
	}
}

func TestOnlyABrokenProviderIsReportedNotTheRoutesToIt(t *testing.T) {
	_, problems, _ := configFiles{"providers/up.json": `{`}.load(t, LoadOptions{})
	compareProblems(t, problems, `providers/up.json:1: is not a JSON object: unexpected end of input, expected a member name in double quotes`)
}

func TestSeveralProblemsAreAllTold(t *testing.T) {
	err := &LoadError{Problems: []Problem{
		{File: "a.json", Line: 3, Field: "x.y", Message: "is wrong", Fix: "mend it"},
		{File: "b.json", Message: "is empty"},
	}}
	want := "2 problems in the provider and model files:\n\ta.json:3: x.y: is wrong; mend it\n\tb.json: is empty"
	if got := err.Error(); got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
	err.Problems = err.Problems[:1]
	if got, want := err.Error(), "a.json:3: x.y: is wrong; mend it"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}
