package caddymodule

import (
	"strings"
	"testing"
)

// What fails because nothing is there yet says which command helps.
func TestANewcomerIsToldTheNextStep(t *testing.T) {
	const nowhere = "--address=127.0.0.1:1"
	for line, want := range map[string]string{
		"config validate":             "config/models: cannot be read: no such file or directory; caddy llm-proxy setup writes what is missing",
		"config list":                 "config/providers: cannot be read: no such file or directory; caddy llm-proxy setup writes what is missing",
		"add key --provider openai":   "caddy llm-proxy setup writes what is missing",
		"setup":                       "where nobody can be asked, --quick takes the defaults and --answers a file",
		"logs " + nowhere:             "start the gateway with caddy llm-proxy start, or say with --address where it is",
		"reload " + nowhere:           "start the gateway with caddy llm-proxy start, or say with --address where it is",
		"chat m --url http://[::1]:1": "start it with caddy llm-proxy start, or say with --url where it serves",
	} {
		newcomer(t)
		got := run(t, "", words(line)...)
		if strings.HasPrefix(line, "chat") {
			got = run(t, "Hello", words(line)...)
		}
		if got.want(t, 1); !strings.Contains(got.stdout+got.stderr, want) {
			t.Errorf("%s says\n%s%swant %q in it", line, got.stdout, got.stderr, want)
		}
	}
}

// A key that would be refused is not asked for.
func TestNoKeyIsAskedForWhereNoneIsTaken(t *testing.T) {
	editable(t)
	run(t, "", "add", "provider", "--file", "complete.json").want(t, 0)
	run(t, "", "add", "key", "--provider", "whole").want(t, 1, "provider whole takes no key")
}
