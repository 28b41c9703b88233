package translate

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// StatusOverloaded is Anthropic's own status for an upstream without capacity.
// OpenAI's clients do not know it; see [Error.StatusFor].
const StatusOverloaded = 529

// Error is a failure to tell a client, free of any one protocol's shape.
//
// Nothing here removes secrets: providers echo keys in their messages, so
// whoever holds the keys must scrub Message before it goes anywhere.
type Error struct {
	// Status is the HTTP status. Below 400 or above 599 it counts as 500.
	Status int

	// Type and Code classify the failure in the words of the protocols.
	// Where they are empty, or foreign to the protocol that is written, the
	// status decides.
	Type, Code string

	// Param names the request field at fault, if one is.
	Param string

	// Message is for people, and for the agents that read it to adapt.
	Message string
}

// Error returns the message with what classifies it.
func (e *Error) Error() string {
	kind := e.Type
	if e.Code != "" {
		kind = e.Code
	}
	if kind == "" {
		return fmt.Sprintf("%s (status %d)", e.Message, e.status())
	}
	return fmt.Sprintf("%s (%s, status %d)", e.Message, kind, e.status())
}

func (e *Error) status() int {
	if e.Status < 400 || e.Status > 599 {
		return 500
	}
	return e.Status
}

// StatusFor returns the HTTP status with which e is told to a client of p.
// Two protocols say "overloaded" differently: 529 becomes 503 for OpenAI's
// clients, and a 503 whose type or code speaks of overload becomes 529 for
// Anthropic's, which then back off instead of calling the server faulty. Any
// other 503 stays 503.
func (e *Error) StatusFor(p Protocol) int {
	status := e.status()
	switch {
	case p != Messages && status == StatusOverloaded:
		return 503
	case p == Messages && status == 503 && e.overloaded():
		return StatusOverloaded
	}
	return status
}

func (e *Error) overloaded() bool {
	return e.Status == StatusOverloaded || strings.Contains(e.Type, "overloaded") ||
		strings.Contains(e.Code, "overloaded") || e.Code == "slow_down"
}

// contextTooLong reports whether e says that the conversation exceeds the
// model's window, in either protocol's words.
func (e *Error) contextTooLong() bool {
	return e.Code == contextLengthExceeded || strings.Contains(strings.ToLower(e.Message), promptTooLong)
}

// Agents compact a conversation by themselves only when they meet the exact
// words of their own protocol: OpenAI's clients this code, Claude Code this
// phrase in an invalid_request_error.
const (
	contextLengthExceeded = "context_length_exceeded"
	promptTooLong         = "prompt is too long"
)

// AppendError appends e to dst as a complete JSON body in the shape of p. For
// Messages it carries requestID unless that is empty; the OpenAI protocols
// have it in a header only.
func AppendError(dst []byte, p Protocol, e *Error, requestID string) []byte {
	if p == Messages {
		return appendMessagesError(dst, e, requestID)
	}
	kind, code := e.openAIKind()
	dst = append(dst, `{"error":{"message":`...)
	dst = rawjson.AppendString(dst, e.Message)
	dst = append(dst, `,"type":`...)
	dst = rawjson.AppendString(dst, kind)
	dst = append(dst, `,"param":`...)
	dst = appendStringOrNull(dst, e.Param)
	dst = append(dst, `,"code":`...)
	dst = appendStringOrNull(dst, code)
	return append(dst, "}}"...)
}

func appendMessagesError(dst []byte, e *Error, requestID string) []byte {
	message := e.Message
	if bound, ok := e.answerBound(); ok {
		message = bound.inMessages(message)
	} else if e.contextTooLong() && !strings.Contains(strings.ToLower(message), promptTooLong) {
		message = promptTooLong + ": " + tokensOverMaximum(message) + message
	}
	dst = append(dst, `{"type":"error","error":{"type":`...)
	dst = rawjson.AppendString(dst, e.messagesType())
	dst = append(dst, `,"message":`...)
	dst = rawjson.AppendString(dst, message)
	dst = append(dst, '}')
	if requestID != "" {
		dst = append(dst, `,"request_id":`...)
		dst = rawjson.AppendString(dst, requestID)
	}
	return append(dst, '}')
}

