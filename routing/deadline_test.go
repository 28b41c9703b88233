package routing

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// watched is a deadline that ends a context of its own.
func watched(t *testing.T, first, total time.Duration) (context.Context, *deadline) {
	ctx, cancel := context.WithCancelCause(t.Context())
	return ctx, newDeadline(cancel, waits{first: first, ends: time.Now().Add(total), ended: &errTotal}, &errFirstContent)
}

func TestEachWaitEndsWithItsOwnCause(t *testing.T) {
	for _, tc := range []struct {
		name         string
		first, total time.Duration
		then         func(*deadline)
		after        time.Duration
		want         error
	}{
		{"the first wait", time.Second, time.Minute, nil, time.Second, errFirstContent},
		{"a later wait", time.Second, time.Minute, func(d *deadline) { d.await(5*time.Second, &errIdle) }, 5 * time.Second, errIdle},
		{"a shorter wait", time.Minute, time.Hour, func(d *deadline) { d.await(time.Second, &errGrace) }, time.Second, errGrace},
		{"the attempt's time", time.Minute, time.Second, nil, time.Second, errTotal},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				ctx, d := watched(t, tc.first, tc.total)
				defer d.stop()
				if tc.then != nil {
					tc.then(d)
				}
				<-ctx.Done()
				if cause := context.Cause(ctx); !errors.Is(cause, tc.want) {
					t.Errorf("cause = %v, want %v", cause, tc.want)
				}
				if took := time.Since(start); took != tc.after {
					t.Errorf("ended after %v, want %v", took, tc.after)
				}
			})
		})
	}
}

func TestAStreamThatGoesOnIsNotEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, d := watched(t, time.Second, time.Hour)
		for range 600 {
			time.Sleep(900 * time.Millisecond) // of the bubble's clock
			d.await(time.Second, &errIdle)
		}
		d.stop()
		d.stop()
		time.Sleep(time.Minute)
		if err := ctx.Err(); err != nil {
			t.Errorf("the context ended: %v", context.Cause(ctx))
		}
	})
}

func BenchmarkDeadline(b *testing.B) {
	_, cancel := context.WithCancelCause(b.Context())
	defer cancel(nil)
	w := waits{first: time.Minute, ends: time.Now().Add(time.Hour), ended: &errTotal}
	b.ReportAllocs()
	for b.Loop() {
		d := newDeadline(cancel, w, &errFirstContent)
		d.await(time.Minute, &errIdle)
		d.stop()
	}
}
