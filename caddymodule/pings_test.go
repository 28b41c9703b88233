package caddymodule

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// pingsAfter has pings sent after another silence for the time of a test.
func pingsAfter(t *testing.T, silence time.Duration) {
	t.Helper()
	usual := pingAfter
	pingAfter = silence
	t.Cleanup(func() { pingAfter = usual })
}

// firstHalf is a dialect's stream up to the middle of its text.
func (d dialect) firstHalf() string {
	start := d.stream[:strings.Index(d.stream, `lo"`)]
	return start[:strings.LastIndex(start, "\n\n")+2]
}

// otherWire is a protocol that clients of the dialect do not speak.
func (d dialect) otherWire() dialect {
	if d.protocol() == translate.Messages {
		return chatDialect
	}
	return messagesDialect
}

func (d dialect) protocol() translate.Protocol {
	for protocol, path := range pathOf {
		if path == d.path {
			return protocol
		}
	}
	return ""
}

// An upstream that says nothing until its client has seen a ping: the stream goes
// on with it as if there had been none.
func TestASilentTranslatedStreamPings(t *testing.T) {
	pingsAfter(t, 20*time.Millisecond)
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			seen := make(chan struct{})
			from := d.otherWire()
			up := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, from.firstHalf())
				_ = http.NewResponseController(w).Flush()
				select {
				case <-seen:
					_, _ = io.WriteString(w, strings.TrimPrefix(from.stream, from.firstHalf()))
				case <-r.Context().Done():
				}
			}))
			t.Setenv("UP_API_KEY", "k")
			g := start(t, setup{
				providers: map[string]string{"up": provider("up", up.url, "")},
				models:    map[string]string{"m": wired("m", "", "up", from.protocol())},
			})
			got, err := g.open(soon(t), request{path: d.path, body: d.streamed})
			if err != nil {
				t.Fatal(err)
			}
			defer got.Body.Close()
			ping := strings.TrimSpace(string(translate.PingEvent(d.protocol())))
			body, read := bufio.NewReader(got.Body), new(strings.Builder)
			for pings := 0; pings < 2; {
				line, err := body.ReadString('\n')
				if read.WriteString(line); err != nil {
					t.Fatalf("the stream ended before a second ping, with %v:\n%s", err, read)
				}
				if strings.HasPrefix(ping, strings.TrimSpace(line)) && strings.TrimSpace(line) != "" {
					pings++
				}
			}
			close(seen)
			rest, err := io.ReadAll(body)
			read.Write(rest)
			if view := d.view(read.String()); err != nil || !view.finished || view.failed || view.text != "hello" {
				t.Errorf("the client sees %+v, %v; want all of the text:\n%s", view, err, read)
			}
		})
	}
}

// A ping shows that the gateway is there, not that the upstream is.
func TestPingsPutOffNoTimeout(t *testing.T) {
	pingsAfter(t, 20*time.Millisecond)
	for _, d := range dialects {
		for _, from := range []dialect{d.otherWire(), d} {
			crossed := from.name != d.name
			up := serve(t, begins(from.firstHalf()))
			t.Setenv("UP_API_KEY", "k")
			g := start(t, setup{
				providers: map[string]string{"up": provider("up", up.url, "")},
				models:    map[string]string{"m": wired("m", "", "up", from.protocol())},
				directive: "timeouts {\n idle 200ms\n}",
			})
			got := g.timed(request{path: d.path, body: d.streamed})
			got.within(t, d.name+" from "+from.name, 200*time.Millisecond)
			if view := d.view(got.body); got.err != nil || !view.failed || view.finished {
				t.Errorf("%s from %s: the client sees %+v, %v; want an error at the end:\n%s", d.name, from.name, view, got.err, got.body)
			}
			// The client's own protocol has no pings but the upstream's.
			if pinged := strings.Contains(got.body, "ping"); pinged != crossed {
				t.Errorf("%s from %s: pings %v, want %v:\n%s", d.name, from.name, pinged, crossed, got.body)
			}
		}
	}
}
