package logging

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A real disk, of 8 MiB, that is full and then is not.
func TestB6RealDiskFullAndBack(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=8m,mode=0700"); err != nil {
		t.Skip("cannot mount a small disk, which only root may:", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(disk, 0); err != nil {
			t.Error(err)
		}
	})
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
	if took := time.Since(begin); took > 5*time.Second {
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
