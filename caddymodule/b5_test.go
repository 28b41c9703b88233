package caddymodule

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// RELIABILITY B5: a file that is being written while configurations are loaded is
// taken whole or not at all.
func TestB5APartialWriteIsNeverTaken(t *testing.T) {
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/old", "p/older")},
	})
	text := model("m", "", "p/new", "p/newer")
	taken := 0
	for end := 0; end <= len(text); end += 5 {
		g.write("models", "m", text[:min(end, len(text))])
		if err := g.reload(); err == nil {
			taken++
		} else if !strings.Contains(err.Error(), "models/m.json:1: ") {
			t.Errorf("with %d of %d bytes: %v, want the file and the line", end, len(text), err)
		}
		g.post(chatPath, chatRequest).want(t, 200)
	}
	g.write("models", "m", text)
	g.wantReload(t, "")
	g.post(chatPath, chatRequest).want(t, 200)
	for _, c := range up.all()[:len(up.all())-1] {
		if taken == 0 && !strings.Contains(c.body, `"model":"old"`) {
			t.Errorf("with a part of the file: %s, want the old configuration", c.body)
		}
	}
	if last := up.all()[len(up.all())-1]; taken > 1 || !strings.Contains(last.body, `"model":"new"`) {
		t.Errorf("%d parts of the file were taken; with the whole: %s, want the new configuration", taken, last.body)
	}
}

// RELIABILITY B5: so do rests, see TestB5CooldownsSurviveAReload.
func TestB5BreakersAndAffinitySurviveAReload(t *testing.T) {
	a := serve(t, answers(500, brokenBody))
	b := serve(t, answers(200, chatAnswer))
	t.Setenv("A_API_KEY", "a-key")
	for i := range 3 {
		t.Setenv(fmt.Sprintf("B_API_KEY_%d", i+1), fmt.Sprintf("b-%d", i+1))
	}
	g := start(t, setup{
		providers: map[string]string{"a": provider("a", a.url, ""), "b": provider("b", b.url, "")},
		models:    map[string]string{"m": model("m", "", "a/up", "b/up")},
		directive: "max_attempts 5",
	})
	for range 3 {
		g.post(chatPath, chatRequest).want(t, 200)
	}
	session := request{path: chatPath, body: chatRequest, header: map[string]string{"Session-Id": "one"}}
	g.do(session).want(t, 200)
	kept := b.keysUsed()[3]
	for _, change := range []func(){
		func() {},
		func() { g.config = strings.Replace(g.config, "max_attempts 5", "max_attempts 6", 1) },
		func() { g.write("models", "m", model("m", `"display_name": "M",`, "a/up", "b/up")) },
	} {
		change()
		g.wantReload(t, "")
		a.reset()
		b.reset()
		g.post(chatPath, chatRequest).want(t, 200)
		g.do(session).want(t, 200)
		if n := len(a.all()); n != 0 {
			t.Errorf("calls to the provider whose breaker is open = %d, want 0", n)
		}
		if used := b.keysUsed()[1]; used != kept {
			t.Errorf("the conversation goes on with key %s, want %s", used, kept)
		}
	}
}

// child is a Caddy in a process of its own.
type child struct {
	*gateway
	t      *testing.T
	cmd    *exec.Cmd
	ended  chan error
	stderr string // the path of what it says
}

const childURL = "http://127.0.0.1:9085"

// spawn starts a Caddy whose model m is answered by an upstream.
func spawn(t *testing.T, dir, upstream, global, directive string) *child {
	t.Helper()
	g := &gateway{t: t, url: childURL, dir: dir}
	g.write("providers", "p", provider("p", upstream, ""))
	g.write("models", "m", model("m", "", "p/up"))
	site := filepath.Join(dir, "Caddyfile")
	if err := os.WriteFile(site, fmt.Appendf(nil, "{\n\tadmin off\n\t%s\n}\n%s {\n\tllm_proxy {\n\t\tproviders %s/providers\n\t\tmodels %s/models\n\t\tclient_key tests %s\n\t\t%s\n\t}\n}\n",
		global, childURL, dir, dir, clientKey, directive), 0o644); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{gateway: g, t: t, cmd: exec.Command(self, "-test.run=^TestMainOfCaddy$"), ended: make(chan error, 1), stderr: filepath.Join(dir, "stderr")}
	c.cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir, "P_API_KEY=k",
		asCaddy+"="+strings.Join([]string{"run", "--config", site, "--adapter", "caddyfile"}, "\x1f"))
	said, err := os.OpenFile(c.stderr, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	c.cmd.Stderr = said
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { c.ended <- c.cmd.Wait() }()
	t.Cleanup(func() { _ = c.cmd.Process.Kill() })
	comesTrue(t, "Caddy does not serve", func() bool {
		got, err := http.Get(childURL + "/health")
		if err != nil {
			return false
		}
		got.Body.Close()
		return got.StatusCode == 200
	})
	return c
}

// wait waits for the end of the process and returns its exit code, -1 for one that
// was killed.
func (c *child) wait() int {
	c.t.Helper()
	select {
	case <-c.ended:
	case <-time.After(20 * time.Second):
		said, _ := os.ReadFile(c.stderr)
		c.t.Fatalf("Caddy does not end; it said:\n%s", said)
	}
	return c.cmd.ProcessState.ExitCode()
}

