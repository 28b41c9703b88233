package caddymodule

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	goruntime "runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// raw runs an upstream that reads requests and answers with whatever bytes
// answer writes; a false result ends the connection.
func raw(t *testing.T, answer func(conn net.Conn, r *http.Request) bool) (url string) {
	t.Helper()
	return "http://" + listen(t, func(conn net.Conn) {
		reader := bufio.NewReader(conn)
		for {
			r, err := http.ReadRequest(reader)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil || !answer(conn, r) {
				return
			}
		}
	})
}

// says answers with bytes and ends the connection.
func says(text string) func(net.Conn, *http.Request) bool {
	return func(conn net.Conn, _ *http.Request) bool {
		_, _ = io.WriteString(conn, text)
		return false
	}
}

// withFirst is a gateway whose first provider is at a URL and whose second
// answers well.
func withFirst(t *testing.T, url, directive string) (*gateway, *upstream) {
	t.Helper()
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") == "text/event-stream" {
			answers(200, chatStream, "Content-Type", "text/event-stream")(w, r)
			return
		}
		answers(200, chatAnswer)(w, r)
	}))
	t.Setenv("A_API_KEY", "a-key")
	t.Setenv("B_API_KEY", "b-key")
	return start(t, setup{
		providers: map[string]string{"a": provider("a", url, ""), "b": provider("b", b.url, "")},
		models:    map[string]string{"m": model("m", "", "a/up", "b/up")},
		directive: "cooldown 0\n" + directive,
	}), b
}

// RELIABILITY B1: status 0, 099, ≥ 1000, 101, 1xx flood.
func TestWhateverBytesAnUpstreamSendsTheNextRouteAnswers(t *testing.T) {
	const ok = "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
	for _, tc := range []struct{ name, reply string }{
		{"status 000", "HTTP/1.1 000 Zero\r\n" + ok},
		{"status 099", "HTTP/1.1 099 Low\r\n" + ok},
		{"status 600", "HTTP/1.1 600 High\r\n" + ok},
		{"status 999", "HTTP/1.1 999 Higher\r\n" + ok},
		{"status 1000", "HTTP/1.1 1000 Highest\r\n" + ok},
		{"status -1", "HTTP/1.1 -1 Negative\r\n" + ok},
		{"status of words", "HTTP/1.1 OK fine\r\n" + ok},
		{"status 204", "HTTP/1.1 204 No Content\r\n\r\n"},
		{"status 304", "HTTP/1.1 304 Not Modified\r\n\r\n"},
		{"another protocol", "SSH-2.0-OpenSSH_9.2\r\n"},
		{"nothing but an end", ""},
		{"half a header", "HTTP/1.1 200 OK\r\nContent-Type: applic"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n{}"},
		{"a body that is shorter than said", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n" + chatAnswer},
		{"a broken chunk", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"},
		{"gzip that is none", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}"},
		{"a header without end", "HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("x", 11<<20)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g, _ := withFirst(t, raw(t, says(tc.reply)), "")
			for body, want := range map[string]string{chatRequest: chatAnswer, chatStreamed: chatStream} {
				got := g.post(chatPath, body).want(t, 200)
				if got.body != want {
					t.Errorf("body = %q, want the second route's", got.body)
				}
			}
		})
	}
}

func TestAnUpstreamThatSwitchesProtocolsIsLeftAtOnce(t *testing.T) {
	left := make(chan struct{}, 2)
	g, _ := withFirst(t, raw(t, func(conn net.Conn, _ *http.Request) bool {
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(io.Discard, conn)
		left <- struct{}{}
		return false
	}), "")
	for _, body := range []string{chatRequest, chatStreamed} {
		got := g.timed(request{path: chatPath, body: body})
		got.want(t, 200)
		got.within(t, "an answer", 0)
		<-left
	}
}

func TestAFloodOfInformationalResponsesIsPassedOver(t *testing.T) {
	g, b := withFirst(t, raw(t, func(conn net.Conn, _ *http.Request) bool {
		_, _ = io.WriteString(conn, strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 200)+
			fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(chatAnswer), chatAnswer))
		return true
	}), "")
	if got := g.post(chatPath, chatRequest).want(t, 200); got.body != chatAnswer || len(b.all()) != 0 {
		t.Errorf("body = %q with %d calls to the second upstream, want the first one's answer", got.body, len(b.all()))
	}
}

// RELIABILITY B1: redirect 30x.
func TestRedirectsAreNotFollowed(t *testing.T) {
	canary := serve(t, answers(200, chatAnswer))
	for _, status := range []int{301, 302, 303, 307, 308} {
		first := serve(t, answers(status, "", "Location", canary.url+"/v1/chat/completions"))
		g, _ := withFirst(t, first.url, "")
		if p := g.post(chatPath, chatRequest).want(t, 200).header.Get("Llm-Proxy-Provider"); p != "b" {
			t.Errorf("%d: provider %q answered, want b", status, p)
		}
	}
	if n := len(canary.all()); n != 0 {
		t.Errorf("%d requests, with key and conversation, went where redirects pointed", n)
	}
}

