package caddymodule

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func TestB5RestsSurviveARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	g, up := oneKey(t, answers(429, rateLimited, "Retry-After", "60"), "state file "+file)
	g.post(chatPath, chatRequest).want(t, 429)
	restart(t, g)
	got := g.post(chatPath, chatRequest).want(t, 429)
	if n := got.header.Get("Llm-Proxy-Attempts"); n != "0" || len(up.all()) != 1 {
		t.Errorf("attempts after the restart = %s, calls = %d; want 0 and 1", n, len(up.all()))
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), `"k"`) {
		t.Errorf("the file holds the key: %s", text)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v; want 0600", info.Mode(), err)
	}
}

func TestTheStateIsSavedWithinSeconds(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	g, _ := oneKey(t, answers(429, rateLimited, "Retry-After", "60"), "state file "+file)
	g.post(chatPath, chatRequest).want(t, 429)
	// A process that is killed loses no more than that.
	for end := time.Now().Add(10 * time.Second); ; {
		if _, err := os.Stat(file); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the file was not written")
		}
	}
}

func TestAStateFileThatMakesNoSenseIsLeftAside(t *testing.T) {
	const text = `{"providers": [`
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	g, _ := oneKey(t, answers(429, rateLimited, "Retry-After", "60"), "state file "+file)
	g.post(chatPath, chatRequest).want(t, 429)
	restart(t, g) // which saves
	g.post(chatPath, chatRequest).want(t, 429)
	if kept, err := os.ReadFile(file + ".unreadable"); err != nil || string(kept) != text {
		t.Errorf("kept is %q, %v, want %q", kept, err, text)
	}
}

func TestWhatIsKnownIsSavedToAFileThatIsNamedLater(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	g, _ := oneKey(t, answers(429, rateLimited, "Retry-After", "60"), "state memory")
	g.post(chatPath, chatRequest).want(t, 429)
	g.config = strings.Replace(g.config, "state memory", "state file "+file, 1)
	g.wantLoad(t, "")
	comesTrue(t, "the rest is not saved", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(text), `"rate_limited"`)
	})
}

func TestARejectedConfigurationTeachesNothingFromItsStateFile(t *testing.T) {
	dir := t.TempDir()
	old, other := filepath.Join(dir, "old.json"), filepath.Join(dir, "other.json")
	g, up := oneKey(t, answers(429, rateLimited, "Retry-After", "60"), "state file "+old)
	g.post(chatPath, chatRequest).want(t, 429)
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(old)
	if err != nil {
		t.Fatal(err)
	}

	// The same with another file: this process then knows that the key is free.
	rejected := strings.Replace(g.config, "llm_proxy {", "llm_demo {\n require_key {env.NOT_SET_BY_THE_TESTS}\n }\n llm_proxy {", 1)
	accepted := strings.Replace(g.config, old, other, 1)
	g.config = accepted
	g.wantReload(t, "")
	g.post(chatPath, chatRequest).want(t, 429)
	admin(t, "POST", "/llm_proxy/keys/reset", "").want(t, 200)
	g.config = rejected
	g.wantReload(t, "NOT_SET_BY_THE_TESTS")
	up.reset()
	g.post(chatPath, chatRequest).want(t, 429)
	if n := len(up.all()); n != 1 {
		t.Errorf("calls after rejected configurations = %d, want 1: the key rests because of the file", n)
	}
	if now, err := os.ReadFile(old); err != nil || string(now) != string(text) {
		t.Errorf("the file of the rejected configuration is now %s, %v, want %s", now, err, text)
	}
}

// restart ends the running configuration for good and begins it anew, as a new
// process does.
func restart(t *testing.T, g *gateway) {
	t.Helper()
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}
	settle(t)
}
