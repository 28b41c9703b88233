package logging

import (
	"errors"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

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
	return serverRefuses(err) || c == sqlite3.SQLITE_CONSTRAINT || c == sqlite3.SQLITE_TOOBIG || c == sqlite3.SQLITE_MISMATCH
}

// passing tells whether the open database may well take the next try.
func passing(err error) bool {
	c := code(err)
	return serverPassing(err) || c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_LOCKED || c == sqlite3.SQLITE_FULL || c == sqlite3.SQLITE_INTERRUPT
}
