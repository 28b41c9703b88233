package caddymodule

import (
	"errors"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
)

// undialed is a transport on which nothing comes through.
type undialed struct{ err error }

// RoundTrip implements http.RoundTripper.
func (f undialed) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

func TestTheCauseOfAFailedDialIsKnown(t *testing.T) {
	dial := func(call string, fault syscall.Errno) error {
		return reverseproxy.NewDialError(&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError(call, fault)})
	}
	for _, tc := range []struct {
		name   string
		err    error
		dialed bool // there was a connection
		fault  syscall.Errno
	}{
		{"no free descriptor", dial("socket", syscall.EMFILE), false, syscall.EMFILE},
		{"none in a lookup", reverseproxy.NewDialError(&net.DNSError{Name: "x", Err: "dial udp 127.0.0.1:53: socket: too many open files"}), false, syscall.EMFILE},
		{"refused", dial("connect", syscall.ECONNREFUSED), false, syscall.ECONNREFUSED},
		{"reset later", &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, true, syscall.ECONNRESET},
	} {
		_, err := (&transport{RoundTripper: undialed{tc.err}}).RoundTrip(nil)
		var operation *net.OpError
		if isDial := errors.As(err, &operation) && operation.Op == "dial"; isDial == tc.dialed {
			t.Errorf("%s: %v is told to be a dial: %v", tc.name, err, isDial)
		}
		for _, fault := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ECONNREFUSED, syscall.ECONNRESET} {
			if got := errors.Is(err, fault); got != (fault == tc.fault) {
				t.Errorf("%s: errors.Is(%v, %v) = %v", tc.name, err, fault, got)
			}
		}
		if err.Error() != tc.err.Error() {
			t.Errorf("%s: the words changed: %v", tc.name, err)
		}
	}
}
