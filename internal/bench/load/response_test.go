package load

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/payload"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// readAll reads one answer and its whole body.
func readAll(r *reader) (head, string, error) {
	var body strings.Builder
	h, err := r.answer(func(p []byte) { body.Write(p) })
	return h, body.String(), err
}

func TestAnswersAreReadHoweverTheyAreFramed(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		status   int
		body     string
		close    bool
	}{
		{"length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello", false},
		{"no reason", "HTTP/1.1 404\r\ncontent-length:2\r\n\r\nno", 404, "no", false},
		{"empty", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", false},
		{"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA ; x=y\r\n, world 10\r\n0\r\n\r\n", 200, "hello, world 10", false},
		{"trailers", "HTTP/1.1 200 OK\r\nTRANSFER-ENCODING: Chunked\r\n\r\n1\r\na\r\n0\r\nX-Usage: 1\r\nX-More: 2\r\n\r\n", 200, "a", false},
		{"bare line ends", "HTTP/1.1 200 OK\nContent-Length: 1\n\na", 200, "a", false},
		{"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", 200, "a", false},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", false},
		{"until close", "HTTP/1.1 200 OK\r\n\r\nall of it", 200, "all of it", true},
		{"close", "HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 1\r\n\r\na", 200, "a", true},
		{"both framings", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 200, "a", false},
	} {
		for kind, src := range map[string]io.Reader{
			"at once":      strings.NewReader(tc.in),
			"byte by byte": iotest.OneByteReader(strings.NewReader(tc.in)),
			"data and EOF": iotest.DataErrReader(strings.NewReader(tc.in)),
		} {
			h, body, err := readAll(newReader(src))
			if err != nil || h.status != tc.status || body != tc.body || h.close != tc.close {
				t.Errorf("%s, %s: answer = %d, %q, close %v, %v, want %d, %q, close %v",
					tc.name, kind, h.status, body, h.close, err, tc.status, tc.body, tc.close)
			}
		}
	}
}

func TestAnswersFollowEachOtherOnAConnection(t *testing.T) {
	long := strings.Repeat("x", 3*bufferSize)
	in := "HTTP/1.1 200 OK\r\nContent-Length: 49152\r\n\r\n" + long +
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc000\r\n" + long + "\r\n0\r\n\r\n" +
		"HTTP/1.1 503 Busy\r\nContent-Length: 1\r\n\r\n!"
	r := newReader(strings.NewReader(in))
	for i, want := range []string{long, long, "!"} {
		if _, body, err := readAll(r); err != nil || body != want {
			t.Fatalf("answer %d = %d bytes, %v, want %d", i, len(body), err, len(want))
		}
	}
	if _, _, err := readAll(r); !errors.Is(err, errNoAnswer) {
		t.Errorf("after the last answer: %v, want %v", err, errNoAnswer)
	}
}

func TestCutAnswersAreErrors(t *testing.T) {
	for _, whole := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
	} {
		for n := range len(whole) {
			if _, body, err := readAll(newReader(strings.NewReader(whole[:n]))); err == nil {
				t.Errorf("answer cut to %q = %q without an error", whole[:n], body)
			}
		}
	}
}

func TestMalformedAnswersAreErrors(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for _, in := range []string{
		"", "\r\n", "HTTP/2 200\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 099 OK\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\n",
		ok + "no field\r\n\r\n",
		ok + "Content-Length: -1\r\n\r\n", ok + "Content-Length: 1_0\r\n\r\n", ok + "Content-Length:\r\n\r\n",
		ok + "Content-Length: 9223372036854775808\r\n\r\n",
		ok + "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
		ok + "Transfer-Encoding: gzip, chunked\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\n\r\nz\r\n", ok + "Transfer-Encoding: chunked\r\n\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\n\r\n8000000000000000\r\n",
		ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
		ok + "X: " + strings.Repeat("x", bufferSize) + "\r\n\r\n",
	} {
		if h, body, err := readAll(newReader(strings.NewReader(in))); err == nil {
			t.Errorf("answer(%.60q) = %d, %q without an error", in, h.status, body)
		}
	}
}

// FuzzAnswer holds the reader against net/http, and against itself when the
// bytes come one by one.
func FuzzAnswer(f *testing.F) {
	for _, in := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
	} {
		f.Add([]byte(in))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		h, body, err := readAll(newReader(bytes.NewReader(in)))
		slowHead, slowBody, slowErr := readAll(newReader(iotest.OneByteReader(bytes.NewReader(in))))
		if h != slowHead || body != slowBody || (err == nil) != (slowErr == nil) {
			t.Fatalf("at once: %+v, %q, %v; byte by byte: %+v, %q, %v", h, body, err, slowHead, slowBody, slowErr)
		}
		status, theirs, theirErr := readWithNetHTTP(in)
		if err == nil && theirErr == nil && (h.status != status || body != theirs) {
			t.Fatalf("answer = %d, %q; net/http = %d, %q", h.status, body, status, theirs)
		}
	})
}

func readWithNetHTTP(in []byte) (int, string, error) {
	src := bufio.NewReader(bytes.NewReader(in))
	for {
		response, err := http.ReadResponse(src, nil)
		if err != nil {
			return 0, "", err
		}
		if response.StatusCode < 200 {
			continue
		}
		body, err := io.ReadAll(response.Body)
		return response.StatusCode, string(body), err
	}
}

// streamedAnswer is what the upstream sends for a stream of 100 words.
func streamedAnswer() []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
	for _, e := range (payload.Answer{Words: 100}).Stream(translate.Chat, "m") {
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(e.Bytes), e.Bytes)
	}
	b.WriteString("0\r\n\r\n")
	return b.Bytes()
}

// The generator must not be the bottleneck: compare with the standard library.
func BenchmarkReadStream(b *testing.B) {
	in := streamedAnswer()
	b.Run("reader", func(b *testing.B) {
		b.ReportAllocs()
		src, answer := bytes.NewReader(in), completeness{}
		r, take := newReader(src), func(p []byte) { answer.add(p) }
		for b.Loop() {
			src.Reset(in)
			answer.reset()
			if _, err := r.answer(take); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("net/http", func(b *testing.B) {
		b.ReportAllocs()
		src := bytes.NewReader(in)
		r := bufio.NewReaderSize(src, bufferSize)
		for b.Loop() {
			src.Reset(in)
			r.Reset(src)
			response, err := http.ReadResponse(r, nil)
			if err != nil {
				b.Fatal(err)
			}
			var answer completeness
			if _, err := io.Copy(&answer, response.Body); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// Write lets a completeness stand at the end of io.Copy.
func (c *completeness) Write(p []byte) (int, error) {
	c.add(p)
	return len(p), nil
}
