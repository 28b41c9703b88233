//go:build !linux

package logging

import "os"

// reserve gives a file so many bytes of the disk, by writing them.
func reserve(file *os.File, size int64) error {
	part := make([]byte, 1<<20)
	for range size / int64(len(part)) {
		if _, err := file.Write(part); err != nil {
			return err
		}
	}
	return nil
}
