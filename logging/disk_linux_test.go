package logging

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// smallDisk is a real disk of so many MiB.
func smallDisk(t *testing.T, size int) (directory string) {
	t.Helper()
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=0700", size)); err != nil {
		t.Skip("cannot mount a small disk, which only root may:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
	return disk
}

// fill leaves no room on a disk.
func fill(t *testing.T, disk string) {
	t.Helper()
	file, err := os.Create(filepath.Join(disk, "others"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for {
		if _, err := file.Write(make([]byte, 4096)); errors.Is(err, syscall.ENOSPC) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// Others fill the disk, and retention still gives back the room of old rows.
func TestB6RetentionWorksOnAFullDisk(t *testing.T) {
	disk := smallDisk(t, 64)
	now := &clock{now: t0}
	var full atomic.Bool
	l := open(t, Options{
		Path: filepath.Join(disk, "llm.db"), Retain: 24 * time.Hour, Now: now.Now, Queue: 20000, QueueBytes: 1 << 30,
		FreeSpace: func(directory string) (uint64, uint64, error) {
			if full.Load() {
				return freeSpace(directory)
			}
			return roomy(directory)
		},
	})
	rows := many(15000)
	addAll(l, 0, rows)
	flush(t, l)
	wantRows(t, l, rows)
	if info, err := os.Stat(l.path + "-ballast"); err != nil || info.Size() != ballastSize || info.Mode().Perm() != 0o600 {
		t.Fatalf("the ballast: %+v, %v, want 16 MiB with mode 0600", info, err)
	}
	// The write-ahead log is some room too, unless it has just begun anew.
	if err := l.do(deadline(t), func(w *writer) error { w.bringHome(); return nil }); err != nil {
		t.Fatal(err)
	}
	fill(t, disk)
	if _, err := other(t, l.path).Exec("DELETE FROM requests WHERE start_us > 0"); err == nil {
		t.Fatal("rows can be deleted on a full disk; there is nothing to show")
	}
	full.Store(true)
	now.advance(48 * time.Hour)
	maintain(t, l)
	if _, err := os.Stat(l.path + "-ballast"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the ballast is kept on a full disk: %v", err)
	}
	wait(t, "the old rows are gone", func() bool {
		totals, err := l.Totals(deadline(t), time.Time{}, time.Time{})
		return err == nil && totals.Requests == 0
	})
	wait(t, "their room is given back", func() bool {
		free, _, err := freeSpace(disk)
		return err == nil && free > ballastSize-1<<20 && l.Stats().FileSize < 2<<20
	})
	if err := os.Remove(filepath.Join(disk, "others")); err != nil {
		t.Fatal(err)
	}
	full.Store(false)
	now.advance(time.Second)
	maintain(t, l)
	addAll(l, 0, 10)
	flush(t, l)
	if _, err := os.Stat(l.path + "-ballast"); err != nil {
		t.Errorf("the ballast is not made again: %v", err)
	}
	closeLog(t, l)
	wantIntegrity(t, l.path)
}

// A real disk, of 8 MiB, that is full and then is not.
func TestB6RealDiskFullAndBack(t *testing.T) {
	disk := smallDisk(t, 8)
	l := open(t, Options{Path: filepath.Join(disk, "llm.db"), Queue: 3000})
	addAll(l, 0, 100)
	flush(t, l)
	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, bytes.Repeat([]byte{'x'}, 16<<20), 0o600); err == nil {
		t.Fatal("the disk cannot be filled")
	}
	var slowest time.Duration
	for n := 100; n < 10000; n++ {
		begin := time.Now()
		l.Add(record(n))
		slowest = max(slowest, time.Since(begin))
	}
	wait(t, "the trouble is known", func() bool { return !l.Stats().Healthy })
	wantRows(t, l, int(l.Stats().Written)) // reading still works
	t.Logf("the slowest of 9900 records took %v to add; %+v", slowest, l.Stats())
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	wait(t, "it resumes", func() bool { s := l.Stats(); return s.Healthy && s.Queued == 0 })
	if took := time.Since(begin); took > 5*time.Second && !raceEnabled {
		t.Errorf("resumed after %v, want 5s at most", took)
	}
	s := l.Stats()
	wantBalance(t, s)
	wantRows(t, l, int(s.Written))
	if s.Dropped.Total() == 0 || s.Written+s.Dropped.Total() != 10000 {
		t.Errorf("written %d + dropped %d, want 10000, and some dropped", s.Written, s.Dropped.Total())
	}
	closeLog(t, l)
	wantIntegrity(t, l.path)
}
