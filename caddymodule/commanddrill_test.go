package caddymodule

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/routing"
)

// someDrillTime is how long something took, which is different in every run.
var someDrillTime = regexp.MustCompile(`(key [0-9a-f]{8}, |, after |_ms": )[0-9.]+(µs|ms|s)?`)

// wantDrill is wantOutput for drills.
func wantDrill(t *testing.T, golden, got, dir string) {
	t.Helper()
	got = someDrillTime.ReplaceAllString(got, "${1}12$2")
	got = regexp.MustCompile(`(key [0-9a-f]{8}, |, after )12(µs|m?s)`).ReplaceAllString(got, "${1}12ms")
	got = regexp.MustCompile(`("seconds": \d+)\.\d+`).ReplaceAllString(got, "$1.5")
	got = strings.ReplaceAll(got, dir, "/config")
	wantOutput(t, golden, got, "no directory")
}

func TestTheDrillOfTheBuiltInSetup(t *testing.T) {
	g := files(t, nil, nil)
	if err := os.RemoveAll(filepath.Join(g.dir, "config")); err != nil {
		t.Fatal(err)
	}
	for golden, arguments := range map[string]string{
		"drill.txt":             "",
		"drill_stream.txt":      "--stream --protocol messages --scenario all_fail,basic_success",
		"drill_limited.txt":     "--protocol responses --fail alpha=429-7 --fail beta=429-20",
		"drill_one_key.json":    "--json --fail alpha#2=quota --requests 2",
		"drill_cut.txt":         "--stream --fail alpha=error-late",
		"drill_policy.txt":      "--protocol messages --fail alpha=policy",
		"drill_unreachable.txt": "--fail alpha=unreachable --fail beta#1=html",
	} {
		got := run(t, "", append([]string{"drill"}, strings.Fields(arguments)...)...).want(t, 0)
		wantDrill(t, golden, got.stdout, g.dir)
	}
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "llm-proxy-drill-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind are %q (%v)", left, err)
	}
}

// drilledAt are the findings of a drill of one scenario, by the scenario.
func drillFindings(t *testing.T, exit int, arguments ...string) map[string]string {
	t.Helper()
	var report drillReport
	got := run(t, "", append([]string{"drill", "--json"}, arguments...)...).want(t, exit)
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil {
		t.Fatalf("%v: %s", err, got.stdout)
	}
	findings := make(map[string]string)
	for _, s := range report.Scenarios {
		if s.OK == (len(s.Findings) > 0) {
			t.Errorf("%s: ok is %v with the findings %q", s.Name, s.OK, s.Findings)
		}
		findings[s.Name] = strings.Join(s.Findings, "; ")
	}
	return findings
}