// packed is content with a Content-Encoding of gzip.
func packed(t *testing.T, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestACompressedAnswerIsUnpacked(t *testing.T) {
	const accepts = "br, zstd, gzip;q=0.5"
	pace := newBeats()
	up := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		if r.Header.Get("Accept") != "text/event-stream" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(packed(t, []byte(chatAnswer)))
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		packer := gzip.NewWriter(w)
		for i, event := range pacedEvents("s", 3) {
			if !pace.await(r.Context(), i) {
				return
			}
			_, _ = io.WriteString(packer, event)
			_ = packer.Flush()
			_ = http.NewResponseController(w).Flush()
		}
		_ = packer.Close()
	}))
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	got := g.do(request{path: chatPath, body: chatRequest, header: map[string]string{"Accept-Encoding": accepts}}).want(t, 200)
	if got.body != chatAnswer || got.header.Get("Content-Encoding") != "" {
		t.Errorf("body = %q in encoding %q, want it unpacked", got.body, got.header.Get("Content-Encoding"))
	}
	// Each event comes when it was sent, not when the packer's block is full.
	conn, reader := g.dial(request{path: chatPath, body: chatStreamed, header: map[string]string{"Accept-Encoding": accepts}})
	defer conn.Close()
	for i := range 3 {
		readUntil(t, reader, fmt.Sprintf("s-%d", i))
		pace.beat()
	}
	readUntil(t, reader, "[DONE]")
	for _, c := range up.all() {
		if e := c.header.Get("Accept-Encoding"); e != "gzip" {
			t.Errorf("the upstream was offered %q, want what the transport itself unpacks", e)
		}
	}
}

// RELIABILITY B2: gzip.
func TestADecompressionBombCostsNoMoreThanTheLimit(t *testing.T) {
	// 1 GiB, of which each 16 MiB are a member of their own.
	bomb := bytes.Repeat(packed(t, bytes.Repeat([]byte(" "), 16<<20)), 64)
	line := append(packed(t, []byte("data: ")), bytes.Repeat(packed(t, bytes.Repeat([]byte("x"), 16<<20)), 64)...)
	first := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		content := bomb
		if r.Header.Get("Accept") == "text/event-stream" {
			w.Header().Set("Content-Type", "text/event-stream")
			content = line
		}
		_, _ = w.Write(content)
	}))
	g, _ := withFirst(t, first.url, "")
	for body, want := range map[string]string{chatRequest: chatAnswer, chatStreamed: chatStream} {
		var before, after goruntime.MemStats
		goruntime.ReadMemStats(&before)
		got := g.post(chatPath, body).want(t, 200)
		goruntime.ReadMemStats(&after)
		if got.body != want {
			t.Errorf("body = %.100q, want the second route's", got.body)
		}
		// All that was ever allocated, buffers that doubled on their way to the
		// limit included, is well above what was in use at any time.
		allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%s: allocated %d MiB in all", body, allocated)
		if allocated > 512 {
			t.Errorf("a bomb of 1 GiB made the gateway allocate %d MiB", allocated)
		}
	}
}

// RELIABILITY B2: giant event.
func TestAnEventOf10MBPassesWhole(t *testing.T) {
	event := func(text string) string {
		return `data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"content":"` + text + `"},"finish_reason":null}]}` + "\n\n"
	}
	big := event(strings.Repeat("picture ", 10<<20/8))
	end := pacedEvents("s", 0)[0]
	for name, stream := range map[string]string{
		"as the first content": big + end,
		"after content":        event("see") + big + end,
	} {
		up := serve(t, answers(200, stream, "Content-Type", "text/event-stream"))
		t.Setenv("P_API_KEY", "k")
		g := start(t, setup{
			providers: map[string]string{"p": provider("p", up.url, "")},
			models:    map[string]string{"m": model("m", "", "p/up")},
		})
		if got := g.post(chatPath, chatStreamed).want(t, 200); got.body != stream {
			t.Errorf("%s: got %d bytes, want %d the same", name, len(got.body), len(stream))
		}
	}
}

func TestAStreamWithoutContentIsNotHeldForEver(t *testing.T) {
	filler := ": " + strings.Repeat("x", 1000) + "\n\n"
	first := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, filler)
		}
	}))
	g, _ := withFirst(t, first.url, "")
	got := g.timed(request{path: chatPath, body: chatStreamed})
	if got.want(t, 200).body != chatStream || got.took > 10*time.Second {
		t.Errorf("after %v, stream = %.200q, want the second route's", got.took, got.body)
	}
}

// With an Idempotency-Key net/http would send a POST again by itself, and the
// provider would charge for both.
//
// RELIABILITY B1: stale keep-alive connection dies on the 2nd POST.
func TestAClientsIdempotencyKeyNeverRepeatsACall(t *testing.T) {
	var posts atomic.Int64
	url := raw(t, func(conn net.Conn, r *http.Request) bool {
		n := posts.Add(1)
		if key := r.Header.Get("Idempotency-Key") + r.Header.Get("X-Idempotency-Key"); key != "" {
			t.Errorf("the idempotency key %q went upstream", key)
		}
		if n%2 == 0 {
			return false // the connection dies just when it is used again
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(chatAnswer), chatAnswer)
		return true
	})
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	attempts := 0
	for i := range 6 {
		got := g.do(request{path: chatPath, body: chatRequest, header: map[string]string{
			"Idempotency-Key": "same", "X-Idempotency-Key": "same",
		}}).want(t, 200)
		n := 0
		if _, err := fmt.Sscan(got.header.Get("Llm-Proxy-Attempts"), &n); err != nil {
			t.Fatal(err)
		}
		if want := 1 + min(i, 1); n != want {
			t.Errorf("request %d: %d attempts, want %d", i, n, want)
		}
		attempts += n
	}
	if n := posts.Load(); n != int64(attempts) {
		t.Errorf("the upstream got %d POSTs for %d attempts", n, attempts)
	}
}
