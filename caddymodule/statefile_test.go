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
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, []byte(`{"providers": [`), 0o600); err != nil {
		t.Fatal(err)
	}
	g, _ := oneKey(t, answers(200, chatAnswer), "state file "+file)
	g.post(chatPath, chatRequest).want(t, 200)
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
}