func TestADrillTellsWhatToAddWhereThereIsNoWayOut(t *testing.T) {
	const nowhere = "http://127.0.0.1:1"
	off := strings.Replace(provider("off", nowhere, ""), `"enabled": true`, `"enabled": false`, 1)
	files(t, map[string]string{
		"a": provider("a", nowhere, ""), "b": provider("b", nowhere, ""), "off": off,
		"free": strings.Replace(provider("free", nowhere, ""), `"type": "bearer"`, `"type": "none"`, 1),
	}, map[string]string{
		"alone":   model("alone", "", "a/up"),
		"free":    model("free", "", "free/up"),
		"two":     model("two", `"fallback_model_routings": ["alone"],`, "b/up", "a/other"),
		"spared":  model("spared", `"fallback_model_routings": ["two"],`, "a/up"),
		"dead":    model("dead", `"fallback_model_routings": ["off"],`, "a/up"),
		"off":     model("off", "", "off/up"),
		"keyed":   `{"logical_name": "keyed", "model_routings": [{"provider": "a", "model": "up", "api_key_env": ["SPECIAL_KEY"]}]}`,
		"crowded": model("crowded", `"fallback_model_routings": ["free"],`, "a/1", "a/2", "a/3", "a/4", "a/5", "a/6", "a/7", "a/8"),
	})
	for _, tc := range []struct {
		model string
		exit  int
		want  map[string]string // the beginning and the end of the findings, by scenario
	}{
		{"alone", 1, map[string]string{
			"basic_success":          "",
			"api_key_fallback":       "a has one key; set A_API_KEY_2 to another one of it",
			"provider_fallback":      "add one to model_routings of config/models/alone.json",
			"logical_model_fallback": "add one to fallback_model_routings of config/models/alone.json",
			"timeout_fallback":       "the model has one route and no fallback model; add one to config/models/alone.json",
			"all_fail":               "",
		}},
		{"two", 1, map[string]string{"basic_success": "", "api_key_fallback": "set B_API_KEY_2 to another one of it", "provider_fallback": "", "logical_model_fallback": "", "timeout_fallback": "", "all_fail": ""}},
		{"spared", 1, map[string]string{"provider_fallback": "only the fallback model two answered; no other provider has a route of this model; add one to model_routings of config/models/spared.json", "logical_model_fallback": "", "timeout_fallback": ""}},
		{"free", 1, map[string]string{"api_key_fallback": "free takes no key, so there is no other one; a route of another provider stands in for it (provider_fallback)"}},
		{"dead", 1, map[string]string{"logical_model_fallback": "the fallback model off cannot be asked: the provider's file says enabled: false"}},
		{"off", 1, map[string]string{"basic_success": "off cannot be asked: the provider's file says enabled: false", "all_fail": "off cannot be asked: the provider's file says enabled: false"}},
		{"crowded", 1, map[string]string{"logical_model_fallback": "the fallback model free was not asked: 8 attempts are as many as max_attempts lets one request make"}},
	} {
		got := drillFindings(t, tc.exit, tc.model)
		for name, want := range tc.want {
			if finding, ran := got[name]; !ran || !strings.HasSuffix(finding, want) || want == "" && finding != "" {
				t.Errorf("drill %s, %s: %q, want %q", tc.model, name, finding, want)
			}
		}
	}
	if got := drillFindings(t, 1, "keyed", "--scenario", "api_key_fallback")["api_key_fallback"]; got != "the route of a has one key; name another variable in its api_key_env" {
		t.Errorf("drill keyed: %q", got)
	}
	t.Setenv("A_API_KEY_1", "one")
	t.Setenv("A_API_KEY_2", "two")
	for arguments, want := range map[string]string{
		"two --fail b=500":              "",
		"two --fail b=500 --fail a=500": "",
		"two --fail b=400":              "", // the request is refused, wherever it goes
		"alone --fail a#1=401":          "",
		"crowded --fail a=500":          "free is well, but was not asked: 8 attempts are as many as max_attempts lets one request make",
	} {
		exit := 0
		if want != "" {
			exit = 1
		}
		if got := drillFindings(t, exit, strings.Fields(arguments)...)["asked_for"]; !strings.HasSuffix(got, want) || want == "" && got != "" {
			t.Errorf("drill %s: %q, want %q", arguments, got, want)
		}
	}
	for arguments, want := range map[string]string{
		"nobody":               `no model answers to "nobody"`,
		"alone --fail b=500":   `leads to provider "b"`,
		"alone --fail a#4=500": "provider a has 3 keys, and so none of number 4",
	} {
		run(t, "", append([]string{"drill"}, strings.Fields(arguments)...)...).want(t, 1, want)
	}
	for arguments, want := range map[string]string{
		"alone --fail a":                         "takes <provider>=<fault>",
		"alone --fail a#0=500":                   "takes <provider>=<fault>",
		"alone --fail a=sick":                    `unknown word "sick"`,
		"alone --scenario x":                     "takes basic_success, api_key_fallback",
		"alone --protocol http":                  "takes openai, responses, anthropic",
		"alone --fail a=500 --requests 0":        "from 1 to 100",
		"alone --fail a=500 --scenario all_fail": "without --fail",
		"alone two":                              "at most 1 arg",
	} {
		run(t, "", append([]string{"drill"}, strings.Fields(arguments)...)...).want(t, 2, want)
	}
}

// The files are the user's, with secrets in the environment and in headers, and
// addresses that answer. A drill is to touch none of them.
func TestADrillAsksNoHostAndKnowsNoSecret(t *testing.T) {
	real := serve(t, answers(200, chatAnswer))
	t.Setenv("HTTP_PROXY", real.url)
	t.Setenv("HTTPS_PROXY", real.url)
	household(t)
	g := &gateway{t: t, dir: "config"}
	t.Setenv("B_HOST", canaries[3]+".example")
	g.writeAll("providers", map[string]string{
		"a": strings.Replace(provider("a", real.url, ""), `"header_format"`, `"additional_headers": {"X-Auth-Extra": "`+canaries[2]+`", "X-Tenant": "${A_TENANT}"}, "header_format"`, 1),
	})
	if err := os.Remove("config/models/broken.json"); err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []string{"openai", "responses", "messages"} {
		for _, more := range []string{"--scenario provider_fallback,all_fail --stream", "--scenario timeout_fallback --json", "--fail a=401", "--fail a=unreachable"} {
			got := run(t, "", append([]string{"drill", "good", "--protocol", protocol}, strings.Fields(more)...)...)
			got.wantNoCanary(t)
			if !strings.Contains(got.stdout, "good") || got.exit == 2 {
				t.Errorf("drill --protocol %s %s: exit %d, %s%s", protocol, more, got.exit, got.stdout, got.stderr)
			}
		}
	}
	if calls := real.all(); len(calls) > 0 {
		t.Errorf("%d calls reached a real host: %+v", len(calls), calls)
	}
	// a has two keys, and one variable with the same again.
	if head, _, _ := strings.Cut(run(t, "", "drill", "good").stdout, "\n"); !strings.Contains(head, "made-up keys: a 2, b 1;") {
		t.Errorf("the drill begins with %q, want two keys of a", head)
	}
}

