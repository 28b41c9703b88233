package process

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
)

// role makes the test binary act as a child: it names what to do.
const role = "PROCESS_TEST_ROLE"

func TestMain(m *testing.M) {
	switch address := os.Getenv(role); address {
	case "":
		os.Exit(m.Run())
	case "fail":
		fmt.Println("a reason")
		os.Exit(3)
	default:
		listener, err := net.Listen("tcp", address)
		if err != nil {
			os.Exit(1)
		}
		for {
			if _, err := listener.Accept(); err != nil {
				os.Exit(1)
			}
		}
	}
}

func startRole(t *testing.T, what string) *Child {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child, err := Start(Command{Argv: []string{self}, Env: []string{role + "=" + what}, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(child.Stop)
	return child
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestAChildIsAwaitedMeasuredAndStopped(t *testing.T) {
	if err := Supported(); err != nil {
		t.Skip(err)
	}
	address := freeAddress(t)
	child := startRole(t, address)
	if err := child.AwaitPort(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	if memory, err := ReadMemory(child.PID()); err != nil || memory.Peak == 0 {
		t.Errorf("ReadMemory(child) = %+v, %v", memory, err)
	}
	child.Stop()
	child.Stop() // harmless
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("a stopped child accepts connections")
	}
}

func TestAChildThatEndsExplainsItself(t *testing.T) {
	err := startRole(t, "fail").AwaitPort(t.Context(), freeAddress(t))
	if err == nil || !strings.Contains(err.Error(), "a reason") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("AwaitPort = %v, want the child's last words and its status", err)
	}
}

func TestWaitingEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := startRole(t, freeAddress(t)).AwaitPort(ctx, freeAddress(t)); err == nil {
		t.Error("AwaitPort = nil, want an error")
	}
}

func TestOnlyTheLastWordsAreKept(t *testing.T) {
	var kept tail
	for range 3 {
		fmt.Fprint(&kept, strings.Repeat("a", outputKept-1), "b")
	}
	if got := kept.text(); len(got) != outputKept || !strings.HasSuffix(got, "ab") {
		t.Errorf("tail keeps %d bytes that end with %q, want %d", len(got), got[len(got)-2:], outputKept)
	}
}
