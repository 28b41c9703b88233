package routing

import (
	"io"
	"sync"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// crossingBuffer is how much is read at once of a stream that is translated. It
// holds no events back in the buffer, and from one read of a connection comes no
// more than this.
const crossingBuffer = 4 << 10

var crossingBuffers = sync.Pool{New: func() any { b := make([]byte, crossingBuffer); return &b }}

// nextCrossed is Next for a stream that is translated: whole events, each written
// as soon as what it says has come.
func (s *Stream) nextCrossed() ([]byte, error) {
	for {
		if out := s.crossing.Take(); len(out) > 0 {
			return out, nil
		}
		if s.atEnd {
			return s.finish()
		}
		s.read()
		s.settle()
	}
}

// settle ends the translation with the upstream's terminal event, good or bad,
// and does not wait for its connection to end.
func (s *Stream) settle() {
	if _, failed := s.watcher.Failure(); failed || s.fault() != nil {
		s.atEnd = true
	} else if s.watcher.Ended() && s.watcher.Complete() {
		s.crossing.End(s.watcher.Usage())
	}
}

// fault is why a stream cannot go on, although the upstream's does: there is more
// of it than an answer may have, or a translation makes no sense of it.
func (s *Stream) fault() *translate.Error {
	switch {
	case s.crossing == nil && s.watcher.Unfinished() > maxHeldEvent:
		return &translate.Error{Message: "the upstream sent an event that is too long"}
	case s.crossing == nil && s.seen > maxStream:
		return &translate.Error{Message: "the answer is larger than 256 MiB"}
	case s.crossing == nil:
		return nil
	case s.seen > maxAnswer:
		return &translate.Error{Message: "the answer is larger than 64 MiB"}
	}
	return s.crossing.Broken()
}

// endCrossed ends a translation whose upstream said all there was to say.
func (s *Stream) endCrossed() ([]byte, error) {
	s.crossing.End(s.watcher.Usage())
	if out := s.crossing.Take(); len(out) > 0 {
		return out, nil
	}
	return nil, io.EOF
}

// failCrossed ends a translation with the error of the client's protocol.
func (s *Stream) failCrossed() ([]byte, error) {
	s.crossing.Fail(s.failure.ofStream())
	return s.crossing.Take(), nil
}
