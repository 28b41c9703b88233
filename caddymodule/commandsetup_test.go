package caddymodule

import (
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// newcomer is an empty working directory and an environment without keys.
func newcomer(t *testing.T) *gateway {
	t.Helper()
	golden, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	g := &gateway{t: t, dir: t.TempDir()}
	t.Chdir(g.dir)
	if err := os.Symlink(golden, "testdata"); err != nil {
		t.Fatal(err)
	}
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasSuffix(name, "_API_KEY") || strings.HasPrefix(name, "LLM_") || name == "HF_TOKEN" {
			unset(t, name)
		}
	}
	// Commands that read .env leave these behind.
	for _, name := range append([]string{clientKeyVariable}, placeVariables...) {
		unset(t, name)
	}
	return g
}

// unset takes a variable out of the environment until the test ends.
func unset(t *testing.T, name string) {
	t.Helper()
	t.Setenv(name, "")
	if err := os.Unsetenv(name); err != nil {
		t.Fatal(err)
	}
}

// allFiles are the paths of the files below the working directory.
func allFiles(t *testing.T) []string {
	t.Helper()
	var found []string
	err := fs.WalkDir(os.DirFS("."), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && path != "testdata" {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// wantFiles wants exactly these files below the working directory.
func wantFiles(t *testing.T, want ...string) {
	t.Helper()
	got := allFiles(t)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("files are %q, want %q", got, want)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// clientKeyOf is the key that setup made.
func clientKeyOf(t *testing.T) string {
	t.Helper()
	variables, err := parseEnv(read(t, ".env"))
	if err != nil {
		t.Fatal(err)
	}
	key := valueIn(variables, clientKeyVariable)
	if !regexp.MustCompile(`^llm-[0-9a-f]{32}$`).MatchString(key) {
		t.Fatalf("the client key is %q", key)
	}
	info, err := os.Stat(".env")
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf(".env: %v, %v; want mode 0600", info.Mode(), err)
	}
	return key
}

func TestQuickSetupEndsWithAGatewayThatAnswers(t *testing.T) {
	g := newcomer(t)
	got := run(t, "", "setup", "--quick").want(t, 0)
	key := clientKeyOf(t)
	if strings.Contains(got.stdout+got.stderr, key) {
		t.Error("setup prints the client key")
	}
	wantOutput(t, "setup_quick.txt", got.stdout, g.dir)
	wantFiles(t, ".env", "Caddyfile", "config/models/demo.json", "config/providers/demo.json")
	wantOutput(t, "setup_quick.caddyfile", read(t, "Caddyfile"), g.dir)
	run(t, "", "config", "validate").want(t, 0)
	startIn(t, g.dir, nil)
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("without curl the command that setup prints cannot be tried")
	}
	// What setup tells to type, typed.
	_, typed, _ := strings.Cut(got.stdout, "ask it:\n\n")
	typed, _, _ = strings.Cut(typed, "\n\n")
	shell := exec.Command("sh", "-c", strings.ReplaceAll(typed, ":9876", ":"+startPort))
	answer, err := shell.Output()
	if err != nil || !json.Valid(answer) || !strings.Contains(string(answer), `"chat.completion"`) {
		t.Errorf("%s\nanswers %s (%v)", typed, answer, err)
	}
}

func TestSetupAsksLineByLine(t *testing.T) {
	g := newcomer(t)
	script := strings.Join([]string{
		"demo openrouter", // providers
		canaries[0],       // its key
		"no",              // no test
		"1",               // only the first shipped model
		"n",               // without looking at lists
		"openrouter/x-ai/grok-4.3, demo/x-ai/grok-4.3", // and one more, with two routes
		"2",       // the network
		startPort, // port
		"short",   // client key: refused
		"",        // made
		"n",       // no log
		"y",       // write
	}, "\n") + "\n"
	got := run(t, script, "setup").want(t, 0)
	got.wantNoCanary(t)
	key := clientKeyOf(t)
	if strings.Contains(got.stdout+got.stderr, key) {
		t.Error("setup prints the client key")
	}
	wantOutput(t, "setup_lines.txt", got.stderr+"-----\n"+got.stdout, g.dir)
	wantFiles(t, ".env", "Caddyfile", "config/models/demo.json", "config/models/x-ai/grok-4.3.json", "config/providers/demo.json", "config/providers/openrouter.json")
	if text := read(t, ".env"); !strings.Contains(text, "# OpenRouter\nOPENROUTER_API_KEY="+canaries[0]+"\n") {
		t.Error(".env has no key of OpenRouter below its name")
	}
	if text := read(t, "Caddyfile"); strings.Contains(text, "bind {$LLM_HOST") || strings.Contains(text, "log sqlite") {
		t.Errorf("the Caddyfile binds to one address, or keeps a log:\n%s", text)
	}
	run(t, "", "config", "validate").want(t, 0)
	s := startIn(t, g.dir, nil)
	s.do(request{path: chatPath, body: asking(chatRequest, "demo"), key: key}).want(t, 200)
}

func TestSetupTakesAnswersFromAFile(t *testing.T) {
	g := newcomer(t)
	up := serve(t, answers(200, `{"object":"list","data":[]}`))
	g.write("config/providers", "mine", provider("mine", up.url, `"display_name": "Mine",`))
	writeIn(t, g.dir, "answers.json", `{
		"providers": ["mine", "azure"], "models": ["mine/large", "mine/small"],
		"keys": {"MINE_API_KEY": "`+canaries[0]+`", "AZURE_OPENAI_RESOURCE": "here"},
		"client_key": "`+canaries[1]+`", "address": "llm.example.com", "request_log": "off"}`)
	got := run(t, "", "setup", "--answers", "answers.json", "--json").want(t, 0)
	got.wantNoCanary(t)
	var result setupResult
	if err := json.Unmarshal([]byte(got.stdout), &result); err != nil {
		t.Fatal(err)
	}
	if result.URL != "https://llm.example.com" || !slices.Equal(result.Models, []string{"large", "small"}) || !result.Serves ||
		!slices.Equal(result.Missing, []string{"AZURE_OPENAI_API_KEY"}) {
		t.Errorf("the result is %+v", result)
	}
	wantFiles(t, "answers.json", ".env", "Caddyfile", "config/models/large.json", "config/models/small.json", "config/providers/azure.json", "config/providers/mine.json")
	if text := read(t, "Caddyfile"); !strings.Contains(text, "\nllm.example.com {\n") || strings.Contains(text, "llm_demo") {
		t.Errorf("the Caddyfile is\n%s", text)
	}
	if _, err := findConfiguration("Caddyfile"); err != nil {
		t.Error(err)
	}
	for text, says := range map[string]string{
		`{"providers": ["nope"]}`: `there is no provider "nope"`,
		`{"bogus": 1}`:            `unknown field "bogus"`,
		`{`:                       "reading the answers in answers.json",
		`{"models": ["gpt-6.1-sol"], "providers": ["demo"]}`:           "write provider/model",
		`{"models": ["openai/x"], "providers": ["demo"]}`:              `"openai" is none of the chosen providers`,
		`{"models": ["demo/../../x"], "providers": ["demo"]}`:          "cannot be the name of a file",
		`{"providers": ["demo"], "address": "a b { }"}`:                "neither an address nor a domain",
		`{"providers": ["demo"], "address": ":99999"}`:                 "is no port",
		`{"providers": ["demo"], "request_log": "x }"}`:                "cannot be written into a Caddyfile",
		`{"providers": ["demo"], "client_key": "secret"}`:              "client_key has 6 characters",
		`{"providers": ["demo"], "keys": {"A KEY": "x"}}`:              "is no name of a variable",
		`{"providers": ["github"]}`:                                    "keys need a provider that is enabled", // row 157
		`{"providers": ["openai"], "keys": {"OPENAI_API_KEY": "a\nb"}`: "reading the answers",
	} {
		dir := t.TempDir()
		t.Chdir(dir)
		writeIn(t, dir, "answers.json", text)
		run(t, "", "setup", "--answers", "answers.json").want(t, 1, says)
		wantFiles(t, "answers.json")
	}
	run(t, "", "setup", "--answers", "missing.json").want(t, 2, "missing.json")
	// What never ends is not read for ever.
	run(t, "", "setup", "--answers", "/dev/zero").want(t, 1, "/dev/zero: it is larger than 4 MiB")
	run(t, "", "add", "provider", "--file", "/dev/zero").want(t, 1, "/dev/zero: it is larger than 4 MiB")
	run(t, "", "config", "list", "--env-file", "/dev/zero").want(t, 1, "/dev/zero: it is larger than 1 MiB")
	run(t, "", "setup", "--quick", "--resume").want(t, 2, "quick resume", "see caddy llm-proxy setup --help")
}

// Rows 151 to 155.
func TestSetupTellsHowFarItIs151(t *testing.T) {
	g := newcomer(t)
	status := func() (s setupStatus) {
		t.Helper()
		if err := json.Unmarshal([]byte(run(t, "", "setup", "--status", "--json").want(t, 0).stdout), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if got := status(); got.Percent != 0 || len(got.Recommendations) != 3 {
		t.Errorf("of nothing the status is %+v", got)
	}
	g.write("config/providers", "p", provider("p", "https://p.example", `"api_keys": {"env_var_patterns": ["X_{INDEX}_API_KEY"]},`))
	got := run(t, "", "setup", "--status").want(t, 0)
	wantOutput(t, "setup_status.txt", got.stdout, g.dir)
	if got := status(); got.Percent != 33 || len(got.Recommendations) != 2 ||
		!strings.HasPrefix(got.Recommendations[0], "models: ") || !strings.HasPrefix(got.Recommendations[1], "keys: ") {
		t.Errorf("of a provider the status is %+v", got)
	}
	g.write("config/models", "m", model("m", "", "p/up"))
	if got := status(); got.Percent != 66 {
		t.Errorf("of a provider and a model the status is %+v", got)
	}
	for _, name := range []string{"X_1_API_KEY", "X_2_API_KEY", "X_3_API_KEY"} {
		t.Setenv(name, "key of "+name)
	}
	if got := status(); got.Percent != 100 || got.Keys != 3 || len(got.Recommendations) != 0 || got.Interrupted {
		t.Errorf("of all the status is %+v", got)
	}
	for _, text := range []string{
		"{", "", `{"completed_steps": ["bogus"]}`, `{"completed_steps": 1}`, `["providers"]`,
		`{"completed_steps": ["providers"], "current_step": "models", "setup_type": "guided", "total_steps": 3}`,
	} {
		writeIn(t, g.dir, progressFile, text)
		if status().Interrupted {
			t.Errorf("progress %q counts as one", text)
		}
	}
}

func TestSetupThatIsBrokenOffWritesNothingAndGoesOn(t *testing.T) {
	newcomer(t)
	all := []string{"openai", canaries[0], "n", "", "n", "", "1", startPort, canaries[1], "y", "y"}
	for n := range len(all) {
		t.Chdir(t.TempDir())
		got := run(t, strings.Join(append(slices.Clone(all[:n]), ""), "\n"), "setup").want(t, 1, "setup is cancelled, and nothing was written")
		got.wantNoCanary(t)
		for _, path := range allFiles(t) {
			if path != progressFile {
				t.Errorf("after %d answers there is %s", n, path)
				continue
			}
			if text := read(t, path); strings.Contains(text, "canary") {
				t.Errorf("the progress holds a secret: %s", text)
			}
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the progress has mode %v", info.Mode())
			}
		}
		// What was answered is not asked again, except for secrets.
		rest := all[1:]
		switch {
		case n == 0:
			rest = all
		case n >= 10:
			rest = []string{canaries[0], "n", canaries[1], "y"}
		case n >= 8:
			rest = []string{canaries[0], "n", canaries[1], "y", "y"}
		case n >= 6:
			rest = []string{canaries[0], "n", "1", startPort, canaries[1], "y", "y"}
		}
		run(t, strings.Join(append(rest, ""), "\n"), "setup", "--resume").want(t, 0)
		wantFiles(t, ".env", "Caddyfile", "config/models/gpt-6.1-sol.json", "config/models/text-embedding-3-small.json", "config/providers/openai.json")
		run(t, "", "config", "validate").want(t, 0)
	}
}

func TestSetupKeepsWhatIsThere(t *testing.T) {
	g := newcomer(t)
	writeIn(t, g.dir, "Caddyfile", "http://127.0.0.1:9087 {\n\trespond mine\n}\n")
	writeIn(t, g.dir, ".env", "# mine\nOTHER=x\nCLIENT_API_KEY=key-of-my-clients-0815 # theirs\n")
	g.write("config/providers", "demo", strings.Replace(provider("demo", "https://demo.example", ""), `"bearer"`, `"none"`, 1))
	got := run(t, "", "setup", "--quick").want(t, 0)
	for _, want := range []string{"kept     Caddyfile, as it was\n", "to do    the Caddyfile has no llm_proxy block"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("stdout is\n%s\nwant %q in it", got.stdout, want)
		}
	}
	if !strings.Contains(read(t, "Caddyfile"), "respond mine") || !strings.Contains(read(t, "config/providers/demo.json"), "demo.example") {
		t.Error("a file that was there is changed")
	}
	if text := read(t, ".env"); text != "# mine\nOTHER=x\nCLIENT_API_KEY=key-of-my-clients-0815 # theirs\n" {
		t.Errorf(".env is %q", text)
	}
	if err := os.Chmod("Caddyfile", 0o600); err != nil {
		t.Fatal(err)
	}
	got = run(t, "", "setup", "--quick", "--overwrite").want(t, 0)
	if info, err := os.Stat("Caddyfile"); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the Caddyfile that only its owner could read: %v, %v", info.Mode(), err)
	}
	if !strings.Contains(read(t, "Caddyfile"), "llm_proxy") || !strings.Contains(read(t, "config/providers/demo.json"), "demo.example") {
		t.Error("the Caddyfile is not replaced, or a provider is")
	}
	// Again there is nothing to do.
	got = run(t, "", "setup", "--quick", "--json").want(t, 0)
	var result setupResult
	if err := json.Unmarshal([]byte(got.stdout), &result); err != nil || len(result.Written)+len(result.Kept) > 0 || !result.Serves {
		t.Errorf("the second time the result is %s (%v)", got.stdout, err)
	}
	g.write("config/providers", "demo", "{")
	run(t, "", "setup", "--quick").want(t, 1, "demo.json", "put that right first")
}

func TestSetupAsksTheProvidersAboutTheirKeys(t *testing.T) {
	g := newcomer(t)
	up := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Authorization"), "Bearer good") {
			answers(200, `{"object":"list","data":[{"id":"small"},{"id":"large"},{"id":"../evil"}]}`)(w, r)
			return
		}
		answers(401, `{"error":{"message":"no"}}`)(w, r)
	}))
	g.write("config/providers", "mine", strings.Replace(provider("mine", up.url, ""), `"completions"`, `"models": "/models", "completions"`, 1))
	script := strings.Join([]string{"mine", "bad-" + canaries[0], "y", "good-" + canaries[0], "y", "large, 2", "", "", "", "", "", "", ""}, "\n")
	got := run(t, script, "setup").want(t, 0)
	got.wantNoCanary(t)
	if want := "mine MINE_API_KEY: dead the provider refuses it with status 401\n"; !strings.Contains(got.stderr, want) {
		t.Errorf("stderr is\n%s\nwant %q in it", got.stderr, want)
	}
	wantFiles(t, ".env", "Caddyfile", "config/models/large.json", "config/models/small.json", "config/providers/mine.json")
	if !strings.Contains(read(t, ".env"), "MINE_API_KEY=good-"+canaries[0]+"\n") {
		t.Error("the second key is not the one in .env")
	}
}

