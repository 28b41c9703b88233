package logging

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"time"

	"github.com/jmoiron/sqlx"
)

// Inspection is what can be told of a database from outside.
type Inspection struct {
	// Version is that of its schema, and Known the one of this program. 0: the
	// file is empty.
	Version, Known int
	// Damage says what is wrong inside of it. Empty: nothing.
	Damage string
}

// Room tells how many bytes the disk of a directory has left, and how many of them the
// log leaves to others: with less it stops writing. Both are 0 where that is not known.
func Room(directory string) (free, floor uint64) {
	free, total, err := freeSpace(directory)
	if err != nil {
		return 0, 0
	}
	return free, spaceFloor(total)
}

// Inspect looks at the SQLite database at path, which may be open elsewhere, and
// changes nothing in it. It reads the whole file, which takes seconds for each
// gigabyte. The error is that of a file that cannot be read.
func Inspect(ctx context.Context, path string) (*Inspection, error) {
	found := new(Inspection)
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return nil, err
	}
	found.Known = len(files)
	db, err := sqlx.Open("sqlite", fmt.Sprintf("file:%s?mode=rw&_pragma=busy_timeout(1000)&_pragma=query_only(1)",
		(&url.URL{Path: path}).EscapedPath()))
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var verdict string
	err = db.GetContext(ctx, &verdict, "PRAGMA quick_check(1)")
	if err == nil {
		err = db.GetContext(ctx, &found.Version, "PRAGMA user_version")
	}
	switch {
	case damaged(err):
		found.Damage = err.Error()
	case err != nil:
		return nil, fmt.Errorf("reading %s: %w", path, err)
	case verdict != "ok":
		found.Damage = verdict
	}
	return found, nil
}

// TotalsOf sums all requests of the SQLite database at path, which may be open
// elsewhere, and changes nothing in it. size is what it takes on the disk, in bytes.
// The error is that of a file that is missing, is no request log, or was written by
// another version.
func TotalsOf(ctx context.Context, path string) (totals Totals, size int64, err error) {
	if totals, err = readTotals(ctx, path); err != nil {
		return Totals{}, 0, fmt.Errorf("reading the request log %s: %w", path, err)
	}
	return totals, sizeOf(path), nil
}

func readTotals(ctx context.Context, path string) (Totals, error) {
	// SQLite has worse words for what is no file.
	file, err := os.Stat(path)
	if err != nil {
		return Totals{}, err
	}
	if !file.Mode().IsRegular() {
		return Totals{}, errors.New("this is no regular file")
	}
	known, err := migrations.ReadDir("migrations")
	if err != nil {
		return Totals{}, err
	}
	db, err := connect(path, 1, "_txlock=deferred", "query_only(1)")
	if err != nil {
		return Totals{}, err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var version int
	if err := db.GetContext(ctx, &version, "PRAGMA user_version"); err != nil {
		return Totals{}, err
	}
	switch {
	case version == 0:
		return Totals{}, errors.New("this is a database, but no request log")
	case version > len(known):
		return Totals{}, errNewer
	case version < len(known):
		return Totals{}, errors.New("the database was written by an older version of this program; a gateway that opens it brings it up to date")
	}
	return totalsIn(ctx, db, time.Time{}, time.Time{})
}

// SetAside renames a damaged database and what lies beside it, so that the next
// [Open] makes a new one, and returns its new name. One that a process has open is
// left alone: that process does the same by itself.
func SetAside(path string, now time.Time) (string, error) {
	m, err := setMark(path + "-open")
	if err != nil {
		return "", fmt.Errorf("setting %s aside: %w", path, err)
	}
	if m.file == nil {
		return "", errors.New("it is open in another process, which sets it aside by itself")
	}
	defer m.remove()
	aside, err := setAside(path, now)
	if err != nil {
		return "", fmt.Errorf("setting %s aside: %w", path, err)
	}
	return aside, nil
}
