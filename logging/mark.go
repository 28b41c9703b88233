package logging

import (
	"errors"
	"os"
)

// mark is a file that lies beside the database while it is open. A process that
// finds one, and nobody who holds it, knows that the last one did not end in
// order. It is locked, because another process, such as `caddy validate`, may
// open the same log beside one that serves.
type mark struct {
	file    *os.File // nil: another process holds the mark, or it could not be made
	unclean bool
}

// setMark makes the file, or takes over one that was left. The mark is usable
// whatever the error.
func setMark(path string) (*mark, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	left := errors.Is(err, os.ErrExist)
	if left {
		file, err = os.OpenFile(path, os.O_RDWR, 0)
	}
	if err != nil {
		return &mark{}, err
	}
	if !lock(file) {
		return &mark{}, file.Close()
	}
	// Whoever held it may have removed it in the meantime.
	if there, err := os.Stat(path); err != nil || !same(file, there) {
		return &mark{}, file.Close()
	}
	return &mark{file: file, unclean: left}, nil
}

// same tells whether an open file is the one that was found by name.
func same(file *os.File, there os.FileInfo) bool {
	info, err := file.Stat()
	return err == nil && os.SameFile(info, there)
}

// remove tells the next process that this one ended in order.
func (m *mark) remove() {
	if m.file == nil {
		return
	}
	_ = os.Remove(m.file.Name()) // while it is locked, so that nobody's is removed
	_ = m.file.Close()
}
