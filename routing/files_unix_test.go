//go:build unix

package routing

import (
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

func TestWhatIsNoFileIsSkippedWithAWarning(t *testing.T) {
	inEmptyDir(t)
	writeConfig(t, "providers/good.json", "{}")
	writeConfig(t, "elsewhere/x.json", "{}")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Skipf("this system cannot make the file: %v", err)
		}
	}
	must(os.Mkdir("providers/dir.json", 0o755))
	must(syscall.Mkfifo("providers/fifo.json", 0o644))
	must(os.Symlink("loop.json", "providers/loop.json"))
	must(os.Symlink("nowhere.json", "providers/broken.json"))
	must(os.Symlink("../elsewhere", "providers/linked.json"))
	must(os.Symlink("../elsewhere/x.json", "providers/x.json"))

	var files []configFile
	var warnings, errors []Problem
	done := make(chan struct{})
	go func() {
		defer close(done)
		files, warnings, errors = readDir("providers", false)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("readDir waits for a FIFO")
	}
	if got, want := fileNames(files), []string{"good", "x"}; !slices.Equal(got, want) || len(errors) > 0 {
		t.Errorf("readDir = %v, errors %v, want %v", got, errors, want)
	}
	want := []string{
		"providers/broken.json: is a link that leads nowhere; skipped",
		"providers/dir.json: is a directory; skipped",
		"providers/fifo.json: is not a regular file; skipped",
		"providers/linked.json: is a link to a directory; skipped",
		"providers/loop.json: is a link that leads nowhere; skipped",
	}
	if got := problemTexts(warnings); !slices.Equal(got, want) {
		t.Errorf("warnings = %q, want %q", got, want)
	}
}

func makeFIFO(path string) error { return syscall.Mkfifo(path, 0o644) }
