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
}

// NewRetryBudget returns a budget to which each request adds ratio retries and each
// second perSecond. It holds what one second adds, but at least one retry, and is
// full at first. With neither above 0 there is no limit.
func NewRetryBudget(ratio, perSecond float64) *RetryBudget {
	if !(ratio > 0) && !(perSecond > 0) { // nor NaN
		return nil
	}
	b := &RetryBudget{ratio: max(ratio, 0), perSecond: max(perSecond, 0)}
	b.stock = b.most()
	return b
}

func (b *RetryBudget) most() float64 { return max(1, b.perSecond) }

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
	return b == nil || b.take(now, math.Floor(b.most()/2))
}

// take spends one retry if there are leave more.
func (b *RetryBudget) take(now time.Time, leave float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stock += float64(b.requests.Swap(0)) * b.ratio
	if !b.earned.IsZero() && now.After(b.earned) {
		b.stock += now.Sub(b.earned).Seconds() * b.perSecond
	}
	if now.After(b.earned) {
		b.earned = now
	}
	b.stock = min(b.stock, b.most())
	const one = 1 - 1e-9 // ten tenths are one retry, whatever their sum is
	if b.stock < one+leave {
		return false
	}
	b.stock = max(b.stock-1, 0)
	return true
}
