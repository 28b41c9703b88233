package logging

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// list names the files of a directory.
func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestTheTotalsOfALogCanBeReadWhileItIsOpenAndWhenItIsClosed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "requests.db")
	l, err := Open(Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	start := time.UnixMicro(1_700_000_000_000_000)
	l.Add(&Record{Start: start, Outcome: OutcomeOK, Total: 2 * time.Second, Tokens: Tokens{Input: 5, Output: 2}, Cost: 0.5, CostKnown: true})
	l.Add(&Record{Start: start.Add(time.Hour), Outcome: OutcomeError, Total: time.Second})
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	want, err := l.Totals(t.Context(), time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"open", "closed"} {
		before := list(t, filepath.Dir(path))
		got, size, err := TotalsOf(t.Context(), path)
		if err != nil {
			t.Fatalf("%s: %v", state, err)
		}
		if got != want || got.Requests != 2 || size <= 0 {
			t.Errorf("%s: TotalsOf = %+v, %d; want %+v", state, got, size, want)
		}
		if after := list(t, filepath.Dir(path)); !slices.Equal(after, before) {
			t.Errorf("%s: files are %q, want %q as before", state, after, before)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatIsNoRequestLogHasNoTotals(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	of := func(version int) string {
		path := filepath.Join(dir, fmt.Sprint("version ", version))
		l, err := Open(Options{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.store.Load().write.Exec(fmt.Sprintf("PRAGMA user_version = %d", version)); err != nil {
			t.Fatal(err)
		}
		l.Close()
		return path
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "missing"):            "no such file",
		dir:                                      "no regular file",
		write("empty", ""):                       "no request log",
		write("text", strings.Repeat("x", 4096)): "not a database",
		of(99):                                   errNewer.Error(),
		of(2):                                    "older version",
	} {
		if _, _, err := TotalsOf(t.Context(), path); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("TotalsOf(%q) = %v, want %q", path, err, want)
		}
	}
	if size, _ := os.Stat(filepath.Join(dir, "empty")); size.Size() != 0 {
		t.Errorf("the empty file has %d bytes now", size.Size())
	}
}
