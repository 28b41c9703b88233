//go:build linux || darwin || freebsd

package logging

import (
	"os"
	"syscall"
)

// lock locks a file until it is closed or the process ends, unless another
// process has.
func lock(file *os.File) bool {
	return syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}
