package caddymodule

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// h2 runs an upstream over HTTP/2 with TLS.
func h2(t *testing.T, handler http.Handler) (*httptest.Server, *recorder) {
	t.Helper()
	r := &recorder{next: handler}
	server := httptest.NewUnstartedServer(r)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, r
}

const untrusted = "transport http {\n tls_insecure_skip_verify\n}"

// RELIABILITY B1: h2 RST/GOAWAY.
func TestHTTP2Upstreams(t *testing.T) {
	var protocols sync.Map
	connections := new(atomic.Int64)
	r := &recorder{next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		protocols.Store(r.Proto, true)
		switch r.Header.Get("Session-Id") {
		case "reset":
			panic(http.ErrAbortHandler)
		case "reset later":
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, pacedEvents("s", 1)[0])
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		}
		if r.Header.Get("Accept") == "text/event-stream" {
			answers(200, chatStream, "Content-Type", "text/event-stream")(w, r)
			return
		}
		answers(200, chatAnswer)(w, r)
	})}
	server := httptest.NewUnstartedServer(r)
	server.EnableHTTP2 = true
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.StartTLS()
	t.Cleanup(server.Close)
	g, b := withFirst(t, server.URL, untrusted)

	if got := g.post(chatPath, chatRequest).want(t, 200); got.body != chatAnswer {
		t.Errorf("whole answer = %q", got.body)
	}
	if got := g.post(chatPath, chatStreamed).want(t, 200); got.body != chatStream {
		t.Errorf("stream = %q", got.body)
	}
	// 200 KB do not fit into the first flow control window.
	long := strings.Replace(chatRequest, `"hi"`, `"`+strings.Repeat("long ", 40_000)+`"`, 1)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if got := g.post(chatPath, long); got.status != 200 || got.body != chatAnswer {
				t.Errorf("one of many: status %d, %s", got.status, got.body)
			}
		})
	}
	all.Wait()
	if n := len(b.all()); n != 0 {
		t.Errorf("calls to the second upstream = %d, want 0", n)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("connections = %d, want 1 for all requests", n)
	}
	protocols.Range(func(protocol, _ any) bool {
		if protocol != "HTTP/2.0" {
			t.Errorf("the upstream was spoken to in %v", protocol)
		}
		return true
	})

	got := g.do(request{path: chatPath, body: chatStreamed, header: map[string]string{"Session-Id": "reset"}}).want(t, 200)
	if got.body != chatStream || got.header.Get("Llm-Proxy-Provider") != "b" {
		t.Errorf("after RST_STREAM before content: stream %q, want the second route's", got.body)
	}
	got = g.do(request{path: chatPath, body: chatStreamed, header: map[string]string{"Session-Id": "reset later"}}).want(t, 200)
	if seen := chatDialect.view(got.body); !seen.failed || seen.finished || seen.text != "s-0 " {
		t.Errorf("after RST_STREAM after content the client sees %+v: %s", seen, got.body)
	}
}

// cable carries connections to a server until it is pulled: then bytes that go
// in on either side of its open connections come out nowhere, while new
// connections are carried again.
type cable struct {
	mu     sync.Mutex
	pulled chan struct{}
}

func (c *cable) carry(conn net.Conn, to string) {
	far, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer far.Close()
	c.mu.Lock()
	pulled := c.pulled
	c.mu.Unlock()
	var both sync.WaitGroup
	pump := func(to, from net.Conn) {
		// Either end hanging up ends both.
		defer to.Close()
		defer from.Close()
		buffer := make([]byte, 16<<10)
		for {
			n, err := from.Read(buffer)
			select {
			case <-pulled:
				n = 0
			default:
			}
			if n > 0 {
				_, _ = to.Write(buffer[:n])
			}
			if err != nil {
				return
			}
		}
	}
	both.Go(func() { pump(far, conn) })
	both.Go(func() { pump(conn, far) })
	both.Wait()
}

func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.pulled)
	c.pulled = make(chan struct{})
}

// RELIABILITY B1: h2 connection black-holed.
func TestADeadHTTP2ConnectionIsFoundOutByPings(t *testing.T) {
	before := pings
	t.Cleanup(func() { pings = before })
	pings.SendPingTimeout, pings.PingTimeout = 150*time.Millisecond, 150*time.Millisecond

	server, r := h2(t, answers(200, chatAnswer))
	line := &cable{pulled: make(chan struct{})}
	address := listen(t, func(conn net.Conn) { line.carry(conn, server.Listener.Addr().String()) })
	t.Setenv("DEAD_API_KEY", "k")
	g := start(t, setup{
		// No other test's name: the connections of that would be used on.
		providers: map[string]string{"dead": provider("dead", "https://"+address, "")},
		models:    map[string]string{"m": model("m", "", "dead/up")},
		directive: untrusted,
	})
	g.post(chatPath, chatRequest).want(t, 200)
	line.pull()
	got := g.timed(request{path: chatPath, body: chatRequest})
	got.want(t, 200)
	if got.took > 300*time.Millisecond+margin {
		t.Errorf("the answer took %v, want a new connection after 300ms", got.took)
	}
	if n := len(r.all()); n != 2 {
		t.Errorf("requests that reached the upstream = %d, want 2", n)
	}
}

func TestTheDefaultPingsAreOn(t *testing.T) {
	transport := new(http.Transport)
	tune(transport, time.Second)
	if p := transport.HTTP2; p == nil || p.SendPingTimeout != 15*time.Second || p.PingTimeout != 5*time.Second {
		t.Errorf("pings = %+v, want one after 15s of silence and 5s for its answer", p)
	}
}