// RELIABILITY B5: SIGTERM lets streams finish for grace_period, and what is cut
// then does not look whole. What is known about keys is saved.
func TestB5SIGTERM(t *testing.T) {
	const streams, events, grace = 100, 5, time.Second
	for _, tc := range []struct {
		name, global string
		finish       bool // the upstream goes on while Caddy shuts down
	}{
		{"without a grace_period streams finish", "", true},
		{"within a grace_period streams finish", "grace_period 15s", true},
		{"after the grace_period streams are cut", "grace_period 1s", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			pace := newBeats()
			up := serve(t, paced(pace, events))
			c := spawn(t, t.TempDir(), up.url, tc.global, "")
			open := c.openStreams(streams)
			signalled := time.Now()
			if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			comesTrue(t, "new connections are still taken", func() bool {
				got, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(childURL + "/health")
				if err == nil {
					got.Body.Close()
				}
				return err != nil
			})
			if tc.finish {
				for range events {
					pace.beat()
				}
				for _, s := range open {
					s.wantWhole(t, events)
				}
			} else {
				for _, s := range open {
					got := <-s.done
					if seen := chatDialect.view(got.body); seen.finished || got.err == nil && !seen.failed {
						t.Errorf("%s: the client sees %+v, error %v; want nothing that looks whole", s.name, seen, got.err)
					}
				}
			}
			exit, took := c.wait(), time.Since(signalled)
			t.Logf("exit code %d, %v after SIGTERM", exit, took)
			if exit != 0 || !tc.finish && (took < grace || took > grace+6*time.Second) {
				t.Errorf("exit code %d after %v, want 0", exit, took)
			}
		})
	}
}

// RELIABILITY B5: after kill -9 the next process knows which keys rest.
func TestB5Kill9(t *testing.T) {
	up := serve(t, answers(429, rateLimited, "Retry-After", "60"))
	dir := t.TempDir()
	file := filepath.Join(dir, "keys.json")
	c := spawn(t, dir, up.url, "", "state file "+file)
	c.post(chatPath, chatRequest).want(t, 429)
	comesTrue(t, "the state is not saved", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(text), "rate_limited")
	})
	if err := c.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	c.wait()
	client.CloseIdleConnections()
	c = spawn(t, dir, up.url, "", "state file "+file)
	got := c.post(chatPath, chatRequest).want(t, 429)
	if n := got.header.Get("Llm-Proxy-Attempts"); n != "0" || len(up.all()) != 1 {
		t.Errorf("attempts of the next process = %s, calls = %d; want 0 and 1", n, len(up.all()))
	}
	if err := c.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	client.CloseIdleConnections()
	if exit := c.wait(); exit != 0 {
		t.Errorf("exit code %d, want 0", exit)
	}
}

// RELIABILITY B5: a panic in a goroutine of ours must not take the process with it.
func TestB5PanicInABranchOfAHedge(t *testing.T) {
	t.Setenv("P_API_KEY", "upstream-secret")
	t.Setenv("Q_API_KEY", "upstream-secret")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", "http://localhost:1", ""), "q": provider("q", "http://localhost:2", "")},
		models:    map[string]string{"m": model("m", `"hedge_after": "10ms",`, "p/up", "q/up")},
		directive: "transport faulty",
	})
	for _, way := range []string{"panics", "panics beside"} {
		for range 3 {
			got := g.do(request{path: chatPath, body: chatRequest, header: map[string]string{"Session-Id": way}}).want(t, 500)
			if strings.Contains(got.body, "secret") {
				t.Errorf("%s: %s tells what the panic held", way, got.body)
			}
		}
	}
	g.post(chatPath, chatRequest).want(t, 200)
	if said := admin(t, http.MethodGet, "/llm_proxy/keys", "").want(t, 200).body; inFlight.MatchString(said) {
		t.Errorf("something is in flight: %s", said)
	}
}

// goroutines are the functions of the gateway that start one, and why a panic in
// it cannot take the process with it.
var goroutines = map[string]string{
	"caddymodule/events.go start":       "emit recovers",
	"caddymodule/keepalive.go pings":    "silence recovers",
	"caddymodule/statefile.go newSaver": "run recovers",
	"routing/deadline.go look":          "runs nothing but our own list and cancellations",
	"routing/deadline.go watch":         "the same",
	"routing/hedge.go fork":             "recovers; join raises it in the request's own goroutine",
}

// RELIABILITY B5: whoever adds a goroutine to the gateway has to say here what
// becomes of a panic in it.
func TestB5EveryGoroutineIsKnown(t *testing.T) {
	var found []string
	for _, dir := range []string{"caddymodule", "keys", "routing", "translate", "internal/simulated"} {
		err := filepath.WalkDir(filepath.Join("..", dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, declaration := range file.Decls {
				name := "a variable"
				if f, is := declaration.(*ast.FuncDecl); is {
					name = f.Name.Name
				}
				ast.Inspect(declaration, func(n ast.Node) bool {
					if startsGoroutine(n) {
						found = append(found, strings.TrimPrefix(filepath.ToSlash(path), "../")+" "+name)
					}
					return true
				})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(found)
	for _, where := range slices.Compact(found) {
		if goroutines[where] == "" {
			t.Errorf("%s starts a goroutine; say in the list what becomes of a panic in it", where)
		}
	}
	for where := range goroutines {
		if !slices.Contains(found, where) {
			t.Errorf("%s starts no goroutine any more; take it off the list", where)
		}
	}
}

// startsGoroutine reports whether a node is a go statement, or a call of what
// runs a function in a goroutine: AfterFunc and the Go of a group.
func startsGoroutine(n ast.Node) bool {
	if _, is := n.(*ast.GoStmt); is {
		return true
	}
	call, is := n.(*ast.CallExpr)
	if !is {
		return false
	}
	selector, is := call.Fun.(*ast.SelectorExpr)
	return is && (selector.Sel.Name == "AfterFunc" || selector.Sel.Name == "Go")
}
