//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// server is a process that runs until it is stopped, or its context ends.
type server struct {
	cmd    *exec.Cmd
	log    string
	cancel context.CancelFunc
	ended  chan struct{}
}

// environment replaces the working directory and the variables of this process.
type environment struct {
	dir  string
	vars []string
}

// start starts a server whose output goes to a file. env nil: this process's.
func start(ctx context.Context, log string, env *environment, argv ...string) (*server, error) {
	file, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the child has its own
	ctx, cancel := context.WithCancel(ctx)
	s := &server{cmd: exec.CommandContext(ctx, argv[0], argv[1:]...), log: log, cancel: cancel, ended: make(chan struct{})}
	s.cmd.Stdout, s.cmd.Stderr = file, file
	if env != nil {
		s.cmd.Dir, s.cmd.Env = env.dir, env.vars
	}
	// Ctrl+C is for this process alone, which ends the clients first.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = 10 * time.Second
	if err := s.cmd.Start(); err != nil {
		cancel()
		return nil, fmt.Errorf("starting %s: %w", argv[0], err)
	}
	go func() {
		_ = s.cmd.Wait() // how it ended is in ProcessState
		close(s.ended)
	}()
	return s, nil
}

// stop ends the server and waits for its end.
func (s *server) stop() {
	s.cancel()
	<-s.ended
}

// await waits until ready returns nil, but not longer than patience.
func (s *server) await(ctx context.Context, patience time.Duration, ready func() error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	poll := time.NewTicker(50 * time.Millisecond)
	defer poll.Stop()
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", s.cmd.Path, errors.Join(ctx.Err(), err))
		case <-s.ended:
			output, _ := os.ReadFile(s.log) // an explanation less
			return fmt.Errorf("%s ended (%v): %s", s.cmd.Path, s.cmd.ProcessState, strings.TrimSpace(string(output)))
		}
	}
}

// ownGroup keeps Ctrl+C from a command and, when its context ends, kills it
// with all that it started: the harness starts clients in sessions of their
// own, which would outlive it.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		pid := cmd.Process.Pid
		processes, err := exec.Command("ps", "-A", "-o", "pid=", "-o", "ppid=").Output()
		for _, child := range descendants(string(processes), pid) {
			_ = syscall.Kill(child, syscall.SIGKILL) // fails only if it has ended
		}
		return errors.Join(err, cmd.Process.Kill())
	}
	cmd.WaitDelay = 10 * time.Second
}

// descendants are the processes below one, from a list of "pid ppid" lines.
func descendants(processes string, of int) []int {
	children := make(map[int][]int)
	for line := range strings.Lines(processes) {
		var pid, parent int
		if _, err := fmt.Sscan(line, &pid, &parent); err == nil {
			children[parent] = append(children[parent], pid)
		}
	}
	var found []int
	for next := []int{of}; len(next) > 0; next = next[1:] {
		found = append(found, children[next[0]]...)
		next = append(next, children[next[0]]...)
	}
	return found
}
