package routing

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// inEmptyDir changes to a new directory with two empty ones in it, so that
// messages have the same paths everywhere.
func inEmptyDir(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, dir := range []string{"providers", "models"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// writeConfig makes a file, with the directories that it lies in.
func writeConfig(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func fileNames(files []configFile) []string {
	var found []string
	for _, f := range files {
		found = append(found, f.name)
	}
	return found
}

func problemTexts(problems []Problem) []string {
	var found []string
	for _, p := range problems {
		found = append(found, p.String())
	}
	return found
}

func TestOnlyJSONFilesThatAreNotHiddenAreRead(t *testing.T) {
	inEmptyDir(t)
	for _, name := range []string{"b.json", "a.json", "deep/er/c.json", ".hidden.json", ".git/d.json", "e.json.bak", "f.txt", "noted.md", "deep/.g.json"} {
		writeConfig(t, "models/"+name, "{}")
	}
	for _, tc := range []struct {
		deep bool
		want []string
	}{
		{true, []string{"a", "b", "deep/er/c"}},
		{false, []string{"a", "b"}},
	} {
		files, warnings, errors := readDir("models", tc.deep)
		if got := fileNames(files); !slices.Equal(got, tc.want) || len(warnings)+len(errors) > 0 {
			t.Errorf("readDir(models, %v) = %v, %v, %v, want %v", tc.deep, got, warnings, errors, tc.want)
		}
	}
}

func TestADirectoryMayBeALink(t *testing.T) {
	inEmptyDir(t)
	// As Kubernetes mounts a ConfigMap: a hidden directory, and links to it.
	writeConfig(t, "mounted/..2026_11_21/a.json", "{}")
	for from, to := range map[string]string{"mounted/..data": "..2026_11_21", "mounted/a.json": "..data/a.json", "link": "mounted"} {
		if err := os.Symlink(to, from); err != nil {
			t.Skipf("this system cannot make links: %v", err)
		}
	}
	files, warnings, errors := readDir("link", true)
	if got, want := fileNames(files), []string{"a"}; !slices.Equal(got, want) || len(warnings)+len(errors) > 0 {
		t.Errorf("readDir(link) = %v, %v, %v, want %v", got, warnings, errors, want)
	}
}

func TestADirectoryWithoutFilesIsAnError(t *testing.T) {
	inEmptyDir(t)
	writeConfig(t, "file", "")
	for _, tc := range []struct{ dir, want string }{
		{"providers", "providers: holds no .json file; name the directory that does"},
		{"missing", "missing: cannot be read: no such file or directory"},
		{"file", "file: cannot be read: not a directory"},
		{"", "(none): no directory is given"},
	} {
		_, _, errors := readDir(tc.dir, true)
		if got := problemTexts(errors); !slices.Equal(got, []string{tc.want}) {
			t.Errorf("readDir(%q) = %q, want %q", tc.dir, got, tc.want)
		}
	}
}

func TestAFileThatCannotBeReadIsAnError(t *testing.T) {
	inEmptyDir(t)
	writeConfig(t, "models/large.json", strings.Repeat(" ", maxFileSize+1))
	files, _, _ := readDir("models", true)
	if len(files) != 1 || files[0].fault != "cannot be read: it is larger than 4 MiB" {
		t.Errorf("readDir of a file above the limit = %v", files)
	}
	writeConfig(t, "models/secret.json", "{}")
	if err := os.Chmod("models/secret.json", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Open("models/secret.json"); err == nil {
		t.Skip("this user may read everything")
	}
	files, _, _ = readDir("models", true)
	if len(files) != 2 || files[1].fault != "cannot be read: permission denied" {
		t.Errorf("readDir of an unreadable file = %v", files)
	}
}
