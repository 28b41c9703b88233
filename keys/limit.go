package keys

import "time"

// Limits are what one key may be used for. A limit of 0 or below is none.
//
// A full minute's worth may go out at once and then as much as flows back, which
// is how the providers count themselves (a bucket that refills continuously, not a
// calendar minute). An idle key can therefore see up to twice the limit within the
// first 60 seconds.
type Limits struct {
	RequestsPerMinute int // counted when a key is picked
	TokensPerMinute   int // counted when the answer told its usage, see [Pool.Charge]
}

// maxDebt bounds how long a key can be out of use for tokens already used. Usage is
// what an upstream claims, and one absurd number must not retire a key for years.
const maxDebt = time.Hour

// bucket is a limiter by the generic cell rate algorithm (GCRA): the moment at
// which everything taken out will have flown back. The zero value is full.
type bucket struct{ full time.Time }

// ready tells from when on the bucket has one more unit to give at perMinute.
func (b bucket) ready(perMinute int) time.Time {
	return b.full.Add(time.Minute/time.Duration(perMinute) - time.Minute)
}

// take takes n units out at now, whether they are there or not. Callers that must
// not overdraw ask ready before.
func (b *bucket) take(now time.Time, n int64, perMinute int) {
	if b.full.Before(now) {
		b.full = now
	}
	// In floating point, because n*time.Minute overflows from 153 million units on.
	back := float64(n) * float64(time.Minute) / float64(perMinute)
	b.full = b.full.Add(time.Duration(min(back, float64(maxDebt))))
	if most := now.Add(maxDebt); b.full.After(most) {
		b.full = most
	}
}

// putBack undoes the take of one unit.
func (b *bucket) putBack(perMinute int) {
	b.full = b.full.Add(-time.Minute / time.Duration(perMinute))
}

// CountsTokens reports whether the pool's keys have a limit of tokens, so that
// [Pool.Charge] has a use.
func (p *Pool) CountsTokens() bool { return p.limits.TokensPerMinute > 0 }

// Charge takes the tokens that an answer used out of the key's tokens per minute.
// What it overdraws is paid back before the key is picked again, for an hour at
// most. Tokens of 0 or below, and keys of no token limit, change nothing.
func (p *Pool) Charge(k *Key, now time.Time, tokens int64) {
	m := p.memoryOf(k)
	if m == nil || tokens <= 0 || p.limits.TokensPerMinute <= 0 {
		return
	}
	p.provider.mu.Lock()
	defer p.provider.mu.Unlock()
	m.tokens.take(now, tokens, p.limits.TokensPerMinute)
}
