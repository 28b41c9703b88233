package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The rows of RELIABILITY B1 that no other file has: what an upstream's
// connection may do. The others are named where they are tested.

// behind is a gateway with a provider at each of some URLs, and behind each of
// them one that says "other". Provider and model have the same name.
func behind(t *testing.T, directive string, urls map[string]string) (*gateway, *spare) {
	t.Helper()
	other := &spare{calls: make(map[string]int)}
	t.Setenv("SPARE_API_KEY", "spare-key")
	s := setup{
		providers: map[string]string{"spare": provider("spare", serve(t, other).url, "")},
		models:    map[string]string{"good": model("good", "", "spare/good")},
		directive: "breaker off\nretry_budget off\n" + directive,
	}
	for name, url := range urls {
		t.Setenv(strings.ToUpper(name)+"_API_KEY", "a-key")
		s.providers[name] = provider(name, url, "")
		s.models[name] = model(name, "", name+"/"+name, "spare/"+name)
	}
	return start(t, s), other
}

// wantOther fails the test unless the other route answered.
func (r response) wantOther(t *testing.T, attempts int) {
	t.Helper()
	r.want(t, 200)
	if p := r.header.Get("Llm-Proxy-Provider"); p != "spare" {
		t.Errorf("provider %q answered, want the spare one", p)
	}
	if n := r.attempts(); n != attempts {
		t.Errorf("attempts = %d, want %d", n, attempts)
	}
	if text := chatDialect.text(r.body); text != "other" && !strings.Contains(r.body, `"other"`) {
		t.Errorf("the answer is %q", r.body)
	}
}

// RELIABILITY B1: refused, DNS error, unreachable.
func TestB1RefusedOrUnreachableCostsNoTime(t *testing.T) {
	g, _ := behind(t, "", map[string]string{
		"refused": "http://" + closedPort(t),
		"nobody":  "http://nobody.invalid",
	})
	good := quickest(10, 0, func() { g.post(chatPath, asking(chatRequest, "good")).want(t, 200) })
	for _, name := range []string{"refused", "nobody"} {
		for _, body := range []string{chatRequest, chatStreamed} {
			// Nobody answered, so there is nothing to ask the same key again for.
			g.post(chatPath, asking(body, name)).wantOther(t, 2)
		}
	}
	refused := quickest(10, 0, func() { g.post(chatPath, asking(chatRequest, "refused")).want(t, 200) })
	if added := refused - good; added > 5*time.Millisecond {
		t.Errorf("a refused connection costs %v, want at most 5ms", added)
	}
}

// fullListener is an address that takes no further connection and refuses none:
// its queue is full.
func fullListener(t *testing.T) (address string) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address = fmt.Sprintf("127.0.0.1:%d", name.(*syscall.SockaddrInet4).Port)
	for range 16 {
		conn, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			return address
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Skip("this system's queues of connections cannot be filled")
	return ""
}

// RELIABILITY B1: dial/TLS hang.
func TestB1AHangingDialOrHandshakeEndsInTime(t *testing.T) {
	const connect = 200 * time.Millisecond
	g, _ := behind(t, untrusted+"\ntimeouts {\nconnect 200ms\n}", map[string]string{
		"dial": "http://" + fullListener(t),
		"tls":  "https://" + listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }),
	})
	for _, tc := range []struct {
		name     string
		attempts int
		want     time.Duration
	}{
		{"dial", 2, connect},
		// There was a connection, so the only key is asked once more.
		{"tls", 3, 2 * connect},
	} {
		for _, body := range []string{chatRequest, chatStreamed} {
			got := g.timed(request{path: chatPath, body: asking(body, tc.name)})
			if got.wantOther(t, tc.attempts); got.took > tc.want+margin {
				t.Errorf("%s: took %v, want at most %v", tc.name, got.took, tc.want+margin)
			}
		}
	}
}

