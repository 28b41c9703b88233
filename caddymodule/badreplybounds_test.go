package caddymodule

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// flood answers with a beginning and then a piece for ever, as fast as it can.
func flood(beginning, piece string) http.Handler {
	many := []byte(strings.Repeat(piece, max(1, 64<<10/len(piece))))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(w, beginning)
		for r.Context().Err() == nil {
			if _, err := w.Write(many); err != nil {
				return
			}
		}
	})
}

// tail keeps the last bytes of what is written to it.
type tail struct {
	n    int
	last []byte
}

// Write implements io.Writer.
func (l *tail) Write(p []byte) (int, error) {
	l.n += len(p)
	l.last = append(l.last, p...)
	if n := len(l.last); n > 4<<10 {
		l.last = append(l.last[:0], l.last[n-4<<10:]...)
	}
	return len(p), nil
}

// RELIABILITY B2: giant event, and endless stream. See also
// TestAnEventOf10MBPassesWhole.
func TestB2StreamsAreBounded(t *testing.T) {
	content := pacedEvents("s", 1)[0]
	g, other := played(t, chatDialect, "", map[string]http.Handler{
		"event":   flood(content+`data: {"choices":[{"index":0,"delta":{"content":"`, "x"),
		"first":   flood(`data: {"choices":[{"index":0,"delta":{"content":"`, "x"),
		"endless": flood(content, content),
	})
	for _, tc := range []struct {
		name, model string
		client      dialect
		mb          int // that may pass
	}{
		{"an event of 200 MB", "event", chatDialect, 48},
		{"an event of 200 MB, translated", "event", messagesDialect, 48},
		{"an event of 200 MB as the first content", "first", chatDialect, 1},
		{"an endless stream", "endless", chatDialect, 260},
		{"an endless stream, translated", "endless", messagesDialect, 260},
	} {
		var end tail
		grown := memoryNeeded(128, func() {
			got, err := g.open(t.Context(), request{path: tc.client.path, body: asking(tc.client.streamed, tc.model)})
			if err != nil {
				t.Fatal(err)
			}
			defer got.Body.Close()
			if _, err := io.Copy(&end, got.Body); err != nil {
				t.Errorf("%s: reading it: %v", tc.name, err)
			}
		})
		t.Logf("%s: %d MB came, memory grew by %d MB", tc.name, end.n>>20, grown)
		if grown > 128 {
			t.Errorf("%s: memory grew by %d MB, want at most 128", tc.name, grown)
		}
		if end.n > tc.mb<<20 {
			t.Errorf("%s: %d MB came, want at most %d", tc.name, end.n>>20, tc.mb)
		}
		if tc.model == "first" {
			if n := other.callsOf("first"); n != 1 || !bytes.HasSuffix(end.last, []byte("[DONE]\n\n")) {
				t.Errorf("%s: calls to the other route = %d, the stream ends with %q; want its answer", tc.name, n, end.last)
			}
			continue
		}
		last := end.last[bytes.LastIndex(bytes.TrimRight(end.last, "\n"), []byte("\n\n"))+2:]
		if seen := tc.client.view(string(last)); !seen.failed || seen.finished {
			t.Errorf("%s: it ends with %q, want an error", tc.name, last)
		}
	}
}

// RELIABILITY B2: endless stream. Time bounds one that is slow; see also
// TestTheTimeoutOfTheMostSpecificPlaceCounts.
func TestB2AnEndlessStreamEndsWithItsTime(t *testing.T) {
	content := pacedEvents("s", 1)[0]
	g, _ := played(t, chatDialect, "timeouts {\ntotal 300ms\n}", map[string]http.Handler{"slow": repeats(content, content)})
	for _, client := range dialects {
		got := g.timed(request{path: client.path, body: asking(client.streamed, "slow")})
		got.within(t, client.name, 300*time.Millisecond)
		if seen := client.view(got.body); !seen.failed || seen.finished || !strings.HasPrefix(seen.text, "s-0 ") {
			t.Errorf("%s: the client sees %+v, want text and an error", client.name, seen)
		}
	}
}
