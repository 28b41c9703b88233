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

func TestSetupTellsToCallTheProgramThatWasCalled(t *testing.T) {
	for path, want := range map[string]string{
		"./caddy": "./caddy", "caddy": "caddy", "/usr/bin/caddy": "/usr/bin/caddy",
		"/my programs/caddy": "caddy", "/tmp/go-build1/caddymodule.test": "caddy",
	} {
		if got := calledAs(path); got != want {
			t.Errorf("calledAs(%q) = %q, want %q", path, got, want)
		}
	}
}

func TestThereIsNothingToTestWhereNobodyTakesAKey(t *testing.T) {
	newcomer(t)
	run(t, "", "setup", "--quick").want(t, 0)
	run(t, "", "keys", "test").want(t, 1, "no enabled provider takes a key")
}

func TestWhatACommandTakesIsTold(t *testing.T) {
	for line, want := range map[string]string{
		"chat":                    "takes one argument: a model; see caddy llm-proxy chat --help",
		"plan a canary-key":       "takes one argument: a model",
		"explain":                 "takes one argument: the id of a request",
		"config show":             "takes one argument: a model or a provider",
		"edit provider":           "takes one argument: a provider",
		"remove model":            "takes one argument: a model",
		"remove key":              "takes one argument: a variable, or the public name of a key",
		"logs canary-key":         "takes flags only, and no arguments",
		"config validate canary-": "takes flags only, and no arguments",
	} {
		files(t, nil, nil)
		run(t, "", words(line)...).want(t, 2, want).wantNoCanary(t)
	}
}

// A key that would be refused is not asked for.
func TestNoKeyIsAskedForWhereNoneIsTaken(t *testing.T) {
	editable(t)
	run(t, "", "add", "provider", "--file", "complete.json").want(t, 0)
	run(t, "", "add", "key", "--provider", "whole").want(t, 1, "provider whole takes no key")
}
