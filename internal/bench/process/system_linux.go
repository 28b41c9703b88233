package process

import (
	"fmt"
	"syscall"
)

// Supported reports why the benchmark cannot run on this system: never here.
func Supported() error { return nil }

// attributes of a child: it dies with its parent, and it does not get the
// interrupt that a terminal sends to the parent's process group, since the
// parent ends it in order.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// RaiseFileLimit lets this process, and those that it starts, open at least n
// files.
func RaiseFileLimit(n uint64) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("reading the limit of open files: %w", err)
	}
	if limit.Max < n {
		return fmt.Errorf("the hard limit of open files is %d, and %d are needed: raise it (ulimit -Hn %d) or leave out the scenario of open streams", limit.Max, n, n)
	}
	// Set even where the soft limit suffices: Go raises its own at start, and
	// gives children the old one unless the program has set it.
	limit.Cur = max(limit.Cur, n)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("raising the limit of open files: %w", err)
	}
	return nil
}
