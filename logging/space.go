package logging

import sqlite3 "modernc.org/sqlite/lib"

// minFree is how many bytes the log leaves free on any disk.
const minFree = 256 << 20

// spaceFloor is how much of a disk's space the log leaves to others: 5 %, and
// 256 MiB at least. On a disk that is full SQLite can neither delete rows nor tidy
// up, and whoever else writes there fails too.
func spaceFloor(total uint64) uint64 { return max(minFree, total/20) }

// obstacleOf tells by an error what keeps the writer from writing.
func obstacleOf(err error) obstacle {
	if code(err) == sqlite3.SQLITE_FULL || sqlState(err) == diskFull {
		return obstacleSpace
	}
	return obstacleStore
}
