package simulated

import (
	"net/http"
	"strconv"
	"time"
)

// failure is an error answer as the real services word it.
type failure struct {
	status    int
	openAI    wording
	responses wording // where Responses differs from Chat Completions; zero if it does not
	anthropic wording

	anthropicStatus int // where Messages uses another status; 0 if it does not
}

// wording is what an error says. An empty code or param is null on the wire;
// Messages errors have neither.
type wording struct {
	typ, code, param, message string
}

// failures are the errors that words ask for, by their name.
var failures = map[string]failure{
	"400": {
		status:    http.StatusBadRequest,
		openAI:    wording{"invalid_request_error", "invalid_value", "", "Invalid value: the demo model was asked to refuse this request."},
		anthropic: wording{typ: "invalid_request_error", message: "messages: the demo model was asked to refuse this request"},
	},
	"401": {
		status:    http.StatusUnauthorized,
		openAI:    wording{"invalid_request_error", "invalid_api_key", "", "Incorrect API key provided."},
		anthropic: wording{typ: "authentication_error", message: "invalid x-api-key"},
	},
	"402": {
		status:    http.StatusPaymentRequired,
		openAI:    wording{"insufficient_quota", "insufficient_quota", "", "Insufficient balance."},
		anthropic: wording{typ: "billing_error", message: creditTooLow},
	},
	"403": {
		status:    http.StatusForbidden,
		openAI:    wording{"request_forbidden", "unsupported_country_region_territory", "", "Country, region, or territory not supported"},
		anthropic: wording{typ: "permission_error", message: "Your API key does not have permission to use the specified resource."},
	},
	"404": {
		status:    http.StatusNotFound,
		openAI:    wording{"invalid_request_error", "model_not_found", "", "The model does not exist or you do not have access to it."},
		responses: wording{"invalid_request_error", "model_not_found", "model", "The requested model does not exist."},
		anthropic: wording{typ: "not_found_error", message: "model: not found"},
	},
	"413": {
		status:    http.StatusRequestEntityTooLarge,
		openAI:    wording{"invalid_request_error", "request_too_large", "", "The request is too large."},
		anthropic: wording{typ: "request_too_large", message: "Request exceeds the maximum size"},
	},
	"422": {
		status:    http.StatusUnprocessableEntity,
		openAI:    wording{"invalid_request_error", "unprocessable_entity", "", "The request was well-formed but could not be followed."},
		anthropic: wording{typ: "invalid_request_error", message: "The request was well-formed but could not be followed."},
	},
	"429": {
		status:    http.StatusTooManyRequests,
		openAI:    wording{"requests", "rate_limit_exceeded", "", "Rate limit reached on requests per min (RPM): Limit 60, Used 60, Requested 1."},
		anthropic: wording{typ: "rate_limit_error", message: "This request would exceed your organization's rate limit of 60 requests per minute."},
	},
	"500": {
		status:    http.StatusInternalServerError,
		openAI:    wording{typ: "server_error", message: "The server had an error while processing your request. Sorry about that!"},
		responses: wording{typ: "server_error", code: "server_error", message: "The server had an error while processing your request. Sorry about that!"},
		anthropic: wording{typ: "api_error", message: "Internal server error"},
	},
	"503": {
		status:    http.StatusServiceUnavailable,
		openAI:    wording{"server_error", "server_is_overloaded", "", "The engine is currently overloaded, please try again later."},
		anthropic: wording{typ: "api_error", message: "Service unavailable"},
	},
	"504": {
		status:    http.StatusGatewayTimeout,
		openAI:    wording{typ: "server_error", message: "The request timed out."},
		anthropic: wording{typ: "timeout_error", message: "Request timed out"},
	},
	"529": {
		status:    statusOverloaded,
		openAI:    wording{"server_error", "server_is_overloaded", "", "The engine is currently overloaded, please try again later."},
		anthropic: wording{typ: "overloaded_error", message: "Overloaded"},
	},
	"quota": {
		status:          http.StatusTooManyRequests,
		openAI:          wording{"insufficient_quota", "insufficient_quota", "", "You exceeded your current quota, please check your plan and billing details."},
		anthropic:       wording{typ: "billing_error", message: creditTooLow},
		anthropicStatus: http.StatusPaymentRequired,
	},
	"context": {
		status: http.StatusBadRequest,
		openAI: wording{
			"invalid_request_error", "context_length_exceeded", "messages",
			"This model's maximum context length is 128000 tokens. However, your messages resulted in 250000 tokens. Please reduce the length of the messages.",
		},
		responses: wording{
			"invalid_request_error", "context_length_exceeded", "input",
			"Your input exceeds the context window of this model. Please adjust your input and try again.",
		},
		anthropic: wording{typ: "invalid_request_error", message: "prompt is too long: 250000 tokens > 200000 maximum"},
	},
	"policy": {
		status:    http.StatusBadRequest,
		openAI:    wording{"invalid_request_error", "content_policy_violation", "", "Your request was rejected as a result of our safety system."},
		responses: wording{"invalid_request_error", "invalid_prompt", "", "Invalid prompt: your prompt was flagged as potentially violating our usage policy."},
		anthropic: wording{typ: "invalid_request_error", message: "Output blocked by content filtering policy"},
	},
}

