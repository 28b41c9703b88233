package crossing_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares lines with a file in testdata, or writes it with -update.
func golden(t *testing.T, file string, lines []string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("reading a golden file, which -update writes: %v", err)
	}
	if got == string(want) {
		return
	}
	had := map[string]bool{}
	for _, line := range strings.Split(string(want), "\n") {
		had[line] = true
	}
	for _, line := range lines {
		if !had[line] {
			t.Errorf("%s lacks %q", file, line)
		}
		delete(had, line)
	}
	for line := range had {
		if line != "" {
			t.Errorf("%s has %q, which did not happen", file, line)
		}
	}
	if !t.Failed() {
		t.Errorf("%s has its lines in another order", file)
	}
}
