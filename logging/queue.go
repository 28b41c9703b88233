package logging

import (
	"slices"
	"sync"
	"time"
)

// writers are at most how many goroutines take from a queue: the one that writes
// into the database, and the one that writes into the spill.
const writers = 2

// queue holds the records that wait for the writer, and counts what becomes of
// each. It is safe for concurrent use and never blocks for longer than a few
// instructions take.
type queue struct {
	maxRows  int
	maxBytes int64

	mu         sync.Mutex
	closed     bool
	obstacle   obstacle  // what keeps the writer from writing
	since      time.Time // when that began; zero while there is no obstacle
	accounting ring      // records with tokens or cost
	plain      ring      // all others, which are dropped first
	hand       hand      // records that the writer has taken and not yet written
	abandoned  bool      // all has been counted; what the writer still does is not
	counts     counts
	barriers   []*barrier
}

// hand counts the records that the writer has taken, and how many of them account
// for something.
type hand struct{ records, accounting int }

// counts are what became of records. added = waiting + in hand + written +
// duplicates + dropped, at any time.
type counts struct {
	added, written, duplicates int64

	dropped           Drops
	droppedAccounting int64
	droppedBodies     int64
	stripped          int64
}

// obstacle is what keeps the writer from writing: why records are dropped while
// the queue is full.
type obstacle int

const (
	noObstacle    obstacle = iota // it writes, but too slowly
	obstacleSpace                 // the disk has too little room
	obstacleStore                 // the database takes nothing
)

// Drops counts records that were not stored, by reason.
type Drops struct {
	Queue      int64 `json:"queue"`      // the queue was full: more came than could be written
	Space      int64 `json:"space"`      // the queue was full while the disk had too little room
	Store      int64 `json:"store"`      // the queue was full while the database took nothing
	Unwritable int64 `json:"unwritable"` // the database refused this very record
	Closed     int64 `json:"closed"`     // came, or still waited, when the log was closed
}

// Total is the sum over all reasons.
func (d Drops) Total() int64 { return d.Queue + d.Space + d.Store + d.Unwritable + d.Closed }

// waiting is a record in the queue.
type waiting struct {
	record *Record
	size   int64 // without the bodies
}

// ring is a list of fixed capacity, first in, first out.
type ring struct {
	items []waiting
	head  int // of the oldest
	n     int
	bare  int   // so many of the oldest have no bodies any more
	bytes int64 // of all, with their bodies
}

// total is the size with the bodies.
func (w waiting) total() int64 { return w.size + w.record.bodiesSize() }

// push appends an item, for which there must be room.
func (r *ring) push(w waiting) {
	r.items[(r.head+r.n)%len(r.items)] = w
	r.n++
	r.bytes += w.total()
}

// pushFront puts an item back that was popped, for which there must be room.
func (r *ring) pushFront(w waiting) {
	r.head = (r.head + len(r.items) - 1) % len(r.items)
	r.items[r.head] = w
	r.n++
	r.bytes += w.total()
	r.bare = 0
}

// pop takes the oldest item, of which there must be one.
func (r *ring) pop() waiting {
	w := r.items[r.head]
	r.items[r.head] = waiting{}
	r.head = (r.head + 1) % len(r.items)
	r.n--
	r.bytes -= w.total()
	r.bare = max(0, r.bare-1)
	return w
}

// before tells whether the oldest item was added no later than last.
func (r *ring) before(last int64) bool {
	return r.n > 0 && r.items[r.head].record.added <= last
}

// undress takes the oldest bodies off their record and returns their size, 0 if
// there are none.
func (r *ring) undress() (size int64) {
	for ; r.bare < r.n; r.bare++ {
		record := r.items[(r.head+r.bare)%len(r.items)].record
		if record.Bodies != nil {
			size = record.bodiesSize()
			record.Bodies = nil
			r.bytes -= size
			return size
		}
	}
	return 0
}

func newQueue(maxRows int, maxBytes int64) *queue {
	// What the writers could not write comes back on top of what waits.
	capacity := maxRows + writers*batchRows
	return &queue{
		maxRows: maxRows, maxBytes: maxBytes,
		accounting: ring{items: make([]waiting, capacity)},
		plain:      ring{items: make([]waiting, capacity)},
	}
}

// add takes a record in, if need be at the expense of its own explanations, of
// bodies, or of older records that account for nothing. waits is how many wait
// then, and crowded that there will soon be no room.
func (q *queue) add(r *Record) (waits int, crowded, ok bool) {
	size, accounts := r.size(), r.accounts()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.counts.added++
	if q.closed {
		q.counts.dropped.Closed++
		q.countAccounting(accounts)
		return 0, false, false
	}
	r.added = q.counts.added
	q.makeRoomForBytes(r, size)
	if q.bytes()+size+r.bodiesSize() > q.maxBytes && (len(r.Skipped) > 0 || r.Warnings != "") {
		r.strip()
		size = r.size()
		q.counts.stripped++
	}
	// Where what accounts for something takes all the room, it helps nobody to drop
	// the others.
	for q.fitsBeside(&q.accounting, size+r.bodiesSize()) && !q.fits(size+r.bodiesSize()) {
		w := q.plain.pop()
		q.drop(false)
		q.leave(w.record)
	}
	if !q.fits(size + r.bodiesSize()) {
		q.drop(accounts)
		return q.waiting(), true, false
	}
	if accounts {
		q.accounting.push(waiting{r, size})
	} else {
		q.plain.push(waiting{r, size})
	}
	return q.waiting(), q.isCrowded(), true
}

