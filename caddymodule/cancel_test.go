package caddymodule

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"regexp"
	goruntime "runtime"
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
// given up. What it does in between the text of the request says.
type upstreamCalls struct {
	come, gone chan time.Time
}

// The ways an upstream may be at work when the client leaves.
const (
	silent   = "silent"   // no header yet
	speaking = "speaking" // in the middle of a stream
	failing  = "failing"  // has answered 503, which the provider's file repeats
	waiting  = "waiting"  // is not asked, since its key rests
)

func (u *upstreamCalls) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	switch {
	case err != nil:
		return
	case strings.Contains(string(body), `"`+speaking+`"`):
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, pacedEvents("s", 1)[0])
		_ = http.NewResponseController(w).Flush()
	case strings.Contains(string(body), `"`+failing+`"`):
		answers(503, brokenBody)(w, r)
		u.come <- time.Now()
		return
	case !strings.Contains(string(body), `"`+silent+`"`):
		answers(200, chatAnswer)(w, r)
		return
	}
	u.come <- time.Now()
	<-r.Context().Done()
	u.gone <- time.Now()
}

// saying is a request that says something else than hi.
func saying(request, text string) string { return strings.Replace(request, `"hi"`, `"`+text+`"`, 1) }

// withCalls is a gateway with a model for each state in which a client may leave.
// Providers a, c and x are an upstreamCalls; x takes Chat Completions only. b would
// answer everything and must not be asked, f fails and l is limited.
func withCalls(t *testing.T) (*gateway, *upstreamCalls, map[string]*upstream) {
	t.Helper()
	calls := &upstreamCalls{come: make(chan time.Time, 2), gone: make(chan time.Time, 2)}
	upstreams := map[string]*upstream{
		"a": serve(t, calls),
		"b": serve(t, answers(200, chatAnswer)),
		"c": serve(t, calls),
		"f": serve(t, answers(500, brokenBody)),
		"l": serve(t, answers(429, rateLimited, "Retry-After", "100")),
		"x": serve(t, calls),
	}
	providers := make(map[string]string)
	for name, up := range upstreams {
		t.Setenv(strings.ToUpper(name)+"_API_KEY", name+"-key")
		providers[name] = provider(name, up.url, "")
	}
	providers["a"] = provider("a", upstreams["a"].url, `"request_config": {"retry_on_status": [503], "max_retries": 3},`)
	providers["x"] = strings.NewReplacer(`"responses": "/responses",`, "", `"messages": "/messages",`, "").Replace(providers["x"])
	g := start(t, setup{
		providers: providers,
		models: map[string]string{
			"m":       model("m", "", "a/up", "b/up"),
			"second":  model("second", "", "f/up", "c/up", "b/up"),
			"hedged":  model("hedged", `"hedge_after": "10ms",`, "a/up", "c/up", "b/up"),
			"waiting": model("waiting", "", "l/up"),
			"crossed": model("crossed", "", "x/up", "b/up"),
		},
		site:      "doorman",
		directive: "breaker off\n retry_budget off\n wait 200s",
	})
	return g, calls, upstreams
}

// withinPromise is how soon everything must have ended after the client left,
// in 99 of 100 cases.
const withinPromise = 50 * time.Millisecond

