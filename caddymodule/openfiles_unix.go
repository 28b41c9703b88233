//go:build linux || darwin || freebsd

package caddymodule

import "syscall"

// openFileLimit is how many files a process may have open, to which Go raises its
// own limit when it starts.
func openFileLimit() (n uint64, known bool) {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return uint64(limit.Max), err == nil
}
