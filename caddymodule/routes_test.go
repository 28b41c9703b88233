package caddymodule

import (
	"fmt"
	"strings"
	"testing"
)

func TestARouteMayLeadElsewhereWithAKeyOfItsOwn77(t *testing.T) {
	home, elsewhere := serve(t, new(script)), serve(t, new(script))
	t.Setenv("P_API_KEY", "key-of-the-provider")
	t.Setenv("SPECIAL_KEY", "key-of-the-route")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", home.url, "")},
		models: map[string]string{
			"plain": model("plain", "", "p/up"),
			"m":     fmt.Sprintf(`{"logical_name": "m", "model_routings": [{"provider": "p", "model": "special", "base_url": %q, "api_key_env": ["SPECIAL_KEY"]}]}`, elsewhere.url+"/v1"),
		},
	})
	for _, at := range generators {
		g.post(at.path, goodRequests[at.path]).want(t, 200)
		g.post(at.path, asking(goodRequests[at.path], "plain")).want(t, 200)
	}
	for _, tc := range []struct {
		name       string
		up         *upstream
		key, model string
	}{{"elsewhere", elsewhere, "key-of-the-route", "special"}, {"home", home, "key-of-the-provider", "up"}} {
		if n := len(tc.up.all()); n != len(generators) {
			t.Errorf("%s: calls = %d, want %d", tc.name, n, len(generators))
		}
		for _, c := range tc.up.all() {
			if c.header.Get("Authorization") != "Bearer "+tc.key || !strings.Contains(c.body, `"model":"`+tc.model+`"`) {
				t.Errorf("%s: %v %s, want key %s and model %s", tc.name, c.header, c.body, tc.key, tc.model)
			}
		}
	}
}

func TestADroppedModelFileIsServedAfterAReload79(t *testing.T) {
	g, _ := plainGateway(t, setup{})
	g.post(chatPath, asking(chatRequest, "new")).want(t, 404)
	g.write("models", "new", model("new", "", "up/up"))
	g.wantReload(t, "")
	g.post(chatPath, asking(chatRequest, "new")).want(t, 200)
	if list := g.do(request{method: "GET", path: "/v1/models"}).want(t, 200); !strings.Contains(list.body, `"id":"new"`) {
		t.Errorf("models are %s", list.body)
	}
}
