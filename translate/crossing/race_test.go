//go:build race

package crossing_test

// The race detector makes each attempt ten times as slow, and finds nothing more
// in the hundredth: see the other file for what these are.
const (
	randomCuts = 10
	mutations  = 2
)
