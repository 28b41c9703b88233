// Package translate knows the three protocols in which language models are
// served: what their answers, event streams, usage counts and errors look like
// on the wire.
//
// It is pure: bytes go in, bytes and plain values come out. It does no I/O,
// reads no clock, and imports nothing of net/http.
package translate

// Protocol names a wire protocol, spelled as in configuration files.
type Protocol string

// The protocols that clients and upstreams speak.
const (
	// Chat is OpenAI's Chat Completions, with its older sibling (text
	// completions) and embeddings.
	Chat Protocol = "openai"
	// Responses is OpenAI's Responses API.
	Responses Protocol = "responses"
	// Messages is Anthropic's Messages API.
	Messages Protocol = "anthropic"
)

// Valid reports whether p is one of the protocols of this package.
func (p Protocol) Valid() bool {
	switch p {
	case Chat, Responses, Messages:
		return true
	}
	return false
}

// PingEvent returns a sign of life in the event streams of p: the event that its
// clients know, or a comment, which all readers of event streams pass over.
func PingEvent(p Protocol) []byte {
	if p == Messages {
		return []byte("event: ping\ndata: {\"type\": \"ping\"}\n\n")
	}
	return []byte(": ping\n\n")
}
