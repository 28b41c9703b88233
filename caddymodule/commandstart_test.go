package caddymodule

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/config"
)

// Where a gateway of start serves in these tests, and its administration.
const (
	startPort  = "9086"
	startURL   = "http://127.0.0.1:" + startPort
	startAdmin = "127.0.0.1:2998"
)

// startedGateway is a gateway that the start command serves.
type startedGateway struct {
	*gateway
	cmd   *exec.Cmd
	said  bytes.Buffer // after the end
	ended chan error
}

// startIn runs start in a directory until the test ends. environ is added to an
// environment without keys.
func startIn(t *testing.T, dir string, environ []string, arguments ...string) *startedGateway {
	t.Helper()
	return startAt(t, startURL, dir, environ, append([]string{"--port", startPort}, arguments...)...)
}

// startAt is startIn where no flag says where it serves.
func startAt(t *testing.T, url, dir string, environ []string, arguments ...string) *startedGateway {
	t.Helper()
	s := &startedGateway{gateway: &gateway{t: t, url: url, dir: dir}, ended: make(chan error, 1)}
	s.cmd = startProcess(t, dir, environ, arguments...)
	s.cmd.Stdout, s.cmd.Stderr = &s.said, &s.said
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.cmd.Wait() }()
	t.Cleanup(func() { s.end(t) })
	comesUp(t, url, s.ended, s.said.String)
	return s
}

// startProcess is a start command that does not run yet.
func startProcess(t *testing.T, dir string, environ []string, arguments ...string) *exec.Cmd {
	t.Helper()
	cmd := command(t, append([]string{"llm-proxy", "start"}, arguments...)...)
	cmd.Dir = dir
	clean := []string{"CADDY_ADMIN=" + startAdmin}
	for _, variable := range cmd.Env {
		if name, _, _ := strings.Cut(variable, "="); !strings.HasSuffix(name, "_API_KEY") && name != "CADDY_ADMIN" {
			clean = append(clean, variable)
		}
	}
	cmd.Env = append(clean, environ...)
	return cmd
}

// end stops the gateway as Ctrl+C does, and returns what it said.
func (s *startedGateway) end(t *testing.T) string {
	t.Helper()
	// A POST on a connection of the one that ended would fail with the next one.
	defer client.CloseIdleConnections()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.ended:
		s.ended <- err
	case <-time.After(20 * time.Second):
		_ = s.cmd.Process.Kill()
		t.Fatal("start does not end")
	}
	return s.said.String()
}

