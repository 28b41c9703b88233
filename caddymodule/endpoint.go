package caddymodule

import (
	"net/http"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// endpoint is one of the paths that the gateway serves.
type endpoint struct {
	method    string
	protocol  translate.Protocol // of its errors, too
	operation translate.Operation
	kind      endpointKind
	// stream means that the answer is a stream whatever the body says.
	stream bool
}

type endpointKind uint8

const (
	kindGenerate endpointKind = iota // chat completions, messages, responses, embeddings
	kindCountTokens
	kindModels
	kindModel // one model; its name is the rest of the path
	kindHealth
	kindHealthDetailed
)

const modelPath = "/v1/models/"

// endpointFor finds the endpoint of a path; ok is false for paths that belong
// to the next handler. A prefix that the site puts before them is stripped by
// Caddy's own handle_path.
func endpointFor(path string) (endpoint, bool) {
	switch path {
	case "/v1/chat/completions":
		return endpoint{method: http.MethodPost, protocol: translate.Chat}, true
	case "/v1/chat/completions-stream", "/v1/chat/completions/stream":
		return endpoint{method: http.MethodPost, protocol: translate.Chat, stream: true}, true
	case "/v1/messages":
		return endpoint{method: http.MethodPost, protocol: translate.Messages}, true
	case "/v1/messages-stream":
		return endpoint{method: http.MethodPost, protocol: translate.Messages, stream: true}, true
	case "/v1/messages/count_tokens":
		return endpoint{method: http.MethodPost, protocol: translate.Messages, operation: translate.CountTokens, kind: kindCountTokens}, true
	case "/v1/responses":
		return endpoint{method: http.MethodPost, protocol: translate.Responses}, true
	case "/v1/embeddings":
		return endpoint{method: http.MethodPost, protocol: translate.Chat, operation: translate.Embed}, true
	case "/v1/models":
		return endpoint{method: http.MethodGet, protocol: translate.Chat, kind: kindModels}, true
	case "/health":
		return endpoint{method: http.MethodGet, protocol: translate.Chat, kind: kindHealth}, true
	case "/health/detailed":
		return endpoint{method: http.MethodGet, protocol: translate.Chat, kind: kindHealthDetailed}, true
	}
	if strings.HasPrefix(path, modelPath) && len(path) > len(modelPath) {
		return endpoint{method: http.MethodGet, protocol: translate.Chat, kind: kindModel}, true
	}
	return endpoint{}, false
}

// allows reports whether the endpoint takes the request's method. HEAD is as
// good as GET: net/http drops the body.
func (e endpoint) allows(method string) bool {
	return method == e.method || e.method == http.MethodGet && method == http.MethodHead
}

// allow is the value of the header that tells the methods.
func (e endpoint) allow() string {
	if e.method == http.MethodGet {
		return "GET, HEAD"
	}
	return e.method
}

// speaksAnthropic reports whether the caller of a shared endpoint (the model
// list) is an Anthropic client: only those send a version.
func speaksAnthropic(r *http.Request) bool {
	return len(r.Header["Anthropic-Version"]) > 0
}
