package caddymodule

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// commands are the cases about the command line.
var commands = []behaviour{
	{118, "version tells the number", func(t *testing.T) {
		if got := run(t, "", "version").want(t, 0); !strings.Contains(got.stdout, "version "+version) {
			t.Errorf("version prints %s", got.stdout)
		}
	}},
	{119, "version --verbose tells those of what it is made of", func(t *testing.T) {
		if got := run(t, "", "version", "--verbose").want(t, 0); !strings.Contains(got.stdout, "Caddy ") || !strings.Contains(got.stdout, " go1.") {
			t.Errorf("version --verbose prints %s", got.stdout)
		}
	}},
	{121, "without arguments there is help", func(t *testing.T) {
		if got := run(t, "").want(t, 0); !strings.Contains(got.stdout, "Usage:") || !strings.Contains(got.stdout, "validate") && !strings.Contains(got.stdout, "config") {
			t.Errorf("help is %s", got.stdout)
		}
	}},
	{122, "start --help tells of --port, --host and --reload", func(t *testing.T) {
		got := run(t, "", "start", "--help").want(t, 0)
		for _, flag := range []string{"--port", "--host", "--reload"} {
			if !strings.Contains(got.stdout, flag) {
				t.Errorf("help has no %s:\n%s", flag, got.stdout)
			}
		}
	}},
	{124, "config list is a table, or an array of models", func(t *testing.T) {
		goodFiles(t)
		for _, arguments := range [][]string{{"config", "list"}, {"config", "list", "--format", "table"}} {
			if got := run(t, "", arguments...).want(t, 0); !strings.HasPrefix(got.stdout, "MODEL") || strings.Count(got.stdout, "\n") != 3 {
				t.Errorf("%q prints %s", arguments, got.stdout)
			}
		}
		var models []struct{ Model string }
		got := run(t, "", "config", "list", "--format", "json").want(t, 0)
		if err := json.Unmarshal([]byte(got.stdout), &models); err != nil || len(models) != 2 {
			t.Errorf("config list --format json prints %s (%v)", got.stdout, err)
		}
	}},
	{125, "config validate exits with 0 or 1", func(t *testing.T) {
		g := goodFiles(t)
		run(t, "", "config", "validate").want(t, 0)
		g.write("config/models", "bad", "{")
		run(t, "", "config", "validate").want(t, 1)
	}},
	{127, "health of nobody cannot connect", func(t *testing.T) {
		run(t, "", "health", "--endpoint", "http://127.0.0.1:1").want(t, 1, "cannot connect")
	}},
	{128, "health of a gateway elsewhere is healthy", func(t *testing.T) {
		g, _ := plainGateway(t, setup{address: "http://127.0.0.1:9086"})
		if got := run(t, "", "health", "--endpoint", g.url).want(t, 0); got.stdout != "healthy\n" {
			t.Errorf("health prints %s", got.stdout)
		}
	}},
	{130, "env check exits with 0 or 1", func(t *testing.T) {
		goodFiles(t)
		run(t, "", "env", "check").want(t, 1)
		t.Setenv(clientKeyVariable, canaries[0])
		run(t, "", "env", "check").want(t, 0).wantNoCanary(t)
	}},
	{131, "keys list exits with 0", func(t *testing.T) {
		goodFiles(t)
		t.Setenv("P_API_KEY", canaries[0])
		run(t, "", "keys", "list", "--offline").want(t, 0).wantNoCanary(t)
		threeKeys(t, answers(200, chatAnswer), "")
		run(t, "", "keys", "list", "--address", adminAddress).want(t, 0)
	}},
	{133, "db stats tells what is in the database (fixed: it works)", func(t *testing.T) {
		g, _ := keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
		g.post(chatPath, chatRequest).want(t, 200)
		got := run(t, "", "db", "stats", "--address", adminAddress).want(t, 0)
		if !strings.Contains(got.stdout, "requests   1 ") || !strings.Contains(got.stdout, "5 input") {
			t.Errorf("db stats prints\n%s", got.stdout)
		}
		threeKeys(t, answers(200, chatAnswer), "")
		run(t, "", "db", "stats", "--address", adminAddress).want(t, 1, "log sqlite")
	}},
	{134, "db reset wants --confirm where nobody can be asked", func(t *testing.T) {
		if got := run(t, "", "db", "reset", "--help").want(t, 0); !strings.Contains(got.stdout, "--confirm") {
			t.Errorf("help has no --confirm:\n%s", got.stdout)
		}
		g, _ := keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
		g.post(chatPath, chatRequest).want(t, 200)
		run(t, "", "db", "reset", "--address", adminAddress).want(t, 1, "--confirm")
		if n := len(rows(t, "")); n != 1 {
			t.Errorf("rows = %d, want 1: nobody has said yes", n)
		}
		run(t, "", "db", "reset", "--confirm", "--address", adminAddress).want(t, 0)
		if n := len(rows(t, "")); n != 0 {
			t.Errorf("rows = %d, want 0", n)
		}
	}},
	{136, "add provider with only some flags is refused", func(t *testing.T) {
		goodFiles(t)
		run(t, "", "add", "provider", "--name", "acme", "--display-name", "Acme").want(t, 1, "all flags are needed")
		wantNoFile(t, "config/providers/acme.json")
	}},
	{137, "add provider with a URL that has no scheme is refused (fixed: exits with 1)", func(t *testing.T) {
		goodFiles(t)
		addAcme(t, "api.acme.example/v1").want(t, 1, "endpoints.base_url")
		wantNoFile(t, "config/providers/acme.json")
	}},
	{139, "add provider writes a file that can be used (fixed: its models can be called)", func(t *testing.T) {
		up := serve(t, answers(200, chatAnswer))
		goodFiles(t)
		addAcme(t, up.url).want(t, 0)
		run(t, "", "add", "model", "--name", "n2", "--provider", "acme", "--model", "up").want(t, 0)
		run(t, "", "config", "validate").want(t, 0)
		t.Setenv("ACME_API_KEY", "k")
		g := start(t, setup{
			providers: map[string]string{"acme": read(t, "config/providers/acme.json")},
			models:    map[string]string{"n2": read(t, "config/models/n2.json")},
		})
		g.post(chatPath, asking(chatRequest, "n2")).want(t, 200)
		if calls := up.all(); len(calls) != 1 || calls[0].path != chatPath {
			t.Errorf("the provider is asked %+v", calls)
		}
	}},
	{140, "add provider of a name that is taken is refused (fixed: exits with 1)", func(t *testing.T) {
		goodFiles(t)
		before := read(t, "config/providers/p.json")
		run(t, "", "add", "provider", "--name", "p", "--display-name", "P", "--base-url", "https://p.example/v1", "--format", "openai").want(t, 1, "--overwrite")
		if read(t, "config/providers/p.json") != before {
			t.Error("the file is changed")
		}
	}},
	{142, "add model of an unknown provider is refused (fixed: exits with 1)", func(t *testing.T) {
		goodFiles(t)
		run(t, "", "add", "model", "--name", "new", "--provider", "nobody", "--model", "up").want(t, 1, `there is no provider "nobody"`)
		wantNoFile(t, "config/models/new.json")
	}},
	{143, "add model writes its name, its timeout and its route", func(t *testing.T) {
		goodFiles(t)
		run(t, "", "add", "model", "--name", "new", "--provider", "p", "--model", "gpt-4", "--timeout", "120").want(t, 0)
		var file struct {
			Name    string                             `json:"logical_name"`
			Timeout float64                            `json:"timeout_seconds"`
			Routes  []struct{ Provider, Model string } `json:"model_routings"`
		}
		if err := json.Unmarshal([]byte(read(t, "config/models/new.json")), &file); err != nil {
			t.Fatal(err)
		}
		if file.Name != "new" || file.Timeout != 120 || len(file.Routes) != 1 || file.Routes[0].Provider != "p" || file.Routes[0].Model != "gpt-4" {
			t.Errorf("the file says %+v", file)
		}
	}},
	{145, "add model --custom of an unknown provider is refused (fixed: exits with 1)", func(t *testing.T) {
		goodFiles(t)
		run(t, "", "add", "model", "--custom", "--provider", "nobody", "--model", "up").want(t, 1, `there is no provider "nobody"`)
		wantNoFile(t, "config/models.json")
	}},
	{146, "add key with only a provider is refused, where nobody can be asked for it", func(t *testing.T) {
		goodFiles(t)
		run(t, "", "add", "key", "--provider", "p").want(t, 1, "no key")
		wantNoFile(t, ".env")
	}},
	{148, "a provider without a name for people, or with a URL of no web, is refused", func(t *testing.T) {
		goodFiles(t)
		addAcme(t, "ftp://api.acme.example/v1").want(t, 1, "base_url")
		writeIn(t, ".", "acme.json", strings.Replace(provider("acme", "https://acme.example", ""), `"name"`, `"display_name": "", "name"`, 1))
		run(t, "", "add", "provider", "--file", "acme.json").want(t, 1, "display_name")
		wantNoFile(t, "config/providers/acme.json")
	}},
	{149, "no end of a key is shown, however short it is (fixed)", func(t *testing.T) {
		goodFiles(t)
		for variable, key := range map[string]string{"P_API_KEY": "sk-1234567890", "P_API_KEY_1": "1234", "P_API_KEY_2": ""} {
			t.Setenv(variable, key)
		}
		if got := run(t, "", "keys", "list", "--offline").want(t, 0); strings.Contains(got.stdout, "234") || strings.Contains(got.stdout, "7890") || strings.Count(got.stdout, "\n") != 3 {
			t.Errorf("keys list prints %s", got.stdout)
		}
	}},
	{151, "a directory with providers only is set up by a third", func(t *testing.T) {
		g := newcomer(t)
		g.write("config/providers", "p", provider("p", "https://p.example", ""))
		if got := setupStatusOf(t); got.Percent != 33 || len(got.Recommendations) != 2 || !strings.HasPrefix(got.Recommendations[0], "models") || !strings.HasPrefix(got.Recommendations[1], "keys") {
			t.Errorf("the status is %+v", got)
		}
	}},
	{152, "provider, model and key are all of it", func(t *testing.T) {
		g := newcomer(t)
		g.write("config/providers", "p", provider("p", "https://p.example", ""))
		g.write("config/models", "m", model("m", "", "p/up"))
		t.Setenv("P_API_KEY", canaries[0])
		if got := setupStatusOf(t); got.Percent != 100 || len(got.Recommendations) != 0 {
			t.Errorf("the status is %+v", got)
		}
	}},
	{154, "keys are counted whose number is in the middle of the variable", func(t *testing.T) {
		g := newcomer(t)
		g.write("config/providers", "p", provider("p", "https://p.example", `"api_keys": {"env_var_patterns": ["X_{INDEX}_API_KEY"]},`))
		g.write("config/models", "m", model("m", "", "p/up"))
		for _, name := range []string{"X_1_API_KEY", "X_2_API_KEY", "X_3_API_KEY"} {
			t.Setenv(name, "canary of "+name)
		}
		if got := setupStatusOf(t); got.Keys != 3 {
			t.Errorf("the status is %+v, want 3 keys", got)
		}
	}},
	{155, "a progress that is corrupt or absent is none", func(t *testing.T) {
		g := newcomer(t)
		if setupStatusOf(t).Interrupted {
			t.Error("without a file there is progress")
		}
		for _, text := range []string{"", "{", "null", "[]", `{"completed_steps":[1]}`, "\x00\xff", `{"completed_steps":["providers"],"current_step":1}`} {
			writeIn(t, g.dir, progressFile, text)
			if setupStatusOf(t).Interrupted {
				t.Errorf("%q is progress", text)
			}
			run(t, "", "setup", "--quick").want(t, 0)
		}
	}},
	{157, "keys need a provider that is enabled", func(t *testing.T) {
		g := newcomer(t)
		g.write("config/providers", "p", strings.Replace(provider("p", "https://p.example", ""), `"enabled": true`, `"enabled": false`, 1))
		writeIn(t, g.dir, "answers.json", `{"providers": ["p"]}`)
		run(t, "", "setup", "--answers", "answers.json").want(t, 1, "keys need a provider that is enabled")
	}},
	{158, "a summary names the first five of seven models (fixed: it does not crash)", func(t *testing.T) {
		g := newcomer(t)
		g.write("config/providers", "p", provider("p", "https://p.example", ""))
		var models []string
		for _, name := range []string{"a", "b", "c", "d", "e", "f", "g"} {
			models = append(models, `"p/`+name+`"`)
		}
		writeIn(t, g.dir, "answers.json", `{"providers": ["p"], "models": [`+strings.Join(models, ", ")+`]}`)
		got := run(t, "", "setup", "--answers", "answers.json").want(t, 0)
		if want := "models     a, b, c, d, e and 2 more\n"; !strings.Contains(got.stderr, want) {
			t.Errorf("setup tells\n%s\nwant %q in it", got.stderr, want)
		}
	}},
}

// setupStatusOf is how far the working directory is set up.
func setupStatusOf(t *testing.T) (status setupStatus) {
	t.Helper()
	got := run(t, "", "setup", "--status", "--json").want(t, 0)
	got.wantNoCanary(t)
	if err := json.Unmarshal([]byte(got.stdout), &status); err != nil {
		t.Fatal(err)
	}
	return status
}

// addAcme adds a provider with all flags.
func addAcme(t *testing.T, url string) ran {
	t.Helper()
	return run(t, "", "add", "provider", "--name", "acme", "--display-name", "Acme", "--base-url", url, "--format", "openai")
}

func wantNoFile(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); err == nil {
		t.Errorf("there is %s", path)
	}
}
