package caddymodule

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// The ways in which a stream is cut.
const (
	cutEnd    = "end"    // its body ends in good order, for the transport
	cutClosed = "closed" // its connection is closed (FIN)
	cutReset  = "reset"  // its connection is reset (RST)
	cutHang   = "hang"   // it falls silent
)

// cutTail is the length of the part where all places count: a stream may be whole
// before its last bytes have come.
const cutTail = 64

// cutUpstream is the first route: it sends a part of a stream and then breaks in
// one of several ways. The User-Agent says what, since it passes between any two
// protocols: "case:way:offset:client".
type cutUpstream struct {
	cases []cutCase
	mu    sync.Mutex
	calls map[string]int // by User-Agent
}

func (u *cutUpstream) count(r *http.Request) string {
	id := r.UserAgent()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls[id]++
	return id
}

// ServeHTTP implements http.Handler.
func (u *cutUpstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	parts := strings.Split(u.count(r), ":")
	number, _ := strconv.Atoi(parts[0])
	offset, _ := strconv.Atoi(parts[2])
	sent := u.cases[number].stream[:offset]
	if parts[1] == cutEnd {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush() // else it is sent with a length
		_, _ = io.WriteString(w, sent)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"+sent)
	switch parts[1] {
	case cutReset:
		_ = conn.(*net.TCPConn).SetLinger(0)
	case cutHang:
		_, _ = io.Copy(io.Discard, conn) // until the gateway gives up
	}
}

// cutGateway has two routes for each protocol that an upstream may speak: the
// second one says "other".
type cutGateway struct {
	*gateway
	first  *cutUpstream
	second *cutUpstream // for its count
}

func startCutGateway(t *testing.T, cases []cutCase) *cutGateway {
	t.Helper()
	first := &cutUpstream{cases: cases, calls: make(map[string]int)}
	second := &cutUpstream{calls: make(map[string]int)}
	a := httptest.NewServer(first)
	b := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		second.count(r)
		for wire, path := range pathOf {
			if r.URL.Path == path {
				w.Header().Set("Content-Type", "text/event-stream")
				_, _ = io.WriteString(w, cutStreams[wire].other)
			}
		}
	}))
	t.Cleanup(a.Close)
	t.Cleanup(b.Close)
	for _, key := range []string{"A", "H", "B"} {
		t.Setenv(key+"_API_KEY", "key-"+key)
	}
	models := make(map[string]string)
	for _, wire := range wires {
		for provider, prefix := range map[string]string{"a": "cut", "h": "hang"} {
			name := prefix + "-" + string(wire)
			models[name] = fmt.Sprintf(`{"logical_name": %q, "model_routings": [
				{"provider": %q, "model": "up", "wire_protocol": %q}, {"provider": "b", "model": "up", "wire_protocol": %q}]}`, name, provider, wire, wire)
		}
	}
	return &cutGateway{
		gateway: start(t, setup{
			providers: map[string]string{
				"a": provider("a", a.URL, ""),
				"h": provider("h", a.URL, `"timeouts": {"first_content": "80ms", "idle": "40ms"},`),
				"b": provider("b", b.URL, ""),
			},
			models: models,
			// Each cut is to meet the same routes in the same order.
			directive: "cooldown 0\n breaker off\n retry_budget off\n affinity off",
		}),
		first:  first,
		second: second,
	}
}

// ask asks for a stream in one protocol of an upstream that is cut.
func (g *cutGateway) ask(client translate.Protocol, c *cutCase, number int, way string, offset int) (id string, got response) {
	id = fmt.Sprintf("%d:%s:%d:%s", number, way, offset, client)
	prefix := "cut-"
	if way == cutHang {
		prefix = "hang-"
	}
	body := asking(streamed(goodRequests[pathOf[client]]), prefix+string(c.wire))
	return id, g.do(request{
		path: pathOf[client], body: strings.Replace(body, `"max_tokens":5`, `"max_tokens":5000`, 1),
		header: map[string]string{"User-Agent": id},
	})
}

// cutTally is what came of the cuts of one pair of protocols.
type cutTally struct {
	mu     sync.Mutex
	counts map[string]map[string]int // way, outcome
	ends   map[string]bool           // that the SDKs have been asked about
}

func (c *cutTally) add(way, outcome string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts[way] == nil {
		c.counts[way] = make(map[string]int)
	}
	c.counts[way][outcome]++
}

// first reports whether a stream of this kind comes for the first time.
func (c *cutTally) first(kind string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.ends[kind]
	c.ends[kind] = true
	return !seen
}

