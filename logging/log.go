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
	// Path of an SQLite database. Its directory must exist; the file is made with
	// mode 0600 unless it is there. Beside it lie -wal, -shm and -open while it is
	// open, and -ballast: 16 MiB that are given up when the disk is full, so that
	// old rows can still be deleted.
	Path string

	// DSN of a PostgreSQL database, as a URL or as key=value pairs, instead of
	// Path. Its tables are in the schema llm_proxy, unless it has a search_path;
	// they are made if they are not there. Several processes may share them.
	DSN string
	// Spill is the path of a file that takes records while PostgreSQL does not,
	// and is needed with DSN. It is made, and lies on the disk, as Path does. What
	// it holds is brought into PostgreSQL later, even by another process.
	Spill string
	// SpillSize is how large that file may become, in bytes: beyond that records
	// wait in memory, and are dropped once there is no more room. Default: 1 GiB.
	SpillSize int64

	// Retain is for how long rows are kept. 0: without limit.
	Retain time.Duration
	// RetainBodies is for how long bodies are kept, if not as long as their rows.
	// 0: as long.
	RetainBodies time.Duration
	// MaxSize is what the rows may take on the disk, in bytes: beyond that the
	// oldest are deleted. 0: without limit. SQLite's write-ahead log comes on top,
	// usually 4 MiB. PostgreSQL's files stay as large as they once were, and
	// somewhat larger than this: the room is used again.
	MaxSize int64
	// Queue is how many records may wait for the disk, apart from the up to 500
	// that are being written. Default: 4096.
	Queue int
	// QueueBytes is how much memory they may take, roughly, with their bodies.
	// Default: 16 MiB.
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
	handPatience  = 1500 * time.Millisecond // of Close, before the spill has its turn
)

// ErrClosed is returned by what needs a log that is open.
var ErrClosed = errors.New("the request log is closed")

// Log is the request log. It is safe for concurrent use.
type Log struct {
	engine engine
	path   string // of the file; empty: the database is a server's
	now    func() time.Time
	queue  *queue
	spill  *spill // nil: the database is a file
	mark   *mark

	wake   chan struct{} // the queue is no longer empty, or holds a whole batch
	calls  chan call     // run by the writer between batches
	quit   chan struct{} // closed by Close
	done   chan struct{} // closed when the writer has ended
	cancel context.CancelFunc
	once   sync.Once

	settings   atomic.Pointer[settings]
	store      atomic.Pointer[store] // set by the writer; nil while the database cannot be opened
	serverSize atomic.Int64          // what the rows take on a server

	mu     sync.Mutex
	status status
}

// status is what the writer has to tell.
type status struct {
	lastError   string
	lastErrorAt time.Time
	setAside    string
}

// Open opens the log and begins to write. Errors are those of a place that cannot
// be right: none or two of them, a path whose directory is missing or forbidden, a
// DSN that cannot be parsed, or a database of a newer version. A database that is
// locked, damaged or without room, or a server that is not there, is no error: the
// log opens, tells so in Stats, and recovers by itself. A damaged file is renamed,
// never deleted, and a new one made.
func Open(o Options) (*Log, error) {
	switch {
	case o.DSN == "":
		return openLog(o, 0)
	case o.Path != "":
		return nil, errors.New("opening the request log: it has both a path and a DSN")
	case o.Spill == "":
		return nil, errors.New("opening the request log: a DSN needs a file for what PostgreSQL does not take")
	}
	return openServer(o)
}