// RELIABILITY B1: RST/FIN before headers. Whoever pays for such calls finds each
// of them in the log.
func TestB1EveryCallThatBrokeBeforeItsHeadersIsLogged(t *testing.T) {
	var posts atomic.Int64
	reset := func(linger bool) string {
		return raw(t, func(conn net.Conn, _ *http.Request) bool {
			posts.Add(1)
			if linger {
				_ = conn.(*net.TCPConn).SetLinger(0)
			}
			return false
		})
	}
	log := logFile(t)
	t.Setenv("FIN_API_KEY", "k")
	t.Setenv("RST_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"fin": provider("fin", reset(false), ""), "rst": provider("rst", reset(true), "")},
		models:    map[string]string{"m": model("m", "", "fin/x", "rst/x")},
		global:    log.option,
	})
	got := g.post(chatPath, chatRequest).want(t, 502)
	id := got.header.Get("X-Request-Id")
	var lines []string
	comesTrue(t, "the log does not name all attempts", func() bool {
		lines = nil
		for line := range strings.Lines(log.text(t)) {
			if strings.Contains(line, id) && strings.Contains(line, "upstream attempt") {
				lines = append(lines, line)
			}
		}
		return len(lines) == got.attempts()
	})
	if n := posts.Load(); n != 4 || len(lines) != 4 {
		t.Errorf("upstreams got %d requests, the log tells of %d, want 4: each only key is asked twice", n, len(lines))
	}
}

// RELIABILITY B1: h2 RST/GOAWAY. Of two requests on a connection that goes away
// the first is answered there and the second, which nobody looked at, on another.
func TestB1GoAwayLosesNoRequest(t *testing.T) {
	s := newStage(t)
	tr := &trial{name: "going", client: chatDialect, wire: chatDialect, badUpstream: new(badUpstream)}
	s.trials[tr.name] = tr
	g, other := behind(t, untrusted+"\ntimeouts {\nfirst_content 2s\n}", map[string]string{"going": goingAway(s, tr) + "/going"})
	var both sync.WaitGroup
	var attempts [2]int
	for i := range attempts {
		both.Go(func() {
			got, err := g.ask(request{path: chatPath, body: tr.body()}, nil)
			if err != nil || got.status != 200 || got.body != chatAnswer {
				t.Errorf("status %d, %v: %s", got.status, err, got.body)
			}
			attempts[i] = got.attempts()
		})
	}
	both.Wait()
	if n := other.callsOf("going"); n != 0 {
		t.Errorf("calls to the other route = %d, want 0", n)
	}
	if n := attempts[0] + attempts[1]; n < 2 || n > 3 {
		t.Errorf("attempts = %v, want 2 and one that was repeated at most", attempts)
	}
}

// RELIABILITY B1: h2 connection black-holed. A stream that runs on it is cut when
// the ping stays without an answer, long before its idle time is over.
func TestB1AStreamOnADeadHTTP2ConnectionIsCutByPings(t *testing.T) {
	before := pings
	t.Cleanup(func() { pings = before })
	pings.SendPingTimeout, pings.PingTimeout = 150*time.Millisecond, 150*time.Millisecond

	server, _ := h2(t, begins(pacedEvents("s", 1)[0]))
	line := &cable{pulled: make(chan struct{})}
	address := listen(t, func(conn net.Conn) { line.carry(conn, server.Listener.Addr().String()) })
	g, other := behind(t, untrusted, map[string]string{"hole": "https://" + address})
	got, err := g.open(t.Context(), request{path: chatPath, body: asking(chatStreamed, "hole")})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	reader := bufio.NewReader(got.Body)
	readUntil(t, reader, "s-0")
	line.pull()
	began := time.Now()
	rest, err := io.ReadAll(reader)
	if took := time.Since(began); took > 300*time.Millisecond+margin {
		t.Errorf("the end came after %v, want it after 300ms", took)
	}
	if err != nil || !strings.Contains(string(rest), `"error"`) || strings.Contains(string(rest), "[DONE]") {
		t.Errorf("the stream ends with %q, %v; want an error event", rest, err)
	}
	if n := other.callsOf("hole"); n != 0 {
		t.Errorf("calls to the other route after content = %d, want 0", n)
	}
}
