package simulated

import (
	"net/http"
	"strings"
)

// protocol is the wire protocol that a request and its answer speak.
type protocol int

const (
	chat protocol = iota
	responses
	messages
)

// endpoint is a place where the provider answers.
type endpoint int

const (
	nowhere endpoint = iota
	chatCompletions
	createResponse
	createMessage
	countTokens
	embeddings
	listModels
	oneModel
)

// find returns the endpoint that a request is for and, for oneModel, the name
// of the model.
func find(method, path string) (at endpoint, model string) {
	switch method {
	case http.MethodPost:
		return findPost(path), ""
	case http.MethodGet:
		if strings.HasSuffix(path, "/models") {
			return listModels, ""
		}
		// The first one counts: model names may hold slashes, even "/models/".
		if _, id, ok := strings.Cut(path, "/models/"); ok && id != "" {
			return oneModel, id
		}
	}
	return nowhere, ""
}

func findPost(path string) endpoint {
	switch {
	case strings.HasSuffix(path, "/chat/completions"):
		return chatCompletions
	case strings.HasSuffix(path, "/responses"):
		return createResponse
	case strings.HasSuffix(path, "/messages"):
		return createMessage
	case strings.HasSuffix(path, "/messages/count_tokens"):
		return countTokens
	case strings.HasSuffix(path, "/embeddings"):
		return embeddings
	}
	return nowhere
}

// protocolOf returns the protocol of an endpoint. The model list has two
// shapes; clients of Messages announce themselves by a header.
func protocolOf(at endpoint, h http.Header) protocol {
	switch at {
	case createResponse:
		return responses
	case createMessage, countTokens:
		return messages
	case listModels, oneModel, nowhere:
		if h.Get("Anthropic-Version") != "" {
			return messages
		}
	}
	return chat
}

// credential returns the API key that a request presents, in any of the headers
// that the three protocols and Azure use, or "".
func credential(h http.Header) string {
	for _, name := range [...]string{"X-Api-Key", "Api-Key"} {
		if k := h.Get(name); k != "" {
			return k
		}
	}
	auth := h.Get("Authorization")
	if len(auth) > 7 && strings.EqualFold(auth[:7], "Bearer ") {
		return strings.TrimSpace(auth[7:])
	}
	return auth
}
