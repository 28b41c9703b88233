package payload

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// AgentBytes is the length of an agent's request body.
const AgentBytes = 120 << 10

// Size says how much a request brings along.
type Size int

// The sizes of requests.
const (
	// Small is a question of one sentence.
	Small Size = iota
	// Agent is a coding agent's session of AgentBytes.
	Agent
)

// Request is what a client asks.
type Request struct {
	Protocol translate.Protocol
	Size     Size
	Model    string
	Stream   bool
}

// Body is the request's JSON.
func (r Request) Body() []byte {
	if r.Size == Small {
		return r.body(smallConversation())
	}
	return r.body(agentConversation(AgentBytes - len(r.body(agentConversation(0)))))
}

func (r Request) body(c conversation) []byte {
	switch r.Protocol {
	case translate.Messages:
		return messagesBody(c, r.Model, r.Stream)
	case translate.Responses:
		return responsesBody(c, r.Model, r.Stream)
	}
	return chatBody(c, r.Model, r.Stream)
}

// Path is where a protocol's requests go.
func Path(protocol translate.Protocol) string {
	switch protocol {
	case translate.Messages:
		return "/v1/messages"
	case translate.Responses:
		return "/v1/responses"
	}
	return "/v1/chat/completions"
}

// HTTP is the whole request for the server at host, head and body, ready to be
// written to a connection. It carries key as the protocol's SDKs do.
func (r Request) HTTP(host, key string) []byte {
	auth, accept := "Authorization: Bearer "+key, "application/json"
	if r.Protocol == translate.Messages {
		auth = "Anthropic-Version: 2023-06-01\r\nX-Api-Key: " + key
	}
	if r.Stream {
		accept = "text/event-stream"
	}
	body := r.Body()
	head := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: %s\r\n%s\r\n"+
		"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", Path(r.Protocol), host, accept, auth, len(body))
	return append(head, body...)
}

// encode marshals without escaping <, > and &, as clients do. Only values of
// this package's own types come here, none of which can fail.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
