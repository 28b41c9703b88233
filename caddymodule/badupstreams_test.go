package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// badUpstream is a case of what an upstream may send.
type badUpstream struct {
	badInput
	ContentType string `json:"content_type"`
	Delivery    delivery
	// Expected hides that of badInput.
	Expected struct {
		Fallback     json.RawMessage // true, false, or in words
		ClientStatus []int           `json:"client_status"`
		// StreamComplete is one answer or both.
		StreamComplete json.RawMessage `json:"stream_complete"`
		SSEEvents      []sseEvent      `json:"sse_events"`
		Usage          []int64
		CooldownS      []float64       `json:"cooldown_s"`
		MaxMS          json.RawMessage `json:"max_ms"` // a number, or in words
		MaxRSSDeltaMB  int64           `json:"max_rss_delta_mb"`
	}

	bytes string // the payload
	text  string // of the stream that it is, once read
	read  bool
}

func (c *badUpstream) contentType() string {
	switch {
	case c.ContentType != "":
		return c.ContentType
	case c.Layer == "sse":
		return "text/event-stream"
	}
	return "application/json"
}

func (c *badUpstream) expectsNext() bool { return string(c.Expected.Fallback) == "true" }

// heavy says that a case is about time or memory, so that nothing else may go on.
func (c *badUpstream) heavy() bool {
	return c.Expected.MaxRSSDeltaMB > 0 || c.maxMS() > 0 || len(c.bytes) > 1<<20
}

// twice says that a case is met twice: what takes long need not.
func (c *badUpstream) twice() bool { return !c.heavy() || c.Expected.MaxRSSDeltaMB > 0 }

func (c *badUpstream) maxMS() int {
	n := 0
	_ = json.Unmarshal(c.Expected.MaxMS, &n)
	return n
}

// trialGround is a gateway with a provider and a model for every trial.
type trialGround struct {
	*gateway
	stage   *stage
	spare   *spare
	trials  map[string][]*trial // by case
	log     logged
	hits    func() int64
	machine *machine
}

func prepareTrials(t *testing.T, cases []badUpstream) *trialGround {
	t.Helper()
	ground := &trialGround{stage: newStage(t), spare: &spare{calls: make(map[string]int)}, trials: make(map[string][]*trial), log: logFile(t), machine: watchMachine()}
	t.Cleanup(func() { ground.machine.stop() })
	port, count := hits(t)
	ground.stage.canary, ground.hits = port, count.Load
	spare := serve(t, ground.spare)
	s := setup{
		providers: map[string]string{"spare": provider("spare", spare.url, "")},
		models:    map[string]string{"good": model("good", "", "spare/good")},
		directive: fmt.Sprintf("%s\nretry_budget off\nmax_attempts 4\ntimeouts {\nfirst_content %v\nidle %v\n}", untrusted, trialFirst, trialIdle),
		global:    ground.log.option,
		site:      "log",
	}
	t.Setenv("SPARE_API_KEY", "UPSTREAM-KEY-2")
	for i := range cases {
		c := &cases[i]
		parts, _ := c.segments(t, "")
		payload, err := io.ReadAll(bodyOf(parts))
		if err != nil {
			t.Fatal(err)
		}
		c.bytes = string(payload)
		binds := c.Layer == "sse" && string(c.Expected.Fallback) == "false" && c.Delivery.Then == ""
		if binds {
			// Only what has been shown does: an error that comes along with the first
			// content could still be mended.
			before := strings.LastIndex(c.bytes[:strings.Index(c.bytes, "error")], "\n\n") + 2
			c.Delivery.SplitAt = []int{before}
		}
		for _, tr := range trialsOf(c) {
			if binds {
				tr.came = make(chan struct{}, 1)
			}
			ground.trials[c.ID] = append(ground.trials[c.ID], tr)
			ground.stage.trials[tr.name] = tr
			t.Setenv(strings.ToUpper(tr.name)+"_API_KEY", "UPSTREAM-KEY-1")
			s.providers[tr.name] = provider(tr.name, ground.stage.at(tr)+"/"+tr.name, tr.timeouts())
			route := `{"provider": %q, "model": %q, "wire_protocol": %q}`
			routes := fmt.Sprintf(route, tr.name, tr.name, tr.wire.protocol())
			if !tr.alone {
				// In the same protocol, or a translation that is refused would
				// have somewhere to go.
				routes += ", " + fmt.Sprintf(route, "spare", tr.name, tr.wire.protocol())
			}
			s.models[tr.name] = fmt.Sprintf(`{"logical_name": %q, "model_routings": [%s]}`, tr.name, routes)
		}
	}
	ground.gateway = start(t, s)
	return ground
}

