package caddymodule

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// margin is by how much an answer may be later than the configured time.
const margin = 500 * time.Millisecond

// hangs takes a request and says nothing.
func hangs(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// begins sends the start of a stream and then nothing.
func begins(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, text)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// repeats sends the start of a stream and then a piece again and again.
func repeats(text, piece string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, text)
		_ = http.NewResponseController(w).Flush()
		ticker := time.NewTicker(10 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				_, _ = io.WriteString(w, piece)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}
}

// timed is a response and how long it took to its last byte.
type timed struct {
	response
	took time.Duration
}

func (g *gateway) timed(r request) timed {
	start := time.Now()
	return timed{g.do(r), time.Since(start)}
}

// within fails the test unless the answer took as long as said.
func (x timed) within(t *testing.T, what string, want time.Duration) {
	t.Helper()
	if x.took < want-5*time.Millisecond || x.took > want+margin {
		t.Errorf("%s: took %v, want %v and at most %v more", what, x.took, want, margin)
	}
}

// asking is a request body that asks for another model.
func asking(body, model string) string {
	return strings.Replace(body, `"model":"m"`, fmt.Sprintf(`"model":%q`, model), 1)
}

// Each wait may be set in the handler and in four places of the files; the most
// specific one counts.
func TestTheTimeoutOfTheMostSpecificPlaceCounts(t *testing.T) {
	const (
		handler = 250 * time.Millisecond
		short   = 60 * time.Millisecond
		long    = 400 * time.Millisecond
		never   = 20 * time.Second
	)
	// The places, from the least specific one; 0: not set there.
	type row struct {
		name                           string
		provider, model, special, goes time.Duration
		seconds                        bool // written as timeout_seconds
		want                           time.Duration
	}
	shorter := []row{
		{name: "handler only", want: handler},
		{name: "provider", provider: short, want: short},
		{name: "model before provider", provider: never, model: short, want: short},
		{name: "provider's entry before model", provider: never, model: never, special: short, want: short},
		{name: "route before all", provider: never, model: never, special: never, goes: short, want: short},
	}
	silence := append([]row{
		{name: "provider, longer", provider: long, want: long},
		{name: "model, longer", provider: short, model: long, want: long},
		{name: "provider's entry, longer", provider: short, model: short, special: long, want: long},
		{name: "route, longer", provider: short, model: short, special: short, goes: long, want: long},
		{name: "provider's seconds", provider: short, seconds: true, want: short},
		{name: "model's seconds", provider: never, model: short, seconds: true, want: short},
		{name: "entry's seconds", model: never, special: short, seconds: true, want: short},
		{name: "route's seconds", special: never, goes: short, seconds: true, want: short},
	}, shorter...)
	content := pacedEvents("s", 1)[0]
	deaf := "https://" + listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	for _, wait := range []struct {
		name   string
		url    string
		status int
		// times is how often the wait is waited.
		times time.Duration
		rows  []row
	}{
		// A single key is asked again when no connection came about.
		{"connect", deaf, 502, 2, shorter},
		{"first_content", serve(t, http.HandlerFunc(hangs)).url, 504, 1, silence},
		{"idle", serve(t, begins(content)).url, 200, 1, silence},
		{"total", serve(t, repeats(content, content)).url, 200, 1, append([]row{
			// A model's own total bounds the request, whatever a route may take.
			{name: "model before longer route", model: short, goes: never, want: short},
			{name: "model, longer than the handler", model: long, want: long},
		}, shorter...)},
	} {
		t.Run(wait.name, func(t *testing.T) {
			s := setup{
				providers: make(map[string]string),
				models:    make(map[string]string),
				directive: fmt.Sprintf("timeouts {\n %s %v\n}", wait.name, handler),
			}
			for i, r := range wait.rows {
				written := func(d time.Duration) string {
					switch {
					case d == 0:
						return ""
					case r.seconds:
						return fmt.Sprintf(`"timeout_seconds": %v,`, d.Seconds())
					}
					return fmt.Sprintf(`"timeouts": {%q: %q},`, wait.name, d)
				}
				block := func(key string, d time.Duration) string {
					if d == 0 {
						return ""
					}
					return fmt.Sprintf(key, strings.TrimSuffix(written(d), ","))
				}
				name := fmt.Sprintf("m%d", i)
				t.Setenv(strings.ToUpper(name)+"_API_KEY", "k")
				extra := written(r.provider)
				if r.seconds {
					extra = block(`"request_config": {%s},`, r.provider)
				}
				s.providers[name] = provider(name, wait.url, extra+block(`"models": {"up": {%s}},`, r.special))
				s.models[name] = fmt.Sprintf(`{%s"logical_name": %q, "model_routings": [{%s"provider": %q, "model": "up"}]}`,
					written(r.model), name, written(r.goes), name)
			}
			g := start(t, s)

			var all sync.WaitGroup
			for i, r := range wait.rows {
				all.Go(func() {
					got := g.timed(request{path: chatPath, body: asking(chatStreamed, fmt.Sprintf("m%d", i))})
					got.within(t, r.name, r.want*wait.times)
					if got.status != wait.status {
						t.Errorf("%s: status %d, want %d: %s", r.name, got.status, wait.status, got.body)
					}
					if seen := chatDialect.view(got.body); got.status == 200 && (!seen.failed || seen.finished) {
						t.Errorf("%s: stream %q, want an error at its end", r.name, got.body)
					}
				})
			}
			all.Wait()
		})
	}
}

