package routing

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// watched is a context with a deadline. The cleanup outlasts the lookout's timer.
func watched(t *testing.T, first, idle, total time.Duration) (context.Context, *deadline) {
	ctx, cancel := context.WithCancelCause(t.Context())
	d := new(lookout).watch(cancel, waits{first: first, idle: idle, ends: time.Now().Add(total), ended: &errTotal})
	t.Cleanup(func() {
		d.stop()
		d.stop()
		time.Sleep(2 * tick) // of the bubble's clock
		d.by.mu.Lock()
		defer d.by.mu.Unlock()
		if d.by.running || d.by.first != nil {
			t.Error("the lookout still watches, though all have stopped")
		}
	})
	return ctx, d
}

func TestEachWaitEndsWithItsOwnCause(t *testing.T) {
	for _, tc := range []struct {
		name               string
		first, idle, total time.Duration
		then               func(*deadline)
		after              time.Duration
		want               error
	}{
		{"the first wait", time.Second, time.Minute, time.Hour, nil, time.Second, errFirstContent},
		{"silence after life", time.Second, 5 * time.Second, time.Hour, (*deadline).showsLife, 5 * time.Second, errIdle},
		{"a wait in place of another", time.Minute, time.Hour, time.Hour, func(d *deadline) { d.await(time.Second, &errGrace) }, time.Second, errGrace},
		{"a wait after life", time.Minute, time.Hour, time.Hour, func(d *deadline) { d.showsLife(); d.await(time.Second, &errGrace) }, time.Second, errGrace},
		{"the attempt's time", time.Minute, time.Minute, time.Second, nil, time.Second, errTotal},
		{"the attempt's time after life", time.Second, time.Minute, 3 * time.Second, (*deadline).showsLife, 3 * time.Second, errTotal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx, d := watched(t, tc.first, tc.idle, tc.total)
				if tc.then != nil {
					tc.then(d)
				}
				<-ctx.Done()
				if cause := context.Cause(ctx); !errors.Is(cause, tc.want) {
					t.Errorf("cause = %v, want %v", cause, tc.want)
				}
				if took := time.Since(start); took < tc.after || took > tc.after+2*tick {
					t.Errorf("ended after %v, want %v", took, tc.after)
				}
			})
		})
	}
}

func TestAStreamThatGoesOnIsNotEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, d := watched(t, time.Second, time.Second, time.Hour)
		for range 600 {
			time.Sleep(900 * time.Millisecond) // of the bubble's clock
			d.showsLife()
		}
		if err := ctx.Err(); err != nil {
			t.Errorf("the context ended: %v", context.Cause(ctx))
		}
	})
}

func TestADeadlineThatNobodyStopsIsWatchedNoLongerThanItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		var l lookout
		for range 3 {
			l.watch(cancel, waits{first: time.Second, ends: time.Now().Add(time.Hour), ended: &errTotal})
		}
		<-ctx.Done()
		time.Sleep(2 * tick) // of the bubble's clock
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.first != nil || l.running {
			t.Error("deadlines that have ended are still watched")
		}
	})
}

func BenchmarkDeadline(b *testing.B) {
	var l lookout
	_, cancel := context.WithCancelCause(b.Context())
	defer cancel(nil)
	w := waits{first: time.Minute, idle: time.Minute, ends: time.Now().Add(time.Hour), ended: &errTotal}
	b.ReportAllocs()
	for b.Loop() {
		d := l.watch(cancel, w)
		for range 100 {
			d.showsLife()
		}
		d.stop()
	}
}

func TestWhenTheProcessEndsSoDoesEveryAttempt(t *testing.T) {
	l := new(lookout)
	wait := waits{first: time.Minute, ends: time.Now().Add(time.Hour), ended: &errTotal}
	running, end := context.WithCancelCause(t.Context())
	defer end(nil)
	l.watch(end, wait)
	l.endAll()
	late, endLate := context.WithCancelCause(t.Context())
	defer endLate(nil)
	defer l.watch(endLate, wait).stop()
	for name, ctx := range map[string]context.Context{"a running one": running, "one that begins later": late} {
		if cause := context.Cause(ctx); cause != errShutdown {
			t.Errorf("%s: cause = %v, want %v", name, cause, errShutdown)
		}
	}
}
