package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// The rows of RELIABILITY B2 that no other file has: what an upstream may answer.
// The others are named where they are tested.

// badEvents end a stream badly, by protocol.
var badEvents = map[string]string{
	"chat":      "data: {\"error\":{\"message\":\"busy\",\"type\":\"server_error\"}}\n\n",
	"messages":  "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n",
	"responses": "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"id\":\"r\",\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"busy\"}}}\n\n",
}

// played is a gateway with a model for each of some handlers, all of one
// provider, and another route behind. The models are asked in one protocol.
func played(t *testing.T, wire dialect, directive string, handlers map[string]http.Handler) (*gateway, *spare) {
	t.Helper()
	up := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var asked struct{ Model string }
		if json.NewDecoder(r.Body).Decode(&asked) == nil {
			handlers[asked.Model].ServeHTTP(w, r)
		}
	}))
	other := &spare{calls: make(map[string]int)}
	t.Setenv("UP_API_KEY", "a-key")
	t.Setenv("SPARE_API_KEY", "spare-key")
	s := setup{
		providers: map[string]string{"up": provider("up", up.url, ""), "spare": provider("spare", serve(t, other).url, "")},
		models:    make(map[string]string),
		directive: "breaker off\nretry_budget off\n" + directive,
	}
	for name := range handlers {
		route := `{"provider": %q, "model": %q, "wire_protocol": %q}`
		s.models[name] = fmt.Sprintf(`{"logical_name": %q, "model_routings": [`+route+", "+route+"]}", name,
			"up", name, wire.protocol(), "spare", name, wire.protocol())
	}
	return start(t, s), other
}

// streams sends a stream in pieces, each by itself.
func streams(pieces ...string) http.Handler {
	s := &scripted{contentType: "text/event-stream"}
	for _, piece := range pieces {
		s.pieces = append(s.pieces, []byte(piece))
	}
	return s
}

// RELIABILITY B2: SSE error event first, or after role-only/message_start/ping.
// Even an error that comes together with the first content is no client's concern.
func TestB2AnErrorBeforeContentIsMendedByTheNextRoute(t *testing.T) {
	for _, wire := range dialects {
		failed := badEvents[wire.name]
		content := wire.stream[:strings.Index(wire.stream, `"lo"`)]
		content = content[:strings.LastIndex(content, "\n\n")+2]
		g, _ := played(t, wire, "", map[string]http.Handler{
			"first":    streams(failed),
			"greeting": streams(wire.greeting, failed),
			"ping":     streams(wire.greeting, wire.ping, wire.ping, failed),
			"along":    streams(content + failed),
		})
		for _, client := range dialects {
			for _, name := range []string{"first", "greeting", "ping", "along"} {
				got := g.post(client.path, asking(client.streamed, name)).want(t, 200)
				seen := client.view(got.body)
				if !seen.finished || seen.failed || seen.text != "other" || got.attempts() != 2 {
					t.Errorf("%s of %s to %s: after %d attempts the client sees %+v, want one clean stream: %q",
						name, wire.name, client.name, got.attempts(), seen, got.body)
				}
			}
		}
	}
}

// RELIABILITY B2: error or cut after content. What an upstream says behind its
// error must not make a client forget it.
func TestB2NothingFollowsAnErrorAfterContent(t *testing.T) {
	for _, wire := range dialects {
		end := strings.Index(wire.stream, `"lo"`)
		end = strings.LastIndex(wire.stream[:end], "\n\n") + 2
		content, rest := wire.stream[:end], wire.stream[end:]
		pace := newBeats()
		g, other := played(t, wire, "", map[string]http.Handler{
			"broken": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, content)
				_ = http.NewResponseController(w).Flush()
				if pace.await(r.Context(), 0) {
					_, _ = io.WriteString(w, badEvents[wire.name]+rest)
				}
			}),
		})
		pace.beat()
		for _, client := range dialects {
			before := other.callsOf("broken")
			got, err := g.open(t.Context(), request{path: client.path, body: asking(client.streamed, "broken")})
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(got.Body)
			got.Body.Close()
			seen := client.view(string(body))
			if got.Header.Get("Llm-Proxy-Provider") == "spare" {
				continue // content and error came along with each other
			}
			if err != nil || !seen.failed || seen.finished || seen.text != "hel" {
				t.Errorf("%s to %s: the client sees %+v, %v, want the text so far and an error: %q", wire.name, client.name, seen, err, body)
			}
			if n := other.callsOf("broken") - before; n != 0 {
				t.Errorf("%s to %s: calls to the other route after content = %d", wire.name, client.name, n)
			}
		}
	}
}

