//go:build linux || darwin || freebsd

package logging

import "syscall"

// freeSpace tells how much room there is for whoever is not root.
func freeSpace(directory string) (free, total uint64, err error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(directory, &s); err != nil {
		return 0, 0, err
	}
	size := uint64(s.Bsize)
	return uint64(max(s.Bavail, 0)) * size, s.Blocks * size, nil
}
