package routing

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

func TestAProviderTellsItsModels(t *testing.T) {
	for _, tc := range []struct {
		name     string
		protocol translate.Protocol
		path     string
		pages    map[string]string // by what is asked for
		want     string
		why      string
	}{
		{"OpenAI's", translate.Chat, "/models", map[string]string{"/models": `{"object":"list","data":[{"id":"b"},{"id":"a"},{"id":"b"}]}`}, "a b", ""},
		{"Google's", translate.Chat, "/models", map[string]string{"/models": `{"data":[{"id":"models/gemini-1"}]}`}, "gemini-1", ""},
		{"Ollama's", translate.Chat, "/tags", map[string]string{"/tags": `{"models":[{"name":"l:1b"}]}`}, "l:1b", ""},
		{"a mere list", translate.Chat, "/models", map[string]string{"/models": `[{"id":"a/b"}]`}, "a/b", ""},
		{"Anthropic's in pages", translate.Messages, "/models", map[string]string{
			"/models": `{"data":[{"id":"x"}],"has_more":true,"last_id":"x&y"}`, "/models?after_id=x%26y": `{"data":[{"id":"y"}],"has_more":false,"last_id":"y"}`,
		}, "x y", ""},
		{"pages with a query", translate.Messages, "/models?limit=1", map[string]string{
			"/models?limit=1": `{"data":[{"id":"x"}],"has_more":true,"last_id":"x"}`, "/models?limit=1&after_id=x": `{"data":[{"id":"y"}]}`,
		}, "x y", ""},
		{"a list without end", translate.Messages, "/models", map[string]string{
			"/models": `{"data":[{"id":"x"}],"has_more":true,"last_id":"x"}`, "/models?after_id=x": `{"data":[{"id":"y"}],"has_more":true,"last_id":"x"}`,
		}, "x y", ""},
		{"what cannot be a name", translate.Chat, "/models", map[string]string{"/models": `{"data":[{"id":"good"},{"id":""},{"id":7},{"id":"a\u0000"},{"id":" a"},{"id":"the-secret-key"},{"id":"` + strings.Repeat("x", 300) + `"},3]}`}, "good", ""},
		{"nothing", translate.Chat, "/models", map[string]string{"/models": `{"data":[]}`}, "", "it answers with no list of models"},
		{"an object", translate.Chat, "/models", map[string]string{"/models": `{"id":"a"}`}, "", "it answers with no list of models"},
		{"no path", translate.Chat, "", nil, "", "its file names no list of models; add endpoints.models"},
		{"a refusal", translate.Chat, "/models", map[string]string{}, "", "the provider refuses it with status 401"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			calls := 0
			test := &KeyTest{Provider: testedProvider(tc.protocol, Endpoints{Models: tc.path}), BaseURL: "https://h", Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
				if calls++; r.Header.Get("Authorization") != "Bearer the-secret-key!" || r.Method != http.MethodGet {
					t.Errorf("%s with %v", r.Method, r.Header)
				}
				if page, ok := tc.pages[r.URL.RequestURI()]; ok {
					return answered(200, page)
				}
				return answered(401, `{}`)
			})}
			got, opinion := test.Models(t.Context(), keys.NewKey("p", "P", "the-secret-key"))
			if !slices.Equal(got, strings.Fields(tc.want)) || opinion.Reason != tc.why || calls > maxModelPages {
				t.Errorf("Models = %q, %+v after %d calls, want %q, %q", got, opinion, calls, tc.want, tc.why)
			}
		})
	}
}
