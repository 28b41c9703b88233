package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
)

// bufferSize bounds a line of an answer's head and the piece of a body that is
// handed on at once. Thousands of connections are open in some runs, but a
// connection touches only the pages that it fills.
const bufferSize = 16 << 10

var (
	errNoAnswer = errors.New("connection closed before the answer")
	errLongLine = errors.New("line longer than the buffer")
)

// head is what of an answer's head decides how to go on.
type head struct {
	status  int
	length  int64 // of the body; -1 when the head does not tell
	chunked bool
	close   bool // the connection serves no further request
}

// reader reads HTTP/1.1 answers from one connection. It exists because
// net/http's client would cost more CPU than the servers under test: it
// allocates nothing per answer and keeps no header that it does not need.
type reader struct {
	src  io.Reader
	buf  []byte
	r, w int // buf[r:w] has arrived and is not consumed
}

func newReader(src io.Reader) *reader {
	return &reader{src: src, buf: make([]byte, bufferSize)}
}

// reset makes r read from a new connection.
func (r *reader) reset(src io.Reader) {
	r.src, r.r, r.w = src, 0, 0
}

// answer reads one final answer and hands the pieces of its body to body, each
// valid only during the call. An error leaves the connection unusable.
func (r *reader) answer(body func([]byte)) (head, error) {
	for {
		h, err := r.head()
		if err != nil {
			return h, err
		}
		if h.status >= 200 {
			return h, r.body(&h, body)
		}
		if h.status == 101 {
			return h, errors.New("reading head: unwanted 101")
		}
	}
}

// head reads up to and including the empty line.
func (r *reader) head() (head, error) {
	if r.r == r.w {
		if err := r.fill(); errors.Is(err, io.EOF) {
			return head{}, errNoAnswer
		} else if err != nil {
			return head{}, err
		}
	}
	line, err := r.line()
	if err != nil {
		return head{}, fmt.Errorf("reading status line: %w", err)
	}
	h, err := parseStatusLine(line)
	if err != nil {
		return head{}, err
	}
	for {
		line, err := r.line()
		if err != nil {
			return h, fmt.Errorf("reading head: %w", err)
		}
		if len(line) == 0 {
			return h, nil
		}
		if err := h.field(line); err != nil {
			return h, err
		}
	}
}

// parseStatusLine reads "HTTP/1.1 200 OK".
func parseStatusLine(line []byte) (head, error) {
	rest, ok := bytes.CutPrefix(line, []byte("HTTP/1.1 "))
	digits, _, _ := bytes.Cut(rest, []byte(" "))
	status, err := parseNumber(digits, 10)
	if !ok || err != nil || len(digits) != 3 || status < 100 {
		return head{}, fmt.Errorf("reading status line: %.40q is none", line)
	}
	return head{status: int(status), length: -1}, nil
}

// field takes from one header field what frames the body.
func (h *head) field(line []byte) error {
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok {
		return fmt.Errorf("reading head: %.40q is no field", line)
	}
	value = bytes.TrimSpace(value)
	switch len(name) {
	case len("Connection"):
		if bytes.EqualFold(name, []byte("Connection")) && bytes.EqualFold(value, []byte("close")) {
			h.close = true
		}
	case len("Content-Length"):
		if !bytes.EqualFold(name, []byte("Content-Length")) {
			return nil
		}
		n, err := parseNumber(value, 10)
		if err != nil || h.length >= 0 && h.length != n {
			return fmt.Errorf("reading head: bad Content-Length %.40q", value)
		}
		h.length = n
	case len("Transfer-Encoding"):
		if !bytes.EqualFold(name, []byte("Transfer-Encoding")) {
			return nil
		}
		if !bytes.EqualFold(value, []byte("chunked")) {
			return fmt.Errorf("reading head: Transfer-Encoding %.40q", value)
		}
		h.chunked = true
	}
	return nil
}

