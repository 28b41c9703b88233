package caddymodule

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestVersionTellsItsNumber118and119(t *testing.T) {
	got := run(t, "", "version").want(t, 0)
	if want := "llm-proxy version " + version + "\n"; got.stdout != want {
		t.Errorf("version prints %q, want %q", got.stdout, want)
	}
	got = run(t, "", "version", "--verbose").want(t, 0)
	for _, want := range []string{"version " + version, "Caddy ", "Go        go1.", "platform  "} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("version --verbose prints %q, want %q in it", got.stdout, want)
		}
	}
	var report versionReport
	got = run(t, "", "version", "--json").want(t, 0)
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || report.Version != version || report.Go == "" || report.Platform == "" {
		t.Errorf("version --json prints %s (%v)", got.stdout, err)
	}
}

func TestWithoutACommandThereIsHelp121(t *testing.T) {
	for arguments, want := range map[string][]string{
		"":       {"health", "version", "config", "env", "keys", "plan", "chat", "exits with 0"},
		"config": {"list", "validate", "show"},
		"keys":   {"list", "test"},
		"env":    {"check"},
		// The original has a command for it.
		"help":        {"health", "version"},
		"help config": {"list", "validate", "show"},
		"keys help":   {"list", "test"},
	} {
		got := run(t, "", strings.Fields(arguments)...).want(t, 0)
		for _, word := range want {
			if !strings.Contains(got.stdout, word) {
				t.Errorf("help of %q has no %q:\n%s", arguments, word, got.stdout)
			}
		}
	}
}

func TestHealthTellsByItsExitCode127and128(t *testing.T) {
	run(t, "", "health", "--endpoint", "http://127.0.0.1:1").want(t, 1, "cannot connect to the gateway", "caddy llm-proxy start", "--endpoint")
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", "http://127.0.0.1:1", "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	if got := run(t, "", "health", "--endpoint", g.url).want(t, 0); got.stdout != "healthy\n" {
		t.Errorf("stdout is %q, want healthy", got.stdout)
	}
	var report healthReport
	got := run(t, "", "health", "-e", g.url, "-d", "--json").want(t, 0)
	if err := json.Unmarshal([]byte(got.stdout), &report); err != nil || report.Components.Providers["p"].KeysAvailable != 1 {
		t.Errorf("health --json prints %s (%v)", got.stdout, err)
	}
}

func TestEnvCheckTellsByItsExitCode130(t *testing.T) {
	goodFiles(t)
	run(t, "", "env", "check").want(t, 1)
	t.Setenv(clientKeyVariable, canaries[0])
	run(t, "", "env", "check").want(t, 0).wantNoCanary(t)
}

func TestAProviderWithAKeyNeedsItsOtherVariables(t *testing.T) {
	household(t)
	t.Setenv(clientKeyVariable, canaries[0])
	run(t, "", "env", "check").want(t, 0)
	t.Setenv("B_API_KEY", canaries[1])
	got := run(t, "", "env", "check").want(t, 1)
	if want := "problem  B_HOST, which b needs, is not set\n"; !strings.HasSuffix(got.stdout, want) {
		t.Errorf("stdout is\n%s\nwant %q at its end", got.stdout, want)
	}
	// So the gateway would not start.
	run(t, "", "config", "list").want(t, 1, "B_HOST is not set").wantNoCanary(t)
}

