package routing

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxFileSize is the largest configuration file that is read.
const maxFileSize = 4 << 20

// configFile is one configuration file. name is its path below the directory
// without ".json", with slashes; fault says why there is no text.
type configFile struct {
	name, path string
	text       []byte
	fault      string
}

// readDir reads the .json files of a directory, with its subdirectories where
// deep is set, in the order of their names. Files and directories whose names
// begin with a dot are left alone: editors, and Kubernetes, keep their own
// things there. What is no regular file is skipped with a warning, before it
// is opened: opening a FIFO would wait for ever.
func readDir(dir string, deep bool) (files []configFile, warnings, errors []Problem) {
	if dir == "" {
		return nil, nil, []Problem{{File: "(none)", Message: "no directory is given"}}
	}
	// Through an fs.FS, since filepath.WalkDir does not enter a directory that
	// is given as a link.
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		path, isJSON := filepath.Join(dir, name), strings.HasSuffix(name, ".json")
		switch {
		case name == ".":
			return err
		case strings.HasPrefix(entry.Name(), "."):
			return skip(entry)
		case err != nil:
			errors = append(errors, Problem{File: path, Message: "cannot be read: " + cause(err)})
			return nil
		case entry.IsDir() && deep:
			return nil
		case entry.IsDir() && isJSON:
			warnings = append(warnings, Problem{File: path, Message: "is a directory; skipped"})
		}
		if entry.IsDir() || !isJSON {
			return skip(entry)
		}
		text, notFile, err := readRegular(path)
		if notFile != "" {
			warnings = append(warnings, Problem{File: path, Message: notFile + "; skipped"})
			return nil
		}
		file := configFile{name: strings.TrimSuffix(name, ".json"), path: path, text: text}
		if err != nil {
			file.fault = "cannot be read: " + cause(err)
		}
		files = append(files, file)
		return nil
	})
	switch {
	case err != nil:
		errors = append(errors, Problem{File: dir, Message: "cannot be read: " + cause(err)})
	case len(files) == 0 && len(errors) == 0:
		errors = append(errors, emptyDir(dir))
	}
	return files, warnings, errors
}

// emptyDir is the error of a directory that holds nothing to read.
func emptyDir(dir string) Problem {
	return Problem{File: dir, Message: "holds no .json file", Fix: "name the directory that does"}
}

// skip passes a directory entry by, with all that is in it.
func skip(entry fs.DirEntry) error {
	if entry.IsDir() {
		return fs.SkipDir
	}
	return nil
}

// readRegular reads a regular file or a link to one. notFile says that it is
// something else.
func readRegular(path string) (text []byte, notFile string, err error) {
	info, err := os.Stat(path)
	switch {
	case err != nil && isLink(path):
		return nil, "is a link that leads nowhere", nil
	case err != nil:
		return nil, "", err
	case info.IsDir():
		return nil, "is a link to a directory", nil
	case !info.Mode().IsRegular():
		return nil, "is not a regular file", nil
	}
	// Should it have become a FIFO meanwhile, opening does not wait either.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, "", err
	}
	defer file.Close()
	text, err = io.ReadAll(io.LimitReader(file, maxFileSize+1))
	if err == nil && len(text) > maxFileSize {
		err = fmt.Errorf("it is larger than %d MiB", maxFileSize>>20)
	}
	return text, "", err
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

// cause is an error without the path that os puts before it.
func cause(err error) string {
	if wrapped, ok := err.(*fs.PathError); ok {
		err = wrapped.Err
	}
	return err.Error()
}