// refusedStart runs a start that must not serve.
func refusedStart(t *testing.T, dir string, environ []string, arguments ...string) ran {
	t.Helper()
	cmd := startProcess(t, dir, environ, arguments...)
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	_ = cmd.Run() // the exit code is looked at
	return ran{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// shippedFiles puts the shipped provider and model files below a directory.
func shippedFiles(t *testing.T, dir string) string {
	t.Helper()
	if err := os.CopyFS(filepath.Join(dir, "config"), config.Files); err != nil {
		t.Fatal(err)
	}
	return dir
}

func writeIn(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestStartServesWithoutACaddyfile(t *testing.T) {
	dir := shippedFiles(t, t.TempDir())
	writeIn(t, dir, ".env", "CLIENT_API_KEY=from-dot-env\nOPENAI_API_KEY="+canaries[0]+"\n")
	writeIn(t, dir, "more.env", "CLIENT_API_KEY=from-the-second-file\nLLM_LOG_LEVEL=ERROR\n")
	g := startIn(t, dir, nil, "--env-file", "more.env", "--workers", "4", "--reload")
	got := g.do(request{path: chatPath, body: asking(chatRequest, "demo"), key: "from-dot-env"}).want(t, 200)
	if provider := got.header.Get("Llm-Proxy-Provider"); provider != "demo" {
		t.Errorf("provider = %q, want demo", provider)
	}
	g.do(request{path: chatPath, body: asking(chatRequest, "demo"), key: "from-the-second-file"}).want(t, 401)
	said := g.end(t)
	for _, want := range []string{"--workers 4 has no effect", "serves its own configuration: 127.0.0.1:9086, 127.0.0.1:9877"} {
		if !strings.Contains(said, want) {
			t.Errorf("start says\n%s\nwant %q in it", said, want)
		}
	}
	if strings.Contains(said, "canary") || strings.Contains(said, "\tINFO\t") {
		t.Errorf("start says\n%s\nwant neither keys nor what is below --log-level of the second file", said)
	}
}

func TestStartServesTheCaddyfileOfTheDirectory(t *testing.T) {
	dir := shippedFiles(t, t.TempDir())
	own := site{Host: standardHost, Port: "1", Demo: true, ClientKey: true}
	writeIn(t, dir, "Caddyfile", own.text()+"\nhttp://127.0.0.1:9087 {\n\trespond mine\n}\n")
	g := startIn(t, dir, []string{"CLIENT_API_KEY=k"}, "--log-level", "warning")
	g.do(request{path: chatPath, body: asking(chatRequest, "demo"), key: "k"}).want(t, 200)
	g.url = "http://127.0.0.1:9087"
	// Caddy opens the ports of its sites one after the other.
	comesTrue(t, "the rest of the Caddyfile is not served", func() bool {
		conn, err := net.Dial("tcp", "127.0.0.1:9087")
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	if got := g.do(request{method: "GET", path: "/"}).want(t, 200); got.body != "mine" {
		t.Errorf("the rest of the Caddyfile answers %q", got.body)
	}
	// One that is about something else is not the gateway's.
	g.end(t)
	writeIn(t, dir, "Caddyfile", "http://127.0.0.1:9087 {\n\trespond mine\n}\n")
	g = startIn(t, dir, []string{"CLIENT_API_KEY=k"})
	g.do(request{path: chatPath, body: asking(chatRequest, "demo"), key: "k"}).want(t, 200)
}

// Row 28.
func TestStartNeedsTheClientKeyThatIsRequired28(t *testing.T) {
	dir := shippedFiles(t, t.TempDir())
	refusedStart(t, dir, []string{"REQUIRE_CLIENT_API_KEY=true"}).want(t, 2, "CLIENT_API_KEY is not set")
	writeIn(t, dir, ".env", "CLIENT_API_KEY=\n")
	refusedStart(t, dir, []string{"REQUIRE_CLIENT_API_KEY=true"}).want(t, 2, "CLIENT_API_KEY is not set")
	// Clients that the Caddyfile names are as good.
	own := site{Host: standardHost, Port: "1", ClientKey: true}
	writeIn(t, dir, "Caddyfile", strings.Replace(own.text(), "default {env.CLIENT_API_KEY}", "alice {env.ALICE_KEY}", 1))
	startIn(t, dir, []string{"REQUIRE_CLIENT_API_KEY=true", "ALICE_KEY=k"})
}

// Row 29.
func TestTheShippedFilesAreValid29(t *testing.T) {
	t.Chdir(shippedFiles(t, t.TempDir()))
	run(t, "", "config", "validate").want(t, 0)
}

// Row 31.
func TestStartWithoutAnyProviderKeyFailsWhereThatIsWanted31(t *testing.T) {
	dir := shippedFiles(t, t.TempDir())
	got := refusedStart(t, dir, []string{"FAIL_ON_STARTUP_VALIDATION=true"}).want(t, 1, "no provider has a key", "FAIL_ON_STARTUP_VALIDATION")
	for _, want := range []string{"error  anthropic has no key: set ANTHROPIC_API_KEY\n", "error  openai has no key: set OPENAI_API_KEY\n"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("stdout is\n%s\nwant %q in it", got.stdout, want)
		}
	}
	if strings.Contains(got.stdout, "ollama") {
		t.Errorf("a key is wanted for a server that takes none:\n%s", got.stdout)
	}
	said := startIn(t, dir, nil).end(t)
	if !strings.Contains(said, "warning  openai has no key: set OPENAI_API_KEY\n") {
		t.Errorf("start says\n%s\nwant a warning about keys", said)
	}
	startIn(t, dir, []string{"FAIL_ON_STARTUP_VALIDATION=true", "GROQ_API_KEY=k"})
}

func TestStartRefusesWhatCannotBeServed(t *testing.T) {
	dir := shippedFiles(t, t.TempDir())
	busy, err := net.Listen("tcp", "127.0.0.1:"+startPort)
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	writeIn(t, dir, "other.caddyfile", "http://127.0.0.1:9087 {\n\trespond mine\n}\n")
	writeIn(t, dir, "fixed.caddyfile", "http://127.0.0.1:9087 {\n\tllm_proxy\n}\n")
	writeIn(t, dir, "wrong.caddyfile", "http://127.0.0.1:9087 {\n\tllm_proxy {\n\t\tbogus\n\t}\n}\n")
	broken := shippedFiles(t, t.TempDir())
	writeIn(t, broken, "config/models/demo.json", `{"logical_name": "demo",`)
	for _, tc := range []struct {
		dir       string
		arguments []string
		exit      int
		says      string
	}{
		{dir, []string{"--port", startPort}, 1, "127.0.0.1:" + startPort + " is in use already; stop what serves there, or choose another place with --host and --port"},
		{dir, []string{"--port", "0"}, 2, "--port takes a number from 1 to 65535"},
		{dir, []string{"--port", "many"}, 2, "invalid argument"},
		{dir, []string{"--workers", "0"}, 2, "--workers takes a number above 0"},
		{dir, []string{"--log-level", "loud"}, 2, "--log-level takes debug, info, warning or error"},
		{dir, []string{"--env-file", "missing.env"}, 2, "missing.env"},
		{dir, []string{"--config", "missing"}, 1, "reading the configuration: open missing"},
		{dir, []string{"--config", "other.caddyfile"}, 1, "other.caddyfile has no llm_proxy block"},
		{dir, []string{"--config", "fixed.caddyfile", "--port", "9999"}, 2, "fixed.caddyfile does not take --port: write {$LLM_PORT}"},
		{dir, []string{"--config", "wrong.caddyfile"}, 1, "unrecognized subdirective"},
		{dir, []string{"surplus"}, 2, ""},
		{t.TempDir(), nil, 1, "llm-proxy setup writes files that are good"},
		{broken, nil, 1, "the gateway cannot start: 1 error in"},
	} {
		got := refusedStart(t, tc.dir, nil, tc.arguments...).want(t, tc.exit, tc.says)
		if n := strings.Count(got.stderr, "\n"); n != 1 {
			t.Errorf("%q: stderr is %q, want one line", tc.arguments, got.stderr)
		}
	}
}

// Row 122.
func TestStartTellsItsFlags122(t *testing.T) {
	got := run(t, "", "start", "--help").want(t, 0)
	for _, want := range []string{"--port", "--host", "--reload", "--workers", "--log-level", "--env-file"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("help has no %s:\n%s", want, got.stdout)
		}
	}
}

func TestEnvCheckTellsWhatNothingReadsAnyMore(t *testing.T) {
	goodFiles(t)
	t.Setenv(clientKeyVariable, canaries[0])
	t.Setenv("CORS_ORIGINS", canaries[1])
	t.Setenv("FAIL_ON_STARTUP_VALIDATION", "true")
	got := run(t, "", "env", "check").want(t, 0)
	got.wantNoCanary(t)
	for _, want := range []string{"warning  CORS_ORIGINS is set, but nothing reads it: CORS is Caddy's", "FAIL_ON_STARTUP_VALIDATION      set\n"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("stdout is\n%s\nwant %q in it", got.stdout, want)
		}
	}
}

func TestVariablesThatAreSetToNothingHaveTheirDefaults(t *testing.T) {
	dir := shippedFiles(t, t.TempDir())
	s := startIn(t, dir, []string{"CLIENT_API_KEY=" + canaries[0], "LLM_HOST=", "LLM_PORT=", "LLM_LOG_LEVEL=", "LLM_CONFIG="})
	s.do(request{path: chatPath, body: asking(chatRequest, "demo"), key: canaries[0]}).want(t, 200)
}
