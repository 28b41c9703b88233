package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/simulated"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// What a client is not told, where on_lossy is ignore, the operator learns all the
// same: of the request's losses as of the answer's, and of these too when the
// header with the warnings has long been sent.
func TestTheOperatorLearnsWhatIsLost(t *testing.T) {
	const citing = `{"id":"c","object":"chat.completion","created":1,"model":"up","citations":["https://example.org"],"choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}]}`
	for _, tc := range []struct {
		name, path, request string
		wire                translate.Protocol
		up                  http.Handler
		labels, losses      string
	}{
		{
			"a request's", chatPath, seeded, translate.Messages, simulated.New(simulated.Config{}),
			`action="dropped",client_protocol="openai",upstream_protocol="anthropic"`, "param=seed;action=dropped",
		},
		{
			"an answer's", "/v1/messages", asking(goodRequests["/v1/messages"], "demo"), translate.Chat, answers(200, citing),
			`action="dropped",client_protocol="anthropic",upstream_protocol="openai"`, "param=citations;action=dropped",
		},
	} {
		log := logFile(t)
		up := serve(t, tc.up)
		t.Setenv("UP_API_KEY", "upstream-key")
		g := start(t, setup{
			providers: map[string]string{"up": fullProvider("up", up.url, "")},
			models:    map[string]string{"demo": wired("demo", "", "up", tc.wire)},
			directive: "on_lossy ignore",
			global:    log.option,
		})
		name := "caddy_llm_proxy_translation_losses_total{" + tc.labels + "}"
		before := metric(t, name)
		for i, request := range []string{tc.request, streamed(tc.request)} {
			if got := g.post(tc.path, request).want(t, 200); got.header.Get("Llm-Proxy-Warnings") != "" {
				t.Errorf("%s losses: the client is told %q", tc.name, got.header.Get("Llm-Proxy-Warnings"))
			}
			want := before + float64(i+1)
			comesTrue(t, fmt.Sprintf("%s losses: %s is not %v", tc.name, name, want), func() bool { return metric(t, name) == want })
		}
		var line struct{ Level, UUID, Provider, Model, From, To, Losses string }
		if err := json.Unmarshal([]byte(log.line(t, "lost in translation")), &line); err != nil {
			t.Fatal(err)
		}
		client := translate.Chat
		if tc.path != chatPath {
			client = translate.Messages
		}
		if line.Level != "debug" || line.UUID == "" || line.Provider != "up" || line.Model != "demo" ||
			line.From != string(client) || line.To != string(tc.wire) || line.Losses != tc.losses {
			t.Errorf("%s losses: the log says %+v", tc.name, line)
		}
		if n := strings.Count(log.text(t), "lost in translation"); n != 2 {
			t.Errorf("%s losses: %d lines in the log, want one per request", tc.name, n)
		}
	}
}