// ask is timed for goroutines that must not end a test. Where there is a buffer
// the body is left there.
func (g *gateway) ask(r request, buffer io.ReaderFrom) (timed, error) {
	var own bytes.Buffer
	if buffer == nil {
		buffer = &own
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	began := time.Now()
	got, err := g.open(ctx, r)
	if err != nil {
		return timed{}, err
	}
	defer got.Body.Close()
	_, err = buffer.ReadFrom(got.Body)
	return timed{response{got.StatusCode, got.Header, own.String(), err}, time.Since(began)}, nil
}

// run meets a case: once, once more, and then something good is asked.
func (ground *trialGround) run(tr *trial) {
	ask := func(to *timed, r request) {
		buffer := audience{came: tr.came}
		if tr.heavy() {
			// What the client holds must not count.
			buffer.Grow(len(tr.bytes)*3 + 1<<20)
		}
		var err error
		lost := ground.machine.lost()
		meet := func() { *to, err = ground.ask(r, &buffer) }
		if tr.Expected.MaxRSSDeltaMB > 0 {
			if grown := memoryNeeded(tr.maxGrown(), meet); to == &tr.first || to == &tr.again && grown < tr.grown {
				tr.grown = grown // the lower of two: garbage comes and goes
			}
		} else {
			meet()
		}
		if err != nil {
			tr.failed = err
		}
		to.body = buffer.String()
		if tr.maxMS() == 0 {
			// The limits of these are about how long the gateway waits, and not about
			// what else the machine has to do.
			to.took -= ground.machine.lost() - lost
		}
	}
	r := request{path: tr.client.path, body: tr.body()}
	switch {
	case tr.Delivery.H2 != "" && !tr.expectsNext():
		// These are about what goes on at the same time.
		var both sync.WaitGroup
		both.Go(func() { ask(&tr.again, r) })
		ask(&tr.first, r)
		both.Wait()
	case !tr.twice():
		ask(&tr.first, r)
		tr.spared = ground.spare.callsOf(tr.name)
	default:
		ask(&tr.first, r)
		tr.spared = ground.spare.callsOf(tr.name)
		ask(&tr.again, r)
	}
	ask(&tr.good, request{path: chatPath, body: asking(chatRequest, "good")})
}

// attempts is how many the gateway tells of.
func (r response) attempts() (n int) {
	_, _ = fmt.Sscan(r.header.Get("Llm-Proxy-Attempts"), &n)
	return n
}

// runAll meets all cases, the heavy ones one after the other.
func (ground *trialGround) runAll() {
	var workers sync.WaitGroup
	queue := make(chan *trial)
	for range 16 { // many only wait
		workers.Go(func() {
			for tr := range queue {
				ground.run(tr)
			}
		})
	}
	var heavy []*trial
	for _, trials := range ground.trials {
		for _, tr := range trials {
			if tr.heavy() {
				heavy = append(heavy, tr)
				continue
			}
			queue <- tr
		}
	}
	close(queue)
	workers.Wait()
	slices.SortFunc(heavy, func(a, b *trial) int { return strings.Compare(a.name, b.name) })
	for _, tr := range heavy {
		ground.run(tr)
	}
}

// RELIABILITY: all cases of the kinds that are about upstreams, with the
// invariants I1 (alive), I2 (nothing is left behind), I4 (no secret), I5 (the
// client's protocol), I6 (in time) and I7 (no attempt after content).
//
// RELIABILITY B2: CR, CRLF, mixed, comments, multi-line data, unknown fields.
func TestWhateverAnUpstreamDoesIsAnAnswerOrAnError(t *testing.T) {
	cases := casesOf[badUpstream](t, "up-http", "up-json", "sse-framing", "sse-semantics")
	ground := prepareTrials(t, cases)
	before := settledGoroutines(t)
	began := time.Now()
	ground.runAll()
	t.Logf("asked for %v", time.Since(began))

	outcomes := make(map[string]int)
	for i := range cases {
		c := &cases[i]
		t.Run(c.ID+" "+strings.ReplaceAll(c.Name, "/", "-"), func(t *testing.T) {
			for _, tr := range ground.trials[c.ID] {
				t.Run(strings.TrimPrefix(tr.name, strings.ToLower(c.ID[:4])), func(t *testing.T) {
					outcomes[tr.judge(t, ground)]++
				})
			}
		})
	}
	t.Logf("outcomes: %v", outcomes)
	if n := ground.hits(); n != 0 {
		t.Errorf("%d requests went where redirects pointed", n)
	}

	var all received
	for _, trials := range ground.trials {
		for _, tr := range trials {
			all.addResponse("the answer about "+tr.name, tr.first.response)
			all.addResponse("the second answer about "+tr.name, tr.again.response)
		}
	}
	ground.log.line(t, "upstream attempt")
	all.add("the log", ground.log.text(t))
	all.wantNone(t, "UPSTREAM-KEY-1", "UPSTREAM-KEY-2", clientKey)

	loadNothing(t)
	client.CloseIdleConnections()
	comesTrue(t, "more goroutines than before", func() bool { return goruntime.NumGoroutine() <= before+5 })
}