// RELIABILITY B2: idle after tokens. The client is told, and the upstream is left.
func TestB2AnUpstreamThatFallsSilentIsLeft(t *testing.T) {
	for _, wire := range dialects {
		end := strings.Index(wire.stream, `"lo"`)
		content := wire.stream[:strings.LastIndex(wire.stream[:end], "\n\n")+2]
		left := make(chan struct{}, len(dialects))
		g, other := played(t, wire, "timeouts {\nidle 200ms\n}", map[string]http.Handler{
			"silent": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				begins(content)(w, r)
				left <- struct{}{}
			}),
		})
		var all sync.WaitGroup
		for _, client := range dialects {
			all.Go(func() {
				got, err := g.ask(request{path: client.path, body: asking(client.streamed, "silent")}, nil)
				if seen := client.view(got.body); err != nil || !seen.failed || seen.finished || seen.text != "hel" {
					t.Errorf("%s to %s: the client sees %+v, %v: %q", wire.name, client.name, seen, err, got.body)
				}
				if got.took > 200*time.Millisecond+margin {
					t.Errorf("%s to %s: took %v, want 200ms", wire.name, client.name, got.took)
				}
			})
		}
		all.Wait()
		for range dialects {
			<-left
		}
		if n := other.callsOf("silent"); n != 0 {
			t.Errorf("%s: calls to the other route after content = %d, want 0", wire.name, n)
		}
	}
}

// RELIABILITY B2: [DONE], connection kept open. See also
// TestAFinishedAnswerDoesNotWaitForItsConnection.
func TestB2NoConnectionIsLeftBehindAFinishedAnswer(t *testing.T) {
	for _, wire := range dialects {
		var mu sync.Mutex
		open := 0
		g, _ := played(t, wire, "", map[string]http.Handler{
			"open": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				open++
				mu.Unlock()
				begins(wire.stream)(w, r)
				mu.Lock()
				open--
				mu.Unlock()
			}),
		})
		for range 5 {
			if got := g.post(wire.path, asking(wire.streamed, "open")).want(t, 200); got.body != wire.stream {
				t.Errorf("%s: stream = %q, want the upstream's", wire.name, got.body)
			}
		}
		comesTrue(t, "connections of finished answers are still open", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return open == 0
		})
	}
}

// RELIABILITY B2: wrong content-type, JSON to a stream request, SSE to a
// non-stream request. Whatever an upstream calls its answer, the client gets what
// it asked for, by its right name.
func TestB2NoAnswerIsMislabelled(t *testing.T) {
	kinds := []string{"text/event-stream", "application/json", "text/plain", "text/html; charset=utf-8", "application/octet-stream", "nonsense", ""}
	handlers := make(map[string]http.Handler)
	for i, kind := range kinds {
		handlers[fmt.Sprintf("stream%d", i)] = answers(200, chatStream, "Content-Type", kind)
		handlers[fmt.Sprintf("whole%d", i)] = answers(200, chatAnswer, "Content-Type", kind)
	}
	g, _ := played(t, chatDialect, "", handlers)
	for name := range handlers {
		for _, client := range dialects {
			got := g.post(client.path, asking(client.streamed, name)).want(t, 200)
			seen := client.view(got.body)
			if kind := got.header.Get("Content-Type"); kind != "text/event-stream" || !seen.finished || seen.failed || seen.text != "hello" && seen.text != "other" {
				t.Errorf("%s streamed to %s: %s, the client sees %+v: %q", name, client.name, kind, seen, got.body)
			}
			got = g.post(client.path, asking(goodRequests[client.path], name)).want(t, 200)
			if kind := got.header.Get("Content-Type"); kind != "application/json" || !strings.Contains(got.body, `"hello"`) && !strings.Contains(got.body, `"other"`) {
				t.Errorf("%s whole to %s: %s %q", name, client.name, kind, got.body)
			}
			members(t, got.body)
		}
	}
}

