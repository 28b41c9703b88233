//go:build linux

package caddymodule

import "testing"

func TestAPersonIsAskedBeforeTheLogIsDeleted134(t *testing.T) {
	_, file := busy(t)
	const address = "--address=localhost:2999"
	for _, typed := range []string{"n\n", "\n", "what?\n"} {
		terminal, _ := typing(t, typed)
		runReading(t, terminal, "db", "reset", address).want(t, 1, "Delete all 4 requests from "+file+"? [y/N] Error: nothing is deleted")
	}
	terminal, _ := typing(t, "\x04")
	runReading(t, terminal, "db", "reset", address).want(t, 1, "reading the answer")
	if n := len(rows(t, "")); n != 4 {
		t.Fatalf("%d requests are left, want 4", n)
	}
	terminal, _ = typing(t, "y\n")
	if got := runReading(t, terminal, "db", "reset", address).want(t, 0); got.stdout != "deleted 4 requests from "+file+"\n" {
		t.Errorf("stdout is %q", got.stdout)
	}
	if n := len(rows(t, "")); n != 0 {
		t.Errorf("%d requests are left, want none", n)
	}
}
