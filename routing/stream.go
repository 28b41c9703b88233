package routing

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/keys"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
)

// Stream is an event stream that has shown content, so the client may see it.
// Its bytes are the upstream's, untouched; beside them it keeps count of usage
// and knows by the protocol, not by EOF, whether the stream was whole.
//
// It is used by one goroutine. Close must be called.
type Stream struct {
	protocol translate.Protocol
	ctx      context.Context
	cancel   context.CancelCauseFunc
	deadline *deadline
	body     io.ReadCloser
	key      *keys.Key
	watcher  *translate.Watcher
	crossing *crossing.Stream // nil where client and upstream speak the same protocol
	buffer   *[]byte
	buffers  *sync.Pool    // where buffer is from
	seen     int           // bytes read
	came     time.Time     // when what held its first content had been read
	held     []byte        // read before the first content, not yet passed on
	rest     []byte        // the start of an event whose end has not been read yet
	alive    int           // of the watcher, when the deadline last heard of it
	grace    time.Duration // the wait for the end that the timer now bounds; 0: the model still writes
	sniffed  bool          // the first bytes were those of an event stream
	lent     bool          // a client's connection may still read the buffer
	atEnd    bool
	settled  bool // whole events said how the stream ends
	readErr  error
	judged   bool
	failure  *failure
}

// streamBuffer is how much is read at once. Two thousand open streams hold
// one each, so it is small; a busy stream's events coalesce in it.
const streamBuffer = 8 << 10

// maxHeldBack is how much of an event is held back until the rest of it has come.
// The last event of a response repeats all of it; images are longer.
const maxHeldBack = 256 << 10

var streamBuffers = sync.Pool{New: func() any { b := make([]byte, streamBuffer); return &b }}

var watchers = sync.Pool{New: func() any { return new(translate.Watcher) }}

// How long a stream may stay open after its model has finished.
const (
	// finishGrace is the wait for the terminal event and usage after the
	// model said why it stopped.
	finishGrace = 2 * time.Second
	// endGrace is the wait for EOF after the terminal event, so that the
	// connection can be used again. The client waits along, since its response
	// ends only then; an upstream that means to end does so in the same breath.
	endGrace = 100 * time.Millisecond
)

// openStream reads a stream up to its first content event. Until then nothing
// is committed and every fault is a failure that another route can mend.
func openStream(ctx context.Context, cancel context.CancelCauseFunc, deadline *deadline, q *Request, response *http.Response, key *keys.Key) (*Stream, *failure) {
	s := &Stream{
		protocol: q.Protocol,
		ctx:      ctx,
		cancel:   cancel,
		deadline: deadline,
		body:     response.Body,
		key:      key,
		watcher:  watchers.Get().(*translate.Watcher),
		buffers:  &streamBuffers,
	}
	if q.asked != nil {
		s.buffers = &crossingBuffers
		s.crossing = crossing.NewStream(q.asked)
	}
	s.observe(q)
	s.buffer = s.buffers.Get().(*[]byte)
	if f := s.awaitContent(q, response); f != nil {
		s.Close()
		return nil, f
	}
	s.rearm()
	return s, nil
}

// observe lets the watcher see a stream from its beginning.
func (s *Stream) observe(q *Request) {
	s.watcher.Reset(q.Protocol)
	s.watcher.Expect(q.Choices)
	if s.crossing != nil {
		s.watcher.Tap(s.crossing)
	}
}

// awaitContent fills held until the watcher has seen content. In the common
// case the first read holds it, and nothing is copied.
func (s *Stream) awaitContent(q *Request, response *http.Response) *failure {
	for {
		n, err := s.body.Read(*s.buffer)
		s.came = time.Now()
		chunk := (*s.buffer)[:n]
		if !s.sniffed && n > 0 {
			start := append(bytes.TrimLeft(s.held, "\r\n"), chunk...)
			if s.sniffed = len(bytes.TrimSpace(start)) > 0; s.sniffed && !translate.LooksLikeEventStream(start) {
				if f := s.replay(q, response, start); f != nil {
					return f
				}
				continue
			}
		}
		s.watcher.Write(chunk)
		if err == io.EOF {
			s.end()
		}
		// An error event goes first: one that stands before any content must
		// not reach the client, even when content follows in the same read.
		if e, failed := s.watcher.Failure(); failed {
			return reportedFailure(response, e, nil, s.key)
		}
		if e := s.fault(); e != nil {
			return broken(response, e.Message)
		}
		s.seen += n
		if s.hasContent() {
			s.hold(chunk)
			return nil
		}
		s.rearm()
		if err == io.EOF {
			return broken(response, "the stream ended without content")
		}
		if err != nil {
			if cause := context.Cause(s.ctx); cause != nil {
				return cancelled(cause)
			}
			return broken(response, "reading the stream: "+scrub(describe(err), s.key))
		}
		if !s.sniffed || s.crossing == nil {
			s.held = append(s.held, chunk...)
		}
		if unfinished := s.watcher.Unfinished(); s.seen-unfinished > maxHeld || unfinished > maxHeldEvent {
			return broken(response, "the stream sent too much without content")
		}
	}
}

