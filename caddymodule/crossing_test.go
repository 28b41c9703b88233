package caddymodule

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	anthropicoption "github.com/anthropics/anthropic-sdk-go/option"
	"github.com/openai/openai-go/v3/option"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/simulated"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// wires are the protocols as files name them.
var wires = []translate.Protocol{translate.Chat, translate.Responses, translate.Messages}

// wired is the text of a model file whose route is asked in one protocol.
func wired(name, extra, provider string, wire translate.Protocol) string {
	return fmt.Sprintf(`{%s"logical_name": %q, "model_routings": [{"provider": %q, "model": "*", "wire_protocol": %q}]}`, extra, name, provider, wire)
}

// crossedGateway is demoGateway with an upstream that is asked in one protocol.
func crossedGateway(t *testing.T, wire translate.Protocol, directive string) (*gateway, *upstream, *tape) {
	t.Helper()
	recorded := &tape{next: simulated.New(simulated.Config{})}
	up := serve(t, recorded)
	t.Setenv("UP_API_KEY", "upstream-key")
	g := start(t, setup{
		providers: map[string]string{"up": fullProvider("up", up.url, "")},
		models:    map[string]string{"demo": wired("demo", `"aliases": ["demo-*"],`, "up", wire)},
		directive: "cooldown 0\n" + directive,
	})
	return g, up, recorded
}

// understood compares what an SDK understood with what was to be understood.
func (h heard) understood(t *testing.T, want heard) {
	t.Helper()
	if h.text != want.text || h.stop != want.stop || !slices.Equal(h.calls, want.calls) {
		t.Errorf("understood %+v, want %+v", h, want)
	}
	if (h.thinking != "") != (want.thinking != "") {
		t.Errorf("thinking = %q, want some: %v", h.thinking, want.thinking != "")
	}
	if h.input < 2 || h.output < 1 {
		t.Errorf("usage = %d in, %d out", h.input, h.output)
	}
}

func TestEverySDKUnderstandsEveryUpstream(t *testing.T) {
	withoutSDKSettings(t)
	for _, wire := range wires {
		t.Run(string(wire), func(t *testing.T) {
			g, up, _ := crossedGateway(t, wire, "")
			openAI, claude := openAIClient(g), anthropicClient(g)
			for api, ask := range map[string]func(*testing.T, question) heard{
				"chat":          func(t *testing.T, q question) heard { return askChat(t, openAI, q) },
				"responses":     func(t *testing.T, q question) heard { return askResponses(t, openAI, q) },
				"messages":      func(t *testing.T, q question) heard { return askMessages(t, claude, q) },
				"beta messages": func(t *testing.T, q question) heard { return askBetaMessages(t, claude, q) },
			} {
				for _, tc := range answersOfTheDemo {
					for _, stream := range []bool{false, true} {
						t.Run(fmt.Sprintf("%s/%s/stream=%v", api, tc.name, stream), func(t *testing.T) {
							up.reset()
							ask(t, question{model: tc.model, stream: stream}).understood(t, tc.want)
							calls := up.all()
							if len(calls) != 1 || !strings.HasSuffix(calls[0].path, pathOf[wire]) {
								t.Fatalf("upstream calls = %+v, want one at %s", calls, pathOf[wire])
							}
						})
					}
				}
			}
		})
	}
}

var pathOf = map[translate.Protocol]string{
	translate.Chat:      chatPath,
	translate.Responses: "/v1/responses",
	translate.Messages:  "/v1/messages",
}

