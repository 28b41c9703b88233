package caddymodule

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCommandsTellWhatFilesAndEnvironmentSay(t *testing.T) {
	g := household(t)
	for _, tc := range []struct {
		file      string
		arguments string
		exit      int
	}{
		{"config_list.txt", "config list", 0},
		{"config_list.json", "config list --json", 0},
		{"config_list_providers.txt", "config list providers", 0},
		{"config_list_providers.json", "config list providers --json", 0},
		{"config_validate.txt", "config validate", 1},
		{"config_validate.json", "config validate --json", 1},
		{"config_show_model.json", "config show good", 0},
		{"config_show_evil.json", "config show evil", 0},
		{"config_show_provider.json", "config show a --json", 0},
		{"env_check.txt", "env check --all", 1},
		{"env_check.json", "env check --json", 1},
		{"keys_list_offline.txt", "keys list --offline", 0},
		{"keys_list_offline.json", "keys list --offline --json", 0},
	} {
		t.Run(tc.arguments, func(t *testing.T) {
			got := run(t, "", strings.Fields(tc.arguments)...).want(t, tc.exit)
			got.wantNoCanary(t)
			wantOutput(t, tc.file, got.stdout, g.dir)
			if strings.ContainsFunc(strings.ReplaceAll(got.stdout, "\n", ""), dangerous) {
				t.Errorf("the output has characters that a terminal may obey: %q", got.stdout)
			}
			if strings.HasSuffix(tc.file, ".json") && !json.Valid([]byte(got.stdout)) {
				t.Errorf("the output is no JSON: %s", got.stdout)
			}
			if got.stderr != "" {
				t.Errorf("stderr is %q, want nothing", got.stderr)
			}
		})
	}
}

// goodFiles are files of which none is wrong.
func goodFiles(t *testing.T) *gateway {
	t.Helper()
	return files(t,
		map[string]string{"p": provider("p", "http://127.0.0.1:9", "")},
		map[string]string{"m": model("m", "", "p/up"), "n": model("n", "", "p/up")})
}

func TestConfigListIsAnArrayOfModels124(t *testing.T) {
	goodFiles(t)
	for _, arguments := range []string{"config list --format json", "config list -f json", "config list --json"} {
		var models []struct{ Model string }
		got := run(t, "", strings.Fields(arguments)...).want(t, 0)
		if err := json.Unmarshal([]byte(got.stdout), &models); err != nil || len(models) != 2 || models[0].Model != "m" {
			t.Errorf("%s: %v, %v; want the models m and n", arguments, models, err)
		}
	}
	table := run(t, "", "config", "list").want(t, 0).stdout
	if again := run(t, "", "config", "list", "--format", "table").want(t, 0).stdout; again != table || !strings.HasPrefix(table, "MODEL") {
		t.Errorf("config list is\n%s\nand with --format table\n%s", table, again)
	}
}

func TestConfigValidateTellsByItsExitCode71and125(t *testing.T) {
	g := goodFiles(t)
	got := run(t, "", "config", "validate").want(t, 0)
	if want := "valid: 2 models and 1 provider, 0 warnings\n"; got.stdout != want {
		t.Errorf("stdout is %q, want %q", got.stdout, want)
	}
	g.write("config/models", "broken", `{"logical_name": `)
	got = run(t, "", "config", "validate").want(t, 1)
	if !strings.Contains(got.stdout, "config/models/broken.json:1: ") || !strings.HasSuffix(got.stdout, "not valid: 1 error\n") {
		t.Errorf("stdout is %q, want the file's name, the line and the number of errors", got.stdout)
	}
	if got.stderr != "" {
		t.Errorf("stderr is %q, want nothing: it is told once", got.stderr)
	}
}

func TestConfigShowFindsModelsAndProviders(t *testing.T) {
	goodFiles(t)
	for _, tc := range []struct {
		name string
		exit int
		want string
	}{
		{"m", 0, `"logical_name": "m"`},
		{"model:m", 0, `"logical_name": "m"`},
		{"p", 0, `"base_url": "http://127.0.0.1:9/v1"`},
		{"provider:p", 0, `"env_var_patterns"`},
		{"provider:m", 1, "config list shows what there is"},
		{"model:p", 1, "config list shows what there is"},
		{"../providers/p", 1, "config list shows what there is"},
		{"unknown", 1, `no model answers to "unknown"`},
	} {
		got := run(t, "", "config", "show", tc.name).want(t, tc.exit)
		if both := got.stdout + got.stderr; strings.Count(both, tc.want) != 1 {
			t.Errorf("config show %s: %s\nwant %s once", tc.name, both, tc.want)
		}
	}
}

func TestCommandsReadTheDirectoriesThatAreNamed(t *testing.T) {
	g := goodFiles(t)
	t.Chdir(t.TempDir())
	directories := []string{"--providers", filepath.Join(g.dir, "config/providers"), "--models", filepath.Join(g.dir, "config/models")}
	for _, arguments := range [][]string{{"config", "list"}, {"config", "validate"}, {"config", "show", "m"}, {"keys", "list", "--offline"}} {
		run(t, "", arguments...).want(t, 1)
		run(t, "", append(arguments, directories...)...).want(t, 0)
	}
}

