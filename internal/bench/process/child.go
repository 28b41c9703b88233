// Package process starts the servers of the benchmark, ends them, and reads
// from /proc what they cost.
package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"
)

// outputKept is how much of a child's output is kept to explain its end.
const outputKept = 4 << 10

// Command is what to start.
type Command struct {
	// Argv is the program and its arguments.
	Argv []string
	// Env is added to the environment of this process.
	Env []string
	// Dir is the working directory. Default: this process's.
	Dir string
}

// Child is a process that this one started.
type Child struct {
	cmd    *exec.Cmd
	output *tail
	ended  chan struct{}
}

// Start starts a process. The kernel kills it when the calling thread ends, so
// that it goes even if this process is killed; the caller must be locked to a
// thread that lives as long as the child should (runtime.LockOSThread).
func Start(c Command) (*Child, error) {
	child := &Child{cmd: exec.Command(c.Argv[0], c.Argv[1:]...), output: &tail{}, ended: make(chan struct{})}
	child.cmd.Env = append(os.Environ(), c.Env...)
	child.cmd.Dir = c.Dir
	child.cmd.Stdout, child.cmd.Stderr = child.output, child.output
	child.cmd.SysProcAttr = attributes()
	if err := child.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", c.Argv[0], err)
	}
	go func() {
		_ = child.cmd.Wait() // how it ended is in ProcessState
		close(child.ended)
	}()
	return child, nil
}

// PID is the process's id.
func (c *Child) PID() int { return c.cmd.Process.Pid }

// Stop kills the process and waits for its end. The benchmark's servers keep
// nothing that a gentle end would save.
func (c *Child) Stop() {
	_ = c.cmd.Process.Kill() // fails only if it has ended
	<-c.ended
}

// AwaitPort waits until the process accepts connections at the address.
func (c *Child) AwaitPort(ctx context.Context, address string) error {
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", address, errors.Join(ctx.Err(), err))
		case <-c.ended:
			return fmt.Errorf("%s ended (%v): %s", c.cmd.Path, c.cmd.ProcessState, c.output.text())
		}
	}
}

// tail is a writer that keeps the last bytes.
type tail struct {
	mu   sync.Mutex
	last []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, p...)
	if over := len(t.last) - outputKept; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.last))
}