// The cases of the kind cli, for the commands that there are, in the words of
// those: validate of the cases is config validate.
func TestBadCommandLines(t *testing.T) {
	type commandCase struct {
		ID, Name, Stdout, Signal string
		Payload                  struct{ Data string }
	}
	// others are the arguments that ask the same of a command that there is. Three
	// cases need a running gateway and have tests of their own below.
	elsewhere := []string{"logs --limit -1 / 1e9 / abc", "logs on a corrupt DB", "two servers on the same DB"}
	others := map[string][]string{
		"unknown subcommand":                             {"frobnicate"},
		"flag without value":                             {"config", "validate", "--models"},
		"config dir is a file":                           {"config", "validate", "--models", "/etc/hostname"},
		"validate of a good config prints no keys":       {"config", "validate"},
		"stdout to /dev/full":                            {"config", "list"},
		"SIGINT during validate":                         {"config", "validate", "--env-file", "variables"},
		"key passed on the command line is warned about": {"keys", "add", canaries[0]},
	}
	exits := map[string]int{
		"unknown subcommand": 2, "flag without value": 2, "config dir is a file": 1,
		"stdout to /dev/full": 1, "SIGINT during validate": -1, "key passed on the command line is warned about": 2,
	}
	ran := 0
	for _, c := range casesOf[commandCase](t, "cli") {
		arguments, ok := others[c.Name]
		if !ok && slices.Contains(elsewhere, c.Name) {
			continue
		}
		if !ok {
			t.Errorf("%s: the test does not know this case", c.Name)
			continue
		}
		ran++
		t.Run(c.ID+" "+c.Name, func(t *testing.T) {
			g := goodFiles(t)
			t.Setenv("P_API_KEY", canaries[0])
			var stdout, stderr strings.Builder
			cmd := command(t, append([]string{"llm-proxy"}, arguments...)...)
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if c.Stdout != "" {
				full, err := os.OpenFile(c.Stdout, os.O_WRONLY, 0)
				if err != nil {
					t.Skip(err)
				}
				defer full.Close()
				cmd.Stdout = full
			}
			fifo := filepath.Join(g.dir, "variables")
			if c.Signal != "" {
				if err := syscall.Mkfifo(fifo, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if c.Signal != "" {
				// Opening succeeds as soon as the command reads, and then
				// it waits for what is never written.
				writer, err := os.OpenFile(fifo, os.O_WRONLY, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer writer.Close()
				if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
					t.Fatal(err)
				}
			}
			_ = cmd.Wait() // the exit code is looked at
			if got := cmd.ProcessState.ExitCode(); got != exits[c.Name] {
				t.Errorf("exit code %d, want %d", got, exits[c.Name])
			}
			said := stdout.String() + stderr.String()
			if strings.Contains(said, "canary") || strings.Contains(said, "goroutine") {
				t.Errorf("the output has a secret or a stack trace:\n%s", said)
			}
			if n := strings.Count(stderr.String(), "\n"); exits[c.Name] > 0 && c.Name != "config dir is a file" && n != 1 {
				t.Errorf("stderr is %q, want one line", stderr.String())
			}
		})
	}
	if ran != len(others) {
		t.Errorf("%d of %d cases ran", ran, len(others))
	}
}

// command is caddy in a process of its own.
func command(t *testing.T, arguments ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestMainOfCaddy$")
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_DATA_HOME="+home, asCaddy+"="+strings.Join(arguments, "\x1f"))
	return cmd
}

// Whether a command line can be understood depends on no gateway: none runs here.
func TestWhatNoFlagCanBeIsExitCode2(t *testing.T) {
	goodFiles(t)
	for line, says := range map[string]string{
		"logs --limit 0":                      `"0" is no number from 1 to 1000`,
		"logs --limit 1001 --follow":          `"1001" is no number from 1 to 1000`,
		"logs --status 0":                     `"0" is no number from 100 to 599`,
		"logs --outcome nonsense":             "it takes ok, error, partial, client_closed",
		"logs --since yesterday":              `"yesterday" is neither a time such as`,
		"logs --until -1h":                    `"-1h" is neither a time such as`,
		"logs --before x --follow":            "does not go with --before",
		"usage --by nonsense":                 "it takes model, asked, client, provider, key, endpoint, class, day",
		"usage --since tomorrow":              `"tomorrow" is neither a time such as`,
		"usage --until 2026-13-01":            `"2026-13-01" is neither a time such as`,
		"usage --address localhost:1-9":       "it takes an address such as localhost:2019",
		"explain ../health":                   `"../health" is no request's id`,
		"explain":                             "takes one argument",
		"db stats --address localhost:x":      "it takes an address such as",
		"db nonsense":                         `there is no command "nonsense"`,
		"db reset all":                        "takes flags only",
		"plan good --protocol soap":           "it takes openai, responses, anthropic",
		"plan good --handler first":           `"first" is no number from 0`,
		"plan":                                "takes one argument",
		"drill good --protocol soap":          "it takes openai, responses, anthropic",
		"drill --requests 0":                  `"0" is no number from 1 to 100`,
		"drill --scenario nonsense":           "--scenario takes basic_success",
		"config list --format yaml":           "it takes table, json",
		"config list nonsense":                "invalid argument",
		"keys test --timeout 0":               "--timeout takes a time above 0",
		"add model -n n -p p -m m -t -1":      `"-1" is no number from 1`,
		"add model -n n --route nowhere":      "--route takes <provider>/<model>",
		"health --endpoint 127.0.0.1:9876":    "it takes a URL such as http://127.0.0.1:9876",
		"chat good --url ftp://127.0.0.1":     "it takes a URL such as",
		"reload --address localhost:1-9":      "it takes an address such as",
		"start --port 0":                      "--port takes a number from 1 to 65535",
		"health --endpoint http:///v1 --json": "it takes a URL such as",
	} {
		if got := run(t, "", words(line)...).want(t, 2, says, " --help\n"); got.stdout != "" || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("%s prints %q and %q, want one line of error", line, got.stdout, got.stderr)
		}
	}
	// What is understood, and cannot be done, is another thing.
	for _, line := range []string{"logs --limit 1000 --since 7d --outcome OK", "usage --by Day", "plan good", "explain nobody", "health", "db stats --file nowhere.db"} {
		run(t, "", append(words(line), "--json")...).want(t, 1)
	}
}

// A gateway may know better than the command what cannot be asked.
func TestWhatTheGatewayDoesNotUnderstandIsExitCode2(t *testing.T) {
	keepingLog(t, answers(200, chatAnswer), answers(500, brokenBody))
	run(t, "", "plan", "", "--address", adminAddress).want(t, 2, "the gateway says: the parameter model is missing")
	run(t, "", "plan", "nobody", "--address", adminAddress).want(t, 1, `the gateway says: model "nobody" is not known`)
	run(t, "", "explain", "nobody", "--address", adminAddress).want(t, 1, "no such request")
}

func TestLimitsOfLogsAreNumbersThatMakeSense(t *testing.T) {
	keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
	for limit, exit := range map[string]int{"-1": 2, "0": 2, "1001": 2, "1000000000": 2, "99999999999999999999": 2, "1e9": 2, "abc": 2, "": 2, "1;2": 2} {
		got := run(t, "", "logs", "--limit", limit, "--address", adminAddress).want(t, exit, "limit")
		if got.stdout != "" || strings.Count(got.stderr, "\n") != 1 {
			t.Errorf("logs --limit %q prints %q and %q, want one line of error", limit, got.stdout, got.stderr)
		}
	}
	run(t, "", "logs", "--limit", "1000", "--address", adminAddress).want(t, 0)
}

// Commands ask the gateway and open no database; the gateway sets aside what is
// none, and serves.
func TestLogsOfADamagedDatabaseAreThoseSinceThen(t *testing.T) {
	run(t, "", "logs", "--db", "garbage.db").want(t, 2, "unknown flag")
	file := filepath.Join(t.TempDir(), "requests.db")
	const garbage = "this was never a database, canary"
	if err := os.WriteFile(file, []byte(strings.Repeat(garbage, 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	g, _ := plainGateway(t, setup{directive: "log sqlite " + file})
	g.post(chatPath, chatRequest).want(t, 200)
	got := run(t, "", "logs", "--json", "--address", adminAddress).want(t, 0)
	var answer requestsAnswer
	if err := json.Unmarshal([]byte(got.stdout), &answer); err != nil || len(answer.Requests) != 1 || !answer.Log.Healthy {
		t.Errorf("logs prints %s (%v), want one request of a healthy log", got.stdout, err)
	}
	if text, err := os.ReadFile(answer.Log.SetAside); err != nil || !strings.HasPrefix(string(text), garbage) {
		t.Errorf("what was there is set aside as %q: %v", answer.Log.SetAside, err)
	}
	got.wantNoCanary(t)
}

func TestTwoServersMayKeepOneLog(t *testing.T) {
	g, file := keepingLog(t, answers(200, chatAnswer), answers(200, chatAnswer))
	up := serve(t, answers(200, chatAnswer))
	other := spawn(t, t.TempDir(), up.url, "", "log sqlite "+file)
	const each = 100
	var both sync.WaitGroup
	for _, server := range []struct {
		*gateway
		key string
	}{{g, ""}, {other.gateway, clientKey}} {
		both.Go(func() {
			for range each {
				if got, err := server.ask(request{path: chatPath, body: chatRequest, key: server.key}, nil); err != nil || got.status != 200 {
					t.Errorf("%s: %v %d %s", server.url, err, got.status, got.body)
				}
			}
		})
	}
	both.Wait()
	client.CloseIdleConnections()
	if err := other.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if exit := other.wait(); exit != 0 {
		t.Errorf("the other server's exit code is %d", exit)
	}
	comesTrue(t, "rows are missing", func() bool { return len(rows(t, "?limit=1000")) == 2*each })
	g.post(chatPath, chatRequest).want(t, 200)
	if n := len(rows(t, "?limit=1000")); n != 2*each+1 {
		t.Errorf("rows = %d, want %d", n, 2*each+1)
	}
}