func TestSetupIsCancelledByASignal(t *testing.T) {
	g := newcomer(t)
	cmd := command(t, "llm-proxy", "setup")
	cmd.Dir = g.dir
	typed, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer typed.Close()
	shown, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
	var said strings.Builder
	for asked := false; !asked; asked = strings.Contains(said.String(), "with *: ") {
		var part [4096]byte
		n, err := shown.Read(part[:])
		if err != nil {
			t.Fatalf("%v after\n%s", err, said.String())
		}
		said.Write(part[:n])
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(shown)
	_ = cmd.Wait() // the exit code is looked at
	if exit := cmd.ProcessState.ExitCode(); exit != 1 || !strings.Contains(string(rest), "Error: setup is cancelled, and nothing was written\n") {
		t.Errorf("exit code %d, and it says %q", exit, rest)
	}
	wantFiles(t)
}

// Row 158.
func TestTheFirstFewModelsAreTold158(t *testing.T) {
	for n, want := range map[int]string{0: "", 5: "1, 2, 3, 4, 5", 6: "1, 2, 3, 4, 5, 6", 7: "1, 2, 3, 4, 5 and 2 more"} {
		if got := firstOf(strings.Split("1 2 3 4 5 6 7", " ")[:n], 5); got != want {
			t.Errorf("the first of %d are %q, want %q", n, got, want)
		}
	}
}