// hasContent reports whether the client has something to see, or will not: an
// upstream may be busy with what a translation cannot show, such as a search.
func (s *Stream) hasContent() bool {
	return s.watcher.Contents() > 0 && (s.crossing == nil || s.crossing.Begun() || s.watcher.Finished())
}

func (s *Stream) hold(chunk []byte) {
	if s.crossing != nil {
		s.held = nil // its translation is held instead
		s.settle()
		return
	}
	if s.held == nil {
		s.held = chunk
		return
	}
	s.held = append(s.held, chunk...)
}

// Next returns the next bytes for the client, valid until the next call, and
// io.EOF after the last ones. When the upstream broke off, the last bytes are
// the protocol's own terminal error: a cut stream never ends like a whole one.
// Failure tells afterwards which it was. Another error means that the client
// is gone.
func (s *Stream) Next() ([]byte, error) {
	if s.crossing != nil {
		return s.nextCrossed()
	}
	for !s.atEnd || len(s.held) > 0 {
		data := s.held
		if len(data) > 0 {
			s.held = nil
		} else {
			data = s.read()
		}
		if data = s.wholeEvents(data); len(data) > 0 {
			return s.withoutKey(data), nil
		}
	}
	return s.finish()
}

// read returns what was left of an unfinished event and what comes next.
func (s *Stream) read() []byte {
	if len(s.rest) > len(*s.buffer)/2 {
		// A long event. The buffer stays as large, since where one was there
		// may be more.
		larger := make([]byte, 4*len(s.rest))
		s.rest, s.buffer = larger[:copy(larger, s.rest)], &larger
	}
	buffer := *s.buffer
	left := copy(buffer, s.rest)
	n, err := s.body.Read(buffer[left:])
	s.seen += n
	s.watcher.Write(buffer[left : left+n])
	_, failed := s.watcher.Failure()
	switch {
	case err != nil:
		s.readErr = err
		s.end()
	case s.crossing == nil && (failed || s.fault() != nil):
		s.end()
	default:
		s.rearm()
	}
	if failed {
		// What follows an error, such as the sign of a good end, must not make
		// a client forget it.
		n -= s.watcher.Surplus()
	}
	return buffer[:left+n]
}

// end notes that the upstream has sent all there is.
func (s *Stream) end() {
	_, failed := s.watcher.Failure()
	s.settled = failed || s.watcher.Complete()
	s.watcher.Close()
	s.atEnd = true
}

// wholeEvents cuts data behind its last whole event and keeps the rest for the
// next read, so that a stream that breaks in the middle of an event shows its
// client none of it. An event that is too long for that passes as it comes.
func (s *Stream) wholeEvents(data []byte) []byte {
	unfinished := s.watcher.Unfinished()
	if _, failed := s.watcher.Failure(); failed && s.settled {
		unfinished = 0 // what is behind the error has been cut off
	}
	if unfinished > len(data) || unfinished > maxHeldBack {
		s.rest = nil
		return data
	}
	whole := len(data) - unfinished
	s.rest = data[whole:]
	return data[:whole]
}

// rearm gives the stream its next deadline, if it has earned one: pings and
// empty deltas are no sign of life.
func (s *Stream) rearm() {
	switch {
	case s.watcher.Ended():
		if s.grace != endGrace {
			s.grace = endGrace
			s.deadline.await(endGrace, &errGrace)
		}
	case s.watcher.Finished():
		if s.grace == 0 {
			s.grace = finishGrace
			s.deadline.await(finishGrace, &errGrace)
		}
	case s.watcher.Alive() > s.alive:
		// Another choice may begin after one has finished.
		s.alive, s.grace = s.watcher.Alive(), 0
		s.deadline.showsLife()
	}
}

