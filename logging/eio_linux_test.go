package logging

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// failingDisk writes records while some of its syncs fail, and tells how the log
// took it.
func failingDisk(path string) {
	l, err := Open(Options{Path: path, FreeSpace: roomy})
	must(err)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := range 500 {
		<-tick.C
		l.Add(record(n))
		if n%5 == 0 {
			_ = l.Flush(ctx) // fails where a sync does
		}
	}
	for l.Flush(ctx) != nil {
		<-tick.C
		must(ctx.Err())
	}
	s := l.Stats()
	// What was written before its sync failed is there already the second time.
	fmt.Printf("written %d dropped %d healthy %v\nerror: %s\nset aside: %q\n", s.Written+s.Duplicates, s.Dropped.Total(), s.Healthy, s.LastError, s.SetAside)
	must(l.Close())
}

func TestB6FailedSyncLosesNoRow(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("no strace, by which a sync fails: install it")
	}
	path := filepath.Join(t.TempDir(), "llm.db")
	cmd := as(t, "writer of a failing disk", rolePath+"="+path)
	cmd.Path, cmd.Args = strace, append([]string{
		strace, "-f", "-o", os.DevNull, "-e", "trace=fsync,fdatasync",
		"-e", "inject=fsync,fdatasync:error=EIO:when=10+7",
	}, cmd.Args...)
	output, err := cmd.Output()
	if err != nil && len(output) == 0 {
		t.Skip("strace may trace nothing here:", err)
	}
	said := string(output)
	t.Log(said)
	if err != nil || !strings.Contains(said, "written 500 dropped 0 healthy true") || !strings.Contains(said, "I/O error") {
		t.Errorf("the process says %q (%v), want trouble, and all written", said, err)
	}
	if strings.Contains(said, `set aside: ""`) {
		if rows := wantIntegrity(t, path); rows != 500 {
			t.Errorf("%d requests are there, want 500", rows)
		}
	}
}
