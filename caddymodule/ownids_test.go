package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// geminiSignature is as long as they come for short thoughts.
var geminiSignature = strings.Repeat("CiQB4/+k", 20) + "Ag=="

// geminiCalls is a stream of Gemini's in which the model calls a tool.
var geminiCalls = `data: {"id":"g1","object":"chat.completion.chunk","created":1,"model":"gemini","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[` +
	`{"index":0,"id":"function-call-1","type":"function","function":{"name":"shell","arguments":"{\"command\":\"ls\"}"},"extra_content":{"google":{"thought_signature":"` + geminiSignature + `"}}}]},` +
	`"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}

data: [DONE]

`

// codexAsks is a request as Codex makes it, with what was said so far.
func codexAsks(items ...string) string {
	return `{"model":"m","instructions":"Be brief.","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"hi"}]}` +
		strings.Join(append([]string{""}, items...), ",") + `],"tools":[{"type":"function","name":"shell","strict":false,"parameters":{"type":"object","properties":{}}}],` +
		`"tool_choice":"auto","parallel_tool_calls":false,"store":false,"stream":true,"include":[]}`
}

// doneCall is the tool call in a stream of the Responses API, and its id.
func doneCall(t *testing.T, stream string) (item, id string) {
	t.Helper()
	for line := range strings.Lines(stream) {
		var event struct {
			Type string
			Item json.RawMessage
		}
		data, ok := strings.CutPrefix(line, "data: ")
		if !ok || json.Unmarshal([]byte(data), &event) != nil || event.Type != "response.output_item.done" {
			continue
		}
		var call struct {
			Type   string
			CallID string `json:"call_id"`
		}
		if json.Unmarshal(event.Item, &call) == nil && call.Type == "function_call" {
			return string(event.Item), call.CallID
		}
	}
	t.Fatalf("no call in %s", stream)
	return "", ""
}

// What Gemini signs goes to the client in the id of the call, and from there back
// to Gemini. A provider of the client's own protocol must not see it: OpenAI takes
// ids of 64 characters.
func TestTheSignatureInACallsIDGoesToItsVendorOnly(t *testing.T) {
	gemini, openAI := new(script), new(script)
	up, other := serve(t, gemini), serve(t, openAI)
	t.Setenv("GEMINI_API_KEY", "gemini-key")
	t.Setenv("OPENAI_API_KEY", "openai-key")
	g := start(t, setup{
		providers: map[string]string{
			"gemini": provider("gemini", up.url, `"quirks": {"thought_signatures": true},`),
			"openai": provider("openai", other.url, ""),
		},
		models: map[string]string{"m": fmt.Sprintf(
			`{"logical_name": "m", "model_routings": [{"provider": "gemini", "model": "gemini", "wire_protocol": %q}, {"provider": "openai", "model": "m", "wire_protocol": %q}]}`,
			translate.Chat, translate.Responses)},
		directive: "cooldown 0",
	})

	gemini.says(answers(http.StatusOK, geminiCalls, "Content-Type", "text/event-stream"))
	call, id := doneCall(t, g.post("/v1/responses", codexAsks()).want(t, http.StatusOK).body)
	const plain = "function-call-1"
	signed := strings.TrimPrefix(id, plain)
	if !strings.HasPrefix(signed, "__sig_") || len(id) <= 64 {
		t.Fatalf("call_id = %q, want one with a signature", id)
	}

	next := codexAsks(call, fmt.Sprintf(`{"type":"function_call_output","call_id":%q,"output":"it ended in __sig_QUJD"}`, id))
	up.reset()
	g.post("/v1/responses", next).want(t, http.StatusOK)
	if calls := up.all(); len(calls) != 1 || len(other.all()) != 0 {
		t.Fatalf("calls = %+v, %+v, want one to Gemini", calls, other.all())
	} else if sent := calls[0].body; !strings.Contains(sent, `"extra_content":{"google":{"thought_signature":"`+geminiSignature+`"}}`) ||
		!strings.Contains(sent, `"tool_call_id":"`+plain+`"`) || strings.Contains(sent, signed) {
		t.Errorf("Gemini gets %s, want its signature beside the call", sent)
	}

	gemini.says(answers(http.StatusInternalServerError, brokenBody))
	g.post("/v1/responses", next).want(t, http.StatusOK)
	if calls := other.all(); len(calls) != 1 || calls[0].path != "/v1/responses" {
		t.Fatalf("calls = %+v, want one to the second provider", calls)
	} else if sent, want := calls[0].body, strings.ReplaceAll(next, signed, ""); sent != want {
		t.Errorf("the second provider gets %s, want %s", sent, want)
	}
}