// What is no content does not keep an upstream from being given up, neither
// before the first content, when the next route answers, nor after it, when the
// client is told in its own protocol.
//
// RELIABILITY B2: no first token; idle after tokens.
func TestSignsOfLifeAreNoContent(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			a := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				start := d.greeting
				if r.Header.Get("Session-Id") == "speaks" {
					start = d.stream[:strings.Index(d.stream, `lo"`)]
					start = start[:strings.LastIndex(start, "\n\n")+2]
				}
				repeats(start, ": still here\n\n"+d.ping)(w, r)
			}))
			b := serve(t, answers(200, d.other, "Content-Type", "text/event-stream"))
			t.Setenv("A_API_KEY", "a-key")
			t.Setenv("B_API_KEY", "b-key")
			g := start(t, setup{
				providers: map[string]string{"a": provider("a", a.url, ""), "b": provider("b", b.url, "")},
				models:    map[string]string{"m": model("m", "", "a/up", "b/up")},
				directive: "cooldown 0\n timeouts {\n first_content 200ms\n idle 150ms\n}",
			})
			got := g.timed(request{path: d.path, body: d.streamed})
			got.within(t, "pings before content", 200*time.Millisecond)
			if got.body != d.other {
				t.Errorf("with pings only, the stream is %q; want the second route's", got.body)
			}
			b.reset()
			got = g.timed(request{path: d.path, body: d.streamed, header: map[string]string{"Session-Id": "speaks"}})
			got.within(t, "pings after content", 150*time.Millisecond)
			seen := d.view(got.body)
			if got.err != nil || !seen.failed || seen.finished || seen.text != "hel" {
				t.Errorf("with pings after content, the client sees %+v, error %v; want the text so far and an error:\n%s", seen, got.err, got.body)
			}
			if n := len(b.all()); n != 0 {
				t.Errorf("calls to the second upstream after content = %d, want 0", n)
			}
		})
	}
}

