//go:build !race

package caddymodule

import "time"

// raceEnabled tells whether the race detector slows everything down.
const raceEnabled = false

// cutStride is by how much fewer the places are where streams are cut: at all of them,
// 86,000, it takes minutes under -race. The proofs run without that.
const cutStride = 1

// The lengths of the fault storm and of the day in the life of a gateway, unless their
// flags say more. ./xcaddy.sh storm and proofs do.
const (
	shortStorm = 10 * time.Second
	shortDay   = 1500
)
