//go:build race

package caddymodule

// raceEnabled tells whether the race detector slows everything down.
const raceEnabled = true