// RELIABILITY B2: no first token.
func TestASilentUpstreamIsLeftForTheNextRoute(t *testing.T) {
	deaf := listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	silent := serve(t, http.HandlerFunc(hangs))
	good := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept") == "text/event-stream" {
			answers(200, chatStream, "Content-Type", "text/event-stream")(w, r)
			return
		}
		answers(200, chatAnswer)(w, r)
	}))
	half := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, chatAnswer[:40])
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	for _, name := range []string{"SILENT", "HALF", "LATE", "TLS", "BRIEF", "GOOD"} {
		t.Setenv(name+"_API_KEY", "k")
	}
	g := start(t, setup{
		providers: map[string]string{
			"silent": provider("silent", silent.url, ""),
			"half":   provider("half", half.url, `"timeouts": {"first_content": "200ms"},`),
			"late":   provider("late", half.url, ""),
			"tls":    provider("tls", "https://"+deaf, `"timeouts": {"connect": "150ms"},`),
			"brief":  provider("brief", silent.url, `"timeouts": {"total": "200ms"},`),
			"good":   provider("good", good.url, ""),
		},
		models: map[string]string{
			"whole": model("whole", `"timeouts": {"total": "600ms"},`, "silent/up", "good/up"),
			"half":  model("half", "", "half/up", "good/up"),
			"late":  model("late", `"timeouts": {"total": "600ms"},`, "late/up", "good/up"),
			"tls":   model("tls", "", "tls/up", "good/up"),
			"brief": model("brief", "", "brief/up", "good/up"),
			"alone": model("alone", `"timeouts": {"total": "200ms"},`, "silent/up"),
		},
		directive: "cooldown 0",
	})
	for _, tc := range []struct {
		name, model string
		status      int
		want        time.Duration
	}{
		// Half of what is left, as long as another route is.
		{"no answer at all", "whole", 200, 300 * time.Millisecond},
		{"half an answer", "half", 200, 200 * time.Millisecond},
		// Twice: a single key is asked again when no connection came about.
		{"no TLS", "tls", 200, 300 * time.Millisecond},
		{"an attempt's total", "brief", 200, 100 * time.Millisecond},
		{"the request's total", "alone", 504, 200 * time.Millisecond},
	} {
		got := g.timed(request{path: chatPath, body: asking(chatRequest, tc.model)})
		got.within(t, tc.name, tc.want)
		if got.status != tc.status || tc.status == 200 && got.body != chatAnswer {
			t.Errorf("%s: status %d, %s; want %d", tc.name, got.status, got.body, tc.status)
		}
	}
	for _, tc := range []struct {
		name, model string
		want        time.Duration
	}{
		{"an attempt's total, streamed", "brief", 200 * time.Millisecond},
		// That it is no stream does not give it more time than a whole answer has.
		{"half an answer that is no stream", "half", 200 * time.Millisecond},
		{"half an answer that is no stream, with another route left", "late", 300 * time.Millisecond},
	} {
		got := g.timed(request{path: chatPath, body: asking(chatStreamed, tc.model)})
		got.within(t, tc.name, tc.want)
		if p := got.header.Get("Llm-Proxy-Provider"); p != "good" || got.status != 200 {
			t.Errorf("%s: status %d of provider %q, want 200 of good", tc.name, got.status, p)
		}
	}
}

// The pool of connections outlives the configuration, but not its settings.
func TestAChangedConnectTimeoutCountsAfterAReload(t *testing.T) {
	deaf := listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	t.Setenv("P_API_KEY", "k")
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", "https://"+deaf, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
		directive: "cooldown 0\n timeouts {\n connect 50ms\n}\n transport http {\n dial_timeout 7s\n}",
	})
	g.timed(request{path: chatPath, body: chatRequest}).within(t, "before", 2*50*time.Millisecond)
	g.config = strings.Replace(g.config, "connect 50ms", "connect 400ms", 1)
	g.wantReload(t, "")
	g.timed(request{path: chatPath, body: chatRequest}).within(t, "after", 2*400*time.Millisecond)
}

// RELIABILITY B2: finish_reason, then neither [DONE] nor FIN; [DONE], connection kept open.
func TestAFinishedAnswerDoesNotWaitForItsConnection(t *testing.T) {
	streams := make(map[string]string)
	up := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		begins(streams[r.Header.Get("Session-Id")])(w, r)
	}))
	t.Setenv("P_API_KEY", "k")
	var all sync.WaitGroup
	ask := func(g *gateway, d dialect, name string, whole bool, want time.Duration) {
		all.Go(func() {
			got := g.timed(request{path: d.path, body: d.streamed, header: map[string]string{"Session-Id": name}})
			got.within(t, name, want)
			seen, stream := d.view(got.body), streams[name]
			if whole && got.body != stream {
				t.Errorf("%s: stream = %q, want the upstream's %q", name, got.body, stream)
			}
			if !strings.HasPrefix(got.body, stream) || seen.text != "hello" || seen.failed == whole {
				t.Errorf("%s: the client sees %+v in %q", name, seen, got.body)
			}
		})
	}
	for _, d := range dialects {
		streams[d.name+" after the terminal event"] = d.stream
		end := strings.LastIndex(d.stream, d.finishes)
		streams[d.name+" after the reason to stop"] = d.stream[:end+strings.Index(d.stream[end:], "\n\n")+2]
	}
	g := start(t, setup{
		providers: map[string]string{"p": provider("p", up.url, "")},
		models:    map[string]string{"m": model("m", "", "p/up")},
	})
	for _, d := range dialects {
		ask(g, d, d.name+" after the terminal event", true, 0)
	}
	// The model has said why it stopped: usage and the end may follow. Of
	// Messages the end has to; in Responses that is the terminal event.
	ask(g, chatDialect, "chat after the reason to stop", true, 2*time.Second)
	ask(g, messagesDialect, "messages after the reason to stop", false, 2*time.Second)
	all.Wait()
}

// listen runs a server below HTTP until the test ends.
func listen(t *testing.T, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	t.Cleanup(func() {
		listener.Close()
		mu.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		running.Wait()
	})
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			running.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	return listener.Addr().String()
}
