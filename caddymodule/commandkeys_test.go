package caddymodule

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

const adminAddress = "localhost:2999"

func TestCommandsAskTheRunningGateway131(t *testing.T) {
	g, _ := operated(t)
	for _, tc := range []struct {
		file      string
		arguments string
		exit      int
		stderr    string
	}{
		{"keys_list.txt", "keys list", 0, ""},
		{"keys_list.json", "keys list --json", 0, ""},
		{"keys_list_of_one.txt", "keys list b", 0, ""},
		{"plan.txt", "plan m", 0, ""},
		{"plan.json", "plan m --json", 0, ""},
		{"plan_messages.txt", "plan any-thing --protocol anthropic --stream --handler 0", 0, ""},
		{"", "plan unknown", 1, `the gateway says: model "unknown" is not known`},
		{"", "plan m --protocol smoke", 2, `invalid argument "smoke"`},
		{"", "plan m --handler 7", 1, "is not known to handler"},
		{"", "keys list unknown", 1, `the gateway says: provider "unknown" is not known`},
	} {
		t.Run(tc.arguments, func(t *testing.T) {
			got := run(t, "", append(strings.Fields(tc.arguments), "--address", adminAddress)...).want(t, tc.exit, tc.stderr)
			for _, secret := range []string{"a-limited", "a-dead", "a-good", "b-key", clientKey} {
				if strings.Contains(got.stdout+got.stderr, secret) {
					t.Errorf("the output shows the key %s:\n%s%s", secret, got.stdout, got.stderr)
				}
			}
			if tc.file != "" {
				wantOutput(t, tc.file, got.stdout, g.dir)
			}
			if strings.Count(got.stderr, "\n") > 1 {
				t.Errorf("stderr is %q, want one line", got.stderr)
			}
		})
	}
}

