package caddymodule

import (
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/simulated"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// metric is a line of the administration's /metrics, which begins so.
func metric(t *testing.T, begins string) string {
	t.Helper()
	got, err := http.Get("http://localhost:2999/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	if err != nil || got.StatusCode != 200 {
		t.Fatalf("/metrics: status %d, %v", got.StatusCode, err)
	}
	return regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(begins) + `.*$`).FindString(string(text))
}

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
		name := "caddy_llm_proxy_translation_losses_total{" + tc.labels + "} "
		if got := metric(t, name); got != "" {
			t.Errorf("%s losses: %s before there were any", tc.name, got)
		}
		for i, request := range []string{tc.request, streamed(tc.request)} {
			if got := g.post(tc.path, request).want(t, 200); got.header.Get("Llm-Proxy-Warnings") != "" {
				t.Errorf("%s losses: the client is told %q", tc.name, got.header.Get("Llm-Proxy-Warnings"))
			}
			want := name + string(rune('1'+i))
			comesTrue(t, tc.name+" losses: /metrics does not say "+want, func() bool { return metric(t, name) == want })
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
