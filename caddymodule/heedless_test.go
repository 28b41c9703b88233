package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/simulated"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// heedless is an upstream that never streams, whatever it is asked for.
type heedless struct{ next http.Handler }

// ServeHTTP implements http.Handler.
func (h heedless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body map[string]json.RawMessage
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	delete(body, "stream")
	delete(body, "stream_options")
	text, _ := json.Marshal(body)
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(string(text))), int64(len(text))
	h.next.ServeHTTP(w, r)
}

func TestEverySDKGetsAStreamFromAnUpstreamThatNeverStreams(t *testing.T) {
	withoutSDKSettings(t)
	for _, wire := range wires {
		t.Run(string(wire), func(t *testing.T) {
			g, up, recorded := crossedGateway(t, wire, "")
			recorded.next = heedless{simulated.New(simulated.Config{})}
			openAI, claude := openAIClient(g), anthropicClient(g)
			for api, ask := range map[string]func(*testing.T, question) heard{
				"chat":          func(t *testing.T, q question) heard { return askChat(t, openAI, q) },
				"responses":     func(t *testing.T, q question) heard { return askResponses(t, openAI, q) },
				"messages":      func(t *testing.T, q question) heard { return askMessages(t, claude, q) },
				"beta messages": func(t *testing.T, q question) heard { return askBetaMessages(t, claude, q) },
			} {
				for _, tc := range answersOfTheDemo {
					t.Run(api+"/"+tc.name, func(t *testing.T) {
						up.reset()
						ask(t, question{model: tc.model, stream: true}).understood(t, tc.want)
						if calls := up.all(); len(calls) != 1 {
							t.Errorf("%d upstream calls, want 1", len(calls))
						}
						if said := recorded.last(); !strings.HasPrefix(said, "{") {
							t.Errorf("the upstream said %q, want a whole answer", said)
						}
					})
				}
			}
		})
	}
}

// wholeAnswers are small ones, with the streams that they become. White space is
// as some upstreams send it to keep a connection open.
var wholeAnswers = map[translate.Protocol]struct{ body, stream string }{
	translate.Chat: {
		" \n \n" + chatAnswer,
		`data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"role":"assistant","content":"hello"},"finish_reason":null}]}

data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"up","usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7},"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: [DONE]

`,
	},
	translate.Responses: {
		`{"id":"resp_1","object":"response","status":"completed","model":"up","output":[{"type":"reasoning","id":"rs_1","encrypted_content":"sealed","summary":[]}],
			"usage":{"input_tokens":5,"output_tokens":2,"total_tokens":7}}` + "  ",
		`event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"up","output":[],"usage":null}}

event: response.in_progress
data: {"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_1","object":"response","status":"in_progress","model":"up","output":[],"usage":null}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"type":"reasoning","id":"rs_1","encrypted_content":"sealed","summary":[]}}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":3,"output_index":0,"item":{"type":"reasoning","id":"rs_1","encrypted_content":"sealed","summary":[]}}

event: response.completed
data: {"type":"response.completed","sequence_number":4,"response":{"id":"resp_1","object":"response","status":"completed","model":"up","output":[{"type":"reasoning","id":"rs_1","encrypted_content":"sealed","summary":[]}],"usage":{"input_tokens":5,"output_tokens":2,"total_tokens":7}}}

`,
	},
	translate.Messages: {
		`{"id":"msg_1","type":"message","role":"assistant","model":"up","content":[{"type":"thinking","thinking":"","signature":"sealed"}],"stop_reason":"end_turn","usage":{"input_tokens":5,"output_tokens":2}}`,
		`event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"up","content":[],"stop_reason":null,"usage":{"input_tokens":5,"output_tokens":2}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sealed"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"input_tokens":5,"output_tokens":2}}

event: message_stop
data: {"type":"message_stop"}

`,
	},
}

// What only the client's own vendor can read comes through: nothing is translated.
// The tokens count against the key's limit, so that a second request has no key.
func TestAWholeAnswerIsAStreamInItsOwnProtocol(t *testing.T) {
	for _, wire := range wires {
		answer := wholeAnswers[wire]
		up := serve(t, answers(200, answer.body))
		t.Setenv("UP_API_KEY", "upstream-key")
		g := start(t, setup{
			providers: map[string]string{"up": fullProvider("up", up.url, `"rate_limiting": {"enabled": true, "tokens_per_minute": 7},`)},
			models:    map[string]string{"m": wired("m", "", "up", wire)},
		})
		path := pathOf[wire]
		got := g.post(path, streamed(goodRequests[path])).want(t, 200)
		if got.body != answer.stream || got.err != nil {
			t.Errorf("%s: stream = %s, %v; want %s", wire, got.body, got.err, answer.stream)
		}
		if kind := got.header.Get("Content-Type"); kind != "text/event-stream" {
			t.Errorf("%s: Content-Type = %q", wire, kind)
		}
		g.post(path, streamed(goodRequests[path])).want(t, 429)
	}
}

// An answer that is none is mended by the next route, whatever form it has; and
// so is a stream that nobody asked for.
func TestAnAnswerOfTheWrongFormIsAnAnswerOnlyIfItIsWhole(t *testing.T) {
	streams := map[translate.Protocol]string{translate.Chat: chatStream, translate.Responses: responsesStream, translate.Messages: messagesStream}
	for _, wire := range wires {
		good, script := wholeAnswers[wire].body, new(script)
		a, b := serve(t, script), serve(t, simulated.New(simulated.Config{}))
		t.Setenv("A_API_KEY", "a-key")
		t.Setenv("B_API_KEY", "b-key")
		g := start(t, setup{
			providers: map[string]string{"a": fullProvider("a", a.url, ""), "b": fullProvider("b", b.url, "")},
			models: map[string]string{"m": fmt.Sprintf(`{"logical_name": "m", "model_routings": [{"provider": "a", "model": "up", "wire_protocol": %q}, {"provider": "b", "model": "demo", "wire_protocol": %[1]q}]}`,
				wire)},
			directive: "cooldown 0\n breaker off",
		})
		for _, tc := range []struct {
			name   string
			says   http.HandlerFunc
			stream bool
		}{
			{"cut", answers(200, strings.TrimSpace(good)[:60]), true},
			{"cut of its length", answers(200, good[:60], "Content-Length", fmt.Sprint(len(good))), true},
			{"with garbage behind it", answers(200, good+"<html>"), true},
			{"another object", answers(200, `{"hello":"there"}`), true},
			{"an error", answers(200, `{"error":{"message":"busy","type":"server_error","code":500}}`), true},
			{"a list of errors", answers(200, `[{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}]`), true},
			{"a page", answers(200, "<html>hello</html>"), true},
			{"to come later", answers(200, `{"id":"r","object":"response","status":"queued","output":[]}`), true},
			{"a stream that nobody asked for", answers(200, streams[wire], "Content-Type", "text/event-stream"), false},
		} {
			script.says(tc.says)
			for client, path := range pathOf {
				request := goodRequests[path]
				if tc.stream {
					request = streamed(request)
				}
				a.reset()
				got := g.post(path, request).want(t, 200)
				if by := got.header.Get("Llm-Proxy-Provider"); by != "b" || len(a.all()) != 1 {
					t.Errorf("%s to %s, %s: answered by %s after %d calls of a, want b after 1: %s", client, wire, tc.name, by, len(a.all()), got.body)
				}
				if kind := got.header.Get("Content-Type"); (kind == "text/event-stream") != tc.stream {
					t.Errorf("%s to %s, %s: Content-Type = %q", client, wire, tc.name, kind)
				}
			}
		}
	}
}
