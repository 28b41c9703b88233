package caddymodule

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// dialect is a protocol as a client of it sees it: how it asks, and what it
// makes of a stream. It shares no code with the gateway.
type dialect struct {
	name, path, streamed string
	// stream is a small whole stream that says "hello"; other is one that says
	// "other". greeting is what comes before any content, ping a sign of life.
	stream, other, greeting, ping string
	// finishes marks the event that says why the model stopped.
	finishes string
	// event adds what a client learns from one event.
	event func(seen *view, name string, data map[string]any)
}

// view is what a strict client makes of a stream.
type view struct {
	text     string
	finished bool // ends like a success
	failed   bool // ends with an error
	half     bool // the last event was cut
}

// view reads a stream by the rules for event streams: an event counts when the
// empty line after it has come.
func (d dialect) view(stream string) view {
	var seen view
	for {
		event, rest, whole := strings.Cut(stream, "\n\n")
		if !whole {
			seen.half = event != ""
			return seen
		}
		stream = rest
		var name, data string
		for line := range strings.Lines(event) {
			field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
			value = strings.TrimPrefix(value, " ")
			switch field {
			case "event":
				name = value
			case "data":
				data += value
			}
		}
		if data == "[DONE]" {
			seen.finished = true
			continue
		}
		if data == "" || name == "ping" {
			continue
		}
		var object map[string]any
		if err := json.Unmarshal([]byte(data), &object); err != nil {
			seen.failed = true // SDKs stop with an error here
			continue
		}
		d.event(&seen, name, object)
	}
}

// at walks into decoded JSON; nil where there is nothing.
func at(v any, path ...any) any {
	for _, key := range path {
		switch key := key.(type) {
		case string:
			object, _ := v.(map[string]any)
			v = object[key]
		case int:
			list, _ := v.([]any)
			if key >= len(list) {
				return nil
			}
			v = list[key]
		}
	}
	return v
}

func textAt(v any, path ...any) string {
	text, _ := at(v, path...).(string)
	return text
}

var chatDialect = dialect{
	name: "chat", path: chatPath, streamed: chatStreamed,
	stream:   chatStream,
	other:    strings.NewReplacer(`"hel"`, `"oth"`, `"lo"`, `"er"`).Replace(chatStream),
	greeting: chatStream[:strings.Index(chatStream, "\n\n")+2],
	ping:     ": ping\n\n",
	finishes: `"finish_reason":"stop"`,
	event: func(seen *view, _ string, data map[string]any) {
		seen.text += textAt(data, "choices", 0, "delta", "content")
		seen.finished = seen.finished || at(data, "choices", 0, "finish_reason") != nil
		seen.failed = seen.failed || textAt(data, "error", "message") != ""
	},
}

var messagesDialect = dialect{
	name: "messages", path: "/v1/messages",
	streamed: `{"model":"m","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"hi"}]}`,
	stream:   messagesStream,
	other:    strings.NewReplacer(`"hel"`, `"oth"`, `"lo"`, `"er"`).Replace(messagesStream),
	greeting: messagesStream[:strings.Index(messagesStream, "event: content_block_delta")],
	ping:     "event: ping\ndata: {\"type\":\"ping\"}\n\n",
	finishes: `"stop_reason":"end_turn"`,
	event: func(seen *view, name string, data map[string]any) {
		seen.text += textAt(data, "delta", "text")
		seen.finished = seen.finished || name == "message_stop" && textAt(data, "type") == name
		seen.failed = seen.failed || name == "error" && textAt(data, "type") == name &&
			textAt(data, "error", "type") != "" && textAt(data, "error", "message") != ""
	},
}

const messagesStream = `event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"up","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hel"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":2}}

event: message_stop
data: {"type":"message_stop"}

`

var responsesDialect = dialect{
	name: "responses", path: "/v1/responses",
	streamed: `{"model":"m","stream":true,"input":"hi"}`,
	stream:   responsesStream,
	other:    strings.NewReplacer(`"hel"`, `"oth"`, `"lo"`, `"er"`).Replace(responsesStream),
	greeting: responsesStream[:strings.Index(responsesStream, "event: response.output_text.delta")],
	ping:     ": ping\n\n",
	finishes: `"type":"response.completed"`,
	event: func(seen *view, name string, data map[string]any) {
		if name == "response.output_text.delta" {
			seen.text += textAt(data, "delta")
		}
		seen.finished = seen.finished || name == "response.completed" && textAt(data, "response", "status") == "completed"
		seen.failed = seen.failed || name == "response.failed" && textAt(data, "type") == name &&
			textAt(data, "response", "status") == "failed" && textAt(data, "response", "error", "message") != ""
	},
}

const responsesStream = `event: response.created
data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":1,"model":"up","status":"in_progress","output":[]}}

event: response.output_item.added
data: {"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"msg_1","type":"message","role":"assistant","status":"in_progress","content":[]}}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":2,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"hel"}

event: response.output_text.delta
data: {"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"lo"}

event: response.output_text.done
data: {"type":"response.output_text.done","sequence_number":4,"item_id":"msg_1","output_index":0,"content_index":0,"text":"hello"}

event: response.completed
data: {"type":"response.completed","sequence_number":5,"response":{"id":"resp_1","object":"response","created_at":1,"model":"up","status":"completed","output":[],"usage":{"input_tokens":5,"output_tokens":2,"total_tokens":7}}}

`

var dialects = []dialect{chatDialect, messagesDialect, responsesDialect}

