package logging

import "time"

// Stats tell how the log is. At any time Added = Queued + Written + Duplicates +
// Dropped.Total().
type Stats struct {
	Queued      int   `json:"queued"`       // records that wait, or are being written
	QueuedBytes int64 `json:"queued_bytes"` // what those that wait take, roughly
	Added       int64 `json:"added"`
	Written     int64 `json:"written"`
	Duplicates  int64 `json:"duplicates"` // not written, as their ID was there

	Dropped Drops `json:"dropped"`
	// DroppedAccounting is how many of the dropped records had tokens or cost.
	DroppedAccounting int64 `json:"dropped_accounting"`
	// Stripped is how many records lost their warnings and skipped candidates,
	// for want of room.
	Stripped int64 `json:"stripped"`

	FileSize int64 `json:"file_size"` // of the database and its write-ahead log, in bytes

	// Healthy tells that nothing is known to keep records from being written.
	Healthy bool `json:"healthy"`
	// LastError is the last trouble in words, and LastErrorAt when it was. It may
	// be over: see Healthy.
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	// SetAside is how the last damaged database that this process met is called
	// now. The operator should look at it.
	SetAside string `json:"set_aside,omitempty"`
	// UncleanEnd tells that the process before this one did not close the log:
	// what waited in its memory is lost, and was counted by nobody.
	UncleanEnd bool `json:"unclean_end"`
}

// Stats tells how the log is. It never waits for the disk's writes.
func (l *Log) Stats() Stats {
	s := l.queue.stats()
	if store := l.store.Load(); store != nil {
		s.FileSize = store.size()
	} else {
		s.Healthy = false
	}
	s.UncleanEnd = l.mark.unclean
	l.mu.Lock()
	defer l.mu.Unlock()
	s.LastError, s.LastErrorAt, s.SetAside = l.status.lastError, l.status.lastErrorAt, l.status.setAside
	return s
}

// stats returns what the queue knows of the stats.
func (q *queue) stats() Stats {
	q.mu.Lock()
	defer q.mu.Unlock()
	return Stats{
		Queued:            q.waiting() + q.hand.records,
		QueuedBytes:       q.bytes,
		Added:             q.counts.added,
		Written:           q.counts.written,
		Duplicates:        q.counts.duplicates,
		Dropped:           q.counts.dropped,
		DroppedAccounting: q.counts.droppedAccounting,
		Stripped:          q.counts.stripped,
		Healthy:           q.obstacle == noObstacle && !q.closed,
	}
}

// trouble notes an error for Stats.
func (l *Log) trouble(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.lastError, l.status.lastErrorAt = err.Error(), l.now()
}
