package caddymodule

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A request that was never whole is nobody's error.
func TestAClientThatLeavesWhileItSendsIsCountedAsOneThatLeft(t *testing.T) {
	up := serve(t, answers(200, chatAnswer))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		global:    "servers {\n protocols h1 h2c\n}",
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	byHand := func(header, value, sent string, linger int) func() (leave func()) {
		return func() func() {
			conn, _ := g.dial(request{path: chatPath, header: map[string]string{header: value}})
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
			return func() {
				_ = conn.(*net.TCPConn).SetLinger(linger)
				conn.Close()
			}
		}
	}
	const length, chunked = "Content-Length", "Transfer-Encoding"
	for name, come := range map[string]func() (leave func()){
		"in the body":             byHand(length, "100", `{"model":`, -1),
		"in the body, by a reset": byHand(length, "100", `{"model":`, 0),
		"in a chunk":              byHand(chunked, "chunked", "9\r\n{\"m", -1),
		"before the body":         byHand(length, "100", "", -1),
		"by a reset of HTTP/2":    func() func() { cancel, _ := g.beginHTTP2(`{"model":`); return cancel },
		"by the end of HTTP/2":    func() func() { _, cut := g.beginHTTP2(`{"model":`); return cut },
	} {
		before := metrics(t)
		leave := come()
		comesTrue(t, name+": the request does not arrive", func() bool { return metric(t, "caddy_llm_proxy_requests_in_flight") == 1 })
		leave()
		wantOnlyCounted(t, name, before, fmt.Sprintf(unread, "client_gone", "client_closed"))
	}
	// A client that is still there is told of its mistake.
	before := metrics(t)
	conn, reader := g.dial(request{path: chatPath, header: map[string]string{chunked: "chunked"}})
	if _, err := io.WriteString(conn, "no length\r\n"); err != nil {
		t.Fatal(err)
	}
	readResponse(t, reader).want(t, 400)
	wantOnlyCounted(t, "a chunk that is none", before, fmt.Sprintf(unread, "invalid_request", "error"))
	if n := len(up.all()); n != 0 {
		t.Errorf("upstream calls = %d, want 0", n)
	}
}

// unread is a request of which nothing is known, by class and outcome.
const unread = `caddy_llm_proxy_requests_total{asked="*",class="%s",client="tests",outcome="%s",protocol="openai",provider="",streamed="false"}`

// wantOnlyCounted wants one request to be counted since before, as that.
func wantOnlyCounted(t *testing.T, name string, before map[string]float64, as string) {
	t.Helper()
	comesTrue(t, name+": not counted as "+as, func() bool { return grown(t, before)[as] == 1 })
	for metric, by := range grown(t, before) {
		if strings.HasPrefix(metric, "caddy_llm_proxy_requests_total") && metric != as {
			t.Errorf("%s: %s grew by %v", name, metric, by)
		}
	}
}

// beginHTTP2 begins to send a request over HTTP/2, which can be cancelled, or its
// connection cut.
func (g *gateway) beginHTTP2(body string) (cancel, cut func()) {
	g.t.Helper()
	var conn net.Conn
	transport := &http.Transport{Protocols: new(http.Protocols), DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		var err error
		conn, err = new(net.Dialer).DialContext(ctx, network, address)
		return conn, err
	}}
	transport.Protocols.SetUnencryptedHTTP2(true)
	ctx, cancel := context.WithCancel(g.t.Context())
	reader, writer := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.url+chatPath, reader)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+clientKey)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if response, err := transport.RoundTrip(r); err == nil {
			response.Body.Close()
		}
	}()
	g.t.Cleanup(func() {
		cancel()
		writer.Close()
		<-ended
		transport.CloseIdleConnections()
	})
	if _, err := io.WriteString(writer, body); err != nil {
		g.t.Fatal(err)
	}
	return cancel, func() { conn.Close() }
}
