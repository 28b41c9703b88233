package routing

import (
	"cmp"
	"net/http"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

// Request is what a client asks, read and checked, before a route is chosen.
type Request struct {
	// Protocol is what the client speaks.
	Protocol translate.Protocol
	// Operation is what it wants.
	Operation translate.Operation
	// Client names who asks, for what belongs to one client alone.
	Client string
	// Model is the name it asked for, or the one that the operator has chosen
	// for it.
	Model string
	// Named is the model that Body names, where that is not Model. Body may
	// also name none. Empty: Body names Model or none.
	Named string
	// Body is its body. Attempts read it; nobody writes it.
	Body *Body
	// Object is the index of the body's top-level members.
	Object *strictjson.Object
	// Stream says whether the answer is to be an event stream.
	Stream bool
	// ForceStream says that the endpoint asks for a stream whatever the body
	// says, so that the body has to say it too.
	ForceStream bool
	// Choices is how many answers the client asked for: n of Chat
	// Completions; 0 means one.
	Choices int
	// Header holds the client's headers. Only those of an allow list go
	// upstream, and never a credential.
	Header http.Header
	// OwnTrace says that Traceparent and Tracestate in Header are of this
	// gateway's own traces, which are nothing for providers; those of a client go
	// with its request.
	OwnTrace bool
	// Hop is how many gateways of this kind the request has passed before.
	Hop int
	// Beta says that the query held beta=true, which Anthropic's SDKs add to
	// calls of their beta interfaces.
	Beta bool

	// asked is set in a translation of a client's request: what the way back
	// depends on. Protocol is then the upstream's, and there is no Object.
	asked *translate.Asked
}

// clientModel is the model's name as the client knows it.
func (q *Request) clientModel() string { return cmp.Or(q.Named, q.Model) }

// has reports whether the body has a top-level member of that name.
func (q *Request) has(name string) bool {
	if q.Object == nil {
		return rawjson.Parse(q.Body.Bytes()).Get(name) != nil
	}
	_, _, sent := q.Object.Get(name)
	return sent
}

// forwards reports whether a client's header, by its canonical name, goes
// upstream with the request. What one vendor's clients say to its servers means
// nothing to another's, and names what a translated body may not have.
func (q *Request) forwards(name string) bool {
	if q.OwnTrace && (name == "Traceparent" || name == "Tracestate") {
		return false
	}
	if q.asked == nil {
		return forwardedHeader(name)
	}
	switch name {
	case "User-Agent", "Traceparent", "Tracestate":
		return true
	}
	return false
}

// forwardedHeader reports whether a client's header, by its canonical name,
// may go to an upstream. Everything else stays here: credentials, cookies,
// organisation names, Accept-Encoding (the transport asks for gzip itself and
// decodes it) and Idempotency-Key (with it net/http repeats a POST in silence).
func forwardedHeader(name string) bool {
	switch name {
	case "Anthropic-Beta", "Anthropic-Version", "Openai-Beta", "User-Agent",
		"Traceparent", "Tracestate", "Originator", "Session-Id", "Thread-Id",
		"X-Claude-Code-Session-Id", "X-Claude-Code-Agent-Id", "X-Session-Affinity",
		"X-Codex-Turn-Metadata", "X-Codex-Window-Id", "X-Codex-Beta-Features",
		"X-Openai-Internal-Codex-Responses-Lite":
		return true
	}
	return false
}

// returnedHeader reports whether a provider's response header, by its
// canonical name, may go to the client. Never framing, cookies, CORS or
// organisation names, and nothing that describes a body we may have replaced.
func returnedHeader(name string) bool {
	switch name {
	case "Content-Type", "Request-Id", "Openai-Processing-Ms", "Openai-Version",
		"X-Should-Retry", "Anthropic-Fast-Mode",
		"X-Ratelimit-Limit-Requests", "X-Ratelimit-Remaining-Requests", "X-Ratelimit-Reset-Requests",
		"X-Ratelimit-Limit-Tokens", "X-Ratelimit-Remaining-Tokens", "X-Ratelimit-Reset-Tokens":
		return true
	}
	return len(name) > len("Anthropic-Ratelimit-") && name[:len("Anthropic-Ratelimit-")] == "Anthropic-Ratelimit-"
}
