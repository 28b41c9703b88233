package logging

import "slices"

// barrier is for whoever waits until all is stored that was added before.
type barrier struct {
	last   int64 // the number of the last record that was
	left   int   // so many are neither stored nor dropped yet
	passed chan struct{}
}

// barrier returns one for all that was added until now.
func (q *queue) barrier() *barrier {
	q.mu.Lock()
	defer q.mu.Unlock()
	b := &barrier{last: q.counts.added, left: q.waiting() + q.hand.records, passed: make(chan struct{})}
	if b.left == 0 {
		close(b.passed)
	} else {
		q.barriers = append(q.barriers, b)
	}
	return b
}

// lift takes a barrier away that nobody waits for any more. Otherwise those of a
// long outage would pile up, and each record would have to be told to all of them.
func (q *queue) lift(b *barrier) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.barriers = slices.DeleteFunc(q.barriers, func(other *barrier) bool { return other == b })
}

// last is the number of the last record that was added.
func (q *queue) last() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.counts.added
}

// leave tells the barriers that a record waits no longer. q.mu must be held.
func (q *queue) leave(r *Record) {
	for _, b := range q.barriers {
		if r.added <= b.last {
			if b.left--; b.left == 0 {
				close(b.passed)
			}
		}
	}
	q.barriers = slices.DeleteFunc(q.barriers, func(b *barrier) bool { return b.left == 0 })
}