// statusOverloaded is Anthropic's own status.
const statusOverloaded = 529

const creditTooLow = "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits."

// findFailure returns the failure of a name: one of the table, or any other
// status from 400 to 599 in general words.
func findFailure(name string) (failure, bool) {
	if f, ok := failures[name]; ok {
		return f, true
	}
	status, err := strconv.Atoi(name)
	if err != nil || len(name) != 3 || status < 400 || status > 599 {
		return failure{}, false
	}
	message := http.StatusText(status)
	if message == "" {
		message = "Status " + name
	}
	if status >= 500 {
		return failure{
			status:    status,
			openAI:    wording{typ: "server_error", message: message},
			anthropic: wording{typ: "api_error", message: message},
		}, true
	}
	return refusal(status, "", "", message), true
}

// refusal is the failure of a request that is wrong, in all three protocols.
// code and param may be empty.
func refusal(status int, code, param, message string) failure {
	return failure{
		status:    status,
		openAI:    wording{"invalid_request_error", code, param, message},
		anthropic: wording{typ: "invalid_request_error", message: message},
	}
}

// unknownModel is the failure of a request for a model that is not there:
// Responses calls that a bad request, the others say not found.
func unknownModel(p protocol, model string) failure {
	f := failure{
		status:    http.StatusNotFound,
		openAI:    wording{"invalid_request_error", "model_not_found", "", "The model `" + model + "` does not exist or you do not have access to it."},
		responses: wording{"invalid_request_error", "model_not_found", "model", "The requested model '" + model + "' does not exist."},
		anthropic: wording{typ: "not_found_error", message: "model: " + model},
	}
	if p == responses {
		f.status = http.StatusBadRequest
	}
	return f
}

// says returns the failure's status and wording in a protocol.
func (f failure) says(p protocol) (int, wording) {
	switch {
	case p == messages && f.anthropicStatus != 0:
		return f.anthropicStatus, f.anthropic
	case p == messages:
		return f.status, f.anthropic
	case p == responses && f.responses != wording{}:
		return f.status, f.responses
	}
	return f.status, f.openAI
}

// body appends the failure as the body of an error answer. Only Messages has
// the request's id in it.
func (f failure) body(dst []byte, p protocol, requestID string) []byte {
	_, say := f.says(p)
	if p != messages {
		dst = append(dst, `{"error":`...)
		dst = say.object(dst)
		return append(dst, '}')
	}
	dst = append(dst, `{"type":"error","error":{"type":`...)
	dst = quote(dst, say.typ)
	dst = append(dst, `,"message":`...)
	dst = quote(dst, say.message)
	dst = append(dst, `},"request_id":`...)
	dst = quote(dst, requestID)
	return append(dst, '}')
}

// object appends the error object of OpenAI's protocols.
func (w wording) object(dst []byte) []byte {
	dst = append(dst, `{"message":`...)
	dst = quote(dst, w.message)
	dst = append(dst, `,"type":`...)
	dst = quote(dst, w.typ)
	dst = append(dst, `,"param":`...)
	dst = quoteOrNull(dst, w.param)
	dst = append(dst, `,"code":`...)
	dst = quoteOrNull(dst, w.code)
	return append(dst, '}')
}

func quoteOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return quote(dst, s)
}

// asked returns the failure that a behaviour asks for, and its Retry-After in
// seconds, negative for none. b.failure must be set.
func (b *behaviour) asked() (failure, int) {
	f, _ := findFailure(b.failure)
	wait := b.wait
	if b.failure == "429" {
		if wait < 0 {
			wait = 1
		}
		// Some clients take the time from the text.
		f.openAI.message += " Please try again in " + strconv.Itoa(wait) + "s."
	}
	return f, wait
}

// setFailureHeader sets the headers that come with a failure. wait is the
// Retry-After in seconds, negative for none.
func setFailureHeader(h http.Header, p protocol, status, wait int, now time.Time) {
	if wait >= 0 {
		h.Set("Retry-After", strconv.Itoa(wait))
	}
	if p == messages {
		// The official SDKs obey this header before they look at the status.
		h.Set("X-Should-Retry", strconv.FormatBool(status == http.StatusTooManyRequests || status >= 500))
	}
	if status != http.StatusTooManyRequests || wait < 0 {
		return
	}
	if p == messages {
		h.Set("Anthropic-Ratelimit-Requests-Limit", "60")
		h.Set("Anthropic-Ratelimit-Requests-Remaining", "0")
		h.Set("Anthropic-Ratelimit-Requests-Reset", now.Add(time.Duration(wait)*time.Second).UTC().Format(time.RFC3339))
		return
	}
	h.Set("X-Ratelimit-Limit-Requests", "60")
	h.Set("X-Ratelimit-Remaining-Requests", "0")
	h.Set("X-Ratelimit-Reset-Requests", strconv.Itoa(wait)+"s")
}
