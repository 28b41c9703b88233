package routing

import (
	"errors"
	"net/http"
	"strings"
	"syscall"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// Class says what kind of failure an attempt met. Classes decide what happens
// to the key, to the route and to the client; status codes only inform.
type Class string

// The failure classes. The table in README ("When an upstream fails") tells
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
// pure; the provider's error_handling may override its verdict.
//
// Sources: OpenAI, Anthropic and vendor error references; the vendors differ
// in status, so codes and, last, well-known phrases are asked first.
func Classify(status int, e translate.Error) Class {
	code, kind := strings.ToLower(e.Code), strings.ToLower(e.Type)
	message := strings.ToLower(e.Message)

	switch {
	case status < 200 || status >= 300 && status < 400:
		// A redirect is never followed: it would carry the key elsewhere.
		return Broken
	case status == 403 && unknownModel(code, kind):
		// A project without access to one model: other models may be open to
		// it, and whoever asked must not put the key to rest for all.
		return ModelUnknown
	case status == 403 && refusedContent(code, kind, message):
		return ContentPolicy
	case status == 401, status == 402, status == 403:
		return KeyDead
	case outOfMoney(code, kind, message):
		return KeyDead
	case status == 429:
		return RateLimited
	case status == 408, status == 409, status == 425, status >= 500:
		return Broken
	}

	// What is left is 400 to 499, where vendors put very different things,
	// and 2xx with an error in the body.
	switch {
	case status >= 400 && e.AnswerTooLong():
		// Most say so in the words of a conversation that is too long, but
		// another model's window or a shorter conversation is not what helps.
		return InvalidRequest
	case contextOverflow(code, message):
		return ContextTooLong
	case refusedContent(code, kind, message):
		return ContentPolicy
	case refusedKey(code, kind, message):
		return KeyDead
	case code == "rate_limit_exceeded", kind == "rate_limit_error":
		return RateLimited
	case unknownModel(code, kind), status == 404, status == 405, status == 410:
		return ModelUnknown
	case code == "tool_use_failed":
		// Groq: the model wrote a call that its server could not parse. The
		// request was fine, so another try or route may answer.
		return Broken
	case status < 300:
		// An error in a success: no vendor reports a client's mistake so.
		return Broken
	}
	return InvalidRequest
}

func unknownModel(code, kind string) bool {
	return code == "model_not_found" || code == "model_not_available" || code == "deploymentnotfound" || kind == "not_found_error"
}

func outOfMoney(code, kind, message string) bool {
	return code == "insufficient_quota" || code == "billing_hard_limit_reached" || code == "billing_not_active" ||
		kind == "insufficient_quota" || kind == "billing_error" ||
		strings.Contains(message, "credit balance is too low") ||
		// Gemini says the same when a minute's requests are used up, which the
		// next minute mends.
		strings.Contains(message, "exceeded your current quota") && kind != "resource_exhausted"
}

func contextOverflow(code, message string) bool {
	return code == "context_length_exceeded" || code == "context_window_exceeded" ||
		strings.Contains(message, "prompt is too long") ||
		strings.Contains(message, "maximum context length") ||
		strings.Contains(message, "exceed context limit") ||
		strings.Contains(message, "exceeds the context window") ||
		strings.Contains(message, "exceeds the maximum number of tokens") ||
		strings.Contains(message, "exceeds the available context size") ||
		strings.Contains(message, "maximum prompt length") ||
		strings.Contains(message, "longer than the maximum model length") ||
		strings.Contains(message, "input is too long") ||
		strings.Contains(message, "reduce the length of the messages")
}

func refusedContent(code, kind, message string) bool {
	switch code {
	case "content_filter", "content_policy_violation", "responsibleaipolicyviolation", "invalid_prompt", "moderation_blocked":
		return true
	}
	return kind == "content_filter" || kind == "content_policy_violation" ||
		strings.Contains(message, "blocked by content filtering policy") ||
		strings.Contains(message, "requires moderation") // OpenRouter, with status 403
}

func refusedKey(code, kind, message string) bool {
	return code == "invalid_api_key" || kind == "authentication_error" || kind == "permission_error" ||
		strings.Contains(message, "incorrect api key") ||
		strings.Contains(message, "invalid api key") ||
		strings.Contains(message, "api key not valid")
}

// classifyTransport tells what it means that no answer came at all. The caller
// has already ruled out that the client left.
func classifyTransport(err error) Class {
	// Under exhaustion a dial fails like a dead upstream does; charging keys
	// for it would cool every key of a healthy provider.
	for _, local := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ENOBUFS, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, local) {
			return Local
		}
	}
	return Broken
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
