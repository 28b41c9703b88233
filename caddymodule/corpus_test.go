package caddymodule

import (
	"bytes"
	"cmp"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// corpus is the recorded traffic of real providers. It is not part of this
// repository.
const corpus = "../../shared/wire/fixtures"

// recording is one file of the corpus.
type recording struct {
	file  string
	api   string // chat, responses, messages, embeddings, models
	kind  string // request, response, stream, error
	shows string // feature tags
	pair  string // what the files of one exchange share
	// status is what the file came with, 0 where nobody knows.
	status int
	body   []byte
}

// recordings are the files of one kind; without the corpus the test is skipped.
func recordings(t *testing.T, kind string) []recording {
	t.Helper()
	manifest, err := os.ReadFile(filepath.Join(corpus, "MANIFEST.tsv"))
	if err != nil {
		t.Skipf("the recorded traffic is not at hand: %v", err)
	}
	var found []recording
	for _, row := range strings.Split(string(manifest), "\n")[1:] {
		columns := strings.Split(row, "\t")
		if len(columns) < 9 || columns[2] != kind {
			continue
		}
		body, err := os.ReadFile(filepath.Join(corpus, columns[0]))
		if err != nil {
			t.Fatalf("reading a file of the manifest: %v", err)
		}
		status, _ := strconv.Atoi(columns[5])
		found = append(found, recording{
			file: columns[0], api: columns[1], kind: kind, shows: columns[4], pair: columns[8], status: status, body: body,
		})
	}
	if len(found) == 0 {
		t.Fatalf("the manifest has no file of kind %q", kind)
	}
	return found
}

// path is where the gateway serves what was recorded; empty for what it asks
// nobody for. Token counts share a folder with Messages.
func (r recording) path() string {
	switch r.api {
	case "chat":
		return chatPath
	case "responses":
		return "/v1/responses"
	case "embeddings":
		return "/v1/embeddings"
	case "messages":
		if strings.Contains(r.pair, "count_tokens") {
			return "/v1/messages/count_tokens"
		}
		return "/v1/messages"
	}
	return ""
}

// tally counts what a test has seen, by API, for its log.
type tally map[string]int

func (c tally) log(t *testing.T, what string) {
	t.Helper()
	total := 0
	for _, api := range []string{"chat", "responses", "messages", "embeddings", "models"} {
		if n := c[api]; n > 0 {
			t.Logf("%-10s %4d %s", api, n, what)
			total += n
		}
	}
	t.Logf("%-10s %4d %s", "all", total, what)
}

// script is an upstream that says what a test wrote down, or else a good
// answer to what it is asked.
type script struct {
	mu     sync.Mutex
	answer http.Handler
}

// says sets the answer to all requests from now on.
func (s *script) says(answer http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// ServeHTTP implements http.Handler.
func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	if answer == nil {
		answer = goodAnswer(r)
	}
	answer.ServeHTTP(w, r)
}

// scripted is one answer.
type scripted struct {
	status      int    // 200 by default
	contentType string // application/json by default
	// pieces are written and flushed one by one.
	pieces [][]byte
	// abort breaks the connection after the last piece.
	abort bool
}

// ServeHTTP implements http.Handler.
func (a *scripted) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", cmp.Or(a.contentType, "application/json"))
	w.WriteHeader(cmp.Or(a.status, 200))
	controller := http.NewResponseController(w)
	for _, piece := range a.pieces {
		if _, err := w.Write(piece); err != nil {
			return
		}
		if len(a.pieces) > 1 || a.abort {
			_ = controller.Flush()
		}
	}
	if a.abort {
		panic(http.ErrAbortHandler)
	}
}

// goodAnswer is the shortest good answer to a request that a recorder has read.
func goodAnswer(r *http.Request) *scripted {
	var asked struct{ Stream bool }
	if json.NewDecoder(r.Body).Decode(&asked) != nil {
		return &scripted{status: 400, pieces: [][]byte{[]byte(`{"error":{"message":"not JSON"}}`)}}
	}
	path := r.URL.Path
	if asked.Stream {
		return &scripted{contentType: "text/event-stream", pieces: [][]byte{[]byte(goodStreams[path])}}
	}
	return &scripted{pieces: [][]byte{[]byte(goodAnswers[path])}}
}

var goodAnswers = map[string]string{
	chatPath:                    chatAnswer,
	"/v1/responses":             `{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"up","output":[]}`,
	"/v1/messages":              `{"id":"msg_1","type":"message","role":"assistant","model":"up","content":[],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":1}}`,
	"/v1/messages/count_tokens": `{"input_tokens":1}`,
	"/v1/embeddings":            `{"object":"list","data":[],"model":"up"}`,
}

var goodStreams = map[string]string{
	chatPath: chatStream,
	"/v1/responses": `event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":1,"status":"in_progress","model":"up","output":[]}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":1,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"hel"}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":2,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"lo"}

event: response.completed
data: {"type":"response.completed","sequence_number":3,"response":{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"up","output":[]}}

`,
	"/v1/messages": `event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"up","stop_reason":null,"usage":{"input_tokens":1,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hello"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}

event: message_stop
data: {"type":"message_stop"}

`,
}

// goodRequests ask for them; chatRequest is one of them.
var goodRequests = map[string]string{
	chatPath:                    chatRequest,
	"/v1/responses":             `{"model":"m","input":"hi"}`,
	"/v1/messages":              `{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"hi"}]}`,
	"/v1/messages/count_tokens": `{"model":"m","messages":[{"role":"user","content":"hi"}]}`,
	"/v1/embeddings":            `{"model":"m","input":"hi"}`,
}

// streamed is a request that asks for a stream.
func streamed(request string) string { return strings.Replace(request, "{", `{"stream":true,`, 1) }

// corpusGateway serves every model name, at one upstream, by one route.
func corpusGateway(t *testing.T, route string) (*gateway, *upstream, *script) {
	t.Helper()
	s := new(script)
	up := serve(t, s)
	t.Setenv("UP_API_KEY", "upstream-key")
	g := start(t, setup{
		providers: map[string]string{"up": fullProvider("up", up.url, "")},
		models:    map[string]string{"any": model("any", `"aliases": ["*"],`, route)},
		directive: "cooldown 0",
	})
	return g, up, s
}

// memberAt finds the value of a top-level member in a JSON object. It is not
// done with what the gateway uses for it.
func memberAt(t *testing.T, body []byte, name string) (start, end int) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(body))
	if _, err := decoder.Token(); err != nil {
		t.Fatal(err)
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			t.Fatal(err)
		}
		if key == name {
			end = int(decoder.InputOffset())
			start = end - len(value)
			if !bytes.Equal(body[start:end], value) {
				t.Fatalf("the value of %q is not at %d:%d of %s", name, start, end, body)
			}
			return start, end
		}
	}
	t.Fatalf("no member %q in %s", name, body)
	return 0, 0
}

// difference shows where two texts part.
func difference(got, want string) string {
	at := 0
	for at < len(got) && at < len(want) && got[at] == want[at] {
		at++
	}
	from := max(at-40, 0)
	return "byte " + strconv.Itoa(at) + ": got " + strconv.Quote(got[from:min(at+80, len(got))]) + " of " + strconv.Itoa(len(got)) +
		", want " + strconv.Quote(want[from:min(at+80, len(want))]) + " of " + strconv.Itoa(len(want))
}
