package caddymodule

import (
	"os"
	"strings"
	"testing"
)

func TestAChangeIsTakenAtOnceByTheRunningGateway(t *testing.T) {
	up := serve(t, answers(200, `{"id":"1","object":"chat.completion","created":1,"model":"up","choices":[{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}]}`))
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	directories := []string{"--providers", g.dir + "/providers", "--models", g.dir + "/models"}
	change := func(line string) ran {
		return run(t, "", append(words(line), directories...)...)
	}
	const here = " --reload --address " + adminAddress
	got := change("add model -n new -p p -m up"+here).want(t, 0)
	if !strings.Contains(got.stdout, "models     added new") || strings.Contains(got.stdout, "takes effect") {
		t.Errorf("stdout is %q, want that the model is there", got.stdout)
	}
	got = change("remove model new --yes --json"+here).want(t, 0)
	if !strings.Contains(got.stdout, `"removed": [`) {
		t.Errorf("stdout is %q, want the answer of the reload in it", got.stdout)
	}
	// Without a change there is nothing to reload; without a gateway the change
	// is made all the same, and the exit code tells.
	got = change("edit provider p --enable --reload --address 127.0.0.1:1").want(t, 0)
	if !strings.HasPrefix(got.stdout, "unchanged: ") {
		t.Errorf("stdout is %q", got.stdout)
	}
	got = change("add model -n other -p p -m up --reload --address 127.0.0.1:1").want(t, 1, "other.json is added, but the gateway is not reloaded: ")
	if !strings.HasPrefix(got.stdout, "added ") {
		t.Errorf("stdout is %q, want that the file is written", got.stdout)
	}
	if _, err := os.Stat(g.dir + "/models/other.json"); err != nil {
		t.Error(err)
	}
}