// A stream that breaks must never look whole, whatever protocol it broke in.
func TestABrokenStreamIsAnErrorInEveryProtocol(t *testing.T) {
	withoutSDKSettings(t)
	for _, wire := range wires {
		g, _, _ := crossedGateway(t, wire, "")
		for client, path := range pathOf {
			for _, fault := range []string{"cut", "eof", "badjson", "error-late", "error-late+529", "error-event+529"} {
				request := asking(streamed(goodRequests[path]), "demo-long-20+"+fault)
				request = strings.Replace(request, `"max_tokens":5`, `"max_tokens":500`, 1)
				got := g.post(path, request)
				name := fmt.Sprintf("%s to %s, %s", client, wire, fault)
				if got.status != 200 {
					// Nothing had been passed on yet.
					if got.status < 500 {
						t.Errorf("%s: status %d: %s", name, got.status, got.body)
					}
					continue
				}
				for end, is := range map[string]bool{
					"[DONE]": client == translate.Chat, `"finish_reason":"stop"`: client == translate.Chat,
					"message_stop": client == translate.Messages, "response.completed": client == translate.Responses,
				} {
					if is && strings.Contains(got.body, end) {
						t.Errorf("%s: the stream ended like a whole one: %s", name, got.body)
					}
				}
				if want := map[translate.Protocol]string{translate.Chat: `data: {"error":`, translate.Messages: "event: error", translate.Responses: "event: response.failed"}[client]; !strings.Contains(got.body, want) && got.err == nil {
					t.Errorf("%s: no %s in %s", name, want, got.body)
				}
			}
		}
	}
}

func TestErrorsCrossWithTheirMeaning(t *testing.T) {
	for _, wire := range wires {
		g, _, _ := crossedGateway(t, wire, "")
		for client, path := range pathOf {
			for _, tc := range []struct {
				model      string
				status     int
				says       string // in the body
				retryAfter string
			}{
				{model: "demo-400", status: 400, says: `"type":"invalid_request_error"`},
				{model: "demo-context", status: 400, says: map[bool]string{true: "prompt is too long", false: `"code":"context_length_exceeded"`}[client == translate.Messages]},
				{model: "demo-429-7", status: 429, says: "rate_limit", retryAfter: "7"},
				{model: "demo-529-9", status: map[bool]int{true: 529, false: 503}[client == translate.Messages], says: "overloaded", retryAfter: "9"},
				{model: "demo-500", status: 502, retryAfter: "1"},
			} {
				for _, stream := range []bool{false, true} {
					request := asking(goodRequests[path], tc.model)
					if stream {
						request = streamed(request)
					}
					got := g.post(path, request)
					name := fmt.Sprintf("%s to %s, %s, stream=%v", client, wire, tc.model, stream)
					if got.status != tc.status || !strings.Contains(got.body, tc.says) {
						t.Errorf("%s: %d %s, want %d with %s", name, got.status, got.body, tc.status, tc.says)
					}
					if got.header.Get("Retry-After") != tc.retryAfter {
						t.Errorf("%s: Retry-After = %q, want %q", name, got.header.Get("Retry-After"), tc.retryAfter)
					}
					if isMessages := strings.HasPrefix(got.body, `{"type":"error"`); isMessages != (client == translate.Messages) {
						t.Errorf("%s: %s is not in the client's protocol", name, got.body)
					}
				}
			}
		}
	}
}

const seeded = `{"model":"demo","seed":7,"messages":[{"role":"user","content":"hi"}],"max_tokens":50}`

func TestWhatIsLostIsTold(t *testing.T) {
	for _, tc := range []struct {
		directive, extra string
		status           int
		warnings         string
	}{
		{"", "", 200, "param=seed;action=dropped"},
		{"on_lossy warn", "", 200, "param=seed;action=dropped"},
		{"on_lossy ignore", "", 200, ""},
		{"on_lossy reject", "", 400, ""},
		{"on_lossy reject", `"on_lossy": "ignore",`, 200, ""},
		{"", `"on_lossy": "reject",`, 400, ""},
	} {
		up := serve(t, simulated.New(simulated.Config{}))
		t.Setenv("UP_API_KEY", "upstream-key")
		g := start(t, setup{
			providers: map[string]string{"up": fullProvider("up", up.url, "")},
			models: map[string]string{
				"demo":  wired("demo", tc.extra, "up", translate.Messages),
				"plain": model("plain", tc.extra, "up/demo"),
			},
			directive: tc.directive,
		})
		for _, stream := range []bool{false, true} {
			request := seeded
			if stream {
				request = streamed(request)
			}
			up.reset()
			got := g.post(chatPath, request).want(t, tc.status)
			if got.header.Get("Llm-Proxy-Warnings") != tc.warnings {
				t.Errorf("%s %s: warnings are %q, want %q", tc.directive, tc.extra, got.header.Get("Llm-Proxy-Warnings"), tc.warnings)
			}
			if tc.status == 400 && (got.get(t, "error", "param") != "seed" || len(up.all()) > 0) {
				t.Errorf("%s %s: %s after %d calls", tc.directive, tc.extra, got.body, len(up.all()))
			}
		}
		// Where nothing has to be translated nothing is lost.
		if got := g.post(chatPath, asking(strings.Replace(seeded, `"demo"`, `"m"`, 1), "plain")).want(t, 200); got.header.Get("Llm-Proxy-Warnings") != "" {
			t.Errorf("the client's own protocol: warnings are %q", got.header.Get("Llm-Proxy-Warnings"))
		}
	}
}