// Wherever and however a stream is cut, whatever the client and the upstream
// speak: the client gets the second route's answer whole, or the beginning of
// the first one's and its protocol's own error, or all of the first one's where
// that had said that it was done. It never takes half an answer for a whole one,
// never gets a text twice, and nothing is asked after the first content.
//
// This is the row "error or cut after content" of RELIABILITY B2, and that of
// streams whose end only the protocol tells.
func TestAStreamCutAnywhereIsNeverTakenForWholeOnAnyPair(t *testing.T) {
	cases := casesToCut(t)
	g := startCutGateway(t, cases)

	type cut struct {
		number int
		client translate.Protocol
		way    string
		offset int
	}
	wholes := make(map[cut]said)
	tallies := make(map[string]*cutTally)
	var cuts []cut
	skipped := 0
	for number := range cases {
		c := &cases[number]
		for _, client := range wires {
			_, got := g.ask(client, c, number, cutEnd, len(c.stream))
			whole := whatIsSaid(client, got.body)
			if got.status != http.StatusOK || got.header.Get("Llm-Proxy-Provider") != "a" || !whole.finished || whole.failed || whole.fault != "" {
				if c.own {
					t.Fatalf("%s to %s: the whole stream has status %d and is %+v:\n%s", client, c.name, got.status, whole, got.body)
				}
				skipped++ // nothing can be said of its parts
				continue
			}
			wholes[cut{number: number, client: client}] = whole
			if pair := pairName(client, c.wire); tallies[pair] == nil {
				tallies[pair] = &cutTally{counts: make(map[string]map[string]int), ends: make(map[string]bool)}
			}
			for way, every := range c.every {
				step := every
				for offset := 0; every > 0 && offset < len(c.stream); offset += step {
					if step = every; len(c.stream)-offset > cutTail {
						step *= cutStride
					}
					if way == cutHang && offset%(16*every) != 0 && upstreamSaid(c, offset).finished {
						continue // each of these takes the two seconds that an end may take
					}
					cuts = append(cuts, cut{number, client, way, offset})
				}
			}
		}
	}
	// What waits is spread over what does not.
	slices.SortStableFunc(cuts, func(a, b cut) int { return cmp.Compare(a.offset%97, b.offset%97) })

	queue := make(chan cut)
	var workers sync.WaitGroup
	for range 64 {
		workers.Go(func() {
			for q := range queue {
				c := &cases[q.number]
				id, got := g.ask(q.client, c, q.number, q.way, q.offset)
				tally := tallies[pairName(q.client, c.wire)]
				j := &cutJudge{t, g, c, q.client, q.way, q.offset, id, got, tally}
				tally.add(q.way, j.judge(wholes[cut{number: q.number, client: q.client}]))
			}
		})
	}
	for _, q := range cuts {
		queue <- q
	}
	close(queue)
	workers.Wait()

	t.Logf("%d cuts of %d streams; %d times a stream was passed over that is not whole by itself", len(cuts), len(cases), skipped)
	for _, pair := range slices.Sorted(maps.Keys(tallies)) {
		tally := tallies[pair]
		t.Logf("%-22s %v", pair, tally.counts)
		for _, outcome := range []string{"second route", "error", "whole"} {
			if tally.counts[cutEnd][outcome] == 0 {
				t.Errorf("%s: not a single cut ended with %q, so the test tests nothing", pair, outcome)
			}
		}
	}
}

func pairName(client, wire translate.Protocol) string { return string(client) + " on " + string(wire) }

// upstreamSaid is what the upstream had said when it was cut. An event that lacks
// only the empty line behind it counts.
func upstreamSaid(c *cutCase, offset int) said {
	return whatIsSaid(c.wire, c.stream[:offset]+"\n\n")
}

// cutJudge judges what a client got of a stream that was cut.
type cutJudge struct {
	t      *testing.T
	g      *cutGateway
	c      *cutCase
	client translate.Protocol
	way    string
	offset int
	id     string
	got    response
	tally  *cutTally
}

func (j *cutJudge) errorf(format string, arguments ...any) string {
	j.t.Helper()
	j.t.Errorf("%s on %s, %s at %d: %s\nthe client gets %d %q", j.client, j.c.name, j.way, j.offset, fmt.Sprintf(format, arguments...), j.got.status, j.got.body)
	return "wrong"
}

func (j *cutJudge) judge(whole said) string {
	if j.got.status != http.StatusOK || j.got.err != nil {
		return j.errorf("status %d, error %v; want 200 and a clean end", j.got.status, j.got.err)
	}
	a, b := j.g.first.calls, j.g.second.calls
	j.g.first.mu.Lock()
	asked := a[j.id]
	j.g.first.mu.Unlock()
	j.g.second.mu.Lock()
	others := b[j.id]
	j.g.second.mu.Unlock()
	if asked == 0 && j.way == cutHang {
		asked = 1 // the gateway gave up before the upstream had read what it was asked
	}
	// The header was written with the first content.
	if told := j.got.header.Get("Llm-Proxy-Attempts"); told != strconv.Itoa(asked+others) {
		return j.errorf("%d and %d calls to the upstreams, but %s when the answer began", asked, others, told)
	}
	// A reset may come before the answer has been read; a single key is asked
	// again then, as after a connection that broke while it was idle.
	if asked != 1 && (asked != 2 || j.way != cutReset) || others > 1 {
		return j.errorf("%d and %d calls to the upstreams", asked, others)
	}

	seen := whatIsSaid(j.client, j.got.body)
	if seen.fault != "" {
		return j.errorf("%s", seen.fault)
	}
	if j.got.header.Get("Llm-Proxy-Provider") == "b" {
		if seen.text != "other" || seen.thinking != "" || seen.calls != "" || !seen.finished || seen.failed {
			return j.errorf("the second route's answer is %+v", seen)
		}
		return "second route"
	}
	upstream := upstreamSaid(j.c, j.offset)
	switch {
	case others > 0:
		return j.errorf("the first route answers, but the second one was asked")
	case !seen.begins(whole):
		return j.errorf("%+v is not how %+v begins", seen, whole)
	case seen.finished && !seen.failed && !upstream.finished:
		return j.errorf("a cut stream ends like a success")
	case !seen.finished && !seen.failed:
		return j.errorf("the client learns neither of success nor of failure")
	case seen.finished && !seen.failed && !seen.saysAll(whole):
		return j.errorf("%+v ends like a success, but %+v is all of it", seen, whole)
	}
	if j.c.own && j.tally.first(fmt.Sprint(j.way, seen.events, seen.failed)) {
		if failed, err := sdkEnd(j.client, j.got.body); err != nil || failed != seen.failed {
			return j.errorf("the official SDK sees failed = %v, error %v; want failed = %v", failed, err, seen.failed)
		}
	}
	if seen.failed {
		return "error"
	}
	return "whole"
}
