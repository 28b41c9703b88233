package caddymodule

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// errorTold is an error as a client of a protocol reads it. Messages has no code
// and no param.
type errorTold struct {
	kind, code, param, message string
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// anthropicTypes is the closed list of Anthropic's API reference.
var anthropicTypes = []string{
	"invalid_request_error", "authentication_error", "billing_error", "permission_error", "not_found_error",
	"request_too_large", "rate_limit_error", "timeout_error", "api_error", "overloaded_error",
}

// wantError fails the test unless the response is an error of a status in the
// shape of a protocol, with every member that its clients read and no other.
// own says that the gateway wrote it, and not a provider.
func (r response) wantError(t *testing.T, p translate.Protocol, status int, own bool) errorTold {
	t.Helper()
	r.want(t, status)
	if got := r.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %q", got)
	}
	if got := r.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q", got)
	}
	id := r.header.Get("X-Request-Id")
	if !uuid.MatchString(id) {
		t.Errorf("X-Request-Id = %q, want a UUID", id)
	}
	root := members(t, r.body)
	inner := members(t, string(root["error"]))
	told := errorTold{kind: text(t, inner["type"]), message: text(t, inner["message"])}
	if told.kind == "" || told.message == "" {
		t.Errorf("the error has no type or no message: %s", r.body)
	}
	if p != translate.Messages {
		wantMembers(t, root, "error")
		wantMembers(t, inner, "code", "message", "param", "type")
		told.code, told.param = textOrNull(t, inner["code"]), textOrNull(t, inner["param"])
		return told
	}
	wantMembers(t, root, "error", "request_id", "type")
	wantMembers(t, inner, "message", "type")
	if kind := text(t, root["type"]); kind != "error" {
		t.Errorf("type = %q, want error", kind)
	}
	if !slices.Contains(anthropicTypes, told.kind) {
		t.Errorf("error.type = %q, which is none of Anthropic's", told.kind)
	}
	if own && text(t, root["request_id"]) != id {
		t.Errorf("request_id = %s, want X-Request-Id %s", root["request_id"], id)
	}
	return told
}

func members(t *testing.T, object string) map[string]json.RawMessage {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(object), &m); err != nil {
		t.Fatalf("%q is no object: %v", object, err)
	}
	return m
}

func wantMembers(t *testing.T, m map[string]json.RawMessage, names ...string) {
	t.Helper()
	if got := slices.Sorted(maps.Keys(m)); !slices.Equal(got, names) {
		t.Errorf("members are %q, want %q", got, names)
	}
}

func text(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Errorf("%s is no text", raw)
	}
	return s
}

func textOrNull(t *testing.T, raw json.RawMessage) string {
	t.Helper()
	if string(raw) == "null" {
		return ""
	}
	s := text(t, raw)
	if s == "" {
		t.Error("empty text where null belongs")
	}
	return s
}

// generators are the endpoints that ask a model, one for each protocol.
var generators = []struct {
	protocol translate.Protocol
	path     string
}{
	{translate.Chat, chatPath},
	{translate.Messages, "/v1/messages"},
	{translate.Responses, "/v1/responses"},
}

