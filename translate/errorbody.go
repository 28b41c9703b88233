package translate

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// Bounds of what is taken from an error body.
const (
	maxErrorBody    = 1 << 20 // bytes that are looked at
	maxErrorMessage = 8 << 10 // Anthropic's validation errors do run to kilobytes
	maxErrorWord    = 128     // type, code, param
)

// ParseError reads any vendor's error body. ok is false when body is none that
// is known, such as an HTML page; the message then describes it briefly.
//
// Status is what the body says, 0 when it says nothing. It may differ from the
// HTTP status it came with: OpenRouter reports its upstream's.
func ParseError(body []byte) (e Error, ok bool) {
	body = rawjson.Parse(body[:min(len(body), maxErrorBody)])
	root := parse(body)
	if !root.IsObject() && !root.IsArray() {
		return Error{Message: describePage(body)}, false
	}
	if e, ok = readError(unwrapped(root)); !ok {
		e = Error{Message: "the upstream sent JSON that is no known error"}
	}
	return e, ok
}

// SpeaksError reports whether an error body is one that clients of p read: an
// object with an error object that has a message, and in Messages the type of
// an error, which the others do not have. Other vendors' shapes have to be told
// anew.
func SpeaksError(p Protocol, body []byte) bool {
	body = rawjson.Parse(body)
	if len(body) > maxErrorBody || !wholeObject(body) {
		return false
	}
	root := parse(body)
	e := root.Get("error")
	ofMessages := root.Get("type").Str == "error" && e.Get("type").Type == gjson.String
	return e.IsObject() && e.Get("message").Type == gjson.String && ofMessages == (p == Messages)
}

// SaysContextTooLong reports whether an error body tells clients of p, in the
// words that they know, that the conversation is too long, so that agents
// compact it.
func SaysContextTooLong(p Protocol, e Error) bool {
	if p == Messages {
		return strings.Contains(e.Message, "prompt is too long") || strings.Contains(e.Message, "exceed context limit")
	}
	return e.Code == "context_length_exceeded"
}

// unwrapped returns the first element of a list, in which Gemini's OpenAI
// surface wraps errors, and anything else as it is.
func unwrapped(root gjson.Result) gjson.Result {
	if root.IsArray() {
		return root.Get("0")
	}
	return root
}

// readError reads the error object root in any vendor's shape, the most
// telling one first.
func readError(root gjson.Result) (Error, bool) {
	if e, ok := readErrorMember(root, root.Get("error")); ok {
		return e, true
	}
	if e, ok := readErrorMember(root, root.Get("choices.0.error")); ok {
		return e, true
	}
	if detail := root.Get("detail"); detail.Exists() {
		if e, ok := readDetail(detail); ok {
			return e, true
		}
	}
	if base := root.Get("base_resp"); base.Get("status_code").Int() != 0 {
		return miniMaxError(base), true
	}
	// Cloudflare: {"success":false,"errors":[{"code":…,"message":…}]}.
	if first := root.Get("errors.0"); first.IsObject() {
		return readFlatError(first)
	}
	return readFlatError(root)
}

// readErrorMember reads the value of a member "error" of root.
func readErrorMember(root, member gjson.Result) (Error, bool) {
	switch {
	case member.Type == gjson.String && member.Str != "":
		// xAI, Ollama: the message itself; xAI puts a code beside it.
		e := newError(member.Str, root.Get("error_type").Str, root.Get("code"), gjson.Result{})
		return e, true
	case member.IsObject():
		e, ok := readFlatError(member)
		if !ok {
			return e, !isEmpty(member)
		}
		addOpenRouterCause(&e, member.Get("metadata.raw"))
		return e, true
	}
	return Error{}, false
}

// readFlatError reads an object that has message, type, code and param itself:
// the inside of OpenAI's and Anthropic's error, and the whole body at vLLM,
// Bedrock, Cohere and DashScope. Without a message it is not certain that
// object is an error at all; ok is false then, but e says what there is.
func readFlatError(object gjson.Result) (e Error, ok bool) {
	var message, kind, status string
	var code, param, httpStatus gjson.Result
	object.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "message", "Message":
			message = value.String()
		case "msg", "detail", "error_msg":
			if message == "" {
				message = value.String()
			}
		case "type", "__type":
			kind = value.Str
		case "code":
			code = value
		case "status": // Gemini's type, or an HTTP status
			status, httpStatus = value.Str, value
		case "status_code":
			httpStatus = value
		case "param":
			param = value
		}
		return true
	})
	if (kind == "" || kind == "error") && status == strings.ToUpper(status) {
		kind = status // Gemini's are in capitals; a response has one in lower case
	}
	e = newError(message, kind, code, param)
	if e.Status == 0 {
		e.Status = httpStatusOf(httpStatus)
	}
	if message == "" {
		e.Message = "the upstream reported an error without a message"
	}
	return e, message != ""
}

