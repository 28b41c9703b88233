package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// broken reports whether a recorded stream has an error in it.
func (r recording) broken() bool { return strings.Contains(r.shows, "error-event") }

// askFor is a request for a recorded stream.
func (r recording) askFor() request {
	return request{path: r.path(), body: streamed(goodRequests[r.path()])}
}

// pieces cuts a body at a few random places.
func pieces(random *rand.Rand, body []byte) [][]byte {
	var cut [][]byte
	for n := 1 + random.IntN(20); n > 0 && len(body) > 1; n-- {
		at := 1 + random.IntN(min(len(body)-1, 2*(1+len(body)/n)))
		cut = append(cut, body[:at])
		body = body[at:]
	}
	return append(cut, body)
}

// each byte by itself.
func bytewise(body []byte) [][]byte {
	var cut [][]byte
	for i := range body {
		cut = append(cut, body[i:i+1])
	}
	return cut
}

func TestStreamBytesComeBackUntouched(t *testing.T) {
	streams := recordings(t, "stream")
	g, _, upstream := corpusGateway(t, "up/*")
	random := rand.New(rand.NewPCG(7, 11))
	whole, broken, asked := make(tally), make(tally), make(tally)
	for _, r := range streams {
		if r.broken() {
			broken[r.api]++ // see TestARecordedErrorInAStreamPassesUntouched
			t.Logf("has an error in it: %s", r.file)
			continue
		}
		ways := [][][]byte{{r.body}, pieces(random, r.body), pieces(random, r.body)}
		if len(r.body) < 1500 {
			ways = append(ways, bytewise(r.body))
		}
		for _, way := range ways {
			upstream.says(&scripted{contentType: "text/event-stream; charset=utf-8", pieces: way})
			got := g.do(r.askFor())
			if got.status != 200 || got.body != string(r.body) || got.err != nil {
				t.Errorf("%s in %d pieces: status %d, %v; %s", r.file, len(way), got.status, got.err, difference(got.body, string(r.body)))
			}
			if ct := got.header.Get("Content-Type"); ct != "text/event-stream" {
				t.Errorf("%s: Content-Type %q", r.file, ct)
			}
			asked[r.api]++
		}
		whole[r.api]++
	}
	whole.log(t, "whole streams came back")
	asked.log(t, "times")
	broken.log(t, "broken streams")
	if n := whole.sum() + broken.sum(); n != len(streams) {
		t.Errorf("%d of %d streams are accounted for", n, len(streams))
	}
}

// slowly serves a first piece, and the rest when it is told to.
type slowly struct {
	first, rest string
	goOn        chan struct{}
	// abort breaks the connection in the end.
	abort bool
}

