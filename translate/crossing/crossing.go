// Package crossing takes requests, answers and event streams from one protocol
// into another, each by way of the form that package translate has for all of
// them. It is where the codecs of the protocols meet, and the only place that
// has to change for one more.
package crossing

import (
	"sync"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/chat"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/messages"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/responses"
)

// codec is what a protocol's package has.
type codec struct {
	decodeRequest func(c *translate.Conversation, body []byte) *translate.Error
	encodeRequest func(dst []byte, c *translate.Conversation, t *translate.Target) ([]byte, *translate.Error)
	newDecoder    func(a *translate.Assembler) translate.AnswerDecoder
	newEncoder    func(asked *translate.Asked) translate.AnswerEncoder
	cleaned       func(dst, body []byte) (out []byte, changed bool)
}

func codecOf(p translate.Protocol) codec {
	switch p {
	case translate.Responses:
		return codec{responses.DecodeRequest, responses.EncodeRequest, responses.NewDecoder, responses.NewEncoder, responses.Cleaned}
	case translate.Messages:
		return codec{messages.DecodeRequest, messages.EncodeRequest, messages.NewDecoder, messages.NewEncoder, messages.Cleaned}
	}
	return codec{chat.DecodeRequest, chat.EncodeRequest, chat.NewDecoder, chat.NewEncoder, chat.Cleaned}
}

// Request is a translated request.
type Request struct {
	// Body is what to send.
	Body []byte
	// Losses are what could not cross, in the words of the client's protocol.
	Losses translate.Losses
	// Asked is what the answer depends on; Model, Nonce, Now and InputTokens
	// are the caller's to set.
	Asked *translate.Asked
}

var conversations = sync.Pool{New: func() any { return new(translate.Conversation) }}

// Translate writes a request of one protocol, which strictjson has checked, as
// one for the target, whose protocol must be another. The body is appended to
// dst. The error names what of the request cannot cross.
func Translate(dst []byte, from translate.Protocol, body []byte, t *translate.Target) (*Request, *translate.Error) {
	c := conversations.Get().(*translate.Conversation)
	defer conversations.Put(c)
	defer c.Reset(from) // nothing of the request is kept
	c.Reset(from)
	if e := codecOf(from).decodeRequest(c, body); e != nil {
		return nil, e
	}
	c.Stream = c.Stream || t.ForceStream
	if e := c.Fit(t); e != nil {
		return nil, e
	}
	out, e := codecOf(t.Protocol).encodeRequest(dst, c, t)
	if e != nil {
		return nil, e
	}
	asked := c.Asked()
	asked.Upstream, asked.Provider = t.Protocol, t.Provider
	return &Request{Body: out, Losses: append(translate.Losses(nil), c.Losses...), Asked: asked}, nil
}

// Answer appends a whole answer of the upstream's protocol, which has passed
// [translate.CheckAnswer], as one for the client. The error is that of an answer
// which makes no sense nevertheless.
func Answer(dst []byte, asked *translate.Asked, body []byte) ([]byte, *translate.Error) {
	a := translate.NewAssembler(asked, codecOf(asked.Client).newEncoder(asked))
	codecOf(asked.Upstream).newDecoder(a).Whole(body)
	if e := a.Broken(); e != nil {
		return nil, e
	}
	a.End(translate.ReadUsage(asked.Upstream, body))
	return append(dst, a.Take()...), nil
}

// Stream translates an event stream while a [translate.Watcher] of the
// upstream's protocol, whose [translate.Tap] it is, reads it.
type Stream struct {
	assembler *translate.Assembler
	decoder   translate.AnswerDecoder
}

// NewStream returns a Stream for one answer. asked.Stream must be set.
func NewStream(asked *translate.Asked) *Stream {
	a := translate.NewAssembler(asked, codecOf(asked.Client).newEncoder(asked))
	return &Stream{assembler: a, decoder: codecOf(asked.Upstream).newDecoder(a)}
}

// Event implements [translate.Tap].
func (s *Stream) Event(name, data []byte) {
	if s.Broken() == nil {
		s.decoder.Event(name, data)
	}
}

// Begun reports whether the answer has shown the client anything of what the model
// says.
func (s *Stream) Begun() bool { return s.assembler.Begun() }

// Take returns what there is for the client: whole events, or nothing. It is
// valid until the next call of another method.
func (s *Stream) Take() []byte { return s.assembler.Take() }

// Broken returns why the translation cannot go on although the upstream's stream
// does, nil while it can: what it says makes no sense. Nothing more is translated
// then, and Fail is to be called.
func (s *Stream) Broken() *translate.Error { return s.assembler.Broken() }

// End tells that the upstream's stream was whole.
func (s *Stream) End(usage translate.Usage, known bool) { s.assembler.End(usage, known) }

// Fail tells that it was not, and why. The client's stream then ends with its
// protocol's error.
func (s *Stream) Fail(e *translate.Error) { s.assembler.Fail(e) }

// Cleaned appends a request in the protocol of its upstream without what only
// this gateway understands. Answers of other vendors carried it to the client:
// reasoning in envelopes, whose made-up signatures the upstream would refuse the
// request for, and signatures in the ids of tool calls, with which they are longer
// than it takes. changed is false where there is none, and then nothing is
// appended.
func Cleaned(dst []byte, p translate.Protocol, body []byte) (out []byte, changed bool) {
	if !translate.Marked(body) {
		return dst, false
	}
	return codecOf(p).cleaned(dst, body)
}

// CannotThink reports whether a request of a client of p asks its own protocol's
// upstream to think where the thoughts that this needs are another vendor's.
func CannotThink(p translate.Protocol, body []byte) bool {
	return p == translate.Messages && messages.CannotThink(body)
}