func TestAPlanThatAsksNobodyFails(t *testing.T) {
	start(t, setup{
		providers: map[string]string{"p": provider("p", "http://127.0.0.1:9", "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	got := run(t, "", "plan", "m", "--address", adminAddress).want(t, 1, "nothing would be asked")
	if !strings.Contains(got.stdout, "set P_API_KEY") {
		t.Errorf("stdout is %q, want the variable to set", got.stdout)
	}
}

func TestWhatTheAdministrationSaysIsNotObeyed(t *testing.T) {
	up := serve(t, inTurn(
		answers(200, `{"plans": [{"model": "m", "policy": "\u001b[2J", "candidates": [{"provider": "p\u009b2J", "model": "a\nb\u202e", "verdict": "next"}]}]}`),
		answers(500, `{"error": "\u001b]0;title\u0007"}`),
		answers(500, "\x1b[2J page"),
		answers(200, "<html>\x1b[2J"),
	))
	address := strings.TrimPrefix(up.url, "http://")
	got := run(t, "", "plan", "m", "--address", address).want(t, 0)
	if want := `p\u009b2J`; !strings.Contains(got.stdout, want) || !strings.Contains(got.stdout, `a\nb\u202e`) || !strings.Contains(got.stdout, `\x1b[2J`) {
		t.Errorf("stdout is %q, want it escaped as in %s", got.stdout, want)
	}
	for _, want := range []string{`the gateway says: \x1b]0;title\x07`, `the gateway says: status 500: \x1b[2J page`, "something else than this version expects"} {
		run(t, "", "plan", "m", "--address", address).want(t, 1, want)
	}
	run(t, "", "keys", "list", "--address", "127.0.0.1:1").want(t, 1, "cannot connect to the administration endpoint at 127.0.0.1:1", "--offline reads the files")
}

// No part of a key is shown, however short it is.
func TestKeysAreNeverShownInPart149(t *testing.T) {
	goodFiles(t)
	for variable, key := range map[string]string{"P_API_KEY": "sk-1234567890", "P_API_KEY_1": "1234", "P_API_KEY_2": ""} {
		t.Setenv(variable, key)
	}
	got := run(t, "", "keys", "list", "--offline").want(t, 0)
	if n := strings.Count(got.stdout, "\n"); n != 3 || strings.Contains(got.stdout, "1234") || strings.Contains(got.stdout, "7890") {
		t.Errorf("the output is\n%s\nwant two keys, and no part of them", got.stdout)
	}
}

// judges is an upstream that has an opinion of each key, below a path for each
// kind of provider.
func judges(t *testing.T) *upstream {
	t.Helper()
	const list = `{"object": "list", "data": [{"id": "up"}]}`
	opinions := byKey(map[string]http.Handler{
		"good-key-0001":    answers(200, list),
		"limited-key-0002": answers(429, rateLimited),
		"broken-key-0003":  answers(500, `{"error":{"message":"broken-key-0003 and \u001b[2J"}}`),
		"poor-key-0004":    answers(402, `{"error":{"message":"pay"}}`),
		"astray-key-0005":  answers(307, "", "Location", "http://127.0.0.1:1/"),
		"page-key-0006":    answers(200, "<html>"),
		"lost-key-0007":    answers(404, `{"error":{"message":"no such page"}}`),
		"x":                answers(503, `{"error":{"message":"x is down"}}`),
	})
	mux := http.NewServeMux()
	mux.Handle("GET /list/v1/models", opinions)
	mux.Handle("GET /public/v1/models", answers(200, list))
	mux.Handle("GET /hushed/v1/models", answers(200, list))
	mux.HandleFunc("POST /public/v1/chat/completions", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != `{"model":"cheap","messages":[{"content":"Hi","role":"user"}],"max_completion_tokens":1}` {
			t.Errorf("asked for one token by %s", body)
		}
		opinions.ServeHTTP(w, r)
	})
	mux.HandleFunc("POST /token/v1/messages", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != "good-key-0001" || r.Header.Get("Anthropic-Version") == "" {
			answers(400, `{"type":"error","error":{"type":"invalid_request_error","message":"API key not valid"}}`).ServeHTTP(w, r)
			return
		}
		answers(200, `{"type":"message","content":[]}`).ServeHTTP(w, r)
	})
	return serve(t, mux)
}

func TestKeysTestAsksTheProvider(t *testing.T) {
	up := judges(t)
	list := func(name, path, extra string) string {
		return strings.Replace(provider(name, up.url+path, extra), `"endpoints": {`, `"endpoints": {"models": "/models",`, 1)
	}
	g := files(t, map[string]string{
		"list":   list("list", "/list", ""),
		"public": list("public", "/public", `"quirks": {"max_tokens_field": "max_completion_tokens"},`),
		"hushed": list("hushed", "/hushed", ""),
		"token":  `{"name": "token", "enabled": true, "endpoints": {"base_url": "` + up.url + `/token/v1", "compatible_format": "anthropic", "messages": "/messages"}, "authentication": {"type": "api_key", "header_name": "x-api-key"}}`,
		"mute":   provider("mute", up.url, ""),
		"gone":   list("gone", "", ""),
		"off":    strings.Replace(list("off", "/list", ""), `"enabled": true`, `"enabled": false`, 1),
		"free":   strings.Replace(list("free", "/public", ""), `{"type": "bearer", "header_name": "Authorization", "header_format": "Bearer {api_key}"}`, `{"type": "none"}`, 1),
	}, map[string]string{
		"m": model("m", "", "public/*", "public/cheap", "token/small"),
		"n": `{"logical_name": "n", "model_routings": [{"provider": "list", "model": "up", "api_key_env": ["N_KEY"]}]}`,
	})
	g.write("config/providers", "gone", strings.ReplaceAll(list("gone", "", ""), up.url, "http://127.0.0.1:1"))
	for i, key := range []string{"good-key-0001", "limited-key-0002", "broken-key-0003", "poor-key-0004", "astray-key-0005", "page-key-0006", "lost-key-0007", "x", "wrong-key-0008"} {
		t.Setenv("LIST_API_KEY_"+string(rune('1'+i)), key)
	}
	for variable, key := range map[string]string{
		"PUBLIC_API_KEY_1": "good-key-0001", "PUBLIC_API_KEY_2": "wrong-key-0009",
		"HUSHED_API_KEY": "wrong-key-0008", "MUTE_API_KEY": "good-key-0001", "GONE_API_KEY": "good-key-0001", "OFF_API_KEY": "good-key-0001",
		"TOKEN_API_KEY_1": "good-key-0001", "TOKEN_API_KEY_2": "wrong-key-0008", "N_KEY": "wrong-key-0010",
	} {
		t.Setenv(variable, key)
	}
	for _, tc := range []struct {
		file      string
		arguments string
		exit      int
		stderr    string
	}{
		{"keys_test.txt", "keys test", 1, "5 of 17 keys dead: replace what is dead"},
		{"keys_test.json", "keys test token --json", 1, "1 of 2 keys dead"},
		{"keys_test_off.txt", "keys test off", 0, "[1/1] off "},
		{"keys_test_free.txt", "keys test free", 0, "[1/1] free: ok"},
		{"", "keys test other", 1, `there is no provider "other"`},
		{"", "keys test --timeout 0s", 2, "--timeout takes a time above 0"},
	} {
		t.Run(tc.arguments, func(t *testing.T) {
			got := run(t, "", strings.Fields(tc.arguments)...).want(t, tc.exit, tc.stderr)
			if both := got.stdout + got.stderr; strings.Contains(both, "-key-00") {
				t.Errorf("the output shows a key:\n%s", both)
			}
			if tc.file != "" {
				wantOutput(t, tc.file, got.stdout, g.dir)
			}
		})
	}
	for _, c := range up.all() {
		if c.path == "/v1/models" {
			t.Errorf("a redirect was followed")
		}
	}
}

func TestKeysTestWantsAKey(t *testing.T) {
	goodFiles(t)
	run(t, "", "keys", "test").want(t, 1, "no key", "set P_API_KEY")
	run(t, "", "keys", "test", "p").want(t, 1, "no key of p is set; set P_API_KEY")
}

func TestAProviderThatHangsIsUnreachable(t *testing.T) {
	done := make(chan struct{})
	up := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	t.Cleanup(func() { close(done) })
	g := goodFiles(t)
	g.write("config/providers", "p", strings.Replace(provider("p", up.url, ""), `"endpoints": {`, `"endpoints": {"models": "/models",`, 1))
	t.Setenv("P_API_KEY", canaries[0])
	got := run(t, "", "keys", "test", "--timeout", "50ms").want(t, 1, "1 of 1 keys unreachable")
	got.wantNoCanary(t)
	if !strings.Contains(got.stdout, "no answer in time") {
		t.Errorf("stdout is %q, want no answer in time", got.stdout)
	}
}