func TestAClientThatLeavesEndsTheUpstreamCallAndAllFurtherAttempts(t *testing.T) {
	const times = 100
	g, calls, upstreams := withCalls(t)
	loadNothing(t)
	client.CloseIdleConnections()
	goroutines, files := settledGoroutines(t), openFiles(t)
	if err := g.reload(); err != nil {
		t.Fatal(err)
	}
	left, entered := make(chan time.Time, 1), make(chan struct{}, 1)
	mind(t, door{
		enter: func(*http.Request) { entered <- struct{}{} },
		leave: func(*http.Request) { left <- time.Now() },
	})
	fin := func(c net.Conn) { c.Close() }
	rst := func(c net.Conn) {
		_ = c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	for _, tc := range []struct {
		name, way, model, path, body string
		leave                        func(net.Conn)
		calls                        map[string]int // for each client
	}{
		{"before the headers", silent, "m", chatPath, chatStreamed, fin, map[string]int{"a": 1}},
		{"before the headers, by a reset", silent, "m", chatPath, chatStreamed, rst, map[string]int{"a": 1}},
		{"before the headers, by closing one direction", silent, "m", chatPath, chatStreamed, func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() }, map[string]int{"a": 1}},
		{"while a whole answer is awaited", silent, "m", chatPath, chatRequest, fin, map[string]int{"a": 1}},
		{"in the middle of a stream", speaking, "m", chatPath, chatStreamed, fin, map[string]int{"a": 1}},
		{"in the middle of a translated stream", speaking, "crossed", "/v1/messages", messagesDialect.streamed, fin, map[string]int{"x": 1}},
		{"before a translated stream", silent, "crossed", "/v1/messages", messagesDialect.streamed, rst, map[string]int{"x": 1}},
		{"in the pause before a repetition", failing, "m", chatPath, chatRequest, fin, map[string]int{"a": 1}},
		{"during the second attempt", silent, "second", chatPath, chatStreamed, fin, map[string]int{"f": 1, "c": 1}},
		{"during both attempts of a hedge", silent, "hedged", chatPath, chatStreamed, fin, map[string]int{"a": 1, "c": 1}},
		{"while it waits for a key", waiting, "waiting", chatPath, chatStreamed, fin, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, up := range upstreams {
				up.reset()
			}
			answering := tc.calls["a"] + tc.calls["c"] + tc.calls["x"]
			var upstream, gateway moments
			for range times {
				conn, reader := g.dial(request{path: tc.path, body: asking(saying(tc.body, tc.way), tc.model)})
				<-entered
				for range answering {
					<-calls.come
				}
				switch tc.way {
				case speaking:
					readUntil(t, reader, "s-0")
				case failing, waiting:
					// Into the pause, which lasts 125ms at least and which the
					// gateway tells nobody of.
					<-time.After(10 * time.Millisecond)
				}
				closed := time.Now()
				tc.leave(conn)
				gateway = append(gateway, (<-left).Sub(closed))
				if tc.way == silent || tc.way == speaking {
					for range answering {
						upstream = append(upstream, (<-calls.gone).Sub(closed))
					}
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
			for name, up := range upstreams {
				want := times * tc.calls[name]
				if name == "l" && tc.way == waiting {
					want = 1 // the others find the key at rest
				}
				if n := len(up.all()); n != want {
					t.Errorf("calls to provider %s = %d, want %d of %d clients", name, n, want, times)
				}
			}
		})
	}

	got := g.post(chatPath, chatRequest).want(t, 200)
	<-entered
	<-left
	if p, n := got.header.Get("Llm-Proxy-Provider"), got.header.Get("Llm-Proxy-Attempts"); p != "a" || n != "1" {
		t.Errorf("afterwards %s answers with attempt %s, want a with its first: nothing may rest", p, n)
	}
	said := admin(t, http.MethodGet, "/llm_proxy/keys", "").want(t, 200).body
	if busy := inFlight.FindAllString(said, -1); len(busy) > 0 {
		t.Errorf("%v, want none: %s", busy, said)
	}
	if n := strings.Count(said, `"until"`); n != 1 {
		t.Errorf("%d rests, want that of l's key alone: %s", n, said)
	}
	loadNothing(t)
	client.CloseIdleConnections()
	http.DefaultClient.CloseIdleConnections()
	comesTrue(t, "more goroutines or open files than before", func() bool {
		return goruntime.NumGoroutine() <= goroutines && openFiles(t) <= files
	})
	t.Logf("goroutines: %d before, %d after; open files: %d before, %d after", goroutines, goruntime.NumGoroutine(), files, openFiles(t))
}

var inFlight = regexp.MustCompile(`"in_flight":[^0][^,}]*`)

// openFiles counts the file descriptors of the process; 0 where nothing tells.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// A probe that nobody waits for any more is no reason to keep others from the key.
func TestAClientThatLeavesDuringAProbeLeavesItToTheNext(t *testing.T) {
	calls := &upstreamCalls{come: make(chan time.Time, 1), gone: make(chan time.Time, 1)}
	g, up := oneKey(t, inTurn(answers(429, rateLimited, "Retry-After", "1"), calls), "")
	g.post(chatPath, chatRequest).want(t, 429)
	halfOpen(t)
	conn, _ := g.dial(request{path: chatPath, body: saying(chatStreamed, silent)})
	<-calls.come
	if got := g.post(chatPath, chatRequest).want(t, 429); got.header.Get("Llm-Proxy-Attempts") != "0" {
		t.Errorf("%s attempts during the probe, want 0", got.header.Get("Llm-Proxy-Attempts"))
	}
	conn.Close()
	<-calls.gone
	comesTrue(t, "the key is not given back", func() bool { return g.post(chatPath, chatRequest).status == 200 })
	if n := len(up.all()); n != 3 {
		t.Errorf("calls = %d, want 3: the limited one, the one that was left, and the next", n)
	}
}

// halfOpen waits until a rest is over.
func halfOpen(t *testing.T) {
	t.Helper()
	comesTrue(t, "no rest ends", func() bool {
		return strings.Contains(admin(t, http.MethodGet, "/llm_proxy/keys", "").body, `"half_open":true`)
	})
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
	conn, _ := g.dial(request{path: chatPath, body: saying(chatStreamed, silent)})
	came := <-calls.come
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if after := (<-calls.gone).Sub(came); after > 200*time.Millisecond+margin {
		t.Errorf("the upstream call ended after %v, want the timeout of 200ms to end it", after)
	}
}
