package caddymodule

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// RoundTrip asks the module that is the transport, and tells what a dial failed
// of, which Caddy's error keeps to itself.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(r)
	var hiding reverseproxy.DialError
	if errors.As(err, &hiding) {
		err = dialError{hiding}
	}
	return response, err
}

// dialError is Caddy's error of a dial, which cannot be unwrapped: all that is
// left of its cause are the words. Without them a refused connection looks like
// one that broke, so that it is tried again in vain, and a machine without free
// file descriptors looks like a dead provider.
type dialError struct{ error }

// As reports that this is the error of a dial.
func (e dialError) As(target any) bool {
	operation, ok := target.(**net.OpError)
	if ok {
		*operation = &net.OpError{Op: "dial", Net: "tcp", Err: e.error}
	}
	return ok
}

// Is reports whether a fault of the system is the cause.
func (e dialError) Is(target error) bool {
	fault, ok := target.(syscall.Errno)
	return ok && strings.HasSuffix(e.Error(), fault.Error())
}
