package caddymodule

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// dial sends a request by hand and returns the connection, so that a test can
// end it in any way.
func (g *gateway) dial(r request) (net.Conn, *bufio.Reader) {
	g.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		g.t.Fatal(err)
	}
	text := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\n", r.path, clientKey)
	if r.body != "" { // else the headers say what comes
		text += fmt.Sprintf("Content-Length: %d\r\n", len(r.body))
	}
	for name, value := range r.header {
		text += name + ": " + value + "\r\n"
	}
	if _, err := io.WriteString(conn, text+"\r\n"+r.body); err != nil {
		g.t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

// readUntil reads until a text has come.
func readUntil(t *testing.T, r *bufio.Reader, text string) {
	t.Helper()
	var read strings.Builder
	for !strings.Contains(read.String(), text) {
		c, err := r.ReadByte()
		if err != nil {
			t.Fatalf("reading until %q: %v after %q", text, err, read.String())
		}
		read.WriteByte(c)
	}
}

// moments are how long the upstream call, and the gateway's own work, outlived
// their client.
type moments []time.Duration

func (m moments) percentile(p int) time.Duration {
	slices.Sort(m)
	return m[(len(m)-1)*p/100]
}

// upstreamCalls is an upstream that tells when a call has come and when it was
// given up. What it does in between a header of the request says.
type upstreamCalls struct {
	come, gone chan time.Time
}

// The ways an upstream may be at work when the client leaves.
const (
	silent   = "silent"   // no header yet
	speaking = "speaking" // in the middle of a stream
	failing  = "failing"  // has answered 503, which the provider's file repeats
)

func (u *upstreamCalls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	way := r.Header.Get("Session-Id")
	switch way {
	case "":
		answers(200, chatAnswer)(w, r)
		return
	case speaking:
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, pacedEvents("s", 1)[0])
		_ = http.NewResponseController(w).Flush()
	case failing:
		answers(503, brokenBody)(w, r)
		u.come <- time.Now()
		return
	}
	u.come <- time.Now()
	<-r.Context().Done()
	u.gone <- time.Now()
}

// withCalls is a gateway whose first provider is an upstreamCalls and whose
// second would answer everything.
func withCalls(t *testing.T, extra string) (*gateway, *upstreamCalls, *upstream, *upstream) {
	t.Helper()
	calls := &upstreamCalls{come: make(chan time.Time, 1), gone: make(chan time.Time, 1)}
	a, b := serve(t, calls), serve(t, answers(200, chatAnswer))
	t.Setenv("A_API_KEY", "a-key")
	t.Setenv("B_API_KEY", "b-key")
	g := start(t, setup{
		providers: map[string]string{"a": provider("a", a.url, extra), "b": provider("b", b.url, "")},
		models:    map[string]string{"m": model("m", "", "a/up", "b/up")},
		site:      "doorman",
		directive: "breaker off",
	})
	return g, calls, a, b
}

// withinPromise is how soon everything must have ended after the client left,
// in 99 of 100 cases.
const withinPromise = 50 * time.Millisecond

func TestAClientThatLeavesEndsTheUpstreamCallAndAllFurtherAttempts(t *testing.T) {
	const times = 100
	g, calls, a, b := withCalls(t, `"request_config": {"retry_on_status": [503], "max_retries": 3},`)
	left := make(chan time.Time, 1)
	mind(t, door{leave: func(*http.Request) { left <- time.Now() }})
	fin := func(c net.Conn) { c.Close() }
	rst := func(c net.Conn) {
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	for _, tc := range []struct {
		name, way, body string
		leave           func(net.Conn)
	}{
		{"before the headers", silent, chatStreamed, fin},
		{"before the headers, by a reset", silent, chatStreamed, rst},
		{"before the headers, by closing one direction", silent, chatStreamed, func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() }},
		{"while a whole answer is awaited", silent, chatRequest, fin},
		{"in the middle of a stream", speaking, chatStreamed, fin},
		{"in the pause before a repetition", failing, chatRequest, fin},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a.reset()
			var upstream, gateway moments
			for range times {
				conn, reader := g.dial(request{path: chatPath, body: tc.body, header: map[string]string{"Session-Id": tc.way}})
				<-calls.come
				if tc.way == speaking {
					readUntil(t, reader, "s-0")
				}
				if tc.way == failing {
					// Into the pause, which lasts 125ms at least and which the
					// gateway tells nobody of.
					<-time.After(10 * time.Millisecond)
				}
				closed := time.Now()
				tc.leave(conn)
				gateway = append(gateway, (<-left).Sub(closed))
				if tc.way != failing {
					upstream = append(upstream, (<-calls.gone).Sub(closed))
				}
				conn.Close()
			}
			for who, m := range map[string]moments{"upstream call": upstream, "gateway": gateway} {
				if len(m) == 0 {
					continue
				}
				t.Logf("%s ended after p50 %v, p99 %v, max %v", who, m.percentile(50), m.percentile(99), m.percentile(100))
				if p99 := m.percentile(99); p99 > withinPromise {
					t.Errorf("%s ended %v (p99) after its client had left, want %v at most", who, p99, withinPromise)
				}
			}
			// The gateway is done with every request, so these are all there will be.
			if n := len(a.all()); n != times {
				t.Errorf("upstream calls = %d, want one for each of %d clients", n, times)
			}
			if n := len(b.all()); n != 0 {
				t.Errorf("calls to the second provider = %d, want 0", n)
			}
		})
	}

	got := g.post(chatPath, chatRequest).want(t, 200)
	<-left
	if p, n := got.header.Get("Llm-Proxy-Provider"), got.header.Get("Llm-Proxy-Attempts"); p != "a" || n != "1" {
		t.Errorf("afterwards %s answers with attempt %s, want a with its first: nothing may rest", p, n)
	}
}

// net/http sees that a client has left by reading on. After a byte that belongs
// to no request it does not read on, so only the timeouts bound the call.
func TestAClientThatLeavesAfterAStrayByteIsBoundByTheTimeouts(t *testing.T) {
	calls := &upstreamCalls{come: make(chan time.Time, 1), gone: make(chan time.Time, 1)}
	up := serve(t, calls)
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		directive: "timeouts {\n first_content 200ms\n}",
	})
	conn, _ := g.dial(request{path: chatPath, body: chatStreamed, header: map[string]string{"Session-Id": silent}})
	came := <-calls.come
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if after := (<-calls.gone).Sub(came); after > 200*time.Millisecond+margin {
		t.Errorf("the upstream call ended after %v, want the timeout of 200ms to end it", after)
	}
}
