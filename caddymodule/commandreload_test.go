package caddymodule

import (
	"os"
	"strings"
	"testing"
)

// What an operator at a terminal, and a script, see of a reload.
func TestTheReloadCommandTellsByItsExitCodeAndItsWords(t *testing.T) {
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up"), "old": model("old", "", "p/up")},
	})
	const address = "localhost:2999"
	for _, tc := range []struct {
		name           string
		change         func()
		arguments      []string
		exit           int
		stdout, stderr string // parts
	}{
		{"as before", func() {}, []string{"--address", address}, 0, "/models\n  providers  as before\n  models     as before\n", ""},
		{
			"changes", func() {
				g.write("models", "m", model("m", `"fallback_model_routings": ["nowhere"],`, "p/up"))
				g.write("models", "new", model("new", "", "p/up"))
				g.write("models", "newer", model("newer", "", "p/up"))
				g.remove("models", "old")
			},
			[]string{"--address", address},
			0,
			"  models     added new, newer; changed m; removed old\n  warning    " + g.dir + `/models/m.json:1: fallback_model_routings[0]: no model answers to "nowhere"; skipped` + "\n", "",
		},
		{"JSON", func() { g.remove("models", "newer") }, []string{"--address", address, "--json"}, 0, `"models":{"added":[],"removed":["newer"],"changed":[]}`, ""},
		{
			"a problem", func() { g.write("models", "m", "{") },
			[]string{"--address", address},
			1, "",
			"nothing is reloaded: " + g.dir + "/models/m.json:1: is not a JSON object",
		},
		{
			"problems", func() { g.write("models", "new", "{") },
			[]string{"--address", address},
			1, "",
			"nothing is reloaded: 2 problems in the provider and model files:\n\t" + g.dir + "/models/m.json:1: is not a JSON object",
		},
		{"problems as JSON", func() {}, []string{"--address", address, "--json"}, 1, `{"error":"nothing is reloaded: there are 2 problems`, "there are 2 problems"},
		{"nobody there", func() {}, []string{"--address", "localhost:1"}, 1, "", "connection refused"},
		{"no address", func() {}, []string{"--config", g.dir + "/none"}, 1, "", "finding the address of the administration API"},
		{"a surplus word", func() {}, []string{"surplus"}, 2, "", "takes flags only, and no arguments"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.change()
			stdout, stderr, exit := runCommand(t, nil, append([]string{"llm-proxy", "reload"}, tc.arguments...)...)
			if exit != tc.exit || !strings.Contains(stdout, tc.stdout) || !strings.Contains(stderr, tc.stderr) || tc.stdout == "" && stdout != "" || tc.exit == 0 && stderr != "" {
				t.Errorf("exit %d\nstdout: %s\nstderr: %s\nwant exit %d, %q and %q", exit, stdout, stderr, tc.exit, tc.stdout, tc.stderr)
			}
		})
	}
	loadNothing(t)
	stdout, stderr, exit := runCommand(t, nil, "llm-proxy", "reload", "--address", address)
	if exit != 0 || stdout != "no llm_proxy is running there\n" || stderr != "" {
		t.Errorf("without a gateway: exit %d\nstdout: %s\nstderr: %s", exit, stdout, stderr)
	}
}

func TestWhatAReloadSaysIsNotObeyedAndMustBeWritten(t *testing.T) {
	const said = `{"handlers":[{"handler":0,"directory":"/d\u001b[2J","providers":{"added":["p\u009b2J"],"removed":[],"changed":[]},"models":{"added":["m\u202egnp"],"removed":[],"changed":[]},"warnings":[{"file":"f\r\nforged","message":"\u001b]0;x"}]}]}`
	up := serve(t, answers(200, strings.NewReplacer(`\u009b`, "\u009b", `\u202e`, "\u202e").Replace(said)))
	address := "--address=" + strings.TrimPrefix(up.url, "http://")
	for _, arguments := range [][]string{{"reload", address}, {"reload", address, "--json"}} {
		got := run(t, "", arguments...).want(t, 0)
		if strings.ContainsFunc(strings.ReplaceAll(got.stdout, "\n", ""), dangerous) || !strings.Contains(got.stdout, `\u202egnp`) {
			t.Errorf("%q prints %q", arguments, got.stdout)
		}
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer full.Close()
	cmd := command(t, "llm-proxy", "reload", address)
	cmd.Stdout = full
	if err := cmd.Run(); err == nil {
		t.Error("reload exits with 0 when its output cannot be written")
	}
}

func TestHealthByCommandSaysWhatIsBroken(t *testing.T) {
	out := new(output)
	printDetails(out, &healthReport{Components: healthComponents{
		ModelConfig:     modelHealth{ModelsCount: 7, Message: "not reloaded: models/m.json: is empty"},
		ProviderConfigs: providerConfigHealth{Message: "not reloaded: providers/p.json: is empty"},
	}})
	const want = "models     7\n  not reloaded: models/m.json: is empty\nproviders  0, 0 enabled\n  not reloaded: providers/p.json: is empty\n"
	if !strings.HasSuffix(out.String(), want) {
		t.Errorf("output is\n%s\nwant at its end\n%s", out.String(), want)
	}
}