// readDetail reads FastAPI's "detail": a text, an object, or a list of
// validation errors with their place.
func readDetail(detail gjson.Result) (Error, bool) {
	switch {
	case detail.Type == gjson.String && detail.Str != "":
		return newError(detail.Str, "", gjson.Result{}, gjson.Result{}), true
	case detail.IsObject():
		return readFlatError(detail)
	}
	var e Error
	var texts []string
	detail.ForEach(func(_, value gjson.Result) bool {
		message := value.Get("msg").Str
		if message == "" {
			return true
		}
		place := strings.Builder{}
		value.Get("loc").ForEach(func(_, step gjson.Result) bool {
			if place.Len() > 0 {
				place.WriteByte('.')
			}
			place.WriteString(step.String())
			return place.Len() < maxErrorWord
		})
		if place.Len() > 0 {
			message = place.String() + ": " + message
		}
		if texts == nil {
			e.Param = clip(place.String(), maxErrorWord)
		}
		texts = append(texts, message)
		return len(texts) < 8
	})
	e.Message = clip(strings.Join(texts, "; "), maxErrorMessage)
	return e, len(texts) > 0
}

// miniMaxError reads MiniMax's status, which it sends with HTTP 200. Its codes
// are documented in its API reference ("error codes").
func miniMaxError(base gjson.Result) Error {
	e := newError(base.Get("status_msg").String(), "", base.Get("status_code"), gjson.Result{})
	if e.Message == "" {
		e.Message = "the upstream reported status code " + e.Code
	}
	switch e.Code {
	case "1002", "1039", "1041":
		e.Status = 429
	case "1004", "2049":
		e.Status = 401
	case "1008":
		e.Status = 402
	case "1026", "1027", "2013":
		e.Status = 400
	case "1001":
		e.Status = 504
	}
	return e
}

// addOpenRouterCause adds to e what the provider behind OpenRouter said: the
// outer message is often no more than "Provider returned error".
func addOpenRouterCause(e *Error, raw gjson.Result) {
	if raw.Type != gjson.String || raw.Str == "" {
		return
	}
	cause := raw.Str
	if inner := gjson.Parse(cause); inner.IsObject() {
		said, ok := readInnerError(inner)
		if !ok {
			return
		}
		cause = said.Message
		if e.Code == "" {
			e.Code = said.Code
		}
		if e.Type == "" {
			e.Type = said.Type
		}
	}
	if !strings.Contains(e.Message, cause) {
		e.Message = clip(e.Message+": "+cause, maxErrorMessage)
	}
}

// readInnerError reads the error inside an error. It looks one level deep, so
// that no body can make it recurse.
func readInnerError(root gjson.Result) (Error, bool) {
	if member := root.Get("error"); member.IsObject() {
		return readFlatError(member)
	} else if member.Type == gjson.String && member.Str != "" {
		return newError(member.Str, "", root.Get("code"), gjson.Result{}), true
	}
	return readFlatError(root)
}

// newError clones what it is given, bounds it, and finds the status that it
// speaks of.
func newError(message, kind string, code, param gjson.Result) Error {
	e := Error{Message: clip(message, maxErrorMessage), Type: clip(kind, maxErrorWord)}
	if param.Type == gjson.String {
		e.Param = clip(param.Str, maxErrorWord)
	}
	if e.Status = httpStatusOf(code); e.Status == 0 && code.Type != gjson.JSON {
		// A code that is an HTTP status is none of the protocols' words.
		e.Code = clip(code.String(), maxErrorWord)
	}
	if e.Status == 0 {
		if e.Status = statusOfWord(e.Code); e.Status == 0 {
			e.Status = statusOfWord(e.Type)
		}
	}
	return e
}

// httpStatusOf returns the HTTP error status that value is, as a number or as
// text, else 0.
func httpStatusOf(value gjson.Result) int {
	n := value.Num
	if value.Type == gjson.String {
		small, err := strconv.Atoi(value.Str)
		if err != nil {
			return 0
		}
		n = float64(small)
	}
	if n >= 400 && n <= 599 && n == float64(int(n)) {
		return int(n)
	}
	return 0
}

// statusOfWord returns the HTTP status that belongs to an error code or type
// of OpenAI, Anthropic, Azure, xAI or Gemini, 0 when it tells none.
func statusOfWord(word string) int {
	switch strings.ToLower(word) {
	case "invalid_request_error", "invalid_prompt", "context_length_exceeded", "invalid_argument", "invalid-argument",
		"content_filter", "content_policy_violation", "failed_precondition", "unsupported_parameter", "unsupported_value", "invalid_value":
		return 400
	case "authentication_error", "invalid_api_key", "unauthenticated", "invalidapikey":
		return 401
	case "billing_error":
		return 402
	case "permission_error", "permission_denied":
		return 403
	case "not_found_error", "model_not_found", "not_found":
		return 404
	case "request_too_large":
		return 413
	case "rate_limit_error", "rate_limit_exceeded", "insufficient_quota", "ratelimitreached", "resource_exhausted", "too_many_requests":
		return 429
	case "api_error", "server_error", "internal_error", "internal_server_error", "internal":
		return 500
	case "overloaded", "slow_down", "unavailable", "service_unavailable":
		return 503
	case "timeout_error", "timeout", "deadline_exceeded":
		return 504
	case "overloaded_error":
		return StatusOverloaded
	}
	return 0
}