// What is said in one vendor's headers means nothing to another.
func TestHeadersStayWithTheirVendor(t *testing.T) {
	for _, wire := range wires {
		g, up, _ := crossedGateway(t, wire, "")
		for client, path := range pathOf {
			up.reset()
			got := g.do(request{path: path, body: asking(goodRequests[path], "demo"), header: map[string]string{
				"Anthropic-Beta": "effort-2025-11-24", "Anthropic-Version": "2026-10-21", "Openai-Beta": "responses=experimental",
				"X-Codex-Beta-Features": "remote_compaction_v2", "User-Agent": "an-agent/1.0",
			}}).want(t, 200)
			sent := up.all()[0].header
			if sent.Get("User-Agent") != "an-agent/1.0" {
				t.Errorf("%s to %s: User-Agent = %q", client, wire, sent.Get("User-Agent"))
			}
			for _, name := range []string{"Anthropic-Beta", "Openai-Beta", "X-Codex-Beta-Features"} {
				if (sent.Get(name) != "") != (client == wire) {
					t.Errorf("%s to %s: %s = %q", client, wire, name, sent.Get(name))
				}
			}
			if client != wire && wire == translate.Messages && sent.Get("Anthropic-Version") != "2023-06-01" {
				t.Errorf("%s to %s: Anthropic-Version = %q", client, wire, sent.Get("Anthropic-Version"))
			}
			if got.header.Get("Request-Id") == "" && client == translate.Messages && client != wire {
				t.Errorf("%s to %s: no Request-Id", client, wire)
			}
		}
	}
}

// The reasoning of one vendor comes back to a client in an envelope, from there
// to the vendor as it was, and to nobody else.
func TestReasoningReturnsOnlyToItsVendor(t *testing.T) {
	g, up, _ := crossedGateway(t, translate.Responses, "")
	g.write("models", "demo", wired("demo", `"aliases": ["demo-*"], "capabilities": {"reasons": true, "efforts": ["low", "medium", "high"]},`, "up", translate.Responses))
	g.write("models", "claude", wired("claude", "", "up", translate.Messages))
	g.wantReload(t, "")
	first := g.post("/v1/messages", `{"model":"demo-thinking","max_tokens":500,"messages":[{"role":"user","content":"hi"}]}`).want(t, 200)
	content := first.body[strings.Index(first.body, `"content":`)+len(`"content":`):]
	content = content[:strings.Index(content, `],"`)+1]
	if !strings.Contains(content, `"signature":"`+translate.EnvelopeMark+"up.") {
		t.Fatalf("no envelope in %s", content)
	}
	next := func(model string) call {
		t.Helper()
		up.reset()
		g.post("/v1/messages", fmt.Sprintf(`{"model":%q,"max_tokens":500,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":%s},{"role":"user","content":"and?"}]}`, model, content)).want(t, 200)
		return up.all()[0]
	}
	if c := next("demo"); !strings.Contains(c.body, `"type":"reasoning"`) || !strings.Contains(c.body, `"encrypted_content"`) || strings.Contains(c.body, translate.EnvelopeMark) {
		t.Errorf("the vendor gets %s, want its own reasoning", c.body)
	}
	if c := next("claude"); strings.Contains(c.body, `"type":"thinking"`) || strings.Contains(c.body, translate.EnvelopeMark) {
		t.Errorf("another protocol's upstream gets %s, want no reasoning in it", c.body)
	}
}

