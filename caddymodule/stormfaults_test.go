package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// stormFault is what an upstream of the storm does with a request.
type stormFault int

const (
	good          stormFault = iota
	slow                     // takes its time, but less than the timeout
	reset                    // ends the connection before any answer
	serverError              // 500
	htmlError                // 502, in HTML
	unavailable              // 503
	overloaded               // 529
	cutEarly                 // ends the connection before the first content
	stall                    // never gets to the first content
	cutLate                  // ends the connection after the first content
	limitedKey               // 429 to one key
	refusedKey               // 401 to one key
	faultsInStorm            // how many kinds there are
)

var stormFaultNames = [faultsInStorm]string{
	"good", "slow", "reset", "500", "502 HTML", "503", "529", "cut before content", "stall", "cut after content", "429", "401",
}

// The storm's upstreams: a takes every protocol and a connection for every
// request, so that a closed listener refuses; b and c take one protocol each.
var stormProviders = []string{"a", "b", "c"}

// span is a time from the beginning of the storm to another.
type span struct{ from, to time.Duration }

func (s span) holds(at time.Duration) bool { return s.from <= at && at < s.to }

// period is how often the windows of time below come back.
const period = 5 * time.Second

// repeated are spans of one period of every so many, from the offset on.
func repeated(length time.Duration, every, offset int, spans ...span) []span {
	var all []span
	for n := offset; time.Duration(n)*period < length; n += every {
		for _, s := range spans {
			all = append(all, span{s.from + time.Duration(n)*period, s.to + time.Duration(n)*period})
		}
	}
	return all
}

// storm knows every fault: what upstreams do is decided by the number of the
// request and the provider, or by the key and the time, and by nothing else.
type storm struct {
	// refused and outage are when a provider, by its index, cannot be reached
	// or answers 503 to all; limited and dead are when keys are refused.
	refused, outage [3][]span
	limited, dead   map[string][]span

	mu    sync.Mutex
	began time.Time
	posts map[int]int // by request
	seen  [faultsInStorm]int
}

// firstInStorm is the number of the first request that may meet a fault.
const firstInStorm = 1_000_000

// begin lets the time of the storm begin now.
func (s *storm) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = time.Now()
}

func (s *storm) beginning() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.began
}

// newStorm plans a storm of a length. In each period, one provider after the
// other has its troubles. The third key of each is never refused, so that no
// provider is without one.
func newStorm(length time.Duration) *storm {
	s := &storm{posts: make(map[int]int), limited: make(map[string][]span), dead: make(map[string][]span)}
	second := func(from, to float64) span {
		return span{time.Duration(from * float64(time.Second)), time.Duration(to * float64(time.Second))}
	}
	s.refused[0] = repeated(length, 1, 0, second(1, 1.6))
	s.outage[1] = repeated(length, 2, 0, second(2.5, 3.2))
	s.outage[2] = repeated(length, 2, 1, second(2.5, 3.2))
	for i, name := range stormProviders {
		s.limited[name+"-key-1"] = repeated(length, 3, i, second(0.5, 2))
		s.limited[name+"-key-2"] = repeated(length, 3, (i+1)%3, second(3.5, 4.5))
	}
	s.dead["b-key-2"] = []span{{length * 3 / 10, length * 4 / 10}}
	return s
}

// faultOf is what a provider does with a request, by the request's number.
func faultOf(number, provider int, streamed bool) stormFault {
	if number%50 == 7 && streamed {
		return cutLate // everywhere, so that nobody can mend it
	}
	// SplitMix64, so that neighbours have nothing in common.
	x := uint64(number*len(stormProviders)+provider)*0x9e3779b97f4a7c15 + 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	roll := int((x ^ x>>31) % 1000)
	if number%101 == 0 {
		roll %= 140 // everywhere too: nobody can answer it
	}
	for _, share := range []struct {
		fault stormFault
		up    int // to this of the thousand
	}{
		{reset, 20},
		{serverError, 50},
		{htmlError, 60},
		{unavailable, 80},
		{overloaded, 100},
		{cutEarly, 120},
		{stall, 140},
		{slow, 190},
	} {
		if roll < share.up {
			return share.fault
		}
	}
	return good
}

// mends reports whether a provider that does this answers the request.
func (f stormFault) mends() bool { return f == good || f == slow }

func anyHolds(spans []span, at time.Duration) bool {
	return slices.ContainsFunc(spans, func(s span) bool { return s.holds(at) })
}

