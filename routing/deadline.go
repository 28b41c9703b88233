package routing

import (
	"context"
	"sync/atomic"
	"time"
)

// deadline ends an attempt that is silent for too long. One timer serves all
// the waits of an attempt, one after the other; each has a cause of its own,
// so that the failure can say what was waited for.
type deadline struct {
	timer  *time.Timer
	cancel context.CancelCauseFunc
	cause  atomic.Pointer[error]
	ends   time.Time
}

// newDeadline cancels when the attempt's whole time is up. Shorter waits follow
// with await.
func newDeadline(cancel context.CancelCauseFunc, ends time.Time) *deadline {
	d := &deadline{cancel: cancel, ends: ends}
	d.cause.Store(&errTotal)
	d.timer = time.AfterFunc(time.Until(ends), d.expire)
	return d
}

func (d *deadline) expire() { d.cancel(*d.cause.Load()) }

// await starts a new wait. One that has already expired stays expired.
func (d *deadline) await(wait time.Duration, cause *error) {
	if left := time.Until(d.ends); left < wait {
		wait, cause = left, &errTotal
	}
	d.cause.Store(cause)
	d.timer.Reset(wait)
}

func (d *deadline) stop() { d.timer.Stop() }