// cutting answers with the first bytes of a stream and then ends the connection
// in one of several ways. The Session-Id says how: way-offset.
func cutting(stream string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		way, offset, _ := strings.Cut(r.Header.Get("Session-Id"), "-")
		n, err := strconv.Atoi(offset)
		if err != nil {
			panic(err)
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		head, body := "Connection: close\r\n", stream[:n]
		if way == "chunked" {
			// Without the last chunk: the transport itself sees the cut.
			head = "Transfer-Encoding: chunked\r\n"
			if n > 0 {
				body = fmt.Sprintf("%x\r\n%s\r\n", n, body)
			}
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"+head+"\r\n"+body)
		switch way {
		case "reset":
			_ = conn.(*net.TCPConn).SetLinger(0)
		case "silence":
			_, _ = io.Copy(io.Discard, conn) // until the gateway gives up
		}
	}
}

// Wherever a stream is cut, the client gets either the second route's stream
// whole, or the beginning of the first one's and an error, or what was whole
// already. It never takes half an answer for a whole one, never gets a text
// twice, and after the first content nothing else is asked.
//
// RELIABILITY B2: close-delimited cut; error or cut after content.
func TestAStreamCutAnywhereNeverEndsLikeASuccess(t *testing.T) {
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			a := serve(t, cutting(d.stream))
			b := serve(t, answers(200, d.other, "Content-Type", "text/event-stream"))
			t.Setenv("A_API_KEY", "a-key")
			t.Setenv("B_API_KEY", "b-key")
			g := start(t, setup{
				providers: map[string]string{"a": provider("a", a.url, ""), "b": provider("b", b.url, "")},
				models:    map[string]string{"m": model("m", "", "a/up", "b/up")},
				directive: "cooldown 0\n breaker off\n timeouts {\n first_content 150ms\n idle 100ms\n}",
			})

			type cut struct {
				way    string
				offset int
			}
			cuts := make(chan cut)
			var workers sync.WaitGroup
			var mu sync.Mutex
			outcomes := make(map[string]int)
			for range 8 {
				workers.Go(func() {
					for c := range cuts {
						outcome := d.checkCut(t, g, c.way, c.offset)
						mu.Lock()
						outcomes[outcome]++
						mu.Unlock()
					}
				})
			}
			for n := range len(d.stream) + 1 {
				cuts <- cut{"end", n}
				if n%3 == 0 {
					cuts <- cut{"reset", n}
				}
				if n%5 == 0 {
					cuts <- cut{"chunked", n}
				}
				if n%40 == 0 && n < strings.Index(d.stream, d.finishes) {
					cuts <- cut{"silence", n}
				}
			}
			close(cuts)
			workers.Wait()
			t.Logf("outcomes: %v", outcomes)

			asked := make(map[string][2]int)
			for i, u := range []*upstream{a, b} {
				for _, c := range u.all() {
					id := c.header.Get("Session-Id")
					counts := asked[id]
					counts[i]++
					asked[id] = counts
				}
			}
			for id, n := range asked {
				// A reset may come before the header has been read; a single
				// key is asked again then.
				if n[1] > 1 || n[0] > 1 && !strings.HasPrefix(id, "reset") {
					t.Errorf("%s: %d calls to the first upstream, %d to the second", id, n[0], n[1])
				}
			}
			for _, outcome := range []string{"second route", "error", "whole"} {
				if outcomes[outcome] == 0 {
					t.Errorf("not a single cut ended with %q, so the test tests nothing", outcome)
				}
			}
		})
	}
}

// checkCut asks for a stream that is cut and judges what comes.
func (d dialect) checkCut(t *testing.T, g *gateway, way string, offset int) string {
	id := fmt.Sprintf("%s-%d", way, offset)
	got := g.do(request{path: d.path, body: d.streamed, header: map[string]string{"Session-Id": id}})
	if got.status != 200 || got.err != nil {
		t.Errorf("%s: status %d, error %v; want 200 and a clean end", id, got.status, got.err)
		return "none"
	}
	if got.header.Get("Llm-Proxy-Provider") == "b" {
		if got.body != d.other {
			t.Errorf("%s: the second route's stream is %q", id, got.body)
		}
		return "second route"
	}
	if n := got.header.Get("Llm-Proxy-Attempts"); n != "1" && way != "reset" {
		t.Errorf("%s: %s attempts, but the first one was shown", id, n)
	}
	sent := d.stream[:offset]
	if whole := sent[:strings.LastIndex("\n\n"+sent, "\n\n")]; way != "reset" && !strings.HasPrefix(got.body, whole) {
		t.Errorf("%s: the client got\n%s\nwhich does not begin with the upstream's whole events\n%s", id, got.body, whole)
	}
	seen, upstream := d.view(got.body), d.view(sent+"\n\n")
	switch {
	case seen.half && !seen.finished:
		t.Errorf("%s: the client gets half an event:\n%s", id, got.body)
	case !strings.HasPrefix("hello", seen.text):
		t.Errorf("%s: the text is %q", id, seen.text)
	case seen.finished && !upstream.finished:
		t.Errorf("%s: a cut stream ends like a success:\n%s", id, got.body)
	case seen.failed == (seen.finished && seen.text == "hello"):
		t.Errorf("%s: the client sees %+v, so it learns neither of success nor of failure:\n%s", id, seen, got.body)
	}
	if seen.failed {
		return "error"
	}
	return "whole"
}
