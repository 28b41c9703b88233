//go:build linux || darwin || freebsd

package caddymodule

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// lockDirectory keeps other commands from changing files of a directory until the
// function that it returns is called. The directory itself is locked, since files
// are replaced by new ones; where it is not there yet, what it will lie in.
func lockDirectory(path string) (unlock func(), err error) {
	directory, err := os.Open(path)
	for errors.Is(err, fs.ErrNotExist) && filepath.Dir(path) != path {
		path = filepath.Dir(path)
		directory, err = os.Open(path)
	}
	if err != nil {
		return nil, fmt.Errorf("locking the directory: %w", err)
	}
	// Some network file systems lock no directory. Two commands at the same
	// moment are too rare to refuse one for that.
	for syscall.Flock(int(directory.Fd()), syscall.LOCK_EX) == syscall.EINTR {
	}
	return func() { _ = directory.Close() }, nil // closing unlocks
}

// keepOwner gives a new file the owner of the one that it replaces: what root
// changes has to remain readable for the gateway.
func keepOwner(file *os.File, present fs.FileInfo) error {
	was, known := present.Sys().(*syscall.Stat_t)
	info, err := file.Stat()
	if err != nil {
		return err
	}
	is, same := info.Sys().(*syscall.Stat_t)
	if !known || !same || was.Uid == is.Uid && was.Gid == is.Gid {
		return nil
	}
	if err := file.Chown(int(was.Uid), int(was.Gid)); err != nil && was.Uid != is.Uid {
		return err
	}
	return nil
}