// What is drilled is what start would serve.
func TestADrillGoesByTheCaddyfile(t *testing.T) {
	drilled := func(exit int, want string, arguments ...string) {
		t.Helper()
		got := run(t, "", append([]string{"drill", "mine", "--scenario", "basic_success"}, arguments...)...)
		if got.exit != exit || !strings.Contains(got.stdout+got.stderr, want) {
			t.Errorf("drill %q: exit code %d, %s%s; want %d, %q", arguments, got.exit, got.stdout, got.stderr, exit, want)
		}
	}
	for _, name := range settingVariables {
		unset(t, name)
	}
	g := files(t, map[string]string{"p": provider("p", "https://p.example", "")}, map[string]string{"m": model("m", "", "p/up")})
	for _, kind := range []string{"providers", "models"} {
		if err := os.MkdirAll("own/"+kind, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	g.write("own/providers", "q", provider("q", "https://q.example", ""))
	g.write("own/models", "mine", model("mine", "", "q/up"))
	drilled(1, `no model answers to "mine"`)
	const site = "http://127.0.0.1:9087 {\n\tllm_proxy {\n\t\tproviders {$LLM_CONFIG:own}/providers\n\t\tmodels {$LLM_CONFIG:own}/models\n\t}\n}\n"
	writeIn(t, g.dir, "Caddyfile", site)
	drilled(0, "answered by q")
	drilled(1, `no model answers to "mine"`, "--providers", "config/providers")
	writeIn(t, g.dir, ".env", "LLM_CONFIG=config\n")
	drilled(1, `no model answers to "mine"`)
	unset(t, "LLM_CONFIG")
	writeIn(t, g.dir, ".env", "")
	writeIn(t, g.dir, "Caddyfile", site+strings.NewReplacer("own", "config", "9087", "9088").Replace(site))
	drilled(1, "the llm_proxy blocks of Caddyfile have different files; say with --providers and --models")
	drilled(0, "answered by q", "--providers", "own/providers", "--models", "own/models")
	writeIn(t, g.dir, "Caddyfile", "http://127.0.0.1:9087 {\n\tllm_proxy {\n\t\tbogus\n\t}\n}\n")
	drilled(1, "unrecognized subdirective 'bogus'")
	writeIn(t, g.dir, "Caddyfile", "http://127.0.0.1:9087 {\n\trespond mine\n}\n")
	drilled(1, `no model answers to "mine"`)
}

// Without any network a drill works as well.
func TestADrillNeedsNoNetwork(t *testing.T) {
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Skip(err)
	}
	if said, err := exec.Command(unshare, "-n", "true").CombinedOutput(); err != nil {
		t.Skipf("no network namespace can be made here: %v: %s", err, said)
	}
	cmd := command(t, "llm-proxy", "drill")
	cmd.Path, cmd.Args = unshare, append([]string{unshare, "-n"}, cmd.Args...)
	if said, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(said), "6 of 6 scenarios ended as routing promises") {
		t.Errorf("drill without a network: %v\n%s", err, said)
	}
}

// Every provider that is shipped can be drilled, wherever its endpoints are.
func TestEveryShippedProviderCanBeDrilled(t *testing.T) {
	providers, err := filepath.Abs("../config/providers")
	if err != nil {
		t.Fatal(err)
	}
	catalog, _, err := routing.Load(routing.LoadOptions{ProvidersDir: providers, ModelsDir: "../config/models", KeepGoing: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range catalog.Providers() {
		t.Run(p.ID, func(t *testing.T) {
			text, err := os.ReadFile(p.File)
			if err != nil {
				t.Fatal(err)
			}
			enabled := regexp.MustCompile(`"enabled":\s*false`).ReplaceAllString(string(text), `"enabled": true`)
			files(t, map[string]string{p.ID: enabled}, map[string]string{p.ID: model(p.ID, "", p.ID+"/some-model")})
			for _, protocol := range []string{"openai", "responses", "messages"} {
				for _, stream := range []string{"--stream", "--stream=false"} {
					run(t, "", "drill", p.ID, "--scenario", "basic_success,all_fail", "--protocol", protocol, stream).want(t, 0)
				}
			}
		})
	}
}
