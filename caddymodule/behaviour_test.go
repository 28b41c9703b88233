package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// The numbers in this file, and at the end of names of tests elsewhere, are those
// of the black-box cases of the service that this project replaces.

func TestKeysAreFoundInTheEnvironment(t *testing.T) {
	for _, tc := range []struct {
		name, provider string
		environ        map[string]string
		want           []string // the keys that four requests use
	}{
		{"37 only the plain variable", "p", map[string]string{"P_API_KEY": "a"}, []string{"a", "a", "a", "a"}},
		{"38 only numbered ones", "p", map[string]string{"P_API_KEY_1": "a", "P_API_KEY_2": "b"}, []string{"a", "b", "a", "b"}},
		{"40 a gap", "p", map[string]string{"P_API_KEY_1": "a", "P_API_KEY_3": "c"}, []string{"a", "c", "a", "c"}},
		{"41 equal values", "p", map[string]string{"P_API_KEY": "a", "P_API_KEY_1": "a"}, []string{"a", "a", "a", "a"}},
		{"43 a dash in the file's name", "test-provider", map[string]string{"TEST_PROVIDER_API_KEY_1": "a"}, []string{"a", "a", "a", "a"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			up := serve(t, answers(http.StatusOK, chatAnswer))
			for name, value := range tc.environ {
				t.Setenv(name, value)
			}
			g := start(t, setup{
				providers: map[string]string{tc.provider: provider(tc.provider, up.url, "")},
				models:    map[string]string{"m": model("m", "", tc.provider+"/up")},
				// One conversation would keep to one key.
				directive: "affinity off",
			})
			for range 4 {
				g.post(chatPath, chatRequest).want(t, 200)
			}
			if got := up.keysUsed(); !slices.Equal(got, tc.want) {
				t.Errorf("keys used = %q, want %q", got, tc.want)
			}
		})
	}
}

func TestTheSecondProviderAnswersForTheFirst65(t *testing.T) {
	const quick = `"request_config": {"timeout_seconds": 0.1},`
	for _, tc := range []struct {
		name  string
		fault http.Handler // nil: nobody listens
	}{
		{"429", answers(429, rateLimited)},
		{"500", answers(500, brokenBody)},
		{"502", answers(502, brokenBody)},
		{"503", answers(503, brokenBody)},
		{"timeout", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })},
		{"refused", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			first := "http://127.0.0.1:1"
			if tc.fault != nil {
				first = serve(t, tc.fault).url
			}
			second := serve(t, answers(http.StatusOK, chatAnswer))
			t.Setenv("A_API_KEY", "a")
			t.Setenv("B_API_KEY", "b")
			g := start(t, setup{
				providers: map[string]string{"a": provider("a", first, quick), "b": provider("b", second.url, "")},
				models:    map[string]string{"m": model("m", "", "a/up", "b/up")},
			})
			got := g.post(chatPath, chatRequest).want(t, 200)
			if got.body != chatAnswer || got.header.Get("Llm-Proxy-Provider") != "b" {
				t.Errorf("%s answers %s, want b", got.header.Get("Llm-Proxy-Provider"), got.body)
			}
		})
	}
}

// failingGateway has models that all fail at one upstream, which says that its
// keys are used up.
func failingGateway(t *testing.T, log logged, models map[string]string) (*gateway, *upstream) {
	t.Helper()
	up := serve(t, answers(429, rateLimited, "Retry-After", "60"))
	t.Setenv("P_API_KEY_1", "k1")
	t.Setenv("P_API_KEY_2", "k2")
	t.Setenv("Q_API_KEY", "k3")
	return start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, ""), "q": provider("q", up.url, "")},
		models:    models,
		global:    log.option,
	}), up
}

// asked are the key and the model of each call.
func (u *upstream) asked(t *testing.T) []string {
	t.Helper()
	var asked []string
	for i, c := range u.all() {
		var body struct{ Model string }
		if err := json.Unmarshal([]byte(c.body), &body); err != nil {
			t.Fatal(err)
		}
		asked = append(asked, u.keysUsed()[i]+" "+body.Model)
	}
	return asked
}

func TestKeysThenRoutesThenFallbacksAreAskedAndNumbered67(t *testing.T) {
	log := logFile(t)
	g, up := failingGateway(t, log, map[string]string{
		"m":   model("m", `"fallback_model_routings": ["fb1"],`, "p/r1", "q/r2"),
		"fb1": model("fb1", `"fallback_model_routings": ["fb2"],`, "q/fb1"),
		"fb2": model("fb2", "", "q/fb2"),
	})
	g.post(chatPath, chatRequest).want(t, 429)
	want := []string{"k1 r1", "k2 r1", "k3 r2", "k3 fb1", "k3 fb2"}
	if got := up.asked(t); !slices.Equal(got, want) {
		t.Fatalf("asked %q, want %q", got, want)
	}
	for i, call := range want {
		_, name, _ := strings.Cut(call, " ")
		if line := log.line(t, fmt.Sprintf(`"attempt":%d,`, i+1)); !strings.Contains(line, fmt.Sprintf(`"model":%q`, name)) {
			t.Errorf("attempt %d is logged as %s, want model %s", i+1, line, name)
		}
	}
}

