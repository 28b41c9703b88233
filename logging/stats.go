package logging

import (
	"strings"
	"time"
)

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
	// DroppedBodies is how many records, stored or not, lost their bodies for want
	// of room. Bodies are dropped before any record.
	DroppedBodies int64 `json:"dropped_bodies"`
	// Stripped is how many records lost their warnings and skipped candidates,
	// for want of room.
	Stripped int64 `json:"stripped"`

	// FileSize is that of the database and its write-ahead log, in bytes; or what
	// the rows take on the server, as of seconds ago.
	FileSize int64 `json:"file_size"`
	// Spill tells of the file that takes records while PostgreSQL does not. nil:
	// the database is a file itself.
	Spill *SpillStats `json:"spill,omitempty"`

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

// SpillStats tell of records that were stored in the spill. For Stats they are
// written once they are there.
type SpillStats struct {
	File     string `json:"file"`
	Waiting  int64  `json:"waiting"`   // records that are there now, those of earlier processes included
	Spilled  int64  `json:"spilled"`   // written there by this process
	Replayed int64  `json:"replayed"`  // brought into the database
	Refused  int64  `json:"refused"`   // which the database would not take then
	FileSize int64  `json:"file_size"` // in bytes
	// Healthy tells that nothing is known to keep it from taking records.
	Healthy  bool   `json:"healthy"`
	SetAside string `json:"set_aside,omitempty"` // as in Stats
}

// Stats tells how the log is. It never waits for the disk's writes.
func (l *Log) Stats() Stats {
	s := l.queue.stats()
	if l.store.Load() == nil {
		s.Healthy = false
	}
	if l.spill == nil {
		s.FileSize, s.UncleanEnd = sizeOf(l.path), l.mark.unclean
	} else {
		s.FileSize, s.UncleanEnd = l.serverSize.Load(), l.spill.to.mark.unclean
		s.Spill = l.spill.stats()
	}
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
		QueuedBytes:       q.bytes(),
		Added:             q.counts.added,
		Written:           q.counts.written,
		Duplicates:        q.counts.duplicates,
		Dropped:           q.counts.dropped,
		DroppedAccounting: q.counts.droppedAccounting,
		DroppedBodies:     q.counts.droppedBodies,
		Stripped:          q.counts.stripped,
		Healthy:           q.obstacle == noObstacle && !q.closed,
	}
}

// stats returns what the spill knows of the stats.
func (s *spill) stats() *SpillStats {
	file := s.to.Stats()
	s.mu.Lock()
	defer s.mu.Unlock()
	return &SpillStats{
		File: s.to.path, Waiting: s.waiting.Load(), Spilled: s.counts.taken, Replayed: s.counts.replayed, Refused: s.counts.refused,
		FileSize: file.FileSize, Healthy: file.Healthy, SetAside: file.SetAside,
	}
}

// trouble notes an error for Stats, in one line.
func (l *Log) trouble(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.status.lastError, l.status.lastErrorAt = strings.Join(strings.Fields(err.Error()), " "), l.now()
}
