package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// served are all endpoints, in the protocol of their errors.
var served = []struct {
	method, path string
	protocol     translate.Protocol
}{
	{"POST", "/v1/chat/completions", translate.Chat},
	{"POST", "/v1/chat/completions-stream", translate.Chat},
	{"POST", "/v1/chat/completions/stream", translate.Chat},
	{"POST", "/v1/messages", translate.Messages},
	{"POST", "/v1/messages-stream", translate.Messages},
	{"POST", "/v1/messages/count_tokens", translate.Messages},
	{"POST", "/v1/responses", translate.Responses},
	{"POST", "/v1/embeddings", translate.Chat},
	{"GET", "/v1/models", translate.Chat},
	{"GET", "/v1/models/m", translate.Chat},
	{"GET", "/health", translate.Chat},
	{"GET", "/health/detailed", translate.Chat},
}

// plainGateway serves model m from an upstream that answers everything.
func plainGateway(t *testing.T, s setup) (*gateway, *upstream) {
	t.Helper()
	up := serve(t, new(script))
	t.Setenv("UP_API_KEY", "upstream-key")
	s.providers = map[string]string{"up": fullProvider("up", up.url, "")}
	s.models = map[string]string{"m": model("m", "", "up/up")}
	return start(t, s), up
}

// goodRequest is a request that an endpoint answers. The stream aliases take
// the bodies of their plain forms.
func goodRequest(method, path string) request {
	plain := strings.NewReplacer("-stream", "", "/stream", "").Replace(path)
	return request{method: method, path: path, body: goodRequests[plain]}
}

func TestEveryEndpointAnswers(t *testing.T) {
	g, up := plainGateway(t, setup{})
	for _, e := range served {
		up.reset()
		got := g.do(goodRequest(e.method, e.path)).want(t, 200)
		if got.err != nil || got.body == "" {
			t.Errorf("%s: %q, %v", e.path, got.body, got.err)
		}
		if !uuid.MatchString(got.header.Get("X-Request-Id")) || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: headers %v", e.path, got.header)
		}
		streams := strings.HasSuffix(e.path, "stream")
		want := "application/json"
		if streams {
			want = "text/event-stream"
		}
		if kind := got.header.Get("Content-Type"); kind != want {
			t.Errorf("%s: Content-Type %q, want %q", e.path, kind, want)
		}
		plain := strings.NewReplacer("-stream", "", "/stream", "").Replace(e.path)
		switch calls := up.all(); {
		case e.method == "GET" && len(calls) > 0:
			t.Errorf("%s: asks the upstream", e.path)
		case e.method == "POST":
			if len(calls) != 1 || calls[0].path != plain || strings.Contains(calls[0].body, `"stream":true`) != streams {
				t.Errorf("%s: upstream calls are %+v", e.path, calls)
			}
			for name, want := range map[string]string{"Llm-Proxy-Provider": "up", "Llm-Proxy-Model": "up", "Llm-Proxy-Attempts": "1"} {
				if value := got.header.Get(name); value != want {
					t.Errorf("%s: %s = %q, want %q", e.path, name, value, want)
				}
			}
		}
	}
}

func TestRequestIDsAreOurOwnAndNeverTheSame(t *testing.T) {
	g, _ := plainGateway(t, setup{})
	seen := map[string]bool{}
	for range 3 {
		for _, e := range served {
			r := goodRequest(e.method, e.path)
			r.header = map[string]string{"X-Request-Id": "00000000-0000-4000-8000-000000000000"}
			id := g.do(r).header.Get("X-Request-Id")
			if seen[id] || id == r.header["X-Request-Id"] || !uuid.MatchString(id) {
				t.Errorf("%s: X-Request-Id %q", e.path, id)
			}
			seen[id] = true
		}
	}
}

