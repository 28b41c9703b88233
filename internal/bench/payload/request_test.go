package payload

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

func TestAnAgentsRequestHasExactlyItsSizeAndIsTheSameInEveryRun(t *testing.T) {
	for _, protocol := range protocols {
		for _, model := range []string{"m", "bench-anthropic-words-28"} {
			r := Request{Protocol: protocol, Size: Agent, Model: model}
			body := r.Body()
			if len(body) != AgentBytes || !bytes.Equal(body, r.Body()) {
				t.Errorf("Body(%s, %s) has %d bytes, want the same %d each time", protocol, model, len(body), AgentBytes)
			}
		}
	}
}

func TestABodySaysWhatTheRequestSays(t *testing.T) {
	for _, protocol := range protocols {
		for _, size := range []Size{Small, Agent} {
			for _, stream := range []bool{false, true} {
				var got struct {
					Model    string
					Stream   bool
					Messages []any
					Input    []any
					Tools    []any
				}
				r := Request{Protocol: protocol, Size: size, Model: "m", Stream: stream}
				if err := json.Unmarshal(r.Body(), &got); err != nil {
					t.Fatalf("Body(%+v): %v", r, err)
				}
				if got.Model != "m" || got.Stream != stream || len(got.Messages)+len(got.Input) == 0 || (len(got.Tools) > 0) != (size == Agent) {
					t.Errorf("Body(%+v): model %q, stream %v, %d messages, %d tools", r, got.Model, got.Stream, len(got.Messages), len(got.Tools))
				}
			}
		}
	}
}

func TestARequestIsHTTPWithTheKeyWhereSDKsPutIt(t *testing.T) {
	for _, tc := range []struct {
		protocol            translate.Protocol
		path, header, value string
	}{
		{translate.Chat, "/v1/chat/completions", "Authorization", "Bearer k"},
		{translate.Responses, "/v1/responses", "Authorization", "Bearer k"},
		{translate.Messages, "/v1/messages", "X-Api-Key", "k"},
	} {
		r := Request{Protocol: tc.protocol, Model: "m"}
		parsed, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(r.HTTP("127.0.0.1:1", "k"))))
		if err != nil {
			t.Fatalf("%s: %v", tc.protocol, err)
		}
		body, err := io.ReadAll(parsed.Body)
		if err != nil || parsed.URL.Path != tc.path || parsed.Host != "127.0.0.1:1" || parsed.Header.Get(tc.header) != tc.value || !bytes.Equal(body, r.Body()) {
			t.Errorf("%s: %s %s, %v, body %s, %v", tc.protocol, parsed.Method, parsed.URL, parsed.Header, body, err)
		}
	}
}
