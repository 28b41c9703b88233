package caddymodule

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// fetchedAs are URLs that a gateway which fetches what its clients name could be
// led to: its own machine in many spellings, a cloud's metadata, the administration
// of Caddy, files.
func fetchedAs(port string) []string {
	urls := []string{
		"file:///etc/passwd", "gopher://127.0.0.1:" + port + "/_GET", "http://169.254.169.254/latest/meta-data/",
		"http://localhost:2999/config/", "data:image/png;base64,@@@notbase64@@@", "//127.0.0.1:" + port + "/",
	}
	for _, host := range []string{
		"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "0x7f.1", "0177.0.0.1", "user:pass@127.0.0.1",
		"127.0.0.1.nip.io@127.0.0.1", `127.0.0.1\@example.com`,
	} {
		urls = append(urls, "http://"+host+":"+port+"/")
	}
	return urls
}

// naming are requests that name a URL wherever a protocol, or somebody's extension
// of it, has a place for one.
var naming = map[string][]string{
	chatPath: {
		`"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"URL"}}]}]`,
		`"messages":[{"role":"user","content":[{"type":"file","file":{"file_url":"URL","file_data":"URL","filename":"x"}}]}]`,
		`"messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"URL","format":"wav"}}]}]`,
		`"messages":[{"role":"user","content":"hi"}],"api_base":"URL","base_url":"URL","endpoint":"URL","extra_body":{"api_base":"URL"},"metadata":{"api_base":"URL"},"webhook":"URL"`,
		`"messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"$ref":"URL"}}}]`,
	},
	"/v1/messages": {
		`"max_tokens":5,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"URL"}}]}]`,
		`"max_tokens":5,"messages":[{"role":"user","content":[{"type":"document","source":{"type":"url","url":"URL"}}]}]`,
		`"max_tokens":5,"messages":[{"role":"user","content":"hi"}],"mcp_servers":[{"type":"url","url":"URL","name":"x"}],"base_url":"URL"`,
	},
	"/v1/responses": {
		`"input":[{"role":"user","content":[{"type":"input_image","image_url":"URL"}]}]`,
		`"input":[{"role":"user","content":[{"type":"input_file","file_url":"URL"}]}]`,
		`"input":"hi","tools":[{"type":"mcp","server_label":"x","server_url":"URL"}],"base_url":"URL"`,
	},
}

