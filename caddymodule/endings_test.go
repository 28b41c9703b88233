package caddymodule

import (
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// A log is closed beside the last request that used it, whose client need not wait
// for a database that takes nothing.
func TestTheEndOfALogDelaysNoAnswer(t *testing.T) {
	s := &slowly{first: chatStream[:len(chatStream)/2], rest: chatStream[len(chatStream)/2:], goOn: make(chan struct{})}
	g, file := keepingLog(t, s, s)
	_, reader := g.dial(request{path: chatPath, body: chatStreamed, header: map[string]string{"Connection": "close"}})
	readUntil(t, reader, "hel")
	unlock := lockDatabase(t, file)
	loadNothing(t)
	close(s.goOn)
	began := time.Now()
	if _, err := io.Copy(io.Discard, reader); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > slowed(2*time.Second) {
		t.Errorf("the answer ended %v after its upstream's", took)
	}
	unlock()
	comesTrue(t, "the log is not closed", func() bool {
		open := 0
		requestLogs.Range(func(any, any) bool { open++; return true })
		_, kept := logs.sum()
		return open == 0 && !kept
	})
	if got := integrity(t, file); len(got) != 1 {
		t.Errorf("the log has %d rows, want that of the stream", len(got))
	}
}

// A process that exits waits for what is closed beside requests.
func TestTheExitWaitsForTheEndsOfConfigurations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l endingList
		var ended []string
		slow := &runtime{closers: []func(){func() { time.Sleep(5 * time.Second); ended = append(ended, "slow") }}}
		began := time.Now()
		l.run(func() { time.Sleep(time.Second); panic("in an end") })
		l.run(slow.end)
		if took := time.Since(began); took != 0 {
			t.Errorf("who leaves waits for %v", took)
		}
		l.wait()
		if took := time.Since(began); took != 5*time.Second || len(ended) != 1 {
			t.Errorf("the exit waits for %v, and %q has ended; want 5s and slow", took, ended)
		}
		l.run(func() { ended = append(ended, "late") })
		if len(ended) != 2 {
			t.Errorf("%q have ended after the exit began, want slow and late", ended)
		}
	})
}
