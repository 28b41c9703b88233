package caddymodule

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// stormUpstream is one provider of the storm.
type stormUpstream struct {
	storm    *storm
	provider int
	address  string

	mu       sync.Mutex
	listener net.Listener
	server   *http.Server
}

// serveStorm runs a provider until the test ends.
func serveStorm(t *testing.T, s *storm, provider int) *stormUpstream {
	t.Helper()
	u := &stormUpstream{storm: s, provider: provider, address: "127.0.0.1:0"}
	u.server = &http.Server{Handler: u}
	u.server.SetKeepAlivesEnabled(provider != 0)
	u.open(t)
	t.Cleanup(func() { u.server.Close() })
	return u
}

// open begins to listen, again at the same port.
func (u *stormUpstream) open(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", u.address)
	if err != nil {
		t.Error(err)
		return
	}
	u.mu.Lock()
	u.listener, u.address = listener, listener.Addr().String()
	u.mu.Unlock()
	go func() { _ = u.server.Serve(listener) }()
}

// close refuses connections from now on. Those that are open go on.
func (u *stormUpstream) close() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.listener.Close()
}

// refuse opens and closes the listener as the storm says.
func (u *stormUpstream) refuse(t *testing.T, stop <-chan struct{}) {
	began := u.storm.beginning()
	for _, w := range u.storm.refused[u.provider] {
		for _, step := range []struct {
			at time.Duration
			do func()
		}{{w.from, u.close}, {w.to, func() { u.open(t) }}} {
			timer := time.NewTimer(time.Until(began.Add(step.at)))
			select {
			case <-timer.C:
			case <-stop:
				timer.Stop()
			}
			step.do()
		}
	}
}

// unknownNumber counts for requests that cannot be told.
const unknownNumber = -1

var stormNumber = regexp.MustCompile(`number (\d+)`)

// ServeHTTP implements http.Handler.
func (u *stormUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	found := stormNumber.FindSubmatch(body)
	if err != nil || found == nil {
		// The gateway gave the attempt up while it sent it; that it began to
		// is an attempt all the same, of a request that we cannot know.
		u.storm.count(unknownNumber, good)
		return
	}
	number, _ := strconv.Atoi(string(found[1]))
	streamed := strings.Contains(string(body), `"stream":true`)
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	fault := u.storm.fault(number, u.provider, key, time.Since(u.storm.beginning()), streamed)
	u.storm.count(number, fault)
	u.storm.do(fault, number, streamed, w, r)
}

func (s *storm) count(number int, fault stormFault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts[number]++
	if number >= firstInStorm {
		s.seen[fault]++
	}
}

// ledger is how many POSTs there were, by request.
func (s *storm) ledger() map[int]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.posts)
}

// do answers a request, or does not.
func (s *storm) do(fault stormFault, number int, streamed bool, w http.ResponseWriter, r *http.Request) {
	text, beginning := stormAnswer(r.URL.Path, number, streamed)
	fault.do(text, beginning, streamed, w, r)
}

// do answers with a text that says that its request is answered, or does not. Of a
// stream, so many bytes come before any content.
func (f stormFault) do(text string, beginning int, streamed bool, w http.ResponseWriter, r *http.Request) {
	kind := "application/json"
	if streamed {
		kind = "text/event-stream"
	}
	say := func(text string) {
		w.Header().Set("Content-Type", kind)
		_, _ = io.WriteString(w, text)
		_ = http.NewResponseController(w).Flush()
	}
	switch f {
	case good:
		say(text[:beginning])
		say(text[beginning:])
	case slow:
		select {
		case <-time.After(100 * time.Millisecond):
			say(text)
		case <-r.Context().Done():
		}
	case reset:
		panic(http.ErrAbortHandler)
	case serverError:
		answers(500, brokenBody)(w, r)
	case htmlError:
		answers(502, "<html>bad gateway</html>", "Content-Type", "text/html")(w, r)
	case unavailable:
		answers(503, brokenBody)(w, r)
	case overloaded:
		answers(529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`)(w, r)
	case cutEarly:
		say(text[:beginning])
		panic(http.ErrAbortHandler)
	case stall:
		say(text[:beginning])
		<-r.Context().Done()
	case cutLate:
		say(text[:strings.Index(text, "is answered")-2])
		say(text[strings.Index(text, "is answered")-2 : strings.LastIndex(text, "is answered")])
		panic(http.ErrAbortHandler)
	case limitedKey:
		answers(429, rateLimited, "Retry-After", "1")(w, r)
	case refusedKey:
		answers(401, `{"error":{"message":"bad key","code":"invalid_api_key"}}`)(w, r)
	}
}

// stormText is what the answer to a request says.
func stormText(number int) string { return fmt.Sprintf("number %d is answered", number) }

// stormAnswers are whole answers that say "hello", by path.
var stormAnswers = map[string]string{
	chatPath:        chatAnswer,
	"/v1/messages":  `{"id":"msg_1","type":"message","role":"assistant","model":"up","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":2}}`,
	"/v1/responses": `{"id":"resp_1","object":"response","created_at":1,"model":"up","status":"completed","output":[{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"hello","annotations":[]}]}],"usage":{"input_tokens":5,"output_tokens":2,"total_tokens":7}}`,
}

// stormAnswer is an upstream's answer, and how much of it is before any content.
func stormAnswer(path string, number int, streamed bool) (text string, beginning int) {
	text = stormAnswers[path]
	if !streamed {
		return strings.Replace(text, "hello", stormText(number), 1), 20
	}
	for _, d := range dialects {
		if d.path == path {
			text, beginning = d.stream, len(d.greeting)
		}
	}
	said := fmt.Sprintf(`"number %d "`, number)
	return strings.NewReplacer(`"hel"`, said, `"lo"`, `"is answered"`, `"hello"`, `"`+stormText(number)+`"`).Replace(text), beginning
}
