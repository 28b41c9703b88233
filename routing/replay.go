package routing

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// replay goes on with an answer to a stream request that is no event stream, of
// which start has been read: a whole answer becomes the stream that it could have
// been, and all else is a failure. What an upstream has to say in the end counts
// more than the form it has for it.
func (s *Stream) replay(q *Request, response *http.Response, start []byte) *failure {
	if start = bytes.TrimSpace(start); start[0] != '{' {
		return s.notEvents(start, response)
	}
	s.deadline.awaitWhole()
	whole, _, f := readWhole(s.ctx, q, response, io.MultiReader(bytes.NewReader(start), s.body), s.key)
	if f != nil {
		return f
	}
	defer whole.Release()
	events := translate.AppendReplay(nil, q.Protocol, whole.Bytes())
	s.body = replayed{bytes.NewReader(events), s.body}
	// It has more bytes than the upstream sent.
	s.held, s.seen = nil, len(whole.Bytes())-len(events)
	s.observe(q)
	return nil
}

// replayed reads a stream that has been made of an answer, and closes what that
// came from.
type replayed struct {
	io.Reader
	io.Closer
}

// notEvents judges what is neither an event stream nor an object: a list of
// errors, an HTML page.
func (s *Stream) notEvents(start []byte, response *http.Response) *failure {
	rest, err := io.ReadAll(io.LimitReader(s.body, maxErrorBody))
	if cause := context.Cause(s.ctx); err != nil && cause != nil {
		return cancelled(cause)
	}
	body := append(bytes.Clone(start), rest...)
	if e, is := translate.ErrorInAnswer(s.protocol, body); is {
		return reportedFailure(response, e, body, s.key)
	}
	return broken(response, "the upstream answered a stream request with neither an event stream nor a whole answer")
}
