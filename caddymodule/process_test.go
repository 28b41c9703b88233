package caddymodule

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

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
	comesUp(t, childURL, c.ended, func() string {
		said, _ := os.ReadFile(c.stderr)
		return string(said)
	})
	return c
}

// comesUp waits until a Caddy of another process serves. That it ends instead is what
// goes wrong; how long it takes is up to what else the machine has to do.
func comesUp(t *testing.T, url string, ended chan error, said func() string) {
	t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if got, err := http.Get(url + "/health"); err == nil {
			got.Body.Close()
			if got.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("Caddy ended (%v):\n%s", err, said())
		case <-deadline.C:
			t.Fatalf("after a minute Caddy does not serve %s", url)
		case <-tick.C:
		}
	}
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

// RELIABILITY B5: SIGTERM lets streams finish for grace_period, half a second
// before the end of which the others are told that they are not whole. What is known about keys is saved.
func TestB5SIGTERM(t *testing.T) {
	const streams, events, grace = 100, 5, time.Second
	for _, tc := range []struct {
		name, global string
		finish       bool // the upstream goes on while Caddy shuts down
	}{
		{"without a grace_period streams finish", "", true},
		{"within a grace_period streams finish", "grace_period 15s", true},
		{"before the grace_period ends streams are ended with an error", "grace_period 1s", false},
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
					if seen := chatDialect.view(got.body); seen.finished || !seen.failed || got.err != nil {
						t.Errorf("%s: the client sees %+v, error %v; want the protocol's own error", s.name, seen, got.err)
					}
				}
			}
			exit, took := c.wait(), time.Since(signalled)
			t.Logf("exit code %d, %v after SIGTERM", exit, took)
			if exit != 0 || !tc.finish && (took < grace-lastWords || took > grace+6*time.Second) {
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