// A URL that a client names is the provider's to fetch, or nobody's.
func TestNoURLOfAClientIsEverFetched(t *testing.T) {
	g, up, _ := hostileGateway(t)
	port, count := hits(t)
	var all received
	for _, at := range generators {
		for _, body := range naming[at.path] {
			for _, url := range fetchedAs(port) {
				for _, model := range []string{"good-model", "to-chat", "to-messages", "to-responses"} {
					up.reset()
					asked := fmt.Sprintf(`{"model":%q,%s}`, model, strings.ReplaceAll(body, "URL", strings.ReplaceAll(url, `\`, `\\`)))
					got := g.do(request{path: at.path, body: asked, key: badInputsKey, header: map[string]string{
						"X-Base-Url": url, "X-Api-Base": url, "X-Forwarded-Host": "127.0.0.1:" + port, "Referer": url, "X-Upstream": url, "Llm-Proxy-Provider": url,
					}})
					if got.status != 200 && got.status != 400 {
						t.Errorf("%s for %s: status %d: %s", asked, model, got.status, got.body)
					}
					if n := len(up.all()); (got.status == 200) != (n == 1) {
						t.Errorf("%s for %s: status %d and %d upstream calls", asked, model, got.status, n)
					}
					for _, c := range up.all() {
						all.add("what is sent upstream", c.body)
					}
					all.addResponse("the answer", got)
				}
			}
		}
	}
	wantGood(t, g)
	if n := count.Load(); n != 0 {
		t.Errorf("the gateway opened %d connections to what clients named", n)
	}
	all.wantNone(t, "root:x:0:0:", "UPSTREAM-KEY-0")
}

// Nor does the way in which a client asks choose where its request goes.
func TestNoClientChoosesTheUpstreamsAddress(t *testing.T) {
	g, up, _ := hostileGateway(t)
	port, count := hits(t)
	elsewhere := "127.0.0.1:" + port
	body := asking(chatRequest, "good-model")
	for _, tc := range []struct {
		line, host string
		calls      int
	}{
		{chatPath, elsewhere, 0}, // no host of the site's
		{"http://" + elsewhere + chatPath, "localhost", 0},
		{"http://localhost" + chatPath, elsewhere, 1},
		{"//" + elsewhere + chatPath, "localhost", 0},
		{chatPath + "?base_url=http://" + elsewhere, "localhost", 1},
		{"/v1/http://" + elsewhere + "/chat/completions", "localhost", 0},
		{chatPath + "@" + elsewhere, "localhost", 0},
	} {
		up.reset()
		conn, err := net.Dial("tcp", "localhost:9080")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			tc.line, tc.host, badInputsKey, len(body), body)
		got, err := io.ReadAll(conn)
		conn.Close()
		if n := len(up.all()); err != nil || n != tc.calls || strings.Contains(string(got), chatAnswer) != (n == 1) {
			t.Errorf("%s of %s: upstream calls = %d, want %d; %v, %s", tc.line, tc.host, n, tc.calls, err, got)
		}
	}
	wantGood(t, g)
	if n := count.Load(); n != 0 {
		t.Errorf("the gateway opened %d connections to what clients named", n)
	}
}

// An upstream that sends us elsewhere gets neither the key nor the prompt there.
func TestNoRedirectOfAnUpstreamIsFollowed(t *testing.T) {
	said := new(script)
	g, up := badInputsGateway(t, said)
	port, count := hits(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, to := range []string{"http://127.0.0.1:" + port + "/v1/chat/completions", "http://169.254.169.254/", "//localhost:" + port, "/elsewhere", "file:///etc/passwd"} {
			for _, at := range generators {
				admin(t, http.MethodPost, "/llm_proxy/keys/reset", "").want(t, 200)
				up.reset()
				said.says(answers(status, `{"moved":true}`, "Location", to))
				got := g.do(request{path: at.path, body: asking(goodRequests[at.path], "good-model"), key: badInputsKey})
				told := got.wantError(t, at.protocol, 502, true)
				if got.header.Get("Location") != "" || strings.Contains(told.message, port) {
					t.Errorf("%d to %s: the client is told %+v %v", status, to, told, got.header)
				}
				for _, c := range up.all() {
					if c.path != at.path {
						t.Errorf("%d to %s: upstream is asked for %s", status, to, c.path)
					}
				}
			}
		}
	}
	if n := count.Load(); n != 0 {
		t.Errorf("the gateway followed %d redirects", n)
	}
	said.says(nil)
	admin(t, http.MethodPost, "/llm_proxy/keys/reset", "").want(t, 200)
	wantGood(t, g)
}

func TestURLsOfTheCollectionAreNotFetched(t *testing.T) {
	cases := badInputs(t, "ssrf")
	g, up, _ := hostileGateway(t)
	port, count := hits(t)
	for _, b := range cases {
		b.Payload.Data = strings.ReplaceAll(b.Payload.Data, "CANARYPORT", port)
		t.Run(b.ID+" "+strings.ReplaceAll(b.Name, "/", "-"), func(t *testing.T) {
			b.try(t, g, up, chatPath, translate.Chat)
			parts, size := b.segments(t, translate.Chat)
			for _, model := range []string{"to-messages", "to-responses"} {
				up.reset()
				crossing := []segment{{strings.Replace(parts[0].text, "good-model", model, 1), 1}}
				got := b.send(t, g, chatPath, crossing, size+int64(len(model)-len("good-model")), 0)
				if got.status != 200 && got.status != 400 {
					t.Errorf("for %s: status %d: %s", model, got.status, got.body)
				}
				for _, c := range up.all() {
					if strings.Contains(c.body, "root:x:") {
						t.Errorf("for %s upstream is sent %s", model, c.body)
					}
				}
			}
		})
	}
	wantGood(t, g)
	if n := count.Load(); n != 0 {
		t.Errorf("the gateway opened %d connections to what clients named", n)
	}
}
