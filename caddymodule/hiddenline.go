package caddymodule

import (
	"context"
	"os"

	"golang.org/x/term"
)

// readHidden reads a line at a terminal that does not show it. Where ctx ends first,
// it is errCancelled, and the terminal shows again what is typed: it would be left
// blind if the process just ended.
func readHidden(ctx context.Context, terminal *os.File) (string, error) {
	fd := int(terminal.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	// Reading cannot be interrupted, so it is not waited for.
	go func() {
		text, err := term.ReadPassword(fd)
		done <- result{text, err}
	}()
	select {
	case got := <-done:
		return string(got.text), got.err
	case <-ctx.Done():
		_ = term.Restore(fd, before) // there is nothing else to be done
		return "", errCancelled
	}
}
