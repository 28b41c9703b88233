//go:build !linux

package process

import (
	"errors"
	"fmt"
	"runtime"
	"syscall"
)

// Supported reports why the benchmark cannot run on this system.
func Supported() error {
	return fmt.Errorf("the benchmark reads CPU time and memory from /proc and runs on Linux only, not on %s", runtime.GOOS)
}

func attributes() *syscall.SysProcAttr { return nil }

// RaiseFileLimit lets this process open at least n files.
func RaiseFileLimit(uint64) error { return errors.ErrUnsupported }
