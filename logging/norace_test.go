//go:build !race

package logging

// raceEnabled tells that times mean nothing.
const raceEnabled = false

// many is how many records a test uses.
func many(n int) int { return n }
