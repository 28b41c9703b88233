package logging

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestADatabaseIsInspectedFromOutside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a log?.db")
	if _, err := Inspect(t.Context(), path); err == nil {
		t.Error("a database that is not there is inspected")
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("inspecting made a file: %v", err)
	}
	l := open(t, Options{Path: path})
	wantSound := func(when string) {
		t.Helper()
		got, err := Inspect(t.Context(), path)
		if err != nil || got.Version != got.Known || got.Known == 0 || got.Damage != "" {
			t.Errorf("a sound database that is %s: %+v, %v", when, got, err)
		}
	}
	wantSound("open")
	if free, floor := Room(filepath.Dir(path)); free == 0 || floor < minFree {
		t.Errorf("Room = %d, %d, want what is free, and %d at least", free, floor, minFree)
	}
	if aside, err := SetAside(path, time.Now()); err == nil {
		t.Errorf("a database that is open was set aside as %s", aside)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	wantSound("closed")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, broken := range map[string][]byte{"garbage": []byte(strings.Repeat("no database ", 1000)), "cut": text[:len(text)/2]} {
		if err := os.WriteFile(path, broken, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Inspect(t.Context(), path); err != nil || got.Damage == "" {
			t.Errorf("%s: %+v, %v; want damage", name, got, err)
		}
	}
	aside, err := SetAside(path, time.Now())
	if err != nil || !strings.HasPrefix(aside, path+".corrupt-") {
		t.Errorf("SetAside = %q, %v", aside, err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the damaged database is still there: %v", err)
	}
	if _, err := os.Stat(aside); err != nil {
		t.Error(err)
	}
}