func TestAnotherMethodIsRefusedWithTheOneThatIsTaken(t *testing.T) {
	g, up := plainGateway(t, setup{})
	for _, e := range served {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"} {
			if method == e.method || method == "HEAD" && e.method == "GET" {
				continue
			}
			r := goodRequest(e.method, e.path)
			r.method = method
			got := g.do(r)
			want := e.method
			if want == "GET" {
				want = "GET, HEAD"
			}
			if allow := got.header.Get("Allow"); got.status != 405 || allow != want {
				t.Errorf("%s %s: status %d, Allow %q, want 405, %q", method, e.path, got.status, allow, want)
			}
			if method != "HEAD" {
				got.wantError(t, e.protocol, 405, true)
			}
		}
	}
	if n := len(up.all()); n != 0 {
		t.Errorf("upstream calls = %d, want 0", n)
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	g, _ := plainGateway(t, setup{})
	for _, path := range []string{"/v1/models", "/v1/models/m", "/health", "/health/detailed"} {
		get := g.do(request{method: "GET", path: path}).want(t, 200)
		head := g.do(request{method: "HEAD", path: path}).want(t, 200)
		if head.body != "" || head.header.Get("Content-Type") != get.header.Get("Content-Type") {
			t.Errorf("%s: HEAD is %q with %v", path, head.body, head.header)
		}
	}
	g.do(request{method: "HEAD", path: "/v1/models/unknown"}).want(t, 404)
}

// Codex asks for a WebSocket first. Only a 426 makes it take HTTP at once.
func TestAWebSocketIsDeclinedInAWayThatCodexUnderstands(t *testing.T) {
	g, _ := plainGateway(t, setup{})
	upgrade := map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}
	g.do(request{method: "GET", path: "/v1/responses", header: upgrade}).wantError(t, translate.Responses, 426, true)
	g.do(request{method: "GET", path: "/v1/responses"}).wantError(t, translate.Responses, 405, true)
	g.do(request{method: "GET", path: chatPath, header: upgrade}).wantError(t, translate.Chat, 405, true)
}

func TestWhatTheGatewayDoesNotServeGoesToTheNextHandler(t *testing.T) {
	g, up := plainGateway(t, setup{})
	for _, path := range []string{
		"/", "/index.html", "/v1", "/v1/", "/v1/completions", "/v1/chat", "/v1/chat/completions/", "/v1/chat/completions/stream/",
		"/v1/chat/completions-streams", "/V1/chat/completions", "/v1//chat/completions", "/v1/messages/", "/v1/messages/batches",
		"/v1/responses/resp_1", "/v1/responses/compact", "/v1/models/", "/v1/modelsx", "/health/", "/health/live", "/healthz",
		"/x/../v1/models", "/v1/embeddings/x", "/chat/completions", "/llm_proxy/health", "/v1/messages%00",
	} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			got := g.do(request{method: method, path: path, body: chatRequest})
			if got.status != 404 || got.body != "the next handler" || got.header.Get("X-Request-Id") != "" {
				t.Errorf("%s %s: status %d, %q", method, path, got.status, got.body)
			}
		}
	}
	for _, e := range served {
		if got := g.do(request{method: "OPTIONS", path: e.path, key: "-"}); got.body != "the next handler" {
			t.Errorf("OPTIONS %s: %d, %q, want it to be the site's", e.path, got.status, got.body)
		}
	}
	if n := len(up.all()); n != 0 {
		t.Errorf("upstream calls = %d, want 0", n)
	}
}

func TestAPrefixOfTheSiteIsStrippedByHandlePath(t *testing.T) {
	up := serve(t, new(script))
	t.Setenv("UP_API_KEY", "upstream-key")
	g := start(t, setup{
		providers: map[string]string{"up": fullProvider("up", up.url, "")},
		models:    map[string]string{"m": model("m", "", "up/up"), "vendor/n": model("vendor/n", "", "up/up")},
	})
	open, end := strings.Index(g.config, "llm_proxy {"), strings.Index(g.config, "respond ")
	g.config = g.config[:open] + "handle_path /ai/* {\n" + g.config[open:end] + "}\n" + g.config[end:]
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}
	for _, e := range served {
		r := goodRequest(e.method, e.path)
		r.path = "/ai" + r.path
		g.do(r).want(t, 200)
		if got := g.do(goodRequest(e.method, e.path)); got.body != "the next handler" {
			t.Errorf("%s without the prefix: %d, %q", e.path, got.status, got.body)
		}
	}
	g.do(request{method: "GET", path: "/ai/v1/models/vendor/n"}).want(t, 200)
	if got := g.do(request{method: "GET", path: "/ai/other"}); got.body != "the next handler" {
		t.Errorf("/ai/other: %d, %q", got.status, got.body)
	}
}

