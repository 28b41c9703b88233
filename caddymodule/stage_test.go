package caddymodule

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// stage plays the cases of bad upstreams. Whoever asks below a path of its own,
// the name of a trial, gets the bytes of that trial's case.
type stage struct {
	t      *testing.T
	url    string
	trials map[string]*trial
	canary string // the port that redirects point to

	mu    sync.Mutex
	calls map[string]int // by trial
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t, trials: make(map[string]*trial), calls: make(map[string]int)}
	s.url = "http://" + listen(t, func(conn net.Conn) { s.attend(conn.(*net.TCPConn)) })
	return s
}

// attend answers the requests of a connection as long as the cases let it live.
func (s *stage) attend(conn *net.TCPConn) {
	reader := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		if tr := s.note(r.URL.Path); tr == nil || !s.play(conn, tr) {
			return
		}
	}
}

// note counts a call.
func (s *stage) note(path string) *trial {
	name, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[name]++
	return s.trials[name]
}

func (s *stage) callsOf(tr *trial) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[tr.name]
}

// delivery is how the bytes of a case come.
type delivery struct {
	Chunks       string // whole, bytewise
	SplitAt      []int  `json:"split_at"`
	SplitBetween string `json:"split_between"`
	PauseMS      int    `json:"pause_ms"`
	Then         string // fin, rst, hang
	Listen       *bool
	TLS          bool
	H2           string
	Repeat       string // forever
	RepeatTail   string `json:"repeat_tail"`
	GapMS        int    `json:"gap_ms"`
}

// cut divides a payload as its delivery says.
func (d *delivery) cut(payload string) (parts []string) {
	switch {
	case d.Chunks == "bytewise":
		return strings.Split(payload, "")
	case d.SplitBetween != "":
		first := d.SplitBetween[:1]
		return strings.SplitAfter(payload, first)
	}
	from := 0
	for _, to := range d.SplitAt {
		parts = append(parts, payload[from:to])
		from = to
	}
	return append(parts, payload[from:])
}

// play answers one request; a false result ends the connection.
func (s *stage) play(conn *net.TCPConn, tr *trial) (goOn bool) {
	c, d := tr.badUpstream, tr.Delivery
	write := func(text string) bool {
		_, err := io.Copy(conn, strings.NewReader(text))
		return err == nil
	}
	body := write
	switch {
	case c.Layer == "http-response-raw":
		return s.playRaw(conn, c)
	case c.Layer == "json-response":
		write(fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n", c.contentType(), len(c.bytes)))
		return write(c.bytes)
	case d.Then == "fin":
		write("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: " + c.contentType() + "\r\n\r\n")
	default:
		write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: " + c.contentType() + "\r\n\r\n")
		body = func(text string) bool {
			if len(text) > 1<<20 {
				return write(fmt.Sprintf("%x\r\n", len(text))) && write(text) && write("\r\n")
			}
			return text == "" || write(fmt.Sprintf("%x\r\n%s\r\n", len(text), text))
		}
	}
	ticker := time.NewTicker(time.Duration(max(d.PauseMS+d.GapMS, 1)) * time.Millisecond)
	defer ticker.Stop()
	for i, part := range d.cut(c.bytes) {
		if i > 0 && d.PauseMS > 0 {
			<-ticker.C
		}
		if i > 0 && tr.came != nil {
			select {
			case <-tr.came:
			case <-time.After(trialFirst + trialIdle): // the gateway has given up
				return false
			}
		}
		if !body(part) {
			return false
		}
	}
	tail := d.RepeatTail
	if d.Repeat == "forever" {
		tail = c.bytes
	}
	for tail != "" {
		<-ticker.C
		if !body(tail) {
			return false
		}
	}
	switch d.Then {
	case "fin":
		return false
	case "hang":
		_, _ = io.Copy(io.Discard, conn) // until the gateway gives up
		return false
	}
	return write("0\r\n\r\n")
}

// playRaw answers with nothing but the bytes of the case.
func (s *stage) playRaw(conn *net.TCPConn, c *badUpstream) bool {
	text := c.bytes
	if len(text) < 1<<10 { // others would be copied
		now := time.Now().UTC()
		text = strings.NewReplacer(
			"NOW+5s", now.Add(5*time.Second).Format(http.TimeFormat), "NOW", now.Format(http.TimeFormat), "CANARYPORT", s.canary,
		).Replace(text)
	}
	_, _ = io.Copy(conn, strings.NewReader(text))
	switch c.Delivery.Then {
	case "hang":
		_, _ = io.Copy(io.Discard, conn)
	case "rst":
		_ = conn.SetLinger(0)
	}
	return false
}

// at returns where the provider of a trial is.
func (s *stage) at(tr *trial) string {
	d := tr.Delivery
	switch {
	case d.Listen != nil && !*d.Listen:
		return "http://" + closedPort(s.t)
	case d.TLS:
		return "https://" + listen(s.t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	case d.H2 == "rst_before_headers":
		return s.h2(0, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	case d.H2 == "max_streams_1":
		return s.h2(1, func(w http.ResponseWriter, r *http.Request) { _ = plain(tr.wire, "hello", w, r) })
	case d.H2 == "goaway":
		return goingAway(s, tr)
	}
	return s.url
}

// h2 is an HTTP/2 upstream that takes so many streams at once, by default many.
func (s *stage) h2(streams int, handler http.HandlerFunc) string {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		s.note(r.URL.Path)
		handler(w, r)
	}))
	server.EnableHTTP2 = true
	server.Config.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: streams}
	server.StartTLS()
	s.t.Cleanup(server.Close)
	return server.URL
}

