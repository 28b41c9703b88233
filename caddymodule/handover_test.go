package caddymodule

import (
	"os"
	"strings"
	"testing"
)

// settle waits until one configuration has taken over from another. Caddy opens
// a second socket for the same address and closes the first one some moments
// after the new configuration is said to run; until then connections may reach
// either, and those that wait in the first one's queue are lost. So are requests
// on idle connections that the old server is about to close.
func settle(t *testing.T) {
	t.Helper()
	client.CloseIdleConnections()
	comesTrue(t, "the listeners of the old configuration are still open", func() bool {
		return !listensTwice("/proc/self/net/tcp") && !listensTwice("/proc/self/net/tcp6")
	})
}

// listensTwice reports whether a list of sockets of Linux has two that listen on
// the same address. Elsewhere nothing tells, and the answer is no.
func listensTwice(file string) bool {
	const listening = "0A"
	list, err := os.ReadFile(file)
	if err != nil {
		return false
	}
	seen := make(map[string]bool)
	for line := range strings.Lines(string(list)) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != listening {
			continue
		}
		address := fields[1]
		if seen[address] {
			return true
		}
		seen[address] = true
	}
	return false
}
