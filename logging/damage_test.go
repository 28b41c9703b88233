package logging

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestB6DeletedOrReplacedDatabaseIsNoticedWithin10Seconds(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(path string) error
		kept int // rows of before
	}{
		{"deleted", func(path string) error { return os.Remove(path) }, 0},
		{"all deleted", func(path string) error {
			return errors.Join(os.Remove(path), os.Remove(path+"-wal"), os.Remove(path+"-shm"))
		}, 0},
		{"moved away", func(path string) error { return os.Rename(path, path+".old") }, 0},
		{"replaced by an empty file", func(path string) error {
			if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		}, 0},
		{"log deleted", func(path string) error { return os.Remove(path + "-wal") }, 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			now := &clock{now: t0}
			l := open(t, Options{Now: now.Now})
			maintain(t, l)
			addAll(l, 0, 10)
			flush(t, l)
			now.advance(10 * time.Second)
			maintain(t, l) // sees the files as they are
			if err := tc.do(l.path); err != nil {
				t.Fatal(err)
			}
			now.advance(10 * time.Second)
			maintain(t, l)
			addAll(l, 10, 20)
			flush(t, l)
			wantRows(t, l, tc.kept+10)
			s := l.Stats()
			if !s.Healthy || !strings.Contains(s.LastError, "deleted or replaced") {
				t.Errorf("stats %+v, want healthy, and told what happened", s)
			}
			if info, err := os.Stat(l.path); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the new file: %v, %v, want mode 0600", info, err)
			}
			closeLog(t, l)
			if rows := wantIntegrity(t, l.path); rows != tc.kept+10 {
				t.Errorf("the file holds %d requests, want %d", rows, tc.kept+10)
			}
		})
	}
}

func TestB6CorruptDatabaseIsRenamedAndANewOneBegins(t *testing.T) {
	for _, tc := range []struct {
		name string
		do   func(path string) error
	}{
		{"garbage", func(path string) error {
			return os.WriteFile(path, []byte(strings.Repeat("garbage!", 1000)), 0o600)
		}},
		{"truncated", func(path string) error { return os.Truncate(path, 20000) }},
		{"header only", func(path string) error { return os.Truncate(path, 100) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "llm.db")
			l := open(t, Options{Path: path})
			addAll(l, 0, 1000)
			flush(t, l)
			closeLog(t, l)
			if err := tc.do(path); err != nil {
				t.Fatal(err)
			}
			damaged, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			begin := time.Now()
			l = open(t, Options{Path: path})
			if took := time.Since(begin); took > time.Second {
				t.Errorf("Open took %v, want 1s at most", took)
			}
			s := l.Stats()
			if s.SetAside == "" || s.LastError == "" || !s.Healthy {
				t.Fatalf("stats %+v, want the new name, the cause, and a log that works", s)
			}
			if kept, err := os.ReadFile(s.SetAside); err != nil || string(kept) != string(damaged) {
				t.Errorf("the damaged file was not kept as it was (%v)", err)
			}
			addAll(l, 0, 10)
			flush(t, l)
			wantRows(t, l, 10)
		})
	}
}

// Only a check of every page sees this one: the database opens, counts and takes
// rows without an error.
func TestB6CorruptPageIsFoundInTheBackground(t *testing.T) {
	path := filepath.Join(t.TempDir(), "llm.db")
	l := open(t, Options{Path: path})
	addAll(l, 0, 3000)
	flush(t, l)
	closeLog(t, l)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	// A page in the middle is one of the table, or of an index.
	page := info.Size() / 4096 / 2
	if _, err := file.WriteAt([]byte(strings.Repeat("\x00", 200)), page*4096); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, Options{Path: path})
	addAll(l, 3000, 3010)
	wait(t, "the damage is found", func() bool { return l.Stats().SetAside != "" })
	addAll(l, 3010, 3020)
	flush(t, l)
	s := l.Stats()
	if !s.Healthy {
		t.Errorf("stats %+v, want a log that works", s)
	}
	wantBalance(t, s)
	if _, err := os.Stat(s.SetAside); err != nil {
		t.Error(err)
	}
}
