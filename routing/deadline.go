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
	ended  *error
}

// newDeadline starts the first wait.
func newDeadline(cancel context.CancelCauseFunc, waits waits, cause *error) *deadline {
	d := &deadline{cancel: cancel, ends: waits.ends, ended: waits.ended}
	wait, cause := d.capped(waits.first, cause)
	d.cause.Store(cause)
	d.timer = time.AfterFunc(wait, d.expire)
	return d
}

// capped is a wait that does not outlast the attempt.
func (d *deadline) capped(wait time.Duration, cause *error) (time.Duration, *error) {
	if left := time.Until(d.ends); left < wait {
		return left, d.ended
	}
	return wait, cause
}

func (d *deadline) expire() { d.cancel(*d.cause.Load()) }

// await starts a new wait. One that has already expired stays expired.
func (d *deadline) await(wait time.Duration, cause *error) {
	wait, cause = d.capped(wait, cause)
	d.cause.Store(cause)
	d.timer.Reset(wait)
}

func (d *deadline) stop() { d.timer.Stop() }
