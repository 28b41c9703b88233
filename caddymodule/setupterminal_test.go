//go:build linux

package caddymodule

import (
	"bytes"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unsafe"
)

// screenText is what has been seen on a terminal.
type screenText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// watch reads a screen until the terminal is closed.
func (s *screenText) watch(screen *os.File) {
	var part [4096]byte
	for {
		n, err := screen.Read(part[:])
		s.mu.Lock()
		s.text.Write(part[:n])
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *screenText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// setupAt runs setup at a terminal, types each answer when its question is shown,
// and waits for its last words.
func setupAt(t *testing.T, g *gateway, dialogue [][2]string, last string) (shown string, exit int) {
	t.Helper()
	terminal, screen := typing(t, "")
	size := [4]uint16{40, 120, 0, 0} // rows and columns
	if _, _, code := syscall.Syscall(syscall.SYS_IOCTL, terminal.Fd(), syscall.TIOCSWINSZ, uintptr(unsafe.Pointer(&size))); code != 0 {
		t.Skipf("the terminal takes no size: %v", code)
	}
	var seen screenText
	go seen.watch(screen)
	cmd := command(t, "llm-proxy", "setup")
	cmd.Dir = g.dir
	cmd.Env = append(cmd.Env, "TERM=xterm-256color", "NO_COLOR=1", "ACCESSIBLE=")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	for _, line := range dialogue {
		comesTrue(t, "setup does not ask "+line[0], func() bool { return strings.Contains(seen.String(), line[0]) })
		if _, err := screen.WriteString(line[1]); err != nil {
			t.Fatal(err)
		}
	}
	waited := make(chan error, 1)
	go func() { waited <- cmd.Wait() }()
	comesTrue(t, "setup does not end", func() bool { return len(waited) > 0 })
	<-waited // its end is known by its exit code
	// What it has said is read a little later.
	comesTrue(t, "setup does not say "+last, func() bool { return strings.Contains(seen.String(), last) })
	return seen.String(), cmd.ProcessState.ExitCode()
}

func TestSetupAsksAtATerminal(t *testing.T) {
	g := newcomer(t)
	shown, exit := setupAt(t, g, [][2]string{
		{"Which providers", enter},
		{"Which models", enter},
		{"More models", enter},
		{"Who shall reach", enter},
		{"Port", enter},
		{"Key that your clients", canaries[0] + enter},
		{"Keep a log", enter},
		{"Write these files?", enter},
	}, "Start the gateway:")
	if exit != 0 || strings.Contains(shown, "canary") {
		t.Errorf("exit code %d; shown is\n%s", exit, shown)
	}
	wantFiles(t, ".env", "Caddyfile", "config/models/demo.json", "config/providers/demo.json")
	if !strings.Contains(read(t, ".env"), "CLIENT_API_KEY="+canaries[0]+"\n") {
		t.Error("the key that was typed is not in .env")
	}
}

func TestCtrlCEndsSetupAtATerminal(t *testing.T) {
	g := newcomer(t)
	_, exit := setupAt(t, g, [][2]string{{"Which providers", enter}, {"Which models", ctrlC}},
		"setup is cancelled, and nothing was written; --resume goes on")
	if exit != 1 {
		t.Errorf("exit code %d, want 1", exit)
	}
	wantFiles(t, progressFile)
}