func TestTwoGatewaysBehindMatchersKeepApart(t *testing.T) {
	g, up := plainGateway(t, setup{})
	other := serve(t, new(script))
	t.Setenv("OTHER_API_KEY", "another-key")
	t.Setenv("OTHER_CLIENT_KEY", "key-of-another-client")
	g.write("providers2", "other", fullProvider("other", other.url, ""))
	g.write("models2", "n", model("n", "", "other/there"))
	g.config = strings.Replace(g.config, "llm_proxy {", fmt.Sprintf(`
	@second header X-Team second
	llm_proxy @second {
		providers %s
		models %s
		client_key second {env.OTHER_CLIENT_KEY}
	}
	@first not header X-Team second
	llm_proxy @first {`, filepath.Join(g.dir, "providers2"), filepath.Join(g.dir, "models2")), 1)
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}
	second := map[string]string{"X-Team": "second"}
	for _, tc := range []struct {
		header            map[string]string
		key, model        string
		status, one, two  int
		names, unexpected string
	}{
		{header: nil, model: "m", status: 200, one: 1, names: `"id":"m"`, unexpected: `"id":"n"`},
		{header: nil, model: "n", status: 404},
		{header: nil, key: "key-of-another-client", model: "m", status: 401},
		{header: second, key: "key-of-another-client", model: "n", status: 200, two: 1, names: `"id":"n"`, unexpected: `"id":"m"`},
		{header: second, key: "key-of-another-client", model: "m", status: 404},
		{header: second, model: "n", status: 401},
	} {
		up.reset()
		other.reset()
		g.do(request{path: chatPath, body: asking(chatRequest, tc.model), key: tc.key, header: tc.header}).want(t, tc.status)
		if one, two := len(up.all()), len(other.all()); one != tc.one || two != tc.two {
			t.Errorf("%+v: calls = %d and %d", tc, one, two)
		}
		if tc.names != "" {
			list := g.do(request{method: "GET", path: "/v1/models", key: tc.key, header: tc.header}).want(t, 200)
			if !strings.Contains(list.body, tc.names) || strings.Contains(list.body, tc.unexpected) {
				t.Errorf("%+v: models are %s", tc, list.body)
			}
		}
	}
}

func TestAnOversizedBodyIsRefusedBeforeItHasCome(t *testing.T) {
	g, up := plainGateway(t, setup{directive: "max_body 1MiB"})
	for _, at := range generators {
		// By what is announced: not a byte of it is sent.
		for _, length := range []string{"1048577", "200000064", "100000000000000"} {
			g.raw(at.path, "Content-Length: "+length+"\r\n\r\n").wantError(t, at.protocol, 413, true)
		}
		// By what comes, where nothing was announced.
		const chunk = 1<<20 + 1<<15
		g.raw(at.path, fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s", chunk, strings.Repeat(" ", chunk))).
			wantError(t, at.protocol, 413, true)
	}
	if n := len(up.all()); n != 0 {
		t.Errorf("upstream calls = %d, want 0", n)
	}
	full := chatRequest + strings.Repeat(" ", 1<<20-len(chatRequest))
	g.post(chatPath, full).want(t, 200)
}

// raw sends the end of a request's head, and of its body what the test likes,
// and reads the response.
func (g *gateway) raw(path string, rest ...string) response {
	g.t.Helper()
	return g.rawAs(clientKey, path, rest...)
}

// rawAs is raw with another key.
func (g *gateway) rawAs(key, path string, rest ...string) response {
	g.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		g.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		g.t.Fatal(err)
	}
	head := "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + key + "\r\nContent-Type: application/json\r\n"
	if _, err := io.WriteString(conn, head); err != nil {
		g.t.Fatal(err)
	}
	buffer := make([]byte, 32<<10) // io.WriteString would copy each piece
	for _, piece := range rest {
		if _, err := io.CopyBuffer(struct{ io.Writer }{conn}, struct{ io.Reader }{strings.NewReader(piece)}, buffer); err != nil {
			break // the gateway may have answered before it had all of it
		}
	}
	got, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		g.t.Fatal(err)
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	return response{got.StatusCode, got.Header, string(body), err}
}
