package caddymodule

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
)

// snapshot is all that is below the working directory, by path: texts, modes and
// links.
func snapshot(t *testing.T) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		text := ""
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(b)
		case info.Mode()&fs.ModeSymlink != 0:
			text, err = os.Readlink(path)
		}
		found[path] = info.Mode().String() + "\n" + text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// wantChanged wants only some of the files to have changed, come or gone.
func wantChanged(t *testing.T, before map[string]string, want ...string) {
	t.Helper()
	after := snapshot(t)
	var changed []string
	for path, text := range after {
		if before[path] != text {
			changed = append(changed, path)
		}
	}
	for path := range before {
		if _, left := after[path]; !left {
			changed = append(changed, path)
		}
	}
	slices.Sort(changed)
	slices.Sort(want)
	if !slices.Equal(changed, want) {
		t.Errorf("changed are %q, want %q", changed, want)
	}
}

// words divides a command line at spaces that are in no single quotes.
func words(line string) []string {
	quoted := false
	found := strings.FieldsFunc(line, func(r rune) bool {
		if r == '\'' {
			quoted = !quoted
		}
		return r == ' ' && !quoted
	})
	for i, word := range found {
		found[i] = strings.ReplaceAll(word, "'", "")
	}
	return found
}

// editable are files to change: models that lead to p, one that falls back to
// another, and a provider that nobody uses.
func editable(t *testing.T) *gateway {
	t.Helper()
	g := files(t,
		map[string]string{"p": provider("p", "http://127.0.0.1:9", ""), "spare": provider("spare", "http://127.0.0.1:9", "")},
		map[string]string{"m": model("m", `"aliases": ["em-*"],`, "p/up"), "n": model("n", `"fallback_model_routings": ["em-1"],`, "p/up"), "lone": model("lone", "", "p/up")})
	g.write("", "complete", `{"name": "whole", "display_name": "Whole", "enabled": true, "endpoints": {"base_url": "http://127.0.0.1:9", "completions": "/c"}, "authentication": {"type": "none"}}`)
	g.write("", "nameless", `{"display_name": "Nameless"}`)
	g.write("", "faceless", `{"name": "whole", "enabled": true, "endpoints": {"base_url": "http://127.0.0.1:9", "completions": "/c"}, "authentication": {"type": "none"}}`)
	if err := os.WriteFile(".env", []byte("# mine\nP_API_KEY="+canaries[0]+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

func TestChangesAreMadeAndTold(t *testing.T) {
	for _, tc := range []struct {
		file, line, stdin string
		changed           []string
	}{
		{"add_provider", acme + " --base-url https://api.acme.example/", "", []string{"config/providers/acme.json"}}, // 139
		{"add_provider_responses", "add provider -n acme-2 -d Acme -u https://acme.example/v2 -f RESPONSES --json", "", []string{"config/providers/acme-2.json"}},
		{"add_provider_anthropic", "add provider -n acme -d Acme -u https://acme.example -f Anthropic", "", []string{"config/providers/acme.json"}},
		{"add_provider_gemini", "add provider -n acme -d Acme -u https://${ACME_HOST} -f gemini", "", []string{"config/providers/acme.json"}},
		{"add_provider_azure", "add provider -n acme -d Acme -u https://acme.openai.azure.com -f azure", "", []string{"config/providers/acme.json"}},
		{"add_provider_keyless", "add provider -n acme -d Acme -u http://127.0.0.1:8000 -f openai --keyless", "", []string{"config/providers/acme.json"}},
		{"add_provider_overwrite", "add provider -n p -d P -u http://127.0.0.1:9/v1 -f openai -o", "", []string{"config/providers/p.json"}},
		{"add_provider_file", "add provider --file complete.json", "", []string{"config/providers/whole.json"}},
		{"add_model", "add model --name new --provider p --model gpt-4 --timeout 120", "", []string{"config/models/new.json"}}, // 143
		{"add_model_routes", "add model -n fast/new --route p/one --route spare/org/two --fallback m --fallback unknown --json", "", []string{"config/models/fast", "config/models/fast/new.json"}},
		{"add_model_overwrite", "add model -n m -p spare -m up -o", "", []string{"config/models/m.json"}},
		{"add_model_custom", "add model --custom -p p -m my-model", "", []string{"config/models.json"}},
		{"add_key", "add key --provider p", "canary-key-new\n", []string{".env"}},
		{"add_key_json", "add key --provider p --env-var P_API_KEY_2 --json", "canary-key-new", []string{".env"}},
		{"add_key_fresh", "add key --provider p --env-file other.env", "canary-key-new\r\n", []string{"other.env"}},
		{"edit_key", "edit key P_API_KEY", "canary-key-new", []string{".env"}},
		{"edit_key_by_id", "edit key " + keys.NewKey("p", "", canaries[0]).ID + " --json", "canary-key-new", []string{".env"}},
		{"edit_key_overridden", "edit key P_API_KEY_9", "canary-key-new", []string{".env"}},
		{"edit_key_unchanged", "edit key P_API_KEY", canaries[0], nil},
		{"remove_key", "remove key P_API_KEY --yes", "", []string{".env"}},
		{"remove_provider", "remove provider spare -y", "", []string{"config/providers/spare.json"}},
		{"remove_provider_force", "remove provider p --yes --force --json", "", []string{"config/providers/p.json"}},
		{"remove_model", "remove model lone --yes", "", []string{"config/models/lone.json"}},
		{"remove_model_force", "remove model m --yes --force", "", []string{"config/models/m.json"}},
		{"edit_provider_disable", "edit provider p --disable", "", []string{"config/providers/p.json"}},
		{"edit_provider_unchanged", "edit provider p --enable", "", nil},
		{"edit_provider", `edit provider p --set endpoints.models=/models --set models["gpt-4.1"].timeout_seconds=30 --set /display_name='"1"' --json`, "", []string{"config/providers/p.json"}},
		{"edit_model", "edit model m --set model_routings[-]='{\"provider\": \"spare\", \"model\": \"up\"}' --unset aliases", "", []string{"config/models/m.json"}},
	} {
		t.Run(tc.file, func(t *testing.T) {
			g := editable(t)
			if strings.Contains(tc.line, "P_API_KEY_9") {
				t.Setenv("P_API_KEY_9", "an-other-key")
				if err := os.WriteFile(".env", []byte("P_API_KEY_9=canary\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			before := snapshot(t)
			line := words(tc.line)
			got := run(t, tc.stdin, line...).want(t, 0)
			got.wantNoCanary(t)
			if got.stderr != "" {
				t.Errorf("stderr is %q, want nothing", got.stderr)
			}
			wantChanged(t, before, tc.changed...)
			// What is told, and the file as it is now.
			told := got.stdout
			for _, path := range tc.changed {
				if text, err := os.ReadFile(path); err == nil {
					told += "--- " + path + "\n" + string(text)
				}
			}
			wantOutput(t, tc.file+".txt", told, g.dir)
		})
	}
}

func TestAModelIsNotedOnceAndInOrder(t *testing.T) {
	editable(t)
	if err := os.WriteFile("config/models.json", []byte("{\"other\": 1, \"custom_models\": {\"spare\": [\"z\"]}}\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	for _, model := range []string{"b", "a", "b"} {
		got := run(t, "", "add", "model", "--custom", "-p", "p", "-m", model).want(t, 0)
		if again := strings.Contains(got.stdout, "warning  config/models.json has model b of p already"); again != strings.HasPrefix(got.stdout, "warning") {
			t.Errorf("stdout is %q", got.stdout)
		}
	}
	text, err := os.ReadFile("config/models.json")
	want := "{\"other\": 1, \"custom_models\": {\"spare\": [\"z\"], \"p\": [\n      \"a\",\n      \"b\"\n    ]}}\n"
	if err != nil || string(text) != want {
		t.Errorf("the list is %q, %v, want %q", text, err, want)
	}
	if info, err := os.Stat("config/models.json"); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the list has mode %v, %v, want it as before", info.Mode(), err)
	}
	before := snapshot(t)
	if err := os.WriteFile("config/models.json", []byte(`{"custom_models": {"p": "b"}}`), 0o640); err != nil {
		t.Fatal(err)
	}
	run(t, "", "add", "model", "--custom", "-p", "p", "-m", "c").want(t, 1, "it is not a list of known models")
	wantChanged(t, before, "config/models.json")
}

func TestKeysOnTheCommandLineAreWarnedAbout(t *testing.T) {
	editable(t)
	got := run(t, "", "add", "key", "--provider", "p", "--key", "canary-key-new").want(t, 0, "Warning: a key on the command line can be seen by others")
	got.wantNoCanary(t)
	got = run(t, "canary", "add", "key", "--provider", "p").want(t, 0, "Warning: the key is very short")
	got.wantNoCanary(t)
	text, err := os.ReadFile(".env")
	if want := "# mine\nP_API_KEY=" + canaries[0] + "\n\n# p\nP_API_KEY_1=canary-key-new\n\n# p\nP_API_KEY_2=canary\n"; err != nil || string(text) != want {
		t.Errorf("the file is %q, %v, want %q", text, err, want)
	}
	for _, line := range []string{"remove key P_API_KEY_1 -y", "remove key P_API_KEY_2 -y", "remove key P_API_KEY -y"} {
		run(t, "", words(line)...).want(t, 0)
	}
	if text, err := os.ReadFile(".env"); err != nil || string(text) != "# mine\n" {
		t.Errorf("after removing all keys the file is %q, %v", text, err)
	}
}

func TestListsAreThoseOfTheOtherCommands(t *testing.T) {
	editable(t).write("config/models", "broken", "{")
	for list, other := range map[string]string{
		"add provider --list": "config list providers", "add provider -l --json": "config list providers --json",
		"add model --list": "config list models", "add model --list --json": "config list models --json",
		"add key --list": "keys list --offline", "add key --list --json": "keys list --offline --json",
	} {
		got, want := run(t, "", words(list)...).want(t, 0), run(t, "", words(other)...).want(t, 0)
		got.wantNoCanary(t)
		if got != want || got.stdout == "" {
			t.Errorf("%s prints\n%s\nwant what %s does:\n%s", list, got.stdout, other, want.stdout)
		}
	}
}

// Broken files do not stand in the way of those that mend them, nor of others.
func TestBrokenFilesCanBeMendedAndRemoved(t *testing.T) {
	g := editable(t)
	g.write("config/models", "broken", `{"logical_name": "broken", "model_routings": [{"provider": "p", "model": "up"}], "hedge": 1}`)
	g.write("config/models", "cut", `{"logical_name": "cut",`)
	run(t, "", words(acme+" --base-url https://api.acme.example/")...).want(t, 0)
	run(t, "", words("add model -n new -p acme -m up")...).want(t, 0)
	run(t, "", words("edit model cut --set x=1")...).want(t, 1, "the file is not JSON")
	run(t, "", words("edit model broken --set hedge_after=1")...).want(t, 1, `unknown key "hedge"`)
	run(t, "", words("edit model broken --unset hedge")...).want(t, 0)
	run(t, "", words("remove model cut --yes")...).want(t, 0)
	run(t, "", words("config validate")...).want(t, 0)
	g.write("config/providers", "torn", `{`)
	run(t, "", words("edit provider spare --disable")...).want(t, 0)
	run(t, "", words("remove provider torn --yes")...).want(t, 0)
	run(t, "", words("config validate")...).want(t, 0)
}

func TestTheFirstFilesAreAddedToDirectoriesThatAreMade(t *testing.T) {
	files(t, nil, nil)
	if err := os.RemoveAll("config"); err != nil {
		t.Fatal(err)
	}
	run(t, "", words(acme+" --base-url https://api.acme.example/")...).want(t, 0)
	run(t, "", words("add model -n org/new -p acme -m up")...).want(t, 0)
	run(t, "", words("config validate")...).want(t, 0)
	// The last of its kind is not taken away.
	run(t, "", words("remove model org/new --yes")...).want(t, 1, "in use by the gateway, which needs at least one")
}

func TestADirectoryThatCannotBeWrittenIsTold(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may write everywhere")
	}
	editable(t)
	for _, directory := range []string{"config/providers", "."} {
		if err := os.Chmod(directory, 0o555); err != nil {
			t.Fatal(err)
		}
	}
	before := snapshot(t)
	run(t, "", words(acme+" --base-url https://api.acme.example/")...).want(t, 1, "permission denied", "change the directory's permissions")
	run(t, "canary-key-new", words("add key -p p")...).want(t, 1, "permission denied").wantNoCanary(t)
	wantChanged(t, before)
	for _, directory := range []string{"config/providers", "."} {
		if err := os.Chmod(directory, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALinkedConfigFileStaysALink(t *testing.T) {
	editable(t)
	if err := os.Rename("config/providers/p.json", "shared.json"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../../shared.json", "config/providers/p.json"); err != nil {
		t.Skipf("this system cannot make links: %v", err)
	}
	before := snapshot(t)
	run(t, "", words("edit provider p --disable")...).want(t, 0)
	wantChanged(t, before, "shared.json")
	text, err := os.ReadFile("shared.json")
	if err != nil || !bytes.Contains(text, []byte(`"enabled": false`)) {
		t.Errorf("the file is %s, %v", text, err)
	}
}
