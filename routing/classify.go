package routing

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Class says what kind of failure an attempt met. Classes decide what happens
// to the key, to the route and to the client; status codes only inform.
type Class string

// The failure classes. README.md of this package ("When an upstream fails") tells
// what each does.
const (
	// InvalidRequest is the client's own mistake: no other upstream would
	// take it either, so it goes back at once and costs no key anything.
	InvalidRequest Class = "invalid_request"
	// ContextTooLong means that the conversation exceeds the model's window.
	ContextTooLong Class = "context_too_long"
	// ContentPolicy means that the provider refuses the content.
	ContentPolicy Class = "content_policy"
	// KeyDead means that this key will not work for any model: wrong,
	// revoked, forbidden, or without money.
	KeyDead Class = "key_dead"
	// RateLimited means that this key has to wait, for this model.
	RateLimited Class = "rate_limited"
	// ModelUnknown means that the route leads nowhere: no such model, no
	// such endpoint.
	ModelUnknown Class = "model_unknown"
	// Broken is everything an upstream does wrong: 5xx, no connection,
	// silence, nonsense.
	Broken Class = "broken"
	// ClientGone means that the caller left. It is nobody's fault.
	ClientGone Class = "client_gone"
	// Superseded means that another attempt of the same request was faster.
	Superseded Class = "superseded"
	// Local is a fault of this machine, such as no free file descriptors. It
	// never touches a key.
	Local Class = "local"
)

// Classify tells what an upstream's error answer means. status is its HTTP
// status, e what could be read from its body (zero when nothing could). It is
// pure: [classRules] decide, the first that fits. The provider's error_handling
// may override its verdict.
//
// In an answer that looked good the status counts that its body speaks of, and
// it never is the client's mistake: no vendor reports one so.
func Classify(status int, e translate.Error) Class {
	good, said := status >= 200 && status <= 299, status
	if good && e.Status >= 400 && e.Status <= 499 {
		said = e.Status
	}
	e.Code, e.Type, e.Message = strings.ToLower(e.Code), strings.ToLower(e.Type), strings.ToLower(e.Message)
	for i := range classRules {
		rule := &classRules[i]
		if !rule.at.contain(said) || !rule.fits(&e) {
			continue
		}
		if good && rule.class == InvalidRequest {
			return Broken
		}
		return rule.class
	}
	return Broken
}

// localFaults are what the system says when this machine has run out of
// something. Under exhaustion a dial fails like a dead upstream does; charging
// keys for it would put every key of a healthy provider to rest.
var localFaults = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EADDRNOTAVAIL}

// classifyTransport tells what it means that no answer came at all. The caller
// has already ruled out that the client left.
func classifyTransport(err error) Class {
	var lookup *net.DNSError
	isLookup := errors.As(err, &lookup)
	for _, fault := range localFaults {
		// A failed lookup keeps nothing of its cause but the words.
		if errors.Is(err, fault) || isLookup && strings.Contains(lookup.Err, fault.Error()) {
			return Local
		}
	}
	return Broken
}

// ofRequest reports whether what the client asks for is at fault.
func (c Class) ofRequest() bool {
	return c == InvalidRequest || c == ContextTooLong || c == ContentPolicy
}

// statusFor is what the client sees when an attempt of this class was the
// best that could be had. upstream is the status that the provider sent, 0
// when none came.
func (c Class) statusFor(upstream int) int {
	switch c {
	case InvalidRequest, ContextTooLong, ContentPolicy:
		if upstream >= 400 && upstream < 500 {
			return upstream
		}
		return http.StatusBadRequest
	case KeyDead:
		// Not 401: the client's own key is fine, and SDKs would tell users
		// to change it.
		return http.StatusBadGateway
	case RateLimited:
		return http.StatusTooManyRequests
	case ModelUnknown:
		return http.StatusNotFound
	case Local:
		if upstream == http.StatusGatewayTimeout { // the request's time is up
			return upstream
		}
		return http.StatusServiceUnavailable
	case ClientGone:
		return statusClientClosedRequest
	}
	switch upstream {
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout, 529:
		return upstream
	}
	return http.StatusBadGateway
}

// statusClientClosedRequest is nginx's 499, as Caddy's reverse_proxy logs it.
const statusClientClosedRequest = 499
