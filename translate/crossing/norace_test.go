//go:build !race

package crossing_test

const (
	// randomCuts is how many random cuts of a stream are tried.
	randomCuts = 200
	// mutations is how many ways to damage a recording are tried.
	mutations = 20
)