// RELIABILITY B2: gzip. Any other coding was not asked for. See also
// TestACompressedAnswerIsUnpacked and TestADecompressionBombCostsNoMoreThanTheLimit.
func TestB2AnEncodingThatNobodyAskedForIsNoAnswer(t *testing.T) {
	handlers := make(map[string]http.Handler)
	for _, coding := range []string{"br", "zstd", "deflate", "gzip, gzip", "x"} {
		name := strings.ReplaceAll(coding, ", ", "")
		handlers[name+"whole"] = answers(200, chatAnswer, "Content-Encoding", coding)
		handlers[name+"stream"] = answers(200, chatStream, "Content-Encoding", coding, "Content-Type", "text/event-stream")
	}
	g, _ := played(t, chatDialect, "", handlers)
	for name := range handlers {
		body := chatRequest
		if strings.HasSuffix(name, "stream") {
			body = chatStreamed
		}
		got := g.post(chatPath, asking(body, name))
		got.wantOther(t, 2)
		if coding := got.header.Get("Content-Encoding"); coding != "" {
			t.Errorf("%s: Content-Encoding = %q", name, coding)
		}
	}
}

// RELIABILITY B2: chunk split in UTF-8/escape/CRLF/BOM. See also
// TestWatcherSeesTheSameInAnyChunks and TestStreamsDoNotDependOnHowTheyAreCut.
func TestB2AStreamIsTheSameWhereverItsPacketsEnd(t *testing.T) {
	type split struct {
		client dialect
		at     int
	}
	for _, wire := range dialects {
		stream := "\ufeff" + strings.NewReplacer(`"hel"`, `"h\u20ac\ud83d\ude00"`, `"lo"`, `"€😀"`, "\n", "\r\n").Replace(wire.stream)
		g, _ := played(t, wire, "", map[string]http.Handler{
			"cut": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var at int
				_, _ = fmt.Sscan(r.Header.Get("Session-Id"), &at)
				streams(stream[:at], stream[at:]).ServeHTTP(w, r)
			}),
		})
		splits := make(chan split)
		var workers sync.WaitGroup
		for range 8 {
			workers.Go(func() {
				for s := range splits {
					got, err := g.ask(request{path: s.client.path, body: asking(s.client.streamed, "cut"), header: flat{"Session-Id": fmt.Sprint(s.at)}}, nil)
					if text := s.client.text(got.body); err != nil || text != "h€😀€😀" {
						t.Errorf("%s to %s, split at %d: the client reads %q, %v: %q", wire.name, s.client.name, s.at, text, err, got.body)
					}
					if s.client.name == wire.name && got.body != stream {
						t.Errorf("%s, split at %d: the bytes have changed: %q", wire.name, s.at, got.body)
					}
				}
			})
		}
		for at := 1; at < len(stream); at++ {
			splits <- split{wire, at}
			if at%4 == 0 {
				splits <- split{dialects[at/4%3], at}
			}
		}
		close(splits)
		workers.Wait()
	}
}

