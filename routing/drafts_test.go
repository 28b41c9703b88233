package routing

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	draftedProvider = `{"name": "NAME", "enabled": true, "endpoints": {"base_url": "https://a.example", "completions": "/c"}, "authentication": {"type": "none"}}`
	draftedModel    = `{"logical_name": "NAME", "model_routings": [{"provider": "p", "model": "up"}]}`
)

func drafted(text, name string) []byte { return []byte(strings.Replace(text, "NAME", name, 1)) }

func TestDraftsAreReadInPlaceOfFiles(t *testing.T) {
	p, m := drafted(draftedProvider, "p"), drafted(draftedModel, "m")
	for _, tc := range []struct {
		name     string
		files    map[string][]byte
		drafts   map[string][]byte
		models   string
		problems string
	}{
		{"the first files", nil, map[string][]byte{"providers/p.json": p, "models/m.json": m}, "m", ""},
		{"one more model", map[string][]byte{"providers/p.json": p, "models/m.json": m}, map[string][]byte{"models/deep/a.json": drafted(draftedModel, "deep/a")}, "deep/a m", ""},
		{"another text", map[string][]byte{"providers/p.json": p, "models/m.json": []byte("{")}, map[string][]byte{"models/m.json": m}, "m", ""},
		{"one model less", map[string][]byte{"providers/p.json": p, "models/m.json": m, "models/n.json": drafted(draftedModel, "n")}, map[string][]byte{"models/n.json": nil}, "m", ""},
		{"the last model", map[string][]byte{"providers/p.json": p, "models/m.json": m}, map[string][]byte{"models/m.json": nil}, "", "models: holds no .json file; name the directory that does"},
		{"a provider that is routed to", map[string][]byte{"providers/p.json": p, "providers/q.json": drafted(draftedProvider, "q"), "models/m.json": m}, map[string][]byte{"providers/p.json": nil}, "", `models/m.json:1: model_routings[0].provider: there is no provider "p"; did you mean "q"?`},
		{"the last provider", map[string][]byte{"providers/p.json": p, "models/m.json": m}, map[string][]byte{"providers/p.json": nil}, "", `models/m.json:1: model_routings[0].provider: there is no provider "p"` + "\nproviders: holds no .json file; name the directory that does"},
		{"a provider in a subdirectory", map[string][]byte{"providers/p.json": p, "models/m.json": m}, map[string][]byte{"providers/deep/q.json": []byte("{")}, "m", ""},
		{"a file elsewhere", map[string][]byte{"providers/p.json": p, "models/m.json": m}, map[string][]byte{"elsewhere/q.json": []byte("{")}, "m", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			for path, text := range tc.files {
				writeConfig(t, path, string(text))
			}
			c, _, err := Load(LoadOptions{ProvidersDir: "providers", ModelsDir: "models", Drafts: tc.drafts})
			var failed *LoadError
			if errors.As(err, &failed) {
				if got := strings.Join(problemTexts(failed.Problems), "\n"); got != tc.problems {
					t.Errorf("problems are\n%s\nwant\n%s", got, tc.problems)
				}
				return
			}
			if err != nil || tc.problems != "" {
				t.Fatalf("Load: %v, want %q", err, tc.problems)
			}
			var got []string
			for _, m := range c.Models() {
				got = append(got, m.LogicalName)
			}
			if want := strings.Fields(tc.models); !slices.Equal(got, want) {
				t.Errorf("models are %v, want %v", got, want)
			}
			if left, _ := filepath.Glob("models/*"); len(tc.files) == 0 && len(left) > 0 {
				t.Errorf("%v are written", left)
			}
		})
	}
}