func TestEveryErrorIsInTheProtocolOfItsEndpoint(t *testing.T) {
	g, _, _ := demoGateway(t)
	g.write("providers", "keyless", provider("keyless", "http://127.0.0.1:1", ""))
	g.write("models", "nokey", model("nokey", "", "keyless/x"))
	g.config = strings.Replace(g.config, "cooldown 0", "cooldown 0\nmax_body 64KiB", 1)
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}
	const ( // what OpenAI's and Anthropic's API say
		invalidRequest = "invalid_request_error"
		server         = "server_error"
	)
	for _, tc := range []struct {
		name   string
		change func(r *request) // of a good request
		model  string           // of a request that the upstream answers, "" is none
		status int
		openAI errorTold // its message is a part of the real one
		other  string    // the type for Messages
		// messagesStatus is for Messages, if it differs.
		messagesStatus int
		// provider says that the body is the provider's own.
		provider bool
	}{
		{
			name: "broken JSON", status: 400, openAI: errorTold{invalidRequest, "", "", "invalid JSON at byte 1"}, other: invalidRequest,
			change: func(r *request) { r.body = "{" },
		},
		{
			name: "no model", status: 400, openAI: errorTold{invalidRequest, "", "model", "model"}, other: invalidRequest,
			change: func(r *request) { r.body = `{"messages":[]}` },
		},
		{
			name: "unknown model", status: 404, openAI: errorTold{invalidRequest, "model_not_found", "model", `"nobody/knows it"`}, other: "not_found_error",
			change: func(r *request) { r.body = asking(r.body, "nobody/knows it") },
		},
		{
			name: "method", status: 405, openAI: errorTold{invalidRequest, "", "", "POST"}, other: invalidRequest,
			change: func(r *request) { r.method = "PUT" },
		},
		{
			name: "content type", status: 415, openAI: errorTold{invalidRequest, "", "", "application/json"}, other: invalidRequest,
			change: func(r *request) { r.header = flat{"Content-Type": "text/plain"} },
		},
		{
			name: "compressed", status: 415, openAI: errorTold{invalidRequest, "", "", "Content-Encoding"}, other: invalidRequest,
			change: func(r *request) { r.header = flat{"Content-Encoding": "gzip"} },
		},
		{
			name: "too large", status: 413, openAI: errorTold{invalidRequest, "request_too_large", "", "64 KiB"}, other: "request_too_large",
			change: func(r *request) { r.body += strings.Repeat(" ", 64<<10) },
		},
		{
			name: "no key", status: 401, openAI: errorTold{invalidRequest, "invalid_api_key", "", "missing API key"}, other: "authentication_error",
			change: func(r *request) { r.key = "-" },
		},
		{
			name: "wrong key", status: 401, openAI: errorTold{invalidRequest, "invalid_api_key", "", "invalid API key"}, other: "authentication_error",
			change: func(r *request) { r.key = "x" },
		},
		{
			name: "loop", status: 508, openAI: errorTold{server, "", "", "base_url"}, other: "api_error",
			change: func(r *request) { r.header = flat{"Llm-Proxy-Hop": "3"} },
		},
		{
			name: "no upstream key", status: 503, openAI: errorTold{server, "no_upstream_key", "", "provider keyless"}, other: "api_error",
			change: func(r *request) { r.body = asking(r.body, "nokey") },
		},
		{name: "400", model: "demo-400", status: 400, openAI: errorTold{invalidRequest, "invalid_value", "", "refuse"}, other: invalidRequest, provider: true},
		{name: "422", model: "demo-422", status: 422, openAI: errorTold{invalidRequest, "unprocessable_entity", "", "well-formed"}, other: invalidRequest, provider: true},
		{name: "context", model: "demo-context", status: 400, openAI: errorTold{invalidRequest, "context_length_exceeded", "*", ""}, other: invalidRequest, provider: true},
		{name: "policy", model: "demo-policy", status: 400, openAI: errorTold{invalidRequest, "*", "", ""}, other: invalidRequest, provider: true},
		{name: "rate", model: "demo-429-7", status: 429, openAI: errorTold{"*", "rate_limit_exceeded", "", "ate limit"}, other: "rate_limit_error"},
		{name: "bad key", model: "demo-401", status: 502, openAI: errorTold{server, "", "", "refused this gateway's key"}, other: "api_error"},
		{name: "no money", model: "demo-quota", status: 502, openAI: errorTold{server, "", "", "refused this gateway's key"}, other: "api_error"},
		{name: "unknown there", model: "demo-404", status: 404, openAI: errorTold{invalidRequest, "model_not_found", "*", ""}, other: "not_found_error"},
		{name: "500", model: "demo-500", status: 502, openAI: errorTold{server, "", "", ""}, other: "api_error"},
		{name: "503", model: "demo-503", status: 503, openAI: errorTold{server, "overloaded", "", ""}, other: "api_error"},
		{name: "504", model: "demo-504", status: 504, openAI: errorTold{server, "timeout", "", ""}, other: "timeout_error"},
		{name: "529", model: "demo-529", status: 503, openAI: errorTold{server, "overloaded", "", ""}, other: "overloaded_error", messagesStatus: 529},
		{name: "page", model: "demo-html", status: 502, openAI: errorTold{server, "", "", ""}, other: "api_error"},
		{name: "nothing", model: "demo-empty", status: 502, openAI: errorTold{server, "", "", ""}, other: "api_error"},
	} {
		for _, at := range generators {
			for _, stream := range []bool{false, true} {
				if tc.change != nil && stream {
					continue
				}
				t.Run(tc.name+" "+string(at.protocol), func(t *testing.T) {
					r := request{path: at.path, body: goodRequests[at.path]}
					if tc.change != nil {
						tc.change(&r)
					} else {
						r.body = asking(r.body, tc.model)
					}
					if stream {
						r.body = streamed(r.body)
					}
					status := tc.status
					if at.protocol == translate.Messages && tc.messagesStatus != 0 {
						status = tc.messagesStatus
					}
					got := g.do(r)
					told := got.wantError(t, at.protocol, status, !tc.provider)
					want := tc.openAI
					if at.protocol == translate.Messages {
						want = errorTold{kind: tc.other, message: want.message}
					}
					if !told.matches(want) {
						t.Errorf("error is %+v, want %+v", told, want)
					}
					attempts := got.header.Get("Llm-Proxy-Attempts")
					if tc.model != "" && attempts != "1" || tc.change != nil && attempts != "" && attempts != "0" {
						t.Errorf("Llm-Proxy-Attempts = %q", attempts)
					}
					if after := got.header.Get("Retry-After"); (after == "7") != (tc.name == "rate") {
						t.Errorf("Retry-After = %q", after)
					}
					if allow := got.header.Get("Allow"); (allow == "POST") != (tc.name == "method") {
						t.Errorf("Allow = %q", allow)
					}
				})
			}
		}
	}
}

