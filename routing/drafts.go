package routing

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// readDrafted is [readDir], with drafts in place of the files that have their
// paths.
func readDrafted(dir string, deep bool, drafts map[string][]byte) (files []configFile, warnings, errors []Problem) {
	files, warnings, errors = readDir(dir, deep)
	own := make(map[string][]byte) // by path
	for path, text := range drafts {
		if name, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(name) && (deep || name == filepath.Base(name)) {
			own[filepath.Join(dir, name)] = text
		}
	}
	if len(own) == 0 {
		return files, warnings, errors
	}
	isOwn := func(path string) bool { _, ok := own[path]; return ok }
	files = slices.DeleteFunc(files, func(f configFile) bool { return isOwn(f.path) })
	warnings = slices.DeleteFunc(warnings, func(p Problem) bool { return isOwn(p.File) })
	for path, text := range own {
		if text != nil {
			name, _ := filepath.Rel(dir, path) // it worked above
			files = append(files, configFile{name: strings.TrimSuffix(filepath.ToSlash(name), ".json"), path: path, text: text})
		}
	}
	slices.SortFunc(files, func(a, b configFile) int { return cmp.Compare(a.path, b.path) })
	empty := emptyDir(dir)
	switch {
	case len(files) > 0:
		// The directory may be there only once the drafts are written.
		_, err := os.Stat(dir)
		errors = slices.DeleteFunc(errors, func(p Problem) bool { return p == empty || p.File == dir && os.IsNotExist(err) })
	case len(errors) == 0:
		errors = append(errors, empty)
	}
	return files, warnings, errors
}
