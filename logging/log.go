package logging

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Options say where the log is and how much of it is kept.
type Options struct {
	// Path of the database. Its directory must exist; the file is made with mode
	// 0600 unless it is there. Beside it lie -wal, -shm and -open while it is
	// open.
	Path string
	// Retain is for how long rows are kept. 0: without limit.
	Retain time.Duration
	// MaxSize is what the rows may take on the disk, in bytes: beyond that the
	// oldest are deleted. 0: without limit. The write-ahead log comes on top,
	// usually 4 MiB.
	MaxSize int64
	// Queue is how many records may wait for the disk, apart from the up to 500
	// that are being written. Default: 4096.
	Queue int
	// QueueBytes is how much memory they may take, roughly. Default: 16 MiB.
	QueueBytes int64
	// Logger is told when writing stops and goes on. Default: nobody is told.
	Logger *zap.Logger
	// Now is the clock for retention and checks. Default: time.Now.
	Now func() time.Time
	// FreeSpace tells how many bytes are free, and how many there are, on the
	// disk of a directory. Default: asks the operating system, where it can.
	FreeSpace func(directory string) (free, total uint64, err error)
}

// closePatience is how long Close flushes, and closeGrace how long it then waits
// for a write that does not return.
const (
	closePatience = 4 * time.Second
	closeGrace    = time.Second
)

// ErrClosed is returned by what needs a log that is open.
var ErrClosed = errors.New("the request log is closed")

// Log is the request log. It is safe for concurrent use.
type Log struct {
	path  string
	now   func() time.Time
	queue *queue
	mark  *mark

	wake   chan struct{} // the queue is no longer empty, or holds a whole batch
	calls  chan call     // run by the writer between batches
	quit   chan struct{} // closed by Close
	done   chan struct{} // closed when the writer has ended
	cancel context.CancelFunc
	once   sync.Once

	store atomic.Pointer[store] // set by the writer; nil while the database cannot be opened

	mu     sync.Mutex
	status status
}

// status is what the writer has to tell.
type status struct {
	lastError   string
	lastErrorAt time.Time
	setAside    string
}

// Open opens the log and begins to write. Errors are those of a path that cannot
// be right: an empty one, one whose directory is missing or forbidden, or a
// database of a newer version. A database that is locked, damaged or without room
// is no error: the log opens, tells so in Stats, and recovers by itself. A damaged
// one is renamed, never deleted, and a new one made.
func Open(o Options) (*Log, error) {
	path, err := checkPath(o.Path)
	if err != nil {
		return nil, fmt.Errorf("opening the request log %s: %w", o.Path, err)
	}
	if o.Queue <= 0 {
		o.Queue = 4096
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = 16 << 20
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.FreeSpace == nil {
		o.FreeSpace = freeSpace
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &Log{
		path:   path,
		now:    o.Now,
		queue:  newQueue(o.Queue, o.QueueBytes),
		wake:   make(chan struct{}, 1),
		calls:  make(chan call),
		quit:   make(chan struct{}),
		done:   make(chan struct{}),
		cancel: cancel,
	}
	w := &writer{
		log: l, ctx: ctx, logger: o.Logger, retain: o.Retain, maxSize: o.MaxSize, freeSpace: o.FreeSpace,
		checked: make(chan verdict, 1),
	}
	if l.mark, err = setMark(path + "-open"); err != nil {
		o.Logger.Warn("an unclean end of this process will not be noticed", zap.Error(err))
	}
	if l.mark.unclean {
		o.Logger.Warn("the request log was not closed the last time: requests of that process's last moments may be missing", zap.String("file", path))
	}
	if err := w.open(); errors.Is(err, errNewer) || errors.Is(err, fs.ErrPermission) {
		cancel()
		l.mark.remove()
		return nil, fmt.Errorf("opening the request log %s: %w", path, err)
	}
	go w.run()
	return l, nil
}

// checkPath returns the path from the root, if a database can be there.
func checkPath(path string) (string, error) {
	if path == "" {
		return "", errors.New("it has no path")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return "", fmt.Errorf("the directory of the file does not exist: %w", err)
	}
	if file, err := os.Stat(path); err == nil && !file.Mode().IsRegular() {
		return "", errors.New("this is no regular file")
	}
	return path, nil
}

// Add puts a record into the queue. It never blocks. false: there was no room for
// it, and it was counted. The log owns r afterwards, whatever is returned.
func (l *Log) Add(r *Record) bool {
	if r.ID == "" {
		r.ID = rand.Text()
	}
	waits, ok := l.queue.add(r)
	if waits == 1 || waits >= batchRows {
		select {
		case l.wake <- struct{}{}:
		default: // the writer knows already
		}
	}
	return ok
}

// Flush writes all that was added before. It returns an error if that cannot be
// written now; the records wait on.
func (l *Log) Flush(ctx context.Context) error {
	return l.do(ctx, func(w *writer) error { return w.flush() })
}

// do runs f on the writer's goroutine.
func (l *Log) do(ctx context.Context, f func(*writer) error) error {
	result := make(chan error, 1)
	select {
	case l.calls <- call{f, result}:
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
		return ErrClosed
	}
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-l.done:
		return ErrClosed
	}
}

// Close writes what waits, for at most 5 s, and closes the database. It returns an
// error, and counts, if something could not be written. Later records are dropped
// and counted.
func (l *Log) Close() error {
	var lost int
	l.once.Do(func() {
		l.queue.close()
		close(l.quit)
		patience := time.NewTimer(closePatience)
		defer patience.Stop()
		select {
		case <-l.done:
		case <-patience.C:
			l.cancel()
			select {
			case <-l.done:
			case <-time.After(closeGrace): // the disk hangs; its end is not awaited
			}
		}
		l.cancel()
		lost = l.queue.abandon()
	})
	if lost > 0 {
		return fmt.Errorf("closing the request log: %d records could not be written", lost)
	}
	return nil
}

// call is something for the writer to do between batches.
type call struct {
	do     func(*writer) error
	result chan<- error
}