// matches compares; "*" stands for anything.
func (e errorTold) matches(want errorTold) bool {
	same := func(got, want string) bool { return got == want || want == "*" }
	return same(e.kind, want.kind) && same(e.code, want.code) && same(e.param, want.param) && strings.Contains(e.message, want.message)
}

func TestEveryEndpointReachesAProviderThatHasOnlyOne(t *testing.T) {
	up := serve(t, new(script))
	t.Setenv("ALL_API_KEY", "upstream-key")
	// one is a provider that has a single endpoint.
	one := func(name, endpoint string) string {
		format := map[string]string{"completions": "openai", "messages": "anthropic", "responses": "responses"}[endpoint]
		return strings.NewReplacer("NAME", name, "URL", up.url, "ENDPOINT", endpoint, "PATH", strings.Replace(endpoint, "completions", "chat/completions", 1), "FORMAT", format).Replace(
			`{"name":"NAME","enabled":true,"endpoints":{"base_url":"URL/v1","ENDPOINT":"/PATH","compatible_format":"FORMAT"},"authentication":{"type":"none"}}`)
	}
	g := start(t, setup{
		providers: map[string]string{"c": one("c", "completions"), "m": one("m", "messages"), "r": one("r", "responses"), "all": fullProvider("all", up.url, "")},
		models: map[string]string{
			"chat":      model("chat", "", "c/up"),
			"messages":  model("messages", "", "m/up"),
			"responses": model("responses", "", "r/up"),
			"wire":      `{"logical_name":"wire","model_routings":[{"provider":"all","model":"up","wire_protocol":"anthropic"}]}`,
		},
	})
	for model, path := range map[string]string{"chat": chatPath, "messages": "/v1/messages", "responses": "/v1/responses", "wire": "/v1/messages"} {
		for _, at := range generators {
			up.reset()
			g.post(at.path, asking(goodRequests[at.path], model)).want(t, 200)
			if calls := up.all(); len(calls) != 1 || calls[0].path != path {
				t.Errorf("%s at %s: the upstream got %+v, want one call of %s", model, at.path, calls, path)
			}
		}
		// An estimate serves where nobody counts.
		if got := g.post("/v1/messages/count_tokens", asking(goodRequests["/v1/messages/count_tokens"], model)).want(t, 200); !strings.Contains(got.body, `"input_tokens":`) {
			t.Errorf("%s: %s", model, got.body)
		}
	}
	// Embeddings of a model that only talks.
	told := g.post("/v1/embeddings", `{"model":"chat","input":"hi"}`).wantError(t, translate.Chat, 400, true)
	if told.code != "unsupported_endpoint" || told.param != "model" || !strings.Contains(told.message, `"chat"`) {
		t.Errorf("embeddings: %+v", told)
	}
}

func TestALongNameThatSomebodyMadeUpIsNotRepeated(t *testing.T) {
	g, _, _ := demoGateway(t)
	for _, tc := range []struct {
		name   string
		status int
	}{
		{strings.Repeat("ü", 128), 404},
		{strings.Repeat("ünknown", 1000), 400}, // longer than any name
	} {
		for _, at := range generators {
			told := g.post(at.path, asking(goodRequests[at.path], tc.name)).wantError(t, at.protocol, tc.status, true)
			if len(told.message) > 256 {
				t.Errorf("%s: the message has %d bytes", at.path, len(told.message))
			}
		}
	}
}