func TestVariablesComeFromAFileToo(t *testing.T) {
	g := goodFiles(t)
	t.Setenv("P_API_KEY_2", canaries[1])
	text := "# keys\nexport P_API_KEY_1=" + canaries[0] + "#tail # a comment\nP_API_KEY_2=other\nCLIENT_API_KEY='canary client'\n"
	variables := filepath.Join(g.dir, ".env")
	if err := os.WriteFile(variables, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Unsetenv("CLIENT_API_KEY"); err != nil { // t.Setenv restores it
		t.Fatal(err)
	}
	got := run(t, "", "env", "check").want(t, 0)
	got.wantNoCanary(t)
	for _, line := range []string{"P_API_KEY_1                     set in .env\n", "P_API_KEY_2                     set\n", "CLIENT_API_KEY                  set in .env\n"} {
		if !strings.Contains(got.stdout, line) {
			t.Errorf("%s\nhas no %q", got.stdout, line)
		}
	}
	if err := os.Rename(variables, filepath.Join(g.dir, "other.env")); err != nil {
		t.Fatal(err)
	}
	run(t, "", "env", "check").want(t, 1)
	run(t, "", "env", "check", "--env-file", "other.env").want(t, 0)
	run(t, "", "env", "check", "--env-file", "missing.env").want(t, 2, "missing.env", "no such file")
}

func TestAFileOfVariablesIsReadAsAShellWould(t *testing.T) {
	for _, tc := range []struct {
		text string
		want []variable
	}{
		{"", nil},
		{"A=1", []variable{{"A", "1"}}},
		{"\uFEFFA=1\r\nB=2\r\n", []variable{{"A", "1"}, {"B", "2"}}},
		{"  # c\n\n export A = 1 \nexport B=2", []variable{{"A", "1"}, {"B", "2"}}},
		{"A=", []variable{{"A", ""}}},
		{"A=a#b #c\nB=# c\nC=x\t# c", []variable{{"A", "a#b"}, {"B", ""}, {"C", "x"}}},
		{"A=a=b", []variable{{"A", "a=b"}}},
		{`A="a # b" # c` + "\nB='it is \"so\"\\n'", []variable{{"A", "a # b"}, {"B", `it is "so"\n`}}},
		{`A="a\nb\"c\\d\$"`, []variable{{"A", "a\nb\"c\\d\\$"}}},
		{"A=\"first\nsecond = x\n\" # c\nB=2", []variable{{"A", "first\nsecond = x\n"}, {"B", "2"}}},
		{`A=""`, []variable{{"A", ""}}},
		{"A=1\nA=2", []variable{{"A", "1"}, {"A", "2"}}},
	} {
		got, err := parseEnv(tc.text)
		if err != nil || len(got) != len(tc.want) {
			t.Errorf("parseEnv(%q) = %q, %v, want %q", tc.text, got, err, tc.want)
			continue
		}
		for i := range got {
			if got[i] != tc.want[i] {
				t.Errorf("parseEnv(%q) = %q, want %q", tc.text, got, tc.want)
			}
		}
	}
	for text, want := range map[string]string{
		"sk-canary":                            "1: a line has to be NAME=value",
		"A=1\nsk canary=2":                     "2: a line has to be NAME=value",
		"1A=canary":                            "1: a line has to be NAME=value",
		"=canary":                              "1: a line has to be NAME=value",
		"A=\"x\ny\"\n\nB='canary":              "4: the value begins with a quote that has no end",
		"A=\"canary\" canary":                  "1: something stands behind",
		"A='1\n2' canary":                      "2: something stands behind",
		"export canary":                        "1: a line has to be NAME=value",
		strings.Repeat("A=1\n", 99) + "canary": "100: a line has to be NAME=value",
	} {
		_, err := parseEnv(text)
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("parseEnv(%q): %v, want %s and nothing of the text", text, err, want)
		}
	}
}

func TestColoursKeepColumnsInLine(t *testing.T) {
	rows := func(coloured bool) string {
		out := &output{coloured: coloured}
		table := out.newTable("NAME", out.paint(uncoloured, "STATE"), "WHY")
		table.row("a", out.paint(green, "ok"), "")
		table.row("", out.paint(red, "broken\x1b[0m"), "because")
		table.end()
		return out.String()
	}
	const want = "NAME  STATE          WHY\na     ok\n-     broken\\x1b[0m  because\n"
	if got := rows(false); got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
	painted := rows(true)
	bare := painted
	for _, c := range []colour{uncoloured, red, green, yellow, "\x1b[0m"} {
		bare = strings.ReplaceAll(bare, string(c), "")
	}
	if bare != want || !strings.Contains(painted, "\x1b[31mbroken") {
		t.Errorf("with colours the table is\n%q\nwant the same but for colours", painted)
	}
}

func TestColoursAreForTerminalsOnly(t *testing.T) {
	file, err := os.Open("/dev/ptmx")
	if err != nil {
		t.Skipf("there is no terminal: %v", err)
	}
	defer file.Close()
	set := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	for _, tc := range []struct {
		name string
		out  io.Writer
		env  func(string) string
		want bool
	}{
		{"a terminal", file, set(), true},
		{"a terminal with NO_COLOR", file, set("NO_COLOR", "1"), false},
		{"a dumb terminal", file, set("TERM", "dumb"), false},
		{"memory", new(bytes.Buffer), set(), false},
	} {
		got := coloured(tc.out, tc.env)
		if got != tc.want {
			t.Errorf("%s: colours %v, want %v", tc.name, got, tc.want)
		}
	}
}
