package simulated

import (
	"net/http"
	"sync"
	"sync/atomic"
)

// Record is one request as the provider received it.
type Record struct {
	Method string
	Path   string      // as it arrived, prefix included
	Query  string      // without the question mark
	Header http.Header // a copy
	Body   []byte      // a copy; what was read of it if it was too large
	Key    string      // the API key that was presented, in clear; "" if none

	// Done is closed when the client has left or the answer is complete,
	// whichever comes first.
	Done <-chan struct{}
}

// Count says what became of the requests of one API key.
type Count struct {
	Requests int // received, whatever came of them
	Active   int // of these, not finished yet
	Failed   int // answered with an error status
	Left     int // given up by the client before the answer was complete
}

// maxLedgerKeys bounds the ledger against clients that invent keys. Requests
// with further keys are counted under "".
const maxLedgerKeys = 10_000

// ledger counts requests by API key.
type ledger struct {
	mu      sync.Mutex
	tallies map[string]*tally
}

type tally struct {
	requests, active, failed, left atomic.Int64
}

// begin opens the account of one request. The caller ends it with end.
func (l *ledger) begin(key string) *tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.tallies[key]; !known && len(l.tallies) >= maxLedgerKeys {
		key = ""
	}
	t := l.tallies[key]
	if t == nil {
		t = new(tally)
		l.tallies[key] = t
	}
	t.requests.Add(1)
	t.active.Add(1)
	return t
}

func (t *tally) end(left bool) {
	if left {
		t.left.Add(1)
	}
	t.active.Add(-1)
}

// counts returns a snapshot.
func (l *ledger) counts() map[string]Count {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]Count, len(l.tallies))
	for key, t := range l.tallies {
		out[key] = Count{
			Requests: int(t.requests.Load()),
			Active:   int(t.active.Load()),
			Failed:   int(t.failed.Load()),
			Left:     int(t.left.Load()),
		}
	}
	return out
}
