package caddymodule

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// beats lets many streams go on together, one event per beat.
type beats struct {
	mu   sync.Mutex
	past int
	next chan struct{}
}

func newBeats() *beats { return &beats{next: make(chan struct{})} }

func (b *beats) beat() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.past++
	close(b.next)
	b.next = make(chan struct{})
}

// await waits for the n-th beat; it is false when ctx ends before.
func (b *beats) await(ctx context.Context, n int) bool {
	for {
		b.mu.Lock()
		past, next := b.past, b.next
		b.mu.Unlock()
		if past >= n {
			return true
		}
		select {
		case <-next:
		case <-ctx.Done():
			return false
		}
	}
}

// pacedEvents are a Chat stream, every event of which tells whose it is.
func pacedEvents(name string, n int) []string {
	var events []string
	for i := range n {
		events = append(events, fmt.Sprintf(`data: {"id":%q,"object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{"content":"%s-%d "},"finish_reason":null}]}`+"\n\n", name, name, i))
	}
	return append(events, `data: {"id":"`+name+`","object":"chat.completion.chunk","created":1,"model":"up","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\ndata: [DONE]\n\n")
}

// paced answers requests with a Session-Id by a stream that goes on with the
// beats, and others whole.
func paced(b *beats, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		name := r.Header.Get("Session-Id")
		if name == "" {
			answers(200, chatAnswer)(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for i, event := range pacedEvents(name, n) {
			if !b.await(r.Context(), i) {
				return
			}
			_, _ = io.WriteString(w, event)
			_ = http.NewResponseController(w).Flush()
		}
	}
}

// opened is a stream that a client reads.
type opened struct {
	name string
	done chan response
}

// openStreams opens streams and returns when all of them have begun.
func (g *gateway) openStreams(n int) []opened {
	g.t.Helper()
	var streams []opened
	for i := range n {
		s := opened{name: fmt.Sprintf("stream%d", i), done: make(chan response, 1)}
		got, err := g.open(g.t.Context(), request{path: chatPath, body: chatStreamed, header: map[string]string{"Session-Id": s.name}})
		if err != nil {
			g.t.Fatal(err)
		}
		go func() {
			defer got.Body.Close()
			body, err := io.ReadAll(got.Body)
			s.done <- response{got.StatusCode, got.Header, string(body), err}
		}()
		streams = append(streams, s)
	}
	return streams
}

// wantWhole waits for a stream's end.
func (s opened) wantWhole(t *testing.T, n int) {
	t.Helper()
	got := <-s.done
	if want := strings.Join(pacedEvents(s.name, n), ""); got.status != 200 || got.err != nil || got.body != want {
		t.Errorf("%s: status %d, error %v, %d bytes; want 200 and %d bytes whole\n%s", s.name, got.status, got.err, len(got.body), len(want), got.body)
	}
}
