package caddymodule

import (
	"strings"
	"testing"
)

const acme = "add provider --name acme --display-name Acme --format openai"

func TestRefusedChangesLeaveEveryFileAsItWas(t *testing.T) {
	for _, tc := range []struct {
		line, stdin string
		exit        int
		want        string
	}{
		// Providers.
		{"add provider", "", 2, "all flags are needed: --name, --display-name, --base-url, --format is missing"},
		{"add provider --name acme", "", 1, "all flags are needed: --display-name, --base-url, --format is missing"}, // 136
		{acme, "", 1, "all flags are needed: --base-url is missing"},
		{acme + " --base-url api.acme.example", "", 1, "config/providers/acme.json:12: endpoints.base_url: "}, // 137
		{acme + " --base-url ftp://api.acme.example", "", 1, "nothing is written: "},                          // 148
		{acme + " --base-url http://", "", 1, "endpoints.base_url"},
		{"add provider -n p -d P -u http://127.0.0.1:1 -f openai", "", 1, `provider "p" exists already, as config/providers/p.json; --overwrite replaces it`}, // 140
		{"add provider -n P -d P -u http://127.0.0.1:1 -f openai", "", 1, "in upper and lower case only"},
		{"add provider -n acme -d ' ' -u http://127.0.0.1:1 -f openai", "", 1, "all flags are needed: --display-name is missing"}, // 148
		{"add provider -n acme -d A -u http://127.0.0.1:1 -f soap", "", 2, `invalid argument "soap" for "-f, --format" flag: it takes openai, responses, anthropic, gemini, azure`},
		{"add provider -n ../acme -d A -u http://127.0.0.1:1 -f openai", "", 1, `"../acme" cannot name a provider`},
		{"add provider -n a/b -d A -u http://127.0.0.1:1 -f openai", "", 1, "cannot name a provider"},
		{"add provider -n a\x00b -d A -u http://127.0.0.1:1 -f openai", "", 1, `"a\x00b" cannot name a provider`},
		{"add provider -n .acme -d A -u http://127.0.0.1:1 -f openai", "", 1, "cannot name a provider"},
		{"add provider -n " + strings.Repeat("x", 65) + " -d A -u http://127.0.0.1:1 -f openai", "", 1, "cannot name a provider"},
		{"add provider --file complete.json --format openai", "", 2, "--file takes a complete file"},
		{"add provider --file missing.json", "", 1, "missing.json: no such file"},
		{"add provider --file nameless.json", "", 1, "nameless.json has no name"},
		{"add provider --file nameless.json --name whole", "", 1, "enabled: is required"},
		{"add provider --file faceless.json", "", 1, "faceless.json has no display_name"}, // 148
		{"add provider --file - --name whole", "{", 1, "is not a JSON object"},
		{"add provider --file complete.json --name p", "", 1, `provider "p" exists already`},
		{"add provider surplus", "", 2, "takes flags only"},
		// Models.
		{"add model", "", 2, "all flags are needed: --name, --provider, --model is missing"},
		{"add model -n new -p p", "", 1, "all flags are needed: --model is missing"},
		{"add model --route p/up", "", 2, "all flags are needed: --name is missing"},
		{"add model -n new -p nobody -m up", "", 1, `there is no provider "nobody"`}, // 142
		{"add model -n new -p p -m up --route nobody/up", "", 1, "model_routings[1].provider"},
		{"add model -n new --route up", "", 2, "--route takes <provider>/<model>"},
		{"add model -n new -p p -m up -t 0", "", 2, `"0" is no number from 1`},
		{"add model -n new -p p -m up -t soon", "", 2, "invalid argument"},
		{"add model -n new -p p -m up --fallback new", "", 1, "falls back to itself"},
		{"add model -n m -p p -m up", "", 1, `model "m" exists already, as config/models/m.json`},
		{"add model -n ../m -p p -m up", "", 1, `"../m" cannot name a model's file`},
		{"add model -n a/../../m -p p -m up", "", 1, "cannot name a model's file"},
		{"add model -n /m -p p -m up", "", 1, "cannot name a model's file"},
		{"add model -n a\\b -p p -m up", "", 1, "cannot name a model's file"},
		{"add model -n a\x00b -p p -m up", "", 1, `"a\x00b" cannot name a model's file`},
		{"add model -n .hidden -p p -m up", "", 1, "cannot name a model's file"},
		{"add model -n every-* -p p -m up", "", 1, "must not have '*'"},
		{"add model --custom -p nobody -m up", "", 1, `there is no provider "nobody"`}, // 145
		{"add model --custom -p p", "", 1, "--model is missing"},
		{"add model --custom -p ../p -m up", "", 1, "cannot name a provider"},
		// Keys.
		{"add key", "", 2, "--provider is missing"},
		{"add key --provider p", "", 1, "there is no key"}, // 146
		{"add key --provider nobody", "canary-key", 1, `there is no provider "nobody"`},
		{"add key --provider p", "canary-key-#1", 1, "the value has a '#'"},
		{"add key --provider p", "canary\tkey", 1, "control character"},
		{"add key --provider p", canaries[0], 1, "this key of p is set already, as P_API_KEY"},
		{"add key --provider p --env-var P_API_KEY", "canary-key-new", 1, "P_API_KEY is set in .env; edit key replaces it"},
		{"add key --provider p --env-var PATH", "canary-key-new", 1, "provider p does not look for keys in this variable, but in {PROVIDER}_API_KEY, {PROVIDER}_API_KEY_{INDEX}"},
		{"add key --provider p --env-var P_API_KEY_7", "canary-key-new", 1, "P_API_KEY_7 is set in the environment"},
		{"add key canary-key", "", 2, "takes flags only"},
		{"add key --provider p --env-file nowhere/.env", "canary-key-new", 1, "no such file"},
		{"add key --provider p --env-file config", "canary-key-new", 1, "config is not a regular file"},
		{"edit key NOBODY", "canary-key-new", 1, ".env sets no such variable"},
		{"edit key P_API_KEY_7", "canary-key-new", 1, "set in the environment, and not in .env"},
		{"edit key P_API_KEY", "", 1, "there is no key"},
		{"edit key P_API_KEY", "an-other-key", 1, "this key of p is set already, as P_API_KEY_7"},
		{"edit key", "canary-key-new", 2, "takes one argument"},
		{"edit key canary canary", "canary-key-new", 2, "takes one argument"},
		{"remove key canary-key --yes", "", 1, ".env sets no such variable"},
		{"remove key P_API_KEY", "", 1, "nothing is changed: write --yes, as nobody can be asked here"},
		{"remove key P_API_KEY", "y\n", 1, "nobody can be asked here"},
		// Removing and editing files.
		{"remove provider spare", "", 1, "write --yes, as nobody can be asked here"},
		{"remove provider p --yes", "", 1, `provider "p" is in use by model lone, model m, model n; change that first, or use --force`},
		{"remove provider nobody --yes", "", 1, `there is no provider "nobody"`},
		{"remove provider ../models/m --yes", "", 1, "cannot name a provider"},
		{"remove model m --yes", "", 1, `model "m" is in use by model n`},
		{"remove model nothing --yes", "", 1, `there is no model "nothing"`},
		{"remove model ../providers/p --yes", "", 1, "cannot name a model's file"},
		{"edit provider p", "", 2, "nothing is to be changed"},
		{"edit provider p --enable --disable", "", 2, "--enable and --disable exclude each other"},
		{"edit provider nobody --enable", "", 1, `there is no provider "nobody"`},
		{"edit provider p --set enabled=perhaps", "", 1, "config/providers/p.json:4: enabled: must be true or false, not a text"},
		{"edit provider p --set authentication.header_format=canary", "", 1, "has no {api_key}"},
		{"edit provider p --set endpoints.base_url", "", 2, "--set takes <field>=<value>"},
		{"edit provider p --set enabled.x=1", "", 1, "enabled is neither an object nor a list"},
		{"edit provider p --unset endpoints", "", 1, "endpoints: is required"},
		{"edit provider p --unset endpoints.nothing", "", 1, "there is no field endpoints.nothing"},
		{"edit provider p --set .x=1", "", 2, "names nothing"},
		{"edit model m --set model_routings[0].provider=nobody", "", 1, `there is no provider "nobody"`},
		{"edit model m --set model_routings[5].provider=p", "", 1, "has 1 elements"},
		{"edit model m --set logical_name=n", "", 1, `"n" is the logical_name in`},
		{"edit model m --enable", "", 2, "unknown flag"},
		{"edit model nothing --unset aliases", "", 1, `there is no model "nothing"`},
	} {
		t.Run(tc.line, func(t *testing.T) {
			editable(t)
			t.Setenv("P_API_KEY_7", "an-other-key")
			before := snapshot(t)
			got := run(t, tc.stdin, words(tc.line)...).want(t, tc.exit, tc.want)
			got.wantNoCanary(t)
			if got.stdout != "" {
				t.Errorf("stdout is %q, want nothing", got.stdout)
			}
			wantChanged(t, before)
		})
	}
}