// RELIABILITY B2: usage missing/negative/overflowing/duplicated.
func TestB2UsageIsNeverNegativeNorHuge(t *testing.T) {
	const most = int64(1) << 40
	handlers := make(map[string]http.Handler)
	cases := []struct {
		name, usage string
		in, out     int64 // -1: any that is allowed
	}{
		{"missing", ``, -1, -1},
		{"null", `,"usage":null`, -1, -1},
		{"empty", `,"usage":{}`, -1, -1},
		{"text", `,"usage":{"prompt_tokens":"5","completion_tokens":[]}`, -1, -1},
		{"negative", `,"usage":{"prompt_tokens":-5,"completion_tokens":-100000}`, 0, 0},
		{"huge", `,"usage":{"prompt_tokens":1e300,"completion_tokens":9223372036854775807}`, most, most},
		{"infinite", `,"usage":{"prompt_tokens":1e400,"completion_tokens":-1e400}`, most, 0},
		{"fraction", `,"usage":{"prompt_tokens":1.9,"completion_tokens":2}`, 1, 2},
		{"again", `,"usage":{"prompt_tokens":1,"completion_tokens":2},"usage":{"prompt_tokens":3,"completion_tokens":4}`, -1, -1},
	}
	for _, tc := range cases {
		handlers[tc.name] = answers(200, `{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}]`+tc.usage+`}`)
		handlers[tc.name+"streamed"] = answers(200, `data: {"id":"x","choices":[{"index":0,"delta":{"content":"a"}}]}`+"\n\n"+
			`data: {"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]`+tc.usage+"}\n\ndata: [DONE]\n\n", "Content-Type", "text/event-stream")
	}
	g, _ := played(t, chatDialect, "", handlers)
	for _, tc := range cases {
		for _, client := range dialects[1:] {
			whole := g.post(client.path, asking(goodRequests[client.path], tc.name)).want(t, 200)
			streamed := g.post(client.path, asking(client.streamed, tc.name+"streamed")).want(t, 200)
			for form, events := range map[string][]sseEvent{"whole": {{Data: whole.body}}, "streamed": sseEvents(streamed.body)} {
				in, out := usageIn(events)
				if in < 0 || in > most || out < 0 || out > most || tc.in >= 0 && in != tc.in || tc.out >= 0 && out != tc.out {
					t.Errorf("%s %s to %s: usage = %d and %d, want %d and %d: %q", tc.name, form, client.name, in, out, tc.in, tc.out, events)
				}
			}
		}
	}
}

// The case "429 then a shorter 429 must not shorten a longer cooldown" of the
// collection of bad inputs: two requests are in flight when the key's rest begins.
func TestAShorterRestDoesNotShortenALongerOne(t *testing.T) {
	for _, order := range [][]string{{"60", "1"}, {"1", "60"}} {
		release := map[string]chan struct{}{"60": make(chan struct{}), "1": make(chan struct{})}
		up := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			after := r.Header.Get("Session-Id")
			select {
			case <-release[after]:
			case <-r.Context().Done():
			}
			answers(429, rateLimited, "Retry-After", after)(w, r)
		}))
		t.Setenv("P_API_KEY", "k")
		g := start(t, setup{
			providers: map[string]string{"p": provider("p", up.url, "")},
			models:    map[string]string{"m": model("m", "", "p/up")},
		})
		ended := make(map[string]chan error)
		for _, after := range order {
			end := make(chan error, 1)
			ended[after] = end
			go func() {
				_, err := g.ask(request{path: chatPath, body: chatRequest, header: flat{"Session-Id": after}}, nil)
				end <- err
			}()
		}
		comesTrue(t, "the requests are not in flight", func() bool { return len(up.all()) == 2 })
		for _, after := range order {
			close(release[after])
			if err := <-ended[after]; err != nil {
				t.Fatal(err)
			}
		}
		got := g.post(chatPath, chatRequest).want(t, 429)
		if after := got.header.Get("Retry-After"); after != "60" && after != "59" {
			t.Errorf("in the order %v: Retry-After = %q, want 59 or 60", order, after)
		}
		if n := len(up.all()); n != 2 {
			t.Errorf("in the order %v: upstream calls = %d, want 2", order, n)
		}
	}
}
