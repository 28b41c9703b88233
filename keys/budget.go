package keys

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// RetryBudget bounds retries by what is asked for, so that an outage is never
// amplified: each request earns a part of a retry, and so does time. It is safe for
// concurrent use. A nil budget bounds nothing.
type RetryBudget struct {
	ratio, perSecond float64

	requests atomic.Int64 // since the last retry

	mu     sync.Mutex
	stock  float64
	earned time.Time // until when time has earned; zero until the first retry

	since time.Time // when the requests in count began to be counted
	count float64   // of the requests since then
	rate  float64   // of requests per second, in the time before
}

// NewRetryBudget returns a budget to which each request adds ratio retries and each
// second perSecond. It holds what one second adds, by time and by the requests that
// come in one, but at least one retry: failures come in bursts. It is full at first,
// when no requests are known of. With neither above 0 there is no limit.
func NewRetryBudget(ratio, perSecond float64) *RetryBudget {
	if !(ratio > 0) && !(perSecond > 0) { // nor NaN
		return nil
	}
	b := &RetryBudget{ratio: max(ratio, 0), perSecond: max(perSecond, 0)}
	b.stock = b.most()
	return b
}

// most is what the budget holds at most. b.mu must be held, once b is in use.
func (b *RetryBudget) most() float64 { return max(1, b.perSecond+b.ratio*b.rate) }

// observe notes requests that came until now. b.mu must be held.
func (b *RetryBudget) observe(now time.Time, requests float64) {
	b.count += requests
	switch passed := now.Sub(b.since).Seconds(); {
	case b.since.IsZero():
		b.since = now
	case passed >= 1:
		b.rate, b.count, b.since = b.count/passed, 0, now
	}
}

// Request earns for one request of a client.
func (b *RetryBudget) Request() {
	if b != nil {
		b.requests.Add(1)
	}
}

// Take spends one retry at now, if there is one.
func (b *RetryBudget) Take(now time.Time) bool { return b == nil || b.take(now, 0) }

// TakeSpare is Take for a retry that promises less than others: it leaves half of
// what the budget holds to those.
func (b *RetryBudget) TakeSpare(now time.Time) bool {
	return b == nil || b.take(now, 0.5)
}

// take spends one retry, if it leaves that part of what the budget holds at most.
func (b *RetryBudget) take(now time.Time, part float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	requests := float64(b.requests.Swap(0))
	b.observe(now, requests)
	b.stock += requests * b.ratio
	if !b.earned.IsZero() && now.After(b.earned) {
		b.stock += now.Sub(b.earned).Seconds() * b.perSecond
	}
	if now.After(b.earned) {
		b.earned = now
	}
	b.stock = min(b.stock, b.most())
	const one = 1 - 1e-9 // ten tenths are one retry, whatever their sum is
	if b.stock < one+math.Floor(b.most()*part) {
		return false
	}
	b.stock = max(b.stock-1, 0)
	return true
}
