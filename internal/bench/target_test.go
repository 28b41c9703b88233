package bench

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/payload"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// crossed is a scenario in which llm_proxy translates.
var crossed = Scenario{Name: "crossing", Client: translate.Messages, Upstream: translate.Chat, Stream: true, Answer: payload.Answer{Words: 3}, Connections: 1}

func TestTargetsAreConfiguredAlike(t *testing.T) {
	w := workshop{upstream: "127.0.0.1:1000", dir: "/tmp/bench"}
	golden(t, "reverse_proxy.caddyfile", []byte(w.caddyfile(&target{name: ReverseProxy, address: "127.0.0.1:2000"})))
	golden(t, "llm_proxy.caddyfile", []byte(w.caddyfile(&target{name: LLMProxy, address: "127.0.0.1:2000", admin: "127.0.0.1:3000"})))
	golden(t, "llm_proxy+log.caddyfile", []byte(w.caddyfile(&target{name: Logging, address: "127.0.0.1:2000"})))
}

func TestLLMProxyKnowsTheModelsOfAllScenarios(t *testing.T) {
	w := workshop{upstream: "127.0.0.1:1000", dir: t.TempDir()}
	scenarios := append(Scenarios(), crossed)
	if err := w.writeModels(scenarios); err != nil {
		t.Fatal(err)
	}
	for _, s := range scenarios {
		for _, s := range []Scenario{s, s.warmUp()} {
			if _, err := os.Stat(filepath.Join(w.models(), s.model()+".json")); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
		}
	}
	for file, name := range map[string]string{
		"provider.json": filepath.Join(w.providers(), "simulated.json"),
		"model.json":    filepath.Join(w.models(), crossed.model()+".json"),
	} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, file, append(text, '\n'))
	}
}

func TestOnlyLLMProxyIsAskedInTheClientsProtocol(t *testing.T) {
	for _, tc := range []struct{ target, path, end string }{
		{Direct, "POST /v1/chat/completions ", "[DONE]"},
		{ReverseProxy, "POST /v1/chat/completions ", "[DONE]"},
		{LLMProxy, "POST /v1/messages ", "message_stop"},
		{Logging, "POST /v1/messages ", "message_stop"},
	} {
		p := plan(crossed, &target{name: tc.target, address: "127.0.0.1:1"}, time.Second)
		if !strings.HasPrefix(string(p.Request), tc.path) || p.Want.End != tc.end || p.Want.Words != 3 {
			t.Errorf("plan for %s asks %.30q and wants %+v", tc.target, p.Request, p.Want)
		}
	}
}

func TestTheModelsNameLeadsToItsAnswer(t *testing.T) {
	for _, s := range Scenarios() {
		if got, err := payload.ParseModel(s.model()); err != nil || got != s.Answer {
			t.Errorf("%s: model %s answers %+v, %v, want %+v", s.Name, s.model(), got, err, s.Answer)
		}
	}
}

func TestScenariosHaveNamesOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range Scenarios() {
		if seen[slug(s.Name)] || slug(s.Name) == "" {
			t.Errorf("the name %q is taken", s.Name)
		}
		seen[slug(s.Name)] = true
	}
	if got, want := slug("120 KB agent request, c=16"), "120-kb-agent-request-c-16"; got != want {
		t.Errorf("slug = %q, want %q", got, want)
	}
}
