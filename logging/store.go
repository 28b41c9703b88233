package logging

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jmoiron/sqlx"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// busyTimeout is how long a statement waits for another process that has locked
// the database. The writer comes back after it, so it may be short: opening and
// closing the log wait no longer either.
const busyTimeout = time.Second

// maxReaders is how many queries run at the same time. More of them only take from
// the writer.
const maxReaders = 2

// queryTimeout is how long a query may run. While one runs, the write-ahead log
// cannot begin anew and grows.
const queryTimeout = 10 * time.Second

// store is an open database file.
type store struct {
	path    string
	write   *sqlx.DB // one connection, of the writer goroutine
	read    *sqlx.DB // at most maxReaders connections, which cannot write
	file    os.FileInfo
	wal     os.FileInfo // nil until it is there
	fresh   bool        // the file was made just now
	inserts inserts

	readers sync.RWMutex    // read-locked by every query
	ctx     context.Context // ends when the database is to be closed
	cancel  context.CancelFunc
}

// openStore opens the database, or makes one. A file that is there must be a sound
// database, as far as a glance can tell.
func openStore(ctx context.Context, path string) (_ *store, err error) {
	s := &store{path: path}
	s.ctx, s.cancel = context.WithCancel(ctx)
	if s.fresh, err = create(path); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.file, err = os.Stat(path); err != nil {
		return nil, err
	}
	// Readers set none of those that need a lock.
	if s.write, err = connect(path, 1, "_txlock=immediate",
		"auto_vacuum(incremental)", "journal_mode(wal)", "journal_size_limit(67108864)", "synchronous(full)"); err != nil {
		return nil, err
	}
	if s.read, err = connect(path, maxReaders, "_txlock=deferred", "query_only(1)"); err != nil {
		return nil, err
	}
	if err := migrate(ctx, s.write); err != nil {
		return nil, err
	}
	if err := s.glance(ctx); err != nil {
		return nil, err
	}
	if s.inserts, err = prepareInserts(ctx, s.write); err != nil {
		return nil, err
	}
	return s, nil
}

// create makes the file unless it is there, so that only its owner can read it.
// SQLite gives the files beside it the same mode.
func create(path string) (fresh bool, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	switch {
	case err == nil:
		return true, file.Close()
	case errors.Is(err, os.ErrExist):
		// It is not opened: closing it would undo the locks that SQLite holds on
		// it in this process.
		return false, nil
	default:
		return false, err
	}
}

// connect returns a pool of so many connections. Pragmas go into the data source
// name, because they belong to a connection, not to a pool.
func connect(path string, connections int, option string, pragmas ...string) (*sqlx.DB, error) {
	name := strings.Builder{}
	// Never create: a file that somebody deletes is noticed, and made by create.
	fmt.Fprintf(&name, "file:%s?mode=rw&%s&_pragma=busy_timeout(%d)&_pragma=temp_store(memory)",
		(&url.URL{Path: path}).EscapedPath(), option, busyTimeout.Milliseconds())
	for _, pragma := range pragmas {
		name.WriteString("&_pragma=" + pragma)
	}
	db, err := sqlx.Open("sqlite", name.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// glance reads a little of every table. It sees a file that is cut or garbage, but
// not a damaged page in the middle of one: check sees that.
func (s *store) glance(ctx context.Context) error {
	for _, query := range []string{
		"SELECT COUNT(*) FROM (SELECT id FROM requests ORDER BY start_us DESC, id DESC LIMIT 10) AS some",
		"SELECT COUNT(*) FROM (SELECT seq FROM requests ORDER BY seq DESC LIMIT 10) AS some",
		"SELECT COUNT(*) FROM (SELECT number FROM attempts ORDER BY request DESC LIMIT 10) AS some",
		"SELECT COUNT(*) FROM (SELECT number FROM skips ORDER BY request DESC LIMIT 10) AS some",
	} {
		var n int
		if err := s.write.GetContext(ctx, &n, query); err != nil {
			return err
		}
	}
	return nil
}

// checkTimeout is how long the check of a whole database may take. After that it
// counts as sound.
const checkTimeout = 2 * time.Minute

// errDamaged is what check found: the database is damaged inside.
var errDamaged = errors.New("the database is damaged")

// check reads the whole database and returns errDamaged if it is not sound. That
// takes seconds for each gigabyte.
func (s *store) check(ctx context.Context) error {
	var verdict string
	err := s.query(ctx, checkTimeout, func(ctx context.Context, db *sqlx.DB) error {
		return db.GetContext(ctx, &verdict, "PRAGMA quick_check(1)")
	})
	if err != nil {
		return err
	}
	if verdict != "ok" {
		return fmt.Errorf("%w: %s", errDamaged, verdict)
	}
	return nil
}

// replaced tells whether the file, or its write-ahead log, is no longer the one
// that is open. SQLite does not notice: it writes on into files that nobody will
// find again.
func (s *store) replaced() bool {
	file, err := os.Stat(s.path)
	if err != nil || !os.SameFile(file, s.file) {
		return true
	}
	wal, err := os.Stat(s.path + "-wal")
	switch {
	case s.wal == nil:
		if err == nil {
			s.wal = wal
		}
		return false
	default:
		return err != nil || !os.SameFile(wal, s.wal)
	}
}

// size is what the files take on the disk, in bytes.
func (s *store) size() (n int64) {
	for _, name := range []string{s.path, s.path + "-wal"} {
		if file, err := os.Stat(name); err == nil {
			n += file.Size()
		}
	}
	return n
}

// query runs f, which reads, within timeout.
func (s *store) query(ctx context.Context, timeout time.Duration, f func(context.Context, *sqlx.DB) error) error {
	s.readers.RLock()
	defer s.readers.RUnlock()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	stop := context.AfterFunc(s.ctx, cancel)
	defer stop()
	return f(ctx, s.read)
}

// close ends all queries and closes the database. Its last connection brings the
// write-ahead log home and deletes it by its name: none may be left when another
// database is opened there.
func (s *store) close() {
	s.cancel()
	s.readers.Lock()
	defer s.readers.Unlock()
	for _, db := range []*sqlx.DB{s.read, s.write} {
		if db != nil {
			_ = db.Close()
		}
	}
}

// setAside renames a damaged database and what lies beside it, for the operator to
// look at, and returns the new name.
func setAside(path string, now time.Time) (string, error) {
	stem := path + ".corrupt-" + now.UTC().Format("20060102T150405")
	aside := stem
	for n := 2; ; n++ {
		if _, err := os.Lstat(aside); errors.Is(err, os.ErrNotExist) {
			break
		}
		aside = fmt.Sprintf("%s.%d", stem, n)
	}
	// The database last: while it is there, the next try sets the rest aside too.
	for _, suffix := range []string{"-wal", "-shm", ""} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return aside, nil
}

// code is SQLite's primary result code, 0 for errors that are not its own.
func code(err error) int {
	if failure, ok := errors.AsType[*sqlite.Error](err); ok {
		return failure.Code() & 0xff
	}
	return 0
}

// damaged tells whether an error says that the file is no sound database.
func damaged(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_CORRUPT || c == sqlite3.SQLITE_NOTADB || errors.Is(err, errDamaged)
}

// ofRow tells whether an error is about a row, and not about the database.
func ofRow(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_CONSTRAINT || c == sqlite3.SQLITE_TOOBIG || c == sqlite3.SQLITE_MISMATCH
}

// passing tells whether the open database may well take the next try.
func passing(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_LOCKED || c == sqlite3.SQLITE_FULL || c == sqlite3.SQLITE_INTERRUPT
}
