package routing

import (
	"bytes"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
)

// Body is a client's request body, read once and then shared by all attempts.
// Its memory is pooled, so it counts its readers: a transport may still be
// sending the body of an attempt that has already been answered, and memory
// that was handed to the next client by then would mix two conversations.
type Body struct {
	bytes []byte
	class int // index into bodyPools; -1: too large to keep
	refs  atomic.Int32
}

// bodySizes are the capacities that are kept for reuse. Agents send 50 to
// 200 KB a turn; anything above 2 MiB is rare enough for the collector.
var bodySizes = [...]int{4 << 10, 32 << 10, 256 << 10, 2 << 20}

var bodyPools [len(bodySizes)]sync.Pool

// NewBody returns an empty body with room for at least size bytes, held once
// by the caller.
func NewBody(size int) *Body {
	for class, capacity := range bodySizes {
		if size > capacity {
			continue
		}
		b, ok := bodyPools[class].Get().(*Body)
		if !ok {
			b = &Body{bytes: make([]byte, 0, capacity), class: class}
		}
		b.refs.Store(1)
		return b
	}
	b := &Body{bytes: make([]byte, 0, size), class: -1}
	b.refs.Store(1)
	return b
}

// Bytes is the body. It must not be changed once an attempt has begun.
func (b *Body) Bytes() []byte { return b.bytes }

// ReadFrom appends everything that r has, growing beyond the pooled capacity
// where it must.
func (b *Body) ReadFrom(r io.Reader) (int64, error) {
	start := len(b.bytes)
	for {
		if err := b.readSome(r); err == io.EOF {
			return int64(len(b.bytes) - start), nil
		} else if err != nil {
			return int64(len(b.bytes) - start), err
		}
	}
}

func (b *Body) readSome(r io.Reader) error {
	if len(b.bytes) < cap(b.bytes) {
		n, err := r.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		return err
	}
	// What is full may be all there is, or all that is allowed: twice the room
	// is only made for a byte that has come.
	var more [512]byte
	n, err := r.Read(more[:])
	if n > 0 {
		b.grow()
		b.bytes = append(b.bytes, more[:n]...)
	}
	return err
}

// grow moves the bytes to the next size class, giving the smaller one back.
func (b *Body) grow() {
	bigger := NewBody(2 * cap(b.bytes))
	bigger.bytes = append(bigger.bytes, b.bytes...)
	b.bytes, bigger.bytes = bigger.bytes, b.bytes
	b.class, bigger.class = bigger.class, b.class
	bigger.Release()
}

// take makes text, which was appended to b's own bytes, the body. It may have
// outgrown b's memory, which is then left to the collector.
func (b *Body) take(text []byte) {
	if cap(text) != cap(b.bytes) {
		b.class = -1
	}
	b.bytes = text
}

func (b *Body) retain() { b.refs.Add(1) }

// Release gives up one hold; the last one returns the memory.
func (b *Body) Release() {
	if b.refs.Add(-1) != 0 || b.class < 0 {
		return
	}
	b.bytes = b.bytes[:0]
	bodyPools[b.class].Put(b)
}

// edit replaces the bytes from start to end of a body by text.
type edit struct {
	start, end int
	text       []byte
}

// smallBody is up to where a request body is copied together. net/http sends a
// body that it knows to be in memory in one write with the headers; for any
// other reader it writes the headers first, which costs small requests more
// than the copy. Its write buffer has 4 KiB.
const smallBody = 3 << 10

// upstreamBody is the client's body with the edits of one attempt. Edits must
// be in order and must not overlap.
func upstreamBody(body *Body, edits []edit) (io.ReadCloser, int64) {
	length := len(body.bytes)
	for _, e := range edits {
		length += len(e.text) - (e.end - e.start)
	}
	if length > smallBody {
		s := newSplice(body, edits)
		return s, s.length
	}
	copied, at := make([]byte, 0, length), 0
	for _, e := range edits {
		copied = append(copied, body.bytes[at:e.start]...)
		copied = append(copied, e.text...)
		at = e.end
	}
	copied = append(copied, body.bytes[at:]...)
	return io.NopCloser(bytes.NewReader(copied)), int64(length)
}

// splice is one attempt's request body: the client's bytes with a few edits,
// never copied together. One sjson.SetBytes on an agent's 120 KB body costs
// more than all the rest of the gateway's work.
type splice struct {
	body     *Body
	segments [][]byte
	room     [7][]byte // for segments: three edits and what lies between them
	length   int64

	// HTTP/2 closes an aborted request's body while another goroutine may be
	// inside Read, so letting the memory go has to wait for that.
	mu     sync.Mutex
	closed bool
}

// newSplice holds body until the splice is closed.
func newSplice(body *Body, edits []edit) *splice {
	s := &splice{body: body}
	s.segments = s.room[:0]
	src, at := body.bytes, 0
	for _, e := range edits {
		s.add(src[at:e.start])
		s.add(e.text)
		at = e.end
	}
	s.add(src[at:])
	body.retain()
	return s
}

func (s *splice) add(segment []byte) {
	if len(segment) == 0 {
		return
	}
	s.segments = append(s.segments, segment)
	s.length += int64(len(segment))
}

// Read implements io.Reader.
func (s *splice) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	n := 0
	for len(s.segments) > 0 && n < len(p) {
		c := copy(p[n:], s.segments[0])
		n += c
		if c < len(s.segments[0]) {
			s.segments[0] = s.segments[0][c:]
			break
		}
		s.segments = s.segments[1:]
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// Close lets the body go. The transport calls it when it has stopped reading,
// which may be after the answer has come; it may call it twice.
func (s *splice) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		s.segments = nil
		s.body.Release()
	}
	return nil
}
