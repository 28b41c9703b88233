package caddymodule

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
)

// trial is a case as one kind of client meets it, and what came of it.
type trial struct {
	*badUpstream
	name   string // of its provider and its model
	client dialect
	wire   dialect // of the upstream
	stream bool
	alone  bool // there is no other route

	// came is told when an answer begins, where the rest of the case waits for that.
	came chan struct{}

	first, again, good timed
	failed             error // of asking
	spared             int   // calls to the other route after the first request
	grown              int64 // memory, in MB
}

func (tr *trial) body() string {
	body := goodRequests[tr.client.path]
	if tr.stream {
		body = streamed(body)
	}
	if tr.stream && tr.client.name == "chat" && tr.Expected.Usage != nil {
		body = strings.Replace(body, "{", `{"stream_options":{"include_usage":true},`, 1)
	}
	return asking(body, tr.name)
}

// crossed says that client and upstream speak different protocols.
func (tr *trial) crossed() bool { return tr.client.name != tr.wire.name }

// The waits of the gateway under trial.
const (
	trialConnect = 300 * time.Millisecond
	trialFirst   = 2 * time.Second
	trialIdle    = time.Second
)

// patience is how long an answer of the gateway may take.
func (tr *trial) patience() time.Duration {
	switch ms := tr.maxMS(); {
	case ms > 0:
		return slowed(time.Duration(ms) * time.Millisecond)
	case tr.Delivery.TLS:
		return 2*trialConnect + margin // a single key is asked again
	}
	return trialFirst + trialIdle + slowed(margin)
}

// timeouts are those of the provider's file, where the gateway's own are not meant:
// connecting takes its time on a busy machine, and heavy cases say how long they may.
func (tr *trial) timeouts() string {
	switch {
	case tr.Delivery.TLS:
		return fmt.Sprintf(`"timeouts": {"connect": %q},`, trialConnect)
	case tr.maxMS() > 0:
		return fmt.Sprintf(`"timeouts": {"first_content": %q, "idle": %[1]q},`, tr.patience())
	}
	return ""
}

// maxGrown is by how many MB the memory may grow, where the case limits it.
func (tr *trial) maxGrown() int64 {
	limit := tr.Expected.MaxRSSDeltaMB
	if tr.client.name == "responses" && tr.crossed() && tr.Layer == "sse" {
		limit *= 4 // the end of such a stream says each text four times
	}
	return limit
}

// slowed is how long something may take that keeps the processor busy.
func slowed(d time.Duration) time.Duration {
	if raceEnabled {
		return 10 * d
	}
	return d
}

// audience keeps what a client is told, and says when it begins.
type audience struct {
	bytes.Buffer
	came chan<- struct{}
}

// ReadFrom implements io.ReaderFrom.
func (a *audience) ReadFrom(body io.Reader) (int64, error) {
	select {
	case a.came <- struct{}{}:
	default: // nobody waits for it
	}
	return a.Buffer.ReadFrom(body)
}

// trialsOf are the ways to meet a case: in the protocol of the upstream and
// translated, whole and streamed, with another route and without.
func trialsOf(c *badUpstream) (trials []*trial) {
	wire := chatDialect
	switch c.Protocol {
	case "anthropic_messages":
		wire = messagesDialect
	case "openai_responses":
		wire = responsesDialect
	}
	for _, client := range dialects {
		for _, stream := range []bool{false, true} {
			if c.Layer == "sse" && !stream {
				continue
			}
			for _, alone := range []bool{false, true} {
				if alone && !c.expectsNext() {
					continue
				}
				name := strings.ToLower(c.ID[:4]) + client.name
				if stream {
					name += "streamed"
				}
				if alone {
					name += "alone"
				}
				trials = append(trials, &trial{badUpstream: c, name: name, client: client, wire: wire, stream: stream, alone: alone})
			}
		}
	}
	return trials
}

// judge compares what a client got with what it should get, and returns in a
// word what that was.
func (tr *trial) judge(t *testing.T, ground *trialGround) string {
	if tr.failed != nil {
		t.Fatalf("asking: %v", tr.failed)
	}
	if tr.good.status != 200 || tr.good.took > slowed(time.Second) {
		t.Errorf("afterwards a good request is answered %d after %v: %s", tr.good.status, tr.good.took, tr.good.body)
	}
	if limit := tr.maxGrown(); tr.grown > limit {
		t.Errorf("memory grew by %d MB, want at most %d", tr.grown, limit)
	}
	var seen view
	for i, got := range []timed{tr.first, tr.again} {
		if i > 0 && !tr.twice() {
			break
		}
		if got.took > tr.patience() {
			t.Errorf("took %v, want at most %v", got.took, tr.patience())
		}
		if i > 0 && got.err == nil && got.status == tr.first.status && got.body == tr.first.body {
			break // nothing new to read, and some have 10 MB
		}
		if sees := tr.wellFormed(t, got.response); i == 0 {
			seen = sees
		}
	}
	attempts := tr.first.attempts()
	if attempts < 1 || attempts > 4 {
		t.Errorf("attempts = %d, want 1 to 4", attempts)
	}
	if tr.Delivery.H2 == "" {
		attempts += tr.again.attempts()
		if posts := ground.stage.callsOf(tr) + ground.spare.callsOf(tr.name); posts > attempts {
			t.Errorf("upstreams got %d requests in %d attempts", posts, attempts)
		}
		if tr.first.header.Get("Llm-Proxy-Provider") == tr.name && tr.spared != 0 {
			t.Error("another route was asked, but this one's answer was shown")
		}
	}
	tr.rested(t, ground.stage.callsOf(tr))
	return tr.asExpected(t, tr.first.response, seen)
}

// rested checks, where there is one key and nothing else, that a key which has
// to wait, or is dead, was not asked a second time.
func (tr *trial) rested(t *testing.T, calls int) {
	if !tr.alone {
		return
	}
	if strings.HasPrefix(tr.Name, "429") || strings.HasPrefix(tr.Name, "401") {
		if calls != 1 {
			t.Errorf("the upstream was called %d times, want 1: its key rests", calls)
		}
	}
	if want := tr.Expected.CooldownS; want != nil {
		for _, got := range []timed{tr.first, tr.again} {
			if after, err := strconv.ParseFloat(got.header.Get("Retry-After"), 64); err != nil || after < want[0]-1 || after > want[1] {
				t.Errorf("Retry-After = %q, want a rest of %v s", got.header.Get("Retry-After"), want)
			}
		}
	}
}
