//go:build race

package keys

// raceEnabled tells whether the race detector slows everything down.
const raceEnabled = true
