package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// exchangeFile writes a file in one step: whoever reads it meanwhile, and whoever
// reads it after a loss of power, sees the old text or the new one. A link stays
// one, and what it leads to is replaced; the owner remains. The temporary file
// beside it begins with a dot, which readers of directories leave alone.
func exchangeFile(path string, text []byte, mode fs.FileMode) (err error) {
	target, present, err := lookAt(path)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(target), ".llm-proxy-*")
	if err != nil {
		return fmt.Errorf("writing %s: making a new file beside it: %w; change the directory's permissions, or run as its owner", path, cause(err))
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = os.Remove(file.Name())
			err = fmt.Errorf("writing %s: %w", path, cause(err))
		}
	}()
	if present != nil {
		if err := keepOwner(file, present); err != nil {
			return fmt.Errorf("it belongs to somebody else (%w); run as its owner", cause(err))
		}
	}
	if err := file.Chmod(mode); err != nil {
		return err
	}
	if _, err := file.Write(text); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), target); err != nil {
		return err
	}
	syncDirectory(filepath.Dir(target))
	return nil
}

// removeFile takes a file away; of a link only the link.
func removeFile(path string) error {
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("removing %s: %w", path, cause(err))
	}
	syncDirectory(filepath.Dir(path))
	return nil
}

// syncDirectory makes a change of names outlast a loss of power, where the file
// system can; the files themselves are on the disk already.
func syncDirectory(path string) {
	if directory, err := os.Open(path); err == nil {
		_ = directory.Sync()
		_ = directory.Close()
	}
}

// lookAt finds what a path leads to, which is nil where there is nothing. Only a
// regular file can be replaced.
func lookAt(path string) (target string, present fs.FileInfo, err error) {
	target, err = filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return "", nil, fmt.Errorf("%s is a link that leads nowhere; make what it leads to, or remove it", path)
		}
		return path, nil, nil
	}
	if err != nil {
		return "", nil, fmt.Errorf("looking at %s: %w", path, cause(err))
	}
	present, err = os.Stat(target)
	switch {
	case err != nil:
		return "", nil, fmt.Errorf("looking at %s: %w", path, cause(err))
	case !present.Mode().IsRegular():
		return "", nil, fmt.Errorf("%s is not a regular file; name another one", path)
	}
	return target, present, nil
}

// cause is an error without the path that os puts before it, which is that of a
// temporary file.
func cause(err error) error {
	var wrapped *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &wrapped):
		return wrapped.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}