// setDefaults fills in what is not set.
func (o *Options) setDefaults() {
	if o.Queue <= 0 {
		o.Queue = 4096
	}
	if o.QueueBytes <= 0 {
		o.QueueBytes = 16 << 20
	}
	if o.SpillSize <= 0 {
		o.SpillSize = 1 << 30
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
}

// openLog opens a log in a file, which takes nothing more once it has so many
// bytes; 0: any.
func openLog(o Options, most int64) (*Log, error) {
	o.setDefaults()
	path, err := checkPath(o.Path)
	if err != nil {
		return nil, fmt.Errorf("opening the request log %s: %w", o.Path, err)
	}
	place := &file{path: path, most: most, freeSpace: o.FreeSpace}
	if most == 0 {
		place.ballast = newBallast(path)
	}
	l, w := newLog(o, place)
	l.path = path
	if l.mark, err = setMark(path + "-open"); err != nil {
		o.Logger.Warn("an unclean end of this process will not be noticed", zap.Error(err))
	}
	if l.mark.unclean {
		o.Logger.Warn("the request log was not closed the last time: requests of that process's last moments may be missing", zap.String("file", path))
	}
	if err := w.open(); errors.Is(err, errNewer) || errors.Is(err, fs.ErrPermission) {
		l.cancel()
		l.mark.remove()
		return nil, fmt.Errorf("opening the request log %s: %w", path, err)
	}
	go w.run()
	return l, nil
}

// openServer opens a log in a server's database.
func openServer(o Options) (*Log, error) {
	o.setDefaults()
	place, err := newServer(o.DSN)
	if err != nil {
		return nil, fmt.Errorf("opening the request log: %w", err)
	}
	l, w := newLog(o, place)
	l.mark = &mark{} // the spill has one
	w.pause = serverPause
	if l.spill, err = openSpill(l, o); err != nil {
		l.cancel()
		return nil, err
	}
	if err := w.open(); errors.Is(err, errNewer) {
		l.cancel()
		_ = l.spill.to.Close()
		return nil, fmt.Errorf("opening the request log %s: %w", place, err)
	}
	go l.spill.run()
	go w.run()
	return l, nil
}

// newLog makes a log and its writer, which does not run yet.
func newLog(o Options, place engine) (*Log, *writer) {
	ctx, cancel := context.WithCancel(context.Background())
	l := &Log{
		engine: place,
		now:    o.Now,
		queue:  newQueue(o.Queue, o.QueueBytes),
		wake:   make(chan struct{}, 1),
		calls:  make(chan call),
		quit:   make(chan struct{}),
		done:   make(chan struct{}),
		cancel: cancel,
	}
	l.settings.Store(settingsOf(&o))
	return l, &writer{
		log: l, engine: place, ctx: ctx, settings: l.settings.Load(),
		pause: retryPause, checked: make(chan verdict, 1),
	}
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

// The kinds of databases.
const (
	SQLite   = "sqlite"
	Postgres = "postgres"
)

// Place returns the kind of the database, and where it is: the path of a file, or
// host:port/database. There is no secret in it.
func (l *Log) Place() (kind, place string) {
	if l.spill != nil {
		return Postgres, l.engine.String()
	}
	return SQLite, l.path
}

// Add puts a record into the queue. It never blocks. false: there was no room for
// it, and it was counted. The log owns r afterwards, whatever is returned.
func (l *Log) Add(r *Record) bool {
	if r.ID == "" {
		r.ID = rand.Text()
	}
	waits, crowded, ok := l.queue.add(r)
	if waits == 1 || waits >= batchRows {
		notify(l.wake)
	}
	if crowded && l.spill != nil {
		notify(l.spill.wake)
	}
	return ok
}

// notify wakes a goroutine, unless it was woken and has not looked yet.
func notify(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

// Flush stores all that was added before: in the database, or in the spill while
// PostgreSQL does not take it. It returns an error if that cannot be done now; the
// records wait on.
func (l *Log) Flush(ctx context.Context) error {
	if l.spill == nil {
		last := l.queue.last()
		return l.do(ctx, func(w *writer) error { return w.flush(last) })
	}
	b := l.queue.barrier()
	defer l.queue.lift(b)
	write := func(w *writer) error { return w.flush(b.last) }
	if l.queue.hindrance() != noObstacle || l.do(ctx, write) != nil {
		if err := l.spill.flush(ctx, b.last); err != nil {
			return err
		}
	}
	select {
	case <-b.passed: // what the other writer holds is stored too
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Reset deletes all requests and gives back the room that they took. The log stays
// open.
func (l *Log) Reset(ctx context.Context) error {
	if err := l.do(ctx, func(w *writer) error { return w.reset(ctx) }); err != nil {
		return fmt.Errorf("deleting the request log: %w", err)
	}
	return nil
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

// Close writes what waits, for at most 5 s, and closes the database. What
// PostgreSQL does not take by then is spilled. It returns an error, and counts, if
// something could not be written. Later records are dropped and counted.
func (l *Log) Close() error { return l.close(closePatience) }

// close is Close with another patience.
func (l *Log) close(patience time.Duration) error {
	var lost int
	l.once.Do(func() {
		end := time.Now().Add(patience)
		l.queue.close()
		close(l.quit)
		if l.spill != nil {
			patience = handPatience
		}
		select {
		case <-l.done:
		case <-time.After(patience):
			l.cancel()
			select {
			case <-l.done:
			case <-time.After(closeGrace): // the disk hangs; its end is not awaited
			}
		}
		l.cancel()
		if l.spill != nil {
			l.spill.close(max(spillPatience, time.Until(end)))
		}
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
