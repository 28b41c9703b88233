package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddytest"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func TestDemoCaddyfileAdaptsToItsJSON(t *testing.T) {
	for _, tc := range []struct{ name, site, want string }{
		{"nothing", "llm_demo", `[
	{"handler": "llm_demo"}
]`},
		{"everything", `llm_demo {
		models demo demo-tools
		models gpt-6
		delay 20ms
		require_key {env.DEMO_KEY} second
	}`, `[
	{"delay": 20000000, "handler": "llm_demo", "models": ["demo", "demo-tools", "gpt-6"], "require_keys": ["{env.DEMO_KEY}", "second"]}
]`},
		{"before respond", "respond 404\n\tllm_demo", `[
	{"handler": "llm_demo"},
	{"handler": "static_response", "status_code": 404}
]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var want bytes.Buffer
			if err := json.Indent(&want, []byte(`{"apps":{"http":{"servers":{"srv0":{"listen":[":8080"],"routes":[`+
				`{"handle":`+tc.want+`}]}}}}}`), "", "\t"); err != nil {
				t.Fatal(err)
			}
			caddytest.AssertAdapt(t, ":8080 {\n\t"+tc.site+"\n}\n", "caddyfile", want.String())
		})
	}
}

func TestDemoCaddyfileMistakesAreErrors(t *testing.T) {
	for _, tc := range []struct{ body, want string }{
		{"llm_demo surplus", "wrong argument count"},
		{"llm_demo {\n\tbogus\n}", "unrecognized subdirective 'bogus'"},
		{"llm_demo {\n\tmodels\n}", "wrong argument count"},
		{"llm_demo {\n\trequire_key\n}", "wrong argument count"},
		{"llm_demo {\n\tdelay\n}", "wrong argument count"},
		{"llm_demo {\n\tdelay soon\n}", "parsing delay"},
		{"llm_demo {\n\tdelay -1s\n}", "negative"},
		{"llm_demo {\n\tdelay 1s\n\tdelay 2s\n}", "delay already specified"},
	} {
		err := new(Demo).UnmarshalCaddyfile(caddyfile.NewTestDispenser(tc.body))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q: error is %v, want %q", tc.body, err, tc.want)
		}
	}
}

// provisionDemo loads a handler from its JSON as Caddy does.
func provisionDemo(t *testing.T, config string) (*Demo, error) {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	module, err := ctx.LoadModuleByID("http.handlers.llm_demo", json.RawMessage(config))
	if err != nil {
		return nil, err
	}
	return module.(*Demo), nil
}

func TestDemoAnswersItsEndpointsAndPassesOnTheRest(t *testing.T) {
	t.Setenv("DEMO_TEST_KEY", "k")
	demo, err := provisionDemo(t, `{"models":["demo","mine"],"require_keys":["{env.DEMO_TEST_KEY}"]}`)
	if err != nil {
		t.Fatal(err)
	}
	next := caddyhttp.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(http.StatusTeapot)
		return nil
	})
	const question = `{"model":"demo","messages":[{"role":"user","content":"Hello"}]}`
	for _, tc := range []struct {
		method, path, key, body string
		status                  int
		says                    string
	}{
		{"POST", "/v1/chat/completions", "k", question, 200, "You said"},
		{"POST", "/v1/chat/completions", "other", question, 401, "invalid_api_key"},
		{"GET", "/v1/models", "k", "", 200, `"mine"`},
		{"GET", "/v1/chat/completions", "k", "", 418, ""},
		{"GET", "/index.html", "k", "", 418, ""},
	} {
		r := httptest.NewRequest(tc.method, tc.path, strings.NewReader(tc.body))
		r.Header.Set("Authorization", "Bearer "+tc.key)
		w := httptest.NewRecorder()
		if err := demo.ServeHTTP(w, r, next); err != nil {
			t.Fatal(err)
		}
		if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.says) {
			t.Errorf("%s %s with %q = %d %s, want %d and %q", tc.method, tc.path, tc.key, w.Code, w.Body, tc.status, tc.says)
		}
	}
}

func TestDemoRefusesAConfigurationThatWouldOpenTheDoor(t *testing.T) {
	for _, config := range []string{
		`{"require_keys":["{env.DEMO_TEST_KEY_THAT_IS_NOT_SET}"]}`,
		`{"require_keys":[""]}`,
		`{"delay":-1}`,
		`{"require_key":"k"}`,
	} {
		if _, err := provisionDemo(t, config); err == nil {
			t.Errorf("%s is accepted", config)
		}
	}
}
