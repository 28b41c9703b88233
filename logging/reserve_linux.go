package logging

import (
	"os"
	"syscall"
)

// reserve gives a file so many bytes of the disk.
func reserve(file *os.File, size int64) error {
	return syscall.Fallocate(int(file.Fd()), 0, 0, size)
}
