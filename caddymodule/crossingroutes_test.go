package caddymodule

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/simulated"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// A route that cannot carry a request is no reason to refuse it where another
// one can.
func TestARequestThatCannotCrossGoesWhereItNeedNot(t *testing.T) {
	up := serve(t, answers(http.StatusOK, chatAnswer))
	t.Setenv("UP_API_KEY", "upstream-key")
	route := func(wire translate.Protocol) string {
		return fmt.Sprintf(`{"provider": "up", "model": "demo", "wire_protocol": %q}`, wire)
	}
	file := func(name string, routes ...string) string {
		return fmt.Sprintf(`{"logical_name": %q, "model_routings": [%s]}`, name, strings.Join(routes, ", "))
	}
	g := start(t, setup{
		providers: map[string]string{"up": fullProvider("up", up.url, "")},
		models:    map[string]string{"both": file("both", route(translate.Messages), route(translate.Chat)), "one": file("one", route(translate.Messages))},
	})
	const several = `{"model":"m","n":2,"messages":[{"role":"user","content":"hi"}]}`
	g.post(chatPath, asking(several, "both")).want(t, 200)
	if calls := up.all(); len(calls) != 1 || calls[0].path != chatPath {
		t.Errorf("calls = %+v, want one in the client's own protocol", calls)
	}
	up.reset()
	got := g.post(chatPath, asking(several, "one")).want(t, 400)
	if got.get(t, "error", "param") != "n" || len(up.all()) != 0 || got.header.Get("X-Should-Retry") != "false" {
		t.Errorf("%s after %d calls", got.body, len(up.all()))
	}
}

// What a provider dislikes about a translation may be the translation; the
// client's own words may yet be taken elsewhere.
func TestATranslationThatAProviderDislikesIsNoReasonToStop(t *testing.T) {
	const dislike = `{"type":"error","error":{"type":"invalid_request_error","message":"messages.3.content: no"}}`
	picky, fine := serve(t, answers(http.StatusBadRequest, dislike)), serve(t, answers(http.StatusOK, chatAnswer))
	t.Setenv("PICKY_API_KEY", "upstream-key")
	t.Setenv("FINE_API_KEY", "upstream-key")
	route := func(provider string, wire translate.Protocol) string {
		return fmt.Sprintf(`{"provider": %q, "model": "up", "wire_protocol": %q}`, provider, wire)
	}
	file := func(name string, routes ...string) string {
		return fmt.Sprintf(`{"logical_name": %q, "model_routings": [%s]}`, name, strings.Join(routes, ", "))
	}
	g := start(t, setup{
		providers: map[string]string{"picky": fullProvider("picky", picky.url, ""), "fine": fullProvider("fine", fine.url, "")},
		models: map[string]string{
			"own":        file("own", route("picky", translate.Messages), route("fine", translate.Chat)),
			"translated": file("translated", route("picky", translate.Messages), route("fine", translate.Responses)),
		},
	})
	g.post(chatPath, asking(chatRequest, "own")).want(t, 200)
	told := g.post(chatPath, asking(chatRequest, "translated")).wantError(t, translate.Chat, 400, false)
	if told.message != "messages.3.content: no" || told.param != "" {
		t.Errorf("told %+v, want the provider's words and no field of another protocol", told)
	}
	if n := len(fine.all()); n != 1 {
		t.Errorf("the other provider was asked %d times, want once", n)
	}
}

// While every key rests there is nothing to translate for.
func TestNothingIsTranslatedWhileAllKeysRest(t *testing.T) {
	up := serve(t, answers(http.StatusTooManyRequests, `{"error":{"message":"slow down","type":"rate_limit_error"}}`, "Retry-After", "60"))
	t.Setenv("UP_API_KEY", "upstream-key")
	g := start(t, setup{
		providers: map[string]string{"up": fullProvider("up", up.url, "")},
		models:    map[string]string{"demo": wired("demo", "", "up", translate.Chat)},
	})
	request := asking(goodRequests["/v1/messages"], "demo")
	g.post("/v1/messages", request).want(t, 429)
	// A request that cannot cross would be refused if it were looked at.
	foreign := strings.Replace(request, "{", `{"inference_geo":"eu",`, 1)
	if got := g.post("/v1/messages", foreign).want(t, 429); got.header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After in %v", got.header)
	}
	if n := len(up.all()); n != 1 {
		t.Errorf("upstream calls = %d, want 1", n)
	}
}

// Default parameters of a provider must not bring back what the model refuses.
func TestDefaultParametersDoNotUndoATranslation(t *testing.T) {
	up := serve(t, answers(http.StatusOK, chatAnswer))
	t.Setenv("UP_API_KEY", "upstream-key")
	g := start(t, setup{
		providers: map[string]string{"up": fullProvider("up", up.url, `"request_config": {"default_parameters": {"max_tokens": 100, "temperature": 0.5, "top_a": 1}},
			"quirks": {"max_tokens_field": "max_completion_tokens"}, "capabilities": [{"models": "*", "sampling": "never"}],`)},
		models: map[string]string{"demo": wired("demo", "", "up", translate.Chat)},
	})
	g.post("/v1/messages", asking(goodRequests["/v1/messages"], "demo")).want(t, 200)
	body := up.all()[0].body
	if strings.Contains(body, `"max_tokens"`) || strings.Contains(body, "temperature") || !strings.Contains(body, `"max_completion_tokens":5`) || !strings.Contains(body, `"top_a":1`) {
		t.Errorf("the upstream got %s", body)
	}
}

