package caddymodule

import (
	"net/http"
	"strings"
	"testing"
)

// A route may name keys that its provider's other routes do not use. They rest
// like others, so the operator has to see them and to end their rests.
func TestKeysOfRoutesAreShownAndResetToo(t *testing.T) {
	up := serve(t, answers(429, rateLimited, "Retry-After", "600"))
	t.Setenv("SPECIAL_KEY", "key-of-the-route")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": `{"logical_name": "m", "model_routings": [{"provider": "p", "model": "up", "api_key_env": ["SPECIAL_KEY"]}]}`},
	})
	health := g.do(request{method: "GET", path: "/health/detailed"}).want(t, 200)
	if n := health.get(t, "components", "providers", "p", "keys_available"); n != 1. {
		t.Errorf("keys available = %v, want 1", n)
	}
	g.post(chatPath, chatRequest).want(t, 429)
	id := resting(t, "p", "rate_limited")
	if got := admin(t, http.MethodGet, "/metrics", ""); !strings.Contains(got.body, `caddy_llm_proxy_keys{provider="p",state="usable"} 1`) {
		t.Errorf("the metrics do not count the key")
	}
	got := admin(t, http.MethodPost, "/llm_proxy/keys/reset?provider=p&key="+id, "").want(t, 200)
	if strings.TrimSpace(got.body) != `{"reset":1}` {
		t.Errorf("reset: %s", got.body)
	}
	up.reset()
	g.post(chatPath, chatRequest).want(t, 429)
	if n := len(up.all()); n != 1 {
		t.Errorf("calls after the reset = %d, want 1", n)
	}
}

func TestThePlanSaysWhatToDoAboutRoutesThatCannotBeAsked(t *testing.T) {
	off := strings.Replace(provider("off", "http://127.0.0.1:1", ""), `"enabled": true`, `"enabled": false`, 1)
	start(t, setup{
		providers: map[string]string{"p": provider("p", "http://127.0.0.1:1", ""), "off": off},
		models: map[string]string{
			"m":     `{"logical_name": "m", "model_routings": [{"provider": "p", "model": "a"}, {"provider": "p", "model": "b", "api_key_env": ["SPECIAL_KEY"]}], "fallback_model_routings": ["other"], "context_window_fallbacks": ["long"]}`,
			"other": model("other", `"fallback_model_routings": ["m"],`, "off/x", "p/y"),
			"long":  model("long", "", "off/long", "p/long"),
		},
	})
	got := admin(t, http.MethodGet, "/llm_proxy/plan?model=m", "").want(t, 200)
	const unusable = `"verdict":"skipped","why":"unusable","detail":"the provider's file says enabled: false","keys":0}`
	for _, want := range []string{
		`"model":"a","protocol":"openai","verdict":"skipped","why":"no_key","detail":"no key is set in the environment; set P_API_KEY"`,
		`"model":"b","protocol":"openai","verdict":"skipped","why":"no_key","detail":"no key is set in the environment; set SPECIAL_KEY"`,
		`{"provider":"off","model":"x","via":"other",` + unusable,
		`{"provider":"off","model":"long","via":"long","purpose":"context_too_long",` + unusable,
	} {
		if strings.Count(got.body, want) != 1 {
			t.Errorf("the plan does not say %s once: %s", want, got.body)
		}
	}
}