// body reads what follows a head (RFC 9112, section 6.3).
func (r *reader) body(h *head, body func([]byte)) error {
	switch {
	case h.status == 204 || h.status == 304:
		return nil
	case h.chunked:
		return r.chunks(body)
	case h.length >= 0:
		return r.content(h.length, body)
	}
	h.close = true
	for {
		if err := r.content(int64(r.w-r.r), body); err != nil {
			return err
		}
		if err := r.fill(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading body: %w", err)
		}
	}
}

// chunks reads a chunked body with its trailers.
func (r *reader) chunks(body func([]byte)) error {
	for {
		line, err := r.line()
		if err != nil {
			return fmt.Errorf("reading chunk size: %w", err)
		}
		size, _, _ := bytes.Cut(line, []byte(";"))
		n, err := parseNumber(bytes.TrimRight(size, " \t"), 16)
		if err != nil {
			return fmt.Errorf("reading chunk size: %w", err)
		}
		if n == 0 {
			break
		}
		if err := r.content(n, body); err != nil {
			return err
		}
		if line, err = r.line(); err != nil {
			return fmt.Errorf("reading chunk end: %w", err)
		} else if len(line) > 0 {
			return fmt.Errorf("reading chunk end: %.40q follows the chunk", line)
		}
	}
	for {
		if line, err := r.line(); err != nil {
			return fmt.Errorf("reading trailers: %w", err)
		} else if len(line) == 0 {
			return nil
		}
	}
}

// content hands on exactly n bytes.
func (r *reader) content(n int64, body func([]byte)) error {
	for n > 0 {
		if r.r == r.w {
			if err := r.fill(); err != nil {
				return fmt.Errorf("reading body: %w", unexpected(err))
			}
		}
		piece := r.buf[r.r:r.w]
		if int64(len(piece)) > n {
			piece = piece[:n]
		}
		body(piece)
		r.r += len(piece)
		n -= int64(len(piece))
	}
	return nil
}

// line consumes a line and returns it without its end; it is valid until the
// next read.
func (r *reader) line() ([]byte, error) {
	searched := 0
	for {
		if i := bytes.IndexByte(r.buf[r.r+searched:r.w], '\n'); i >= 0 {
			line := r.buf[r.r : r.r+searched+i]
			r.r += len(line) + 1
			return bytes.TrimSuffix(line, []byte("\r")), nil
		}
		searched = r.w - r.r
		if err := r.fill(); err != nil {
			return nil, unexpected(err)
		}
	}
}

// fill reads once from the connection and keeps what is not consumed.
func (r *reader) fill() error {
	if r.r == r.w {
		r.r, r.w = 0, 0
	} else if r.w == len(r.buf) {
		if r.r == 0 {
			return errLongLine
		}
		r.w = copy(r.buf, r.buf[r.r:r.w])
		r.r = 0
	}
	n, err := r.src.Read(r.buf[r.w:])
	r.w += n
	if n > 0 {
		return nil // an error beside data comes again with the next read
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

// unexpected names an end of input that comes inside an answer.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parseNumber reads the digits of a status, a length or a chunk size; unlike
// strconv it takes bytes, and neither signs nor underscores.
func parseNumber(digits []byte, base int64) (int64, error) {
	if len(digits) == 0 {
		return 0, errors.New("number without digits")
	}
	var n int64
	for _, c := range digits {
		d := int64(math.MaxInt64)
		switch {
		case '0' <= c && c <= '9':
			d = int64(c - '0')
		case 'a' <= c && c <= 'f':
			d = int64(c-'a') + 10
		case 'A' <= c && c <= 'F':
			d = int64(c-'A') + 10
		}
		if d >= base {
			return 0, fmt.Errorf("%.40q is no number", digits)
		}
		if n > (math.MaxInt64-d)/base {
			return 0, fmt.Errorf("%.40q is too large", digits)
		}
		n = n*base + d
	}
	return n, nil
}