// tokensOverMaximum says in Anthropic's words what OpenAI and its like say in
// theirs: how long a conversation is, and how long it may be. Claude Code reads
// both numbers. They are the two largest of the message; where it has not just
// two that may be meant, it is left alone.
func tokensOverMaximum(message string) string {
	const least = 1000 // no window is smaller; numbers below count other things
	var found [2]int64
	n := 0
	for rest := message; ; {
		start := strings.IndexAny(rest, "0123456789")
		if start < 0 {
			break
		}
		rest = rest[start:]
		end := strings.IndexFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && r != ',' })
		if end < 0 {
			end = len(rest)
		}
		number, err := strconv.ParseInt(strings.ReplaceAll(rest[:end], ",", ""), 10, 64)
		if rest = rest[end:]; err != nil || number < least {
			continue
		}
		if n == len(found) {
			return ""
		}
		found[n] = number
		n++
	}
	if n < len(found) || found[0] == found[1] {
		return ""
	}
	return fmt.Sprintf("%d tokens > %d maximum: ", max(found[0], found[1]), min(found[0], found[1]))
}

// openAIKind returns type and code for OpenAI's clients. A type that only
// Anthropic has is replaced along with a missing code; all others pass, since
// OpenAI's list is open.
func (e *Error) openAIKind() (kind, code string) {
	kind, code = openAIKindOf(e.StatusFor(Chat))
	if e.overloaded() {
		kind, code = "server_error", "overloaded"
	}
	if e.Type != "" && !onlyAnthropic(e.Type) {
		// The code of the table belongs to the type of the table.
		if e.Type != kind {
			code = ""
		}
		kind = e.Type
	}
	if e.Code != "" {
		code = e.Code
	} else if e.contextTooLong() {
		code = contextLengthExceeded
	}
	return kind, code
}

// openAIKindOf is what OpenAI's API says with each status; an empty code is
// null there.
func openAIKindOf(status int) (kind, code string) {
	switch status {
	case 401:
		return "invalid_request_error", "invalid_api_key"
	case 402:
		return "insufficient_quota", "insufficient_quota"
	case 403:
		return "permission_error", ""
	case 404:
		return "invalid_request_error", "model_not_found"
	case 408, 504:
		return "server_error", "timeout"
	case 409:
		return "invalid_request_error", "conflict"
	case 413:
		return "invalid_request_error", "request_too_large"
	case 429:
		return "rate_limit_error", "rate_limit_exceeded"
	case 503:
		return "server_error", "overloaded"
	}
	if status >= 500 {
		return "server_error", ""
	}
	return "invalid_request_error", ""
}

// messagesType returns the type for Anthropic's clients, whose list is closed:
// what is not on it follows from the status.
func (e *Error) messagesType() string {
	switch {
	case e.Type == "invalid_request_error" && e.status() < 500, sharedType(e.Type), onlyAnthropic(e.Type):
		return e.Type
	case e.overloaded():
		return "overloaded_error"
	case e.contextTooLong():
		return "invalid_request_error"
	}
	switch status := e.status(); status {
	case 401:
		return "authentication_error"
	case 402:
		return "billing_error"
	case 403:
		return "permission_error"
	case 404:
		return "not_found_error"
	case 408, 504:
		return "timeout_error"
	case 413:
		return "request_too_large"
	case 429:
		return "rate_limit_error"
	default:
		if status >= 500 {
			return "api_error"
		}
		return "invalid_request_error"
	}
}

// sharedType reports whether both vendors use the error type kind, and in the
// same sense whatever the status. (They share invalid_request_error too, but
// OpenAI's side puts it on nearly everything.)
func sharedType(kind string) bool {
	return kind == "rate_limit_error" || kind == "permission_error"
}

// onlyAnthropic reports whether Anthropic uses the error type kind and OpenAI
// does not.
func onlyAnthropic(kind string) bool {
	switch kind {
	case "authentication_error", "billing_error", "not_found_error", "request_too_large",
		"timeout_error", "api_error", "overloaded_error":
		return true
	}
	return false
}
