package caddymodule

import (
	"syscall"
	"testing"
)

// smallDisk is a directory on a disk of 400 MiB, a little more than the log leaves to others, until the test ends.
func smallDisk(t *testing.T) string {
	t.Helper()
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=400m,mode=0700"); err != nil {
		t.Skip("cannot mount a small disk, which only root may:", err)
	}
	t.Cleanup(func() {
		loadNothing(t) // the log is on it
		if err := syscall.Unmount(disk, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return disk
}