// Another vendor thought before the tool call that this request goes on with, so
// the client's own vendor cannot think about it.
func TestThinkingIsSwitchedOffBehindAnotherVendorsToolCall(t *testing.T) {
	up := serve(t, simulated.New(simulated.Config{}))
	t.Setenv("UP_API_KEY", "upstream-key")
	g := start(t, setup{
		providers: map[string]string{"up": fullProvider("up", up.url, "")},
		models:    map[string]string{"demo": model("demo", "", "up/demo"), "strict": model("strict", `"on_lossy": "reject",`, "up/demo")},
	})
	request := func(model, signature string) string {
		return fmt.Sprintf(`{"model":%q,"max_tokens":4000,"thinking":{"type":"enabled","budget_tokens":2000},"tools":[{"name":"f","input_schema":{"type":"object"}}],"messages":[
			{"role":"user","content":"hi"},
			{"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":%q},{"type":"tool_use","id":"call_1","name":"f","input":{}}]},
			{"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1","content":"r"}]}]}`, model, signature)
	}
	got := g.post("/v1/messages", request("demo", translate.EnvelopeMark+"openai.e30"))
	if body := up.all()[0].body; !strings.Contains(body, `"thinking":{"type":"disabled"}`) || strings.Contains(body, translate.EnvelopeMark) {
		t.Errorf("the upstream got %s; %s", body, got.body)
	}
	if got.header.Get("Llm-Proxy-Warnings") != "param=thinking;action=dropped" {
		t.Errorf("warnings are %q", got.header.Get("Llm-Proxy-Warnings"))
	}
	up.reset()
	g.post("/v1/messages", request("strict", translate.EnvelopeMark+"openai.e30")).want(t, 400)
	g.post("/v1/messages", request("demo", "of-the-vendor"))
	if calls := up.all(); len(calls) != 1 || !strings.Contains(calls[0].body, `"signature":"of-the-vendor"`) {
		t.Errorf("calls = %+v, want one with the client's own bytes", calls)
	}
}

func TestTheClientsModelIsEchoedWhereTheSiteWantsIt(t *testing.T) {
	for directive, want := range map[string]string{"": "up-model", "model_echo requested": "demo"} {
		up := serve(t, answers(http.StatusOK, strings.Replace(chatAnswer, `"model":"up"`, `"model":"up-model"`, 1)))
		t.Setenv("UP_API_KEY", "upstream-key")
		g := start(t, setup{
			providers: map[string]string{"up": fullProvider("up", up.url, "")},
			models:    map[string]string{"demo": wired("demo", "", "up", translate.Chat)},
			directive: directive,
		})
		if got := g.post("/v1/messages", asking(goodRequests["/v1/messages"], "demo")).want(t, 200); got.get(t, "model") != want {
			t.Errorf("%q: model = %v, want %s", directive, got.get(t, "model"), want)
		}
	}
}

// Only a request for the background is answered so, and those do not cross.
func TestAnAnswerThatIsStillToComeIsNoAnswer(t *testing.T) {
	for _, status := range []string{"queued", "in_progress", "cancelled"} {
		up := serve(t, answers(http.StatusOK, `{"id":"resp_1","object":"response","status":"`+status+`","model":"up","output":[]}`))
		t.Setenv("UP_API_KEY", "upstream-key")
		g := start(t, setup{
			providers: map[string]string{"up": fullProvider("up", up.url, "")},
			models:    map[string]string{"demo": wired("demo", "", "up", translate.Responses)},
			directive: "cooldown 0",
		})
		for _, path := range []string{chatPath, "/v1/messages"} {
			g.post(path, asking(goodRequests[path], "demo")).want(t, http.StatusBadGateway)
		}
	}
}

func TestABrokenStreamIsAnErrorToTheSDKsAcrossProtocols(t *testing.T) {
	withoutSDKSettings(t)
	g, _, _ := crossedGateway(t, translate.Chat, "")
	client := anthropicClient(g, anthropicoption.WithMaxRetries(0))
	claude := client.Messages.NewStreaming(soon(t), messageParams(question{model: "demo-long-20+cut"}))
	for claude.Next() {
	}
	if claude.Err() == nil {
		t.Error("messages: no error")
	}
	openAI := openAIClient(g, option.WithMaxRetries(0))
	failed := false
	stream := openAI.Responses.NewStreaming(soon(t), responseParams(question{model: "demo-long-20+cut"}))
	for stream.Next() {
		failed = failed || stream.Current().Type == "response.failed"
	}
	if stream.Err() == nil && !failed {
		t.Error("responses: no error")
	}
}
