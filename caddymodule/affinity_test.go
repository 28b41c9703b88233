package caddymodule

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
)

// threeKeys is a gateway whose one provider has three keys.
func threeKeys(t *testing.T, answer http.Handler, directive string) (*gateway, *upstream) {
	t.Helper()
	up := serve(t, answer)
	for _, i := range []string{"1", "2", "3"} {
		t.Setenv("P_API_KEY_"+i, "k"+i)
	}
	return start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up"), "n": model("n", "", "p/other")},
		directive: directive,
	}), up
}

func TestAConversationKeepsItsKey(t *testing.T) {
	const (
		firstTurn  = `{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"%s"}]}`
		secondTurn = `{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"%s"},{"role":"assistant","content":"hello"},{"role":"user","content":"go on"}]}`
		cached     = `{"model":"m","prompt_cache_key":"%s","messages":[{"role":"user","content":"hi"}]}`
	)
	for _, tc := range []struct {
		name string
		// The requests of two conversations in turn.
		request func(conversation string, turn int) request
	}{
		{"of Claude Code by its session", func(c string, _ int) request {
			return request{path: chatPath, body: chatRequest, header: map[string]string{"X-Claude-Code-Session-Id": c}}
		}},
		{"of Codex by its session", func(c string, _ int) request {
			return request{path: chatPath, body: chatRequest, header: map[string]string{"Session-Id": c}}
		}},
		{"by prompt_cache_key", func(c string, _ int) request {
			return request{path: chatPath, body: fmt.Sprintf(cached, c)}
		}},
		{"by how it begins", func(c string, turn int) request {
			body := secondTurn
			if turn == 0 {
				body = firstTurn
			}
			return request{path: chatPath, body: fmt.Sprintf(body, c)}
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, up := threeKeys(t, answers(200, chatAnswer), "")
			for turn := range 3 {
				g.do(tc.request("one", turn)).want(t, 200)
				g.do(tc.request("two", turn)).want(t, 200)
			}
			if used := up.keysUsed(); !slices.Equal(used, []string{"k1", "k2", "k1", "k2", "k1", "k2"}) {
				t.Errorf("keys used = %v, want each conversation to keep its own", used)
			}
		})
	}
}

func TestARequestWithoutAConversationRotates(t *testing.T) {
	g, up := threeKeys(t, answers(200, chatAnswer), "affinity off")
	for range 4 {
		g.do(request{path: chatPath, body: chatRequest, header: map[string]string{"Session-Id": "one"}}).want(t, 200)
	}
	if used := up.keysUsed(); !slices.Equal(used, []string{"k1", "k2", "k3", "k1"}) {
		t.Errorf("keys used with affinity off = %v, want k1 k2 k3 k1", used)
	}
}

func TestOnlyIllHealthBreaksAffinity(t *testing.T) {
	g, up := threeKeys(t, byKey(map[string]http.Handler{
		"k1": inTurn(answers(200, chatAnswer), answers(429, rateLimited, "Retry-After", "60")),
		"k2": answers(200, chatAnswer),
		"k3": answers(200, chatAnswer),
	}), "")
	for range 4 {
		g.do(request{path: chatPath, body: chatRequest, header: map[string]string{"Session-Id": "one"}}).want(t, 200)
	}
	if used := up.keysUsed(); !slices.Equal(used, []string{"k1", "k1", "k2", "k2", "k2"}) {
		t.Errorf("keys used = %v, want k1 until its 429 and then one other", used)
	}
}

func TestAConversationIsOneClientsAndOneModels(t *testing.T) {
	g, up := threeKeys(t, answers(200, chatAnswer), "client_key other another-client-key")
	ask := func(key, model string) {
		t.Helper()
		body := fmt.Sprintf(`{"model":%q,"messages":[{"role":"user","content":"hi"}]}`, model)
		g.do(request{path: chatPath, body: body, key: key, header: map[string]string{"Session-Id": "one"}}).want(t, 200)
	}
	ask("", "m")
	ask("another-client-key", "m")
	ask("", "n")
	ask("", "m")
	if used := up.keysUsed(); !slices.Equal(used, []string{"k1", "k2", "k3", "k1"}) {
		t.Errorf("keys used = %v, want k1 k2 k3 k1", used)
	}
}