// A provider that wants tool results completed gets them with the first request:
// a translation cannot do without.
func TestToolResultsAreCompletedBeforeATranslation(t *testing.T) {
	up := serve(t, answers(http.StatusOK, chatAnswer))
	t.Setenv("UP_API_KEY", "upstream-key")
	g := start(t, setup{
		providers: map[string]string{"up": fullProvider("up", up.url, `"error_handling": {"422": {"action": "auto_fix_tool_responses"}},`)},
		models:    map[string]string{"demo": wired("demo", "", "up", translate.Chat)},
	})
	g.post("/v1/messages", `{"model":"demo","max_tokens":5,"messages":[{"role":"user","content":"hi"},
		{"role":"assistant","content":[{"type":"tool_use","id":"call_1","name":"f","input":{}}]},{"role":"user","content":"well?"}]}`).want(t, 200)
	if body := up.all()[0].body; !strings.Contains(body, `"role":"tool","tool_call_id":"call_1"`) {
		t.Errorf("the upstream got %s", body)
	}
}

func TestBetasOfAnthropicStayWhereNobodyKnowsThem(t *testing.T) {
	up := serve(t, answers(http.StatusOK, goodAnswers["/v1/messages"]))
	t.Setenv("UP_API_KEY", "upstream-key")
	g := start(t, setup{
		providers: map[string]string{"up": fullProvider("up", up.url, `"quirks": {"drop_betas": true},`)},
		models: map[string]string{
			"m":      model("m", "", "up/m"),
			"strict": model("strict", `"on_lossy": "reject",`, "up/m"),
		},
	})
	const plain = `"messages":[{"role":"user","content":"hi"}],"max_tokens":5`
	for _, tc := range []struct{ sent, want, warnings string }{
		{`{"model":"m",` + plain + `}`, `{"model":"m",` + plain + `}`, ""},
		{`{"context_management":{"edits":[]},"model":"m",` + plain + `}`, `{"model":"m",` + plain + `}`, "param=context_management;action=dropped"},
		{`{"model":"m",` + plain + `,"speed":"fast","diagnostics":{"a":1}}`, `{"model":"m",` + plain + `}`, "param=speed;action=dropped, param=diagnostics;action=dropped"},
		{`{"speed":"fast","fallbacks":[ 1 ] , "model":"m", "diagnostics" : null , ` + plain + `}`, `{"model":"m", ` + plain + `}`, "param=speed;action=dropped, param=fallbacks;action=dropped"},
	} {
		up.reset()
		got := g.do(request{path: "/v1/messages?beta=true", body: tc.sent, header: map[string]string{"Anthropic-Beta": "context-management-2025-06-27"}}).want(t, 200)
		c := up.all()[0]
		if strings.ReplaceAll(c.body, " ", "") != strings.ReplaceAll(tc.want, " ", "") || c.header.Get("Anthropic-Beta") != "" || strings.Contains(c.path, "beta") {
			t.Errorf("%s becomes %s at %s with %v", tc.sent, c.body, c.path, c.header)
		}
		if got.header.Get("Llm-Proxy-Warnings") != tc.warnings {
			t.Errorf("%s: warnings are %q, want %q", tc.sent, got.header.Get("Llm-Proxy-Warnings"), tc.warnings)
		}
	}
	for _, refused := range []string{`{"model":"m","mcp_servers":[{"url":"https://x"}],` + plain + `}`, `{"model":"strict","speed":"fast",` + plain + `}`} {
		up.reset()
		if got := g.post("/v1/messages", refused).want(t, 400); len(up.all()) != 0 {
			t.Errorf("%s was sent on; %s", refused, got.body)
		}
	}
}

// A search of the upstream's own is nothing that the client sees, so until there
// is more another route can take over.
func TestASearchThatFailsIsNoAnswer(t *testing.T) {
	const searching = `event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":1,"status":"in_progress","model":"up","output":[]}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"ws_1","type":"web_search_call","status":"in_progress"}}

event: response.output_item.done
data: {"type":"response.output_item.done","sequence_number":2,"output_index":0,"item":{"id":"ws_1","type":"web_search_call","status":"completed"}}

event: response.failed
data: {"type":"response.failed","sequence_number":3,"response":{"id":"resp_1","object":"response","created_at":1,"status":"failed","model":"up","output":[],"error":{"code":"server_error","message":"no"}}}

`
	first := serve(t, &scripted{contentType: "text/event-stream", pieces: [][]byte{[]byte(searching)}})
	second := serve(t, simulated.New(simulated.Config{}))
	t.Setenv("FIRST_API_KEY", "upstream-key")
	t.Setenv("SECOND_API_KEY", "upstream-key")
	g := start(t, setup{
		providers: map[string]string{"first": fullProvider("first", first.url, ""), "second": fullProvider("second", second.url, "")},
		models: map[string]string{"m": `{"logical_name":"m","model_routings":[{"provider":"first","model":"up","wire_protocol":"responses"},
			{"provider":"second","model":"demo","wire_protocol":"openai"}]}`},
	})
	got := g.post("/v1/messages", streamed(goodRequests["/v1/messages"])).want(t, 200)
	if got.header.Get("Llm-Proxy-Provider") != "second" || !strings.Contains(got.body, "message_stop") {
		t.Errorf("provider %s: %s", got.header.Get("Llm-Proxy-Provider"), got.body)
	}
}