// closedPort is an address where nobody listens, and nobody will as long as the test
// runs: a connection goes out from it.
func closedPort(t *testing.T) string {
	t.Helper()
	address := listen(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.LocalAddr().String()
}

// goingAway is an HTTP/2 upstream whose first connection ends with GOAWAY as soon
// as it has two streams: the first is answered, the second was not looked at.
func goingAway(s *stage, tr *trial) string {
	server := httptest.NewUnstartedServer(nil)
	server.EnableHTTP2 = true
	server.StartTLS() // for its certificate
	config := server.TLS.Clone()
	server.Close()
	config.NextProtos = []string{"h2"}
	var connections atomic.Int64
	return "https://" + listen(s.t, func(raw net.Conn) {
		conn := tls.Server(raw, config)
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(conn, preface); err != nil {
			return
		}
		framer := http2.NewFramer(conn, conn)
		framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
		if framer.WriteSettings() != nil {
			return
		}
		leaves := connections.Add(1) == 1
		paths := make(map[uint32]string)
		for {
			frame, err := framer.ReadFrame()
			if err != nil {
				return
			}
			switch f := frame.(type) {
			case *http2.SettingsFrame:
				if !f.IsAck() {
					_ = framer.WriteSettingsAck()
				}
			case *http2.MetaHeadersFrame:
				paths[f.StreamID] = f.PseudoValue("path")
				if leaves && len(paths) == 2 {
					_ = framer.WriteGoAway(1, http2.ErrCodeNo, nil)
					s.note(paths[1])
					writeH2Answer(framer, 1, tr)
				}
			case *http2.DataFrame:
				if !leaves && f.StreamEnded() {
					s.note(paths[f.StreamID])
					writeH2Answer(framer, f.StreamID, tr)
				}
			}
		}
	})
}

// writeH2Answer writes a good answer in frames.
func writeH2Answer(framer *http2.Framer, stream uint32, tr *trial) {
	recorder := httptest.NewRecorder()
	_ = plain(tr.wire, "hello", recorder, httptest.NewRequest(http.MethodPost, "/", strings.NewReader(tr.body())))
	var head strings.Builder
	encoder := hpack.NewEncoder(&head)
	_ = encoder.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
	_ = encoder.WriteField(hpack.HeaderField{Name: "content-type", Value: recorder.Header().Get("Content-Type")})
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: []byte(head.String()), EndHeaders: true})
	_ = framer.WriteData(stream, true, recorder.Body.Bytes())
}

// helloAnswers say "hello" in every protocol.
var helloAnswers = map[string]string{
	"chat":      chatAnswer,
	"messages":  `{"id":"msg_1","type":"message","role":"assistant","model":"up","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":2}}`,
	"responses": `{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"up","output":[{"type":"message","id":"i","role":"assistant","status":"completed","content":[{"type":"output_text","text":"hello","annotations":[]}]}],"usage":{"input_tokens":5,"output_tokens":2,"total_tokens":7}}`,
}

// plain answers well, in the protocol that was asked in.
func plain(d dialect, says string, w http.ResponseWriter, r *http.Request) (model string) {
	var asked struct {
		Model  string
		Stream bool
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		answers(400, `{"error":{"message":"not JSON"}}`)(w, r)
		return ""
	}
	body := helloAnswers[d.name]
	kind := "application/json"
	if asked.Stream {
		body, kind = d.stream, "text/event-stream"
	}
	if says != "hello" {
		body = strings.NewReplacer("hello", says, `"hel"`, `"`+says[:3]+`"`, `"lo"`, `"`+says[3:]+`"`).Replace(body)
	}
	answers(200, body, "Content-Type", kind)(w, r)
	return asked.Model
}

// spare is a good upstream that says "other" and counts who asks it.
type spare struct {
	mu    sync.Mutex
	calls map[string]int // by model
}

// ServeHTTP implements http.Handler.
func (s *spare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, d := range dialects {
		if strings.HasSuffix(d.path, r.URL.Path[len("/v1"):]) {
			model := plain(d, "other", w, r)
			s.mu.Lock()
			s.calls[model]++
			s.mu.Unlock()
		}
	}
}

func (s *spare) callsOf(model string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[model]
}

// hits counts who comes to a place where nobody should.
func hits(t *testing.T) (port string, count *atomic.Int64) {
	count = new(atomic.Int64)
	address := listen(t, func(net.Conn) { count.Add(1) })
	_, port, _ = net.SplitHostPort(address)
	return port, count
}