// fault is what a provider does with a request that comes at a time with a key.
func (s *storm) fault(number, provider int, key string, at time.Duration, streamed bool) stormFault {
	switch {
	case number < firstInStorm:
		return good
	case anyHolds(s.outage[provider], at):
		return unavailable
	case anyHolds(s.limited[key], at):
		return limitedKey
	case anyHolds(s.dead[key], at):
		return refusedKey
	}
	return faultOf(number, provider, streamed)
}

// fate is what must become of a request.
type fate int

const (
	mustSucceed fate = iota
	mustFail         // no provider answers it
	mayBoth          // it met the edge of a window of time
	mustBreak        // it is cut after the first content
)

var fateNames = []string{"must succeed", "must fail", "may do both", "is cut after content"}

// edge is how inexact the beginning and the end of windows of time are.
const edge = 100 * time.Millisecond

// oracle is the fate of a request that was under way at a time.
func (s *storm) oracle(number int, streamed bool, during span) fate {
	answered, perhaps := false, false
	for provider := range stormProviders {
		f := faultOf(number, provider, streamed)
		if f == cutLate {
			return mustBreak
		}
		if !f.mends() {
			continue
		}
		perhaps = true
		meets := func(w span) bool { return w.from-edge < during.to && during.from < w.to+edge }
		if !slices.ContainsFunc(s.refused[provider], meets) && !slices.ContainsFunc(s.outage[provider], meets) {
			answered = true
		}
	}
	switch {
	case answered:
		return mustSucceed
	case perhaps:
		return mayBoth
	}
	return mustFail
}

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

var stormNumber = regexp.MustCompile(`number (\d+)`)

// ServeHTTP implements http.Handler.
func (u *stormUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	found := stormNumber.FindSubmatch(body)
	if err != nil || found == nil {
		// The gateway gave the attempt up while it sent it; that it began to
		// is an attempt all the same, of a request that we cannot know.
		u.storm.count(-1, good)
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

// total is how many POSTs there were in the storm.
func (s *storm) total() (posts int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for number, n := range s.posts {
		if number >= firstInStorm {
			posts += n
		}
	}
	return posts
}

// do answers a request, or does not.
func (s *storm) do(fault stormFault, number int, streamed bool, w http.ResponseWriter, r *http.Request) {
	text, beginning := stormAnswer(r.URL.Path, number, streamed)
	kind := "application/json"
	if streamed {
		kind = "text/event-stream"
	}
	say := func(text string) {
		w.Header().Set("Content-Type", kind)
		_, _ = io.WriteString(w, text)
		_ = http.NewResponseController(w).Flush()
	}
	switch fault {
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

// stormRequest is a client's request: a third in each protocol, half of them for
// a stream.
func stormRequest(number int) (d dialect, body string, streamed bool) {
	d = dialects[number%len(dialects)]
	streamed = number/len(dialects)%2 == 0
	body = strings.Replace(d.streamed, `"hi"`, fmt.Sprintf(`"number %d"`, number), 1)
	if !streamed {
		body = strings.Replace(body, `"stream":true,`, "", 1)
	}
	return d, body, streamed
}

// end is how a request ended for its client.
type end string

const (
	endedWell   end = "answered"
	endedFailed end = "failed"
	endedLying  end = "neither answered nor failed"
)

// endOf reads an answer as a client of the protocol does.
func (d dialect) endOf(got response, number int, streamed bool) end {
	if got.status == 200 && streamed {
		switch seen := d.view(got.body); {
		case got.err == nil && seen == view{text: stormText(number), finished: true}:
			return endedWell
		case seen.failed && !seen.finished:
			return endedFailed
		}
		return endedLying
	}
	var object map[string]any
	if got.err != nil || json.Unmarshal([]byte(got.body), &object) != nil {
		return endedLying
	}
	switch d.name {
	case "chat":
		return wholeEnd(got, textAt(object, "choices", 0, "message", "content"), textAt(object, "error", "message"), number)
	case "messages":
		return wholeEnd(got, textAt(object, "content", 0, "text"), textAt(object, "error", "message"), number)
	}
	return wholeEnd(got, textAt(object, "output", 0, "content", 0, "text"), textAt(object, "error", "message"), number)
}

func wholeEnd(got response, text, message string, number int) end {
	switch {
	case got.status == 200 && text == stormText(number) && message == "" && strings.Count(got.body, text) == 1:
		return endedWell
	case got.status >= 400 && message != "" && text == "":
		return endedFailed
	}
	return endedLying
}
