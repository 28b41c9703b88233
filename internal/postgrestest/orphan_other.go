//go:build unix && !linux

package postgrestest

import "syscall"

// endWithUs does nothing here: a server outlives a test binary that is killed.
func endWithUs(*syscall.SysProcAttr) {}
