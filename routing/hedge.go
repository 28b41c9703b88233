package routing

import (
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"time"
)

// errOutrun ends the attempt that was slower than another of the same request.
var errOutrun = errors.New("another attempt was faster")

// branch is a walk, or a part of one, in a goroutine of its own.
type branch struct {
	walk   *walk
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when it has ended
	answer *Answer
	fault  *Fault
}

// Fault is a panic in a goroutine that worked for a request. The request's own
// panics with it, so that it ends as if it had come about there.
type Fault struct {
	Value any
	Stack []byte // of where it came about
}

// hedged runs the walk. Where the model's file has hedge_after, and nothing has
// come by then, the candidates that are still queued are asked at the same time,
// by a second branch of the walk, while the first goes on with the one that it is
// asking. The first answer counts; the other branch is cancelled. A hedge spends
// the retry budget, which is its cap; where that is used up, they stay queued.
func (w *walk) hedged(ctx context.Context) *Answer {
	if w.plan.model.HedgeAfter <= 0 || len(w.queue) < 2 {
		return w.run(ctx)
	}
	first := w.fork(ctx)
	timer := time.NewTimer(w.plan.model.HedgeAfter)
	defer timer.Stop()
	select {
	case <-first.done:
		return w.join(first, nil)
	case <-timer.C:
	}
	rest := w.split()
	if rest == nil {
		<-first.done
		return w.join(first, nil)
	}
	second := rest.fork(ctx)
	select {
	case <-first.done:
		return w.join(first, second)
	case <-second.done:
		return w.join(second, first)
	}
}

// split takes what is still queued off the walk, as a walk of its own; nil where
// nothing is, or where it may not be asked yet.
func (w *walk) split() *walk {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at >= len(w.queue) || w.exhausted() || !w.router.retries.Take(time.Now()) {
		return nil
	}
	rest := &walk{
		router: w.router, request: w.request, plan: w.plan, ends: w.ends,
		conversation: w.conversation, queue: w.queue[w.at:], made: w.made, fellBack: w.fellBack,
	}
	w.queue = w.queue[:w.at]
	return rest
}

// fork runs the walk in a goroutine, which ends before the request does.
func (w *walk) fork(ctx context.Context) *branch {
	ctx, cancel := context.WithCancelCause(ctx)
	b := &branch{walk: w, cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		defer func() {
			if value := recover(); value != nil {
				b.fault = &Fault{value, debug.Stack()}
			}
		}()
		b.answer = w.run(ctx)
	}()
	return b
}

// join makes one of two branches, of which a has ended: if a has an answer, b is
// cancelled, else b's outcome counts. A mistake of the client's that the first
// branch heard of ends the second too, as it would if there were no hedge. It waits
// for both, since what they read belongs to the request. b may be nil.
func (w *walk) join(a, b *branch) *Answer {
	winner, loser := a, b
	if b != nil {
		if a.answer != nil || a.fault != nil || a.walk == w && w.mistaken {
			b.cancel(errOutrun)
		}
		<-b.done
		if a.answer == nil {
			winner, loser = b, a
		}
		w.merge(winner, loser)
	}
	for _, ended := range [...]*branch{a, b} {
		if ended != nil && ended.fault != nil {
			winner.discard()
			panic(ended.fault)
		}
	}
	if winner.answer == nil {
		winner.cancel(nil)
		return nil
	}
	winner.answer.Attempts, winner.answer.Skipped = w.attempts, w.skipped
	winner.answer.cancel = winner.cancel
	return winner.answer
}

// discard ends a branch whose answer, if it has one, came too late.
func (b *branch) discard() {
	if b.answer != nil {
		b.answer.Close()
		b.answer = nil
	}
	b.cancel(errOutrun)
}

// merge makes the walk's account that of both branches, and ends the loser.
func (w *walk) merge(winner, loser *branch) {
	if loser.answer != nil {
		// Both had one at the same time.
		last := &loser.walk.attempts[len(loser.walk.attempts)-1]
		last.Class, last.Reason = Superseded, errOutrun.Error()
	}
	loser.discard()
	other := winner.walk
	if other == w {
		other = loser.walk
	}
	w.attempts = append(w.attempts, other.attempts...)
	slices.SortStableFunc(w.attempts, func(a, b Attempt) int { return a.Start.Compare(b.Start) })
	w.skipped = append(w.skipped, other.skipped...)
	w.refused = w.refused || other.refused
	w.rests = w.rests.and(other.rests)
	if other.told != nil {
		w.hear(other.told)
	}
}
