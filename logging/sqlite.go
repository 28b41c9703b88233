package logging

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	_ "modernc.org/sqlite" // the driver
)

// busyTimeout is how long a statement waits for another process that has locked
// the database. The writer comes back after it, so it may be short: opening and
// closing the log wait no longer either.
const busyTimeout = time.Second

// sqliteDialect is SQLite's SQL.
var sqliteDialect = &dialect{
	rewrite: strings.NewReplacer(),
	groups:  []int{1}, // more would only be more to prepare
	// The writer's transaction holds the only lock: there is nothing to keep, and
	// nobody else to take a number.
	number: func(ctx context.Context, tx *sqlx.Tx, table, column string, n int) ([]int64, error) {
		var last int64
		if err := tx.GetContext(ctx, &last, "SELECT COALESCE(MAX("+column+"), 0) FROM "+table); err != nil {
			return nil, err
		}
		numbers := make([]int64, n)
		for i := range numbers {
			numbers[i] = last + int64(i) + 1
		}
		return numbers, nil
	},
	version: func(ctx context.Context, db sqlx.QueryerContext) (version int, err error) {
		return version, sqlx.GetContext(ctx, db, &version, "PRAGMA user_version")
	},
	// Its transactions are immediate: they hold the only lock from the beginning.
	begin: func(context.Context, *sqlx.Tx) error { return nil },
	setVersion: func(ctx context.Context, tx *sqlx.Tx, version int) error {
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", version)) // it takes no parameters
		return err
	},
	surplus: func(ctx context.Context, db *sqlx.DB, most int64) (int64, error) {
		var used int64
		err := db.GetContext(ctx, &used, `SELECT (p.page_count - f.freelist_count) * z.page_size
			FROM pragma_page_count AS p, pragma_freelist_count AS f, pragma_page_size AS z`)
		if err != nil || used <= most {
			return 0, err
		}
		return chunkRows, nil
	},
}

// file is a database file, and what it may take of its disk.
type file struct {
	path      string
	most      int64 // bytes that it may have before it takes nothing more; 0: any
	freeSpace func(directory string) (free, total uint64, err error)
	ballast   ballast
}

// String is where the database is.
func (f *file) String() string { return f.path }

// open opens the database, or makes one.
func (f *file) open(ctx context.Context) (*store, error) { return openFile(ctx, f.path) }

// room returns why there is too little room, if so.
func (f *file) room() error {
	free, total, err := f.freeSpace(filepath.Dir(f.path))
	if err != nil {
		return nil // not known: the disk itself will tell
	}
	f.ballast.adjust(free, total)
	if floor := spaceFloor(total); free < floor {
		return fmt.Errorf("the disk has too little room: %d MiB are free, and %d are left to others", free>>20, floor>>20)
	}
	if f.most > 0 && sizeOf(f.path) > f.most {
		return fmt.Errorf("%s has %d MiB, which is all that it may have", f.path, f.most>>20)
	}
	return nil
}

// erase deletes the file. That works on a full disk too, where no row can be
// deleted.
func (f *file) erase(context.Context) error {
	for _, name := range []string{f.path, f.path + "-wal", f.path + "-shm"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// files are those of an open SQLite database.
type files struct {
	path  string
	file  os.FileInfo
	wal   os.FileInfo // nil until it is there
	fresh bool        // the database was made just now
	seen  walMark     // of the write-ahead log, when it was looked at
}

// errReplaced is what happened to a file that is no longer at its place.
var errReplaced = errors.New("the database or its write-ahead log was deleted or replaced while it was open; rows of the last seconds may be missing")

// openFile opens a database file, or makes one. A file that is there must be a
// sound database, as far as a glance can tell.
func openFile(ctx context.Context, path string) (_ *store, err error) {
	s := newStore(ctx, sqliteDialect)
	s.files = &files{path: path}
	if s.files.fresh, err = create(path); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.files.file, err = os.Stat(path); err != nil {
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
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	return s, s.glance(ctx)
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
		"SELECT COUNT(*) FROM (SELECT id FROM labels ORDER BY id DESC LIMIT 10) AS some",
		"SELECT COUNT(*) FROM (SELECT number FROM attempts ORDER BY request DESC LIMIT 10) AS some",
		"SELECT COUNT(*) FROM (SELECT number FROM skips ORDER BY request DESC LIMIT 10) AS some",
		"SELECT COUNT(*) FROM (SELECT request FROM bodies ORDER BY request DESC LIMIT 10) AS some",
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

// changed returns what somebody has done to the files that are open, if so. SQLite
// does not notice: it writes on into files that nobody will find again, and reads
// zeros where it has written rows.
func (f *files) changed() error {
	file, err := os.Stat(f.path)
	if err != nil || !os.SameFile(file, f.file) {
		return errReplaced
	}
	wal, err := os.Stat(f.path + "-wal")
	switch {
	case f.wal == nil && err != nil:
		return nil // not there yet
	case f.wal == nil:
		f.wal = wal
	case err != nil || !os.SameFile(wal, f.wal):
		return errReplaced
	}
	return f.seen.check(f.path + "-wal")
}

// sizeOf is what a database and its write-ahead log take on the disk, in bytes.
func sizeOf(path string) (n int64) {
	for _, name := range []string{path, path + "-wal"} {
		if info, err := os.Stat(name); err == nil {
			n += info.Size()
		}
	}
	return n
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
