package logging

import sqlite3 "modernc.org/sqlite/lib"

// minFree and maxFree are how many bytes the log leaves free, at the least and at the
// most, whatever the size of the disk.
const (
	minFree = 256 << 20
	maxFree = 2 << 30
)

// spaceFloor is how much of a disk's space the log leaves to others: 5 %, within
// these bounds. On a disk that is full SQLite can neither delete rows nor tidy up, and
// whoever else writes there fails too; but of a disk of terabytes a twentieth would be
// far more than both.
func spaceFloor(total uint64) uint64 { return min(max(minFree, total/20), maxFree) }

// obstacleOf tells by an error what keeps the writer from writing.
func obstacleOf(err error) obstacle {
	if code(err) == sqlite3.SQLITE_FULL || sqlState(err) == diskFull {
		return obstacleSpace
	}
	return obstacleStore
}
