//go:build !(linux || darwin || freebsd)

package caddymodule

// openFileLimit is not known here.
func openFileLimit() (n uint64, known bool) { return 0, false }