// ServeHTTP implements http.Handler.
func (s *slowly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	_, _ = io.WriteString(w, s.first)
	_ = http.NewResponseController(w).Flush()
	select {
	case <-s.goOn:
	case <-r.Context().Done():
		return
	}
	_, _ = io.WriteString(w, s.rest)
	if s.abort {
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
}

// readSlowly reads a stream that goes on only when its first piece has come
// through.
func readSlowly(t *testing.T, g *gateway, s *slowly, r request) string {
	t.Helper()
	response, err := g.open(soon(t), r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 200 {
		t.Fatalf("status %d, want a stream", response.StatusCode)
	}
	first := make([]byte, len(s.first))
	if _, err := io.ReadFull(response.Body, first); err != nil {
		t.Fatalf("the first piece did not come through: %v", err)
	}
	close(s.goOn)
	rest, err := io.ReadAll(response.Body)
	if err != nil {
		t.Errorf("after the first piece: %v", err)
	}
	return string(first) + string(rest)
}

func TestARecordedErrorInAStreamPassesUntouched(t *testing.T) {
	streams := recordings(t, "stream")
	g, _, upstream := corpusGateway(t, "up/*")
	seen := 0
	for _, r := range streams {
		if !r.broken() {
			continue
		}
		seen++
		// Both have content before the error. Where the client has got it, the
		// rest passes as it is, but for the sign of a good end behind the error.
		want := strings.TrimSuffix(string(r.body), "data: [DONE]\n\n")
		events := wholeEvents(string(r.body))
		first := ""
		for !contentIn(r.api, wholeEvents(first)) {
			first, events = first+events[0], events[1:]
		}
		s := &slowly{first: first, rest: string(r.body)[len(first):], goOn: make(chan struct{})}
		upstream.says(s)
		if got := readSlowly(t, g, s, r.askFor()); got != want {
			t.Errorf("%s: %s", r.file, difference(got, want))
		}
		// Where the error comes in the same read as the content, the client
		// may be spared all of it.
		upstream.says(&scripted{contentType: "text/event-stream", pieces: [][]byte{r.body}})
		if got := g.do(r.askFor()); got.status == 200 && got.body != want || got.status != 200 && got.status < 500 {
			t.Errorf("%s at once: status %d; %s", r.file, got.status, difference(got.body, want))
		}
	}
	if seen == 0 {
		t.Error("no recorded stream has an error in it")
	}
	t.Logf("streams with an error: %d", seen)
}

// errorEvents are error events as the providers write them.
var errorEvents = map[string]string{
	"chat":      "data: {\"error\":{\"message\":\"The engine is overloaded\",\"type\":\"server_error\",\"code\":\"overloaded\"}}\n\n",
	"responses": "event: error\ndata: {\"type\":\"error\",\"sequence_number\":0,\"code\":\"server_error\",\"message\":\"The engine is overloaded\",\"param\":null}\n\n",
	"messages":  "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"The engine is overloaded\"}}\n\n",
}

func TestAnErrorBeforeContentIsAnHTTPError(t *testing.T) {
	streams := recordings(t, "stream")
	g, _, upstream := corpusGateway(t, "up/*")
	status := map[string]int{"chat": 503, "responses": 502, "messages": 529}
	seen := make(tally)
	for _, r := range streams {
		if r.broken() {
			continue
		}
		// What comes before the content, an error, and then all the rest.
		opening := ""
		for _, event := range wholeEvents(string(r.body)) {
			if contentIn(r.api, []string{event}) {
				break
			}
			opening += event
		}
		rest := r.body[len(opening):]
		for _, way := range [][][]byte{
			{[]byte(opening + errorEvents[r.api] + string(rest))},
			{[]byte(opening), []byte(errorEvents[r.api]), rest},
			{[]byte(opening + errorEvents[r.api])},
		} {
			upstream.says(&scripted{contentType: "text/event-stream", pieces: way})
			got := g.do(r.askFor())
			if got.status != status[r.api] || got.header.Get("Content-Type") != "application/json" {
				t.Errorf("%s with an error in front, in %d pieces: status %d of %s, want %d as JSON: %.200q",
					r.file, len(way), got.status, got.header.Get("Content-Type"), status[r.api], got.body)
				continue
			}
			if message := got.get(t, "error", "message"); message != "The engine is overloaded" {
				t.Errorf("%s: message %q", r.file, message)
			}
		}
		seen[r.api]++
	}
	seen.log(t, "streams with an error in front")
}

// torn reports whether an event was cut within what it says.
func torn(event string) bool {
	_, said, _ := strings.Cut(strings.TrimSpace(event), "data:")
	said = strings.TrimSpace(said)
	return said != "[DONE]" && !json.Valid([]byte(said))
}

func TestACutStreamKeepsItsWholeEventsAndEndsInTheProtocolsError(t *testing.T) {
	streams := recordings(t, "stream")
	g, _, upstream := corpusGateway(t, "up/*")
	random := rand.New(rand.NewPCG(3, 5))
	whole, cut, refused := make(tally), make(tally), make(tally)
	for _, r := range streams {
		if r.broken() {
			continue
		}
		body := string(r.body)
		events := wholeEvents(body)
		// At the end of an event, anywhere, and shortly before the end.
		places := []int{
			len(strings.Join(events[:1+random.IntN(len(events)-1)], "")),
			1 + random.IntN(len(body)-1),
			len(body) - 1 - random.IntN(min(len(body)/2, 400)),
		}
		for _, at := range places {
			if body[at-1:at+1] == "\r\n" {
				at++ // CR alone ends a line, too
			}
			for _, abort := range []bool{false, true} {
				upstream.says(&scripted{contentType: "text/event-stream", pieces: [][]byte{r.body[:at]}, abort: abort})
				got := g.do(r.askFor())
				left := readable(body[:at])
				name := fmt.Sprintf("%s cut at %d of %d (abort: %v)", r.file, at, len(body), abort)
				switch {
				case !contentIn(r.api, left):
					refused[r.api]++
					if got.status != 502 || got.get(t, "error", "message") == "" {
						t.Errorf("%s: status %d, want 502: there was no content; %.200q", name, got.status, got.body)
					}
				case got.status != 200 || got.err != nil:
					t.Errorf("%s: status %d, %v; %.200q", name, got.status, got.err, got.body)
				case finished(r.api, left):
					whole[r.api]++
					// A part of an event behind the end is of no use to anybody.
					events := body[:lastEnd(body[:at])]
					if torn(body[len(events):at]) && finished(r.api, wholeEvents(events)) {
						if got.body != events {
							t.Errorf("%s: the answer was whole, yet %s", name, difference(got.body, events))
						}
						continue
					}
					tail, prefixed := strings.CutPrefix(got.body, body[:at])
					if !prefixed || strings.Trim(tail, "\n") != "" {
						t.Errorf("%s: the answer was whole, yet %s", name, difference(got.body, body[:at]))
					}
				default:
					cut[r.api]++
					kept := body[:lastEnd(body[:at])]
					if at-len(kept) > longEvent {
						kept = body[:at]
					}
					tail, prefixed := strings.CutPrefix(got.body, kept)
					if !prefixed {
						t.Errorf("%s: %s", name, difference(got.body, kept))
					} else if problem := terminalError(r.api, tail, len(kept) == at); problem != "" {
						t.Errorf("%s: it ends in %q: %s", name, tail, problem)
					}
				}
			}
		}
	}
	cut.log(t, "cut streams ended in an error")
	whole.log(t, "cuts took nothing that matters")
	refused.log(t, "cuts left no content and were HTTP errors")
}

// longEvent is the size from which a piece of an event is passed on before its
// end has come.
const longEvent = 256 << 10

// terminalError tells what is wrong with the end of a cut stream. Where it was
// cut within an event that had been passed on, that event may be ended first.
func terminalError(api, tail string, within bool) string {
	name := map[string]string{"chat": "", "responses": "event: response.failed\n", "messages": "event: error\n"}[api]
	at := strings.Index(tail, name+"data: {")
	if at < 0 {
		return "no error event"
	}
	if ended := strings.Trim(tail[:at], "\n"); at > 0 && !within || ended != "" && ended != "event: ping" {
		return "something else comes before the error"
	}
	data, ends := strings.CutSuffix(tail[at+len(name)+len("data: "):], "\n\n")
	var event struct {
		Type     string
		Error    struct{ Type, Message string }
		Response struct {
			ID     *string
			Status string
			Error  struct{ Code, Message string }
		}
	}
	if err := json.Unmarshal([]byte(data), &event); err != nil || !ends {
		return fmt.Sprintf("not one whole event: %v", err)
	}
	good := event.Error.Type != "" && event.Error.Message != ""
	switch api {
	case "messages":
		good = good && event.Type == "error"
	case "responses":
		good = event.Type == "response.failed" && event.Response.Status == "failed" && event.Response.ID != nil &&
			event.Response.Error.Code != "" && event.Response.Error.Message != ""
	}
	if !good {
		return "not the protocol's error"
	}
	return ""
}
