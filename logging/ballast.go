package logging

import "os"

// ballastSize is how much room the ballast keeps: enough for SQLite to delete a
// chunk of rows, and to tidy up.
const ballastSize = 16 << 20

// ballast is a file that takes some of the disk while there is enough. On a disk
// that others have filled SQLite can delete nothing, so not even retention would
// give room back; the ballast is dropped for that.
type ballast struct {
	path string
	held bool
}

// newBallast is the ballast of a database; one that was left counts.
func newBallast(database string) ballast {
	b := ballast{path: database + "-ballast"}
	_, err := os.Stat(b.path)
	b.held = err == nil
	return b
}

// adjust makes the file while the disk has more room than the log leaves to
// others, and drops it once there is hardly any. Without a path it does nothing.
func (b *ballast) adjust(free, total uint64) {
	switch {
	case b.path == "":
	case b.held && free < ballastSize:
		b.held = os.Remove(b.path) != nil
	case !b.held && free > spaceFloor(total)+2*ballastSize:
		if b.held = b.make() == nil; !b.held {
			b.path = "" // this disk reserves nothing
		}
	}
}

// make reserves the room: a file with a hole would reserve nothing.
func (b *ballast) make() error {
	file, err := os.OpenFile(b.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = reserve(file, ballastSize)
	if failure := file.Close(); err == nil {
		err = failure
	}
	if err != nil {
		_ = os.Remove(b.path)
	}
	return err
}