// makeRoomForBytes drops bodies until the record fits: those that wait, the oldest
// first, and then its own. q.mu must be held.
func (q *queue) makeRoomForBytes(r *Record, size int64) {
	for size+r.bodiesSize() <= q.maxBytes && q.bytes()+size+r.bodiesSize() > q.maxBytes {
		dropped := q.plain.undress()
		if dropped == 0 {
			dropped = q.accounting.undress()
		}
		if dropped == 0 {
			break
		}
		q.counts.droppedBodies++
	}
	if r.Bodies != nil && q.bytes()+size+r.bodiesSize() > q.maxBytes {
		r.Bodies = nil
		q.counts.droppedBodies++
	}
}

// fits tells whether there is room for a record of this size. q.mu must be held.
func (q *queue) fits(size int64) bool {
	return q.waiting() < q.maxRows && q.bytes()+size <= q.maxBytes
}

// fitsBeside tells whether there would be room for a record of this size if only a
// part of the others waited. q.mu must be held.
func (q *queue) fitsBeside(part *ring, size int64) bool {
	return part.n < q.maxRows && part.bytes+size <= q.maxBytes
}

// isCrowded tells that less than a quarter of the room is left. q.mu must be held.
func (q *queue) isCrowded() bool {
	return 4*q.waiting() >= 3*q.maxRows || 4*q.bytes() >= 3*q.maxBytes
}

// crowded tells that less than a quarter of the room is left.
func (q *queue) crowded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.isCrowded()
}

// waiting is how many records wait. q.mu must be held.
func (q *queue) waiting() int { return q.accounting.n + q.plain.n }

// bytes is what they take. q.mu must be held.
func (q *queue) bytes() int64 { return q.accounting.bytes + q.plain.bytes }

// drop counts a record that found no room, by what is in the way. q.mu must be
// held.
func (q *queue) drop(accounts bool) {
	switch q.obstacle {
	case obstacleSpace:
		q.counts.dropped.Space++
	case obstacleStore:
		q.counts.dropped.Store++
	default:
		q.counts.dropped.Queue++
	}
	q.countAccounting(accounts)
}

// countAccounting counts a dropped record that accounted for something. q.mu must
// be held.
func (q *queue) countAccounting(accounts bool) {
	if accounts {
		q.counts.droppedAccounting++
	}
}

// anyRecord is the number of the last record of all.
const anyRecord = 1<<63 - 1

// take moves up to n records into the writer's hand, those first that account for
// something, and none that was added after last.
func (q *queue) take(batch []*Record, n int, last int64) []*Record {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(batch) < n {
		from := &q.accounting
		if !from.before(last) {
			if from = &q.plain; !from.before(last) {
				break
			}
		}
		w := from.pop()
		q.hand.records++
		if from == &q.accounting {
			q.hand.accounting++
		}
		batch = append(batch, w.record)
	}
	return batch
}

// giveBack puts records that were taken, and could not be written, before all
// others.
func (q *queue) giveBack(records []*Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.abandoned {
		return
	}
	q.letGo(records)
	for _, r := range slices.Backward(records) {
		to, w := &q.plain, waiting{r, r.size()}
		if r.accounts() {
			to = &q.accounting
		}
		to.pushFront(w)
	}
}

// settle counts records that were taken and are stored now; so many of them had
// been before.
func (q *queue) settle(records []*Record, duplicates int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.abandoned {
		return
	}
	q.letGo(records)
	q.passOn(records)
	q.counts.written += int64(len(records) - duplicates)
	q.counts.duplicates += int64(duplicates)
}

// refuse counts taken records that the database will never take.
func (q *queue) refuse(records []*Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.abandoned {
		return
	}
	q.counts.droppedAccounting += int64(q.letGo(records))
	q.counts.dropped.Unwritable += int64(len(records))
	q.passOn(records)
}

// passOn tells the barriers of records. q.mu must be held.
func (q *queue) passOn(records []*Record) {
	if len(q.barriers) == 0 {
		return
	}
	for _, r := range records {
		q.leave(r)
	}
}

// letGo takes records out of the writer's hand and returns how many of them
// account for something. q.mu must be held.
func (q *queue) letGo(records []*Record) (accounting int) {
	for _, r := range records {
		if r.accounts() {
			accounting++
		}
	}
	q.hand.records -= len(records)
	q.hand.accounting -= accounting
	return accounting
}

// hinder notes what keeps the writer from writing and tells whether that is new.
func (q *queue) hinder(o obstacle, now time.Time) (changed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if o == noObstacle {
		q.since = time.Time{}
	} else if q.obstacle == noObstacle {
		q.since = now
	}
	changed, q.obstacle = q.obstacle != o, o
	return changed
}

// hindrance returns what keeps the writer from writing.
func (q *queue) hindrance() obstacle {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.obstacle
}

// hinderedFor returns for how long the writer cannot write.
func (q *queue) hinderedFor(now time.Time) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.since.IsZero() {
		return 0
	}
	return now.Sub(q.since)
}

// close lets nothing more in. What waits can still be taken.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
}

// abandon drops all that waits and all that the writer holds.
func (q *queue) abandon() (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.abandoned = true
	dropped = q.waiting() + q.hand.records
	q.counts.dropped.Closed += int64(dropped)
	q.counts.droppedAccounting += int64(q.accounting.n + q.hand.accounting)
	q.accounting, q.plain, q.hand = ring{}, ring{}, hand{}
	return dropped
}

// len is how many records wait for the writer.
func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.waiting()
}