func TestModelsThatFallBackToEachOtherAreTriedOnce68(t *testing.T) {
	for asked, want := range map[string][]string{"a": {"k3 ua", "k3 ub"}, "b": {"k3 ub", "k3 ua"}} {
		g, up := failingGateway(t, logged{}, map[string]string{
			"a": model("a", `"fallback_model_routings": ["b"],`, "q/ua"),
			"b": model("b", `"fallback_model_routings": ["a"],`, "q/ub"),
		})
		g.post(chatPath, asking(chatRequest, asked)).want(t, 429)
		if got := up.asked(t); !slices.Equal(got, want) {
			t.Errorf("model %s: asked %q, want %q", asked, got, want)
		}
	}
}

// The original answered 400; clients of OpenAI know 404 and this code.
func TestAnUnknownModelIsNotFoundAndNamed70(t *testing.T) {
	g, up := plainGateway(t, setup{})
	told := g.post(chatPath, asking(chatRequest, "nobody")).wantError(t, translate.Chat, 404, true)
	if told.code != "model_not_found" || !strings.Contains(told.message, "nobody") {
		t.Errorf("told %+v, want code model_not_found and the name", told)
	}
	if calls := up.all(); len(calls) > 0 {
		t.Errorf("upstream is sent %+v", calls)
	}
}

// A bad file stops the whole new configuration here, so that the other models go
// on being served by the old one; routing has the case that leaves it out.
func TestABadModelFileHarmsNoOtherModel71(t *testing.T) {
	g, _ := plainGateway(t, setup{})
	g.write("models", "bad", `{"logical_name": `)
	g.wantReload(t, "models/bad.json:1: is not a JSON object")
	if err := validate(g.config); err == nil || !strings.Contains(err.Error(), "models/bad.json:1") {
		t.Errorf("validate = %v, want an error that names the file", err)
	}
	g.post(chatPath, asking(chatRequest, "bad")).want(t, 404)
	g.post(chatPath, chatRequest).want(t, 200)
}

func TestABareRouteUsesWhatTheProviderSays76(t *testing.T) {
	g, up := plainGateway(t, setup{})
	for _, at := range generators {
		up.reset()
		g.post(at.path, goodRequests[at.path]).want(t, 200)
		if calls := up.all(); len(calls) != 1 || calls[0].path != at.path || calls[0].header.Get("Authorization") != "Bearer upstream-key" {
			t.Errorf("%s: upstream is sent %+v", at.path, calls)
		}
	}
}

// shippedGateway asks a shipped provider that is served by a test.
func shippedGateway(t *testing.T, name string) (*gateway, *upstream) {
	t.Helper()
	text, err := os.ReadFile("../config/providers/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	up := serve(t, new(script))
	original := fmt.Sprintf(`"base_url": "https://api.%s.com/v1"`, name)
	if !strings.Contains(string(text), original) {
		t.Fatalf("%s.json has no %s", name, original)
	}
	t.Setenv(strings.ToUpper(name)+"_API_KEY", "upstream-key")
	return start(t, setup{
		providers: map[string]string{name: strings.Replace(string(text), original, fmt.Sprintf(`"base_url": %q`, up.url+"/v1"), 1)},
		models:    map[string]string{"m": model("m", "", name+"/up")},
	}), up
}

func TestOpenAIGetsItsKeyAsABearerToken83(t *testing.T) {
	g, up := shippedGateway(t, "openai")
	g.post(chatPath, chatRequest).want(t, 200)
	if calls := up.all(); len(calls) != 1 || calls[0].header.Get("Authorization") != "Bearer upstream-key" {
		t.Errorf("upstream is sent %+v", calls)
	}
}

func TestParametersReachTheirVendorUnchanged(t *testing.T) {
	for _, tc := range []struct{ name, provider, path, body string }{
		{
			"85", "openai", chatPath, `{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0.7,"top_p":0.9,"max_tokens":100,` +
				`"presence_penalty":0.5,"frequency_penalty":-0.5,"stop":["A","B"],"logit_bias":{"50256":-100},"user":"u-1","seed":7,` +
				`"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":"auto"}`,
		},
		{
			"86", "anthropic", "/v1/messages", `{"model":"m","messages":[{"role":"user","content":"hi"}],"max_tokens":2000,"temperature":1,"top_p":0.9,"top_k":40,` +
				`"stop_sequences":["A"],"metadata":{"user_id":"u-1"},"thinking":{"type":"enabled","budget_tokens":1024},` +
				`"tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto"}}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, up := shippedGateway(t, tc.provider)
			g.post(tc.path, tc.body).want(t, 200)
			want := strings.Replace(tc.body, `"model":"m"`, `"model":"up"`, 1)
			if calls := up.all(); len(calls) != 1 || calls[0].body != want {
				t.Errorf("upstream is sent %+v, want %s", calls, want)
			}
		})
	}
}