// withoutKey takes the upstream key out of an error event: providers echo keys
// there, and only there.
func (s *Stream) withoutKey(chunk []byte) []byte {
	if _, failed := s.watcher.Failure(); failed {
		return scrubBytes(chunk, s.key)
	}
	return chunk
}

// finish judges the end of the stream once and returns what still has to be
// said.
func (s *Stream) finish() ([]byte, error) {
	if s.judged {
		return nil, io.EOF
	}
	s.judged = true
	cause := context.Cause(s.ctx)
	if e := s.fault(); e != nil {
		s.failure = &failure{class: Broken, err: *e}
		return s.fail()
	}
	if s.watcher.Complete() {
		if s.crossing != nil {
			return s.endCrossed()
		}
		return s.last()
	}
	if e, failed := s.watcher.Failure(); failed {
		scrubError(&e, s.key)
		s.failure = &failure{class: Classify(http.StatusOK, e), status: http.StatusOK, err: e}
		if s.crossing != nil {
			return s.failCrossed()
		}
		if !s.watcher.FailureTold() {
			return s.fail()
		}
		// The upstream's own error event has passed; nothing to add.
		return s.last()
	}
	s.failure = s.breakage(cause)
	if s.failure.class == ClientGone {
		return nil, cause
	}
	return s.fail()
}

// fail ends the stream with the error of the client's protocol.
func (s *Stream) fail() ([]byte, error) {
	if s.crossing != nil {
		return s.failCrossed()
	}
	if len(s.rest) > 0 {
		s.watcher.DropUnfinished()
	}
	return s.watcher.AppendStreamError(nil, s.failure.ofStream()), nil
}

// ofStream is the failure as the stream's last event tells it.
func (f *failure) ofStream() *translate.Error {
	return &translate.Error{Status: f.class.statusFor(f.standsFor()), Type: f.err.Type, Code: f.err.Code, Message: f.message()}
}

// breakage tells why a stream ended before its time, cause being that of its
// context.
func (s *Stream) breakage(cause error) *failure {
	switch {
	case cause != nil:
		return cancelled(cause)
	case s.readErr != nil && s.readErr != io.EOF:
		return &failure{
			class:  Broken,
			err:    translate.Error{Message: "the upstream connection broke"},
			detail: "the upstream connection broke: " + scrub(describe(s.readErr), s.key),
		}
	}
	return &failure{class: Broken, err: translate.Error{Message: "the upstream stream was cut short"}}
}

// last returns what stands behind the last whole event, unless it is a part of
// one. Where that is the event which says how the stream ends, and it lacks the
// empty line after it, it gets one: the watcher understood it all the same;
// clients would not, and learn neither of success nor of failure.
func (s *Stream) last() ([]byte, error) {
	if s.watcher.Torn() {
		return nil, io.EOF
	}
	end := append([]byte(nil), s.rest...)
	if !s.settled {
		end = s.watcher.AppendEventEnd(end)
	}
	if len(end) == 0 {
		return nil, io.EOF
	}
	return s.withoutKey(end), nil
}

// Failure tells why the stream did not end whole; ok is false when it did, or
// has not ended.
func (s *Stream) Failure() (class Class, reason string, ok bool) {
	if s.failure == nil {
		return "", "", false
	}
	return s.failure.class, s.failure.reason(), true
}

// Usage is what the upstream has counted so far. Not to be called after Close.
func (s *Stream) Usage() (translate.Usage, bool) { return s.watcher.Usage() }

// Contents is how many pieces of content the upstream has sent so far. Not to be
// called after Close.
func (s *Stream) Contents() int { return s.watcher.Contents() }

// KeepMemory says that what Next returned last may still be read after Close: an
// HTTP/2 server whose client leaves in the middle of a write returns from it
// before the bytes are out of use. They must not become another client's then.
func (s *Stream) KeepMemory() { s.lent = true }

// Close ends the upstream call and gives the stream's memory back.
func (s *Stream) Close() {
	s.deadline.stop()
	s.cancel(nil)
	s.body.Close()
	s.watcher.Tap(nil) // or the answer would be kept with it
	watchers.Put(s.watcher)
	if !s.lent && len(*s.buffer) <= streamBuffer {
		s.buffers.Put(s.buffer)
	}
	s.watcher, s.buffer, s.held, s.rest = nil, nil, nil, nil
}
