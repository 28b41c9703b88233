//go:build !(linux || darwin || freebsd)

package logging

import "errors"

// freeSpace is not known here: the log stops when the disk is full.
func freeSpace(string) (free, total uint64, err error) {
	return 0, 0, errors.ErrUnsupported
}
