//go:build race

package logging

// raceEnabled tells that times mean nothing.
const raceEnabled = true

// many is how many records a test uses that would use n: the race detector makes
// SQLite, which is Go here, very slow.
func many(n int) int { return n / 8 }
