//go:build !race

package caddymodule

// raceEnabled tells whether the race detector slows everything down.
const raceEnabled = false

// cutStride is by how much fewer the places are where streams are cut: at all of them,
// 86,000, it takes minutes under -race. The proofs run without that.
const cutStride = 1
