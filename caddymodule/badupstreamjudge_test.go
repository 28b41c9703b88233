package caddymodule

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// sseEvent is an event as the rules for event streams say.
type sseEvent struct{ Event, Data string }

// sseEvents reads a stream by the WHATWG's rules, as browsers do.
func sseEvents(stream string) (events []sseEvent) {
	stream = strings.TrimPrefix(stream, "\ufeff")
	if !utf8.ValidString(stream) {
		stream = string([]rune(stream)) // U+FFFD for each byte that is no part of a character
	}
	if strings.Contains(stream, "\r") {
		stream = strings.ReplaceAll(strings.ReplaceAll(stream, "\r\n", "\n"), "\r", "\n")
	}
	var event sseEvent
	var data []string
	for line := range strings.Lines(stream) {
		line, ended := strings.CutSuffix(line, "\n")
		if !ended {
			break
		}
		if line == "" {
			if len(data) > 0 {
				event.Data = strings.Join(data, "\n")
				if event.Event == "" {
					event.Event = "message"
				}
				events = append(events, event)
			}
			event, data = sseEvent{}, nil
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			event.Event = value
		case "data":
			data = append(data, value)
		}
	}
	return events
}

// seen is what a strict client of a protocol makes of a stream.
func (tr *trial) seen(t *testing.T, stream string) view {
	t.Helper()
	var seen view
	var said strings.Builder // 100,000 texts, joined one by one, take half a minute under -race
	events := sseEvents(stream)
	for i, e := range events {
		last := i == len(events)-1
		if e.Data == "[DONE]" && tr.client.name == "chat" {
			seen.finished = true
			if !last && tr.crossed() {
				t.Errorf("events follow [DONE]: %v", events[i+1:])
			}
			break // clients stop here
		}
		var object map[string]any
		if err := json.Unmarshal([]byte(e.Data), &object); err != nil {
			if tr.crossed() {
				t.Errorf("an event of the gateway's own is no JSON: %q", e.Data)
			}
			continue
		}
		if e.Event == "message" && !tr.crossed() {
			e.Event = textAt(object, "type") // an upstream that names no events is passed on as it is
		}
		failed := seen.failed
		tr.client.event(&seen, e.Event, object)
		said.WriteString(seen.text)
		seen.text = ""
		seen.finished = seen.finished || e.Event == "response.incomplete"
		if seen.failed && !failed && !last {
			t.Errorf("events follow an error: %v", events[i+1:])
		}
	}
	seen.text = said.String()
	return seen
}

// text is what a client of a protocol reads before the first end.
func (d dialect) text(stream string) string {
	var seen view
	var said strings.Builder
	for _, e := range sseEvents(stream) {
		var object map[string]any
		if json.Unmarshal([]byte(e.Data), &object) == nil && !seen.failed {
			d.event(&seen, e.Event, object)
			said.WriteString(seen.text)
			seen.text = ""
		}
		if e.Data == "[DONE]" {
			break
		}
	}
	return said.String()
}

// says is the text of a case's stream.
func (c *badUpstream) says(wire dialect) string {
	if !c.read {
		c.read, c.text = true, wire.text(c.bytes+"\n\n")
	}
	return c.text
}

// wellFormed is invariant I5: a success or an error, in the client's protocol. It
// returns what the client sees of a stream.
func (tr *trial) wellFormed(t *testing.T, got response) (seen view) {
	t.Helper()
	switch {
	case got.err != nil:
		t.Errorf("the answer broke off: %v", got.err)
	case got.status != 200:
		if !slices.Contains([]int{400, 404, 422, 429, 502, 503, 504, 529}, got.status) {
			t.Errorf("status %d: %s", got.status, got.body)
		}
		if got.status >= 500 || tr.crossed() {
			got.wantError(t, tr.client.protocol(), got.status, true)
		} else if text(t, members(t, string(members(t, got.body)["error"]))["message"]) == "" {
			// The provider's own words, which may lack what its protocol has.
			t.Errorf("the error has no message: %s", got.body)
		}
	case tr.stream:
		if kind := got.header.Get("Content-Type"); kind != "text/event-stream" {
			t.Errorf("Content-Type of a stream = %q", kind)
		}
		if seen = tr.seen(t, got.body); seen.finished == seen.failed && tr.client.name != "chat" || !seen.finished && !seen.failed {
			t.Errorf("the client sees %+v, want either a good end or an error: %.2000q", seen, got.body)
		}
	default:
		if kind := got.header.Get("Content-Type"); kind != "application/json" {
			t.Errorf("Content-Type of an answer = %q", kind)
		}
		root := members(t, got.body)
		if list := map[string]string{"chat": "choices", "messages": "content", "responses": "output"}[tr.client.name]; !strings.HasPrefix(string(root[list]), "[") {
			t.Errorf("%s = %.100s, want a list: %.500s", list, root[list], got.body)
		}
	}
	return seen
}

// badUpstreamOutcome is what we make of a case that leaves it open: in the
// protocol of the upstream, and translated. Bytes that a client of the same
// protocol can judge for itself pass untouched; a translation has to understand
// them.
var badUpstreamOutcome = map[string][2]string{
	"valid gzip body although we sent identity":               {"first", "first"}, // unpacked
	"200,000 x 103 Early Hints before 200 (net/http accepts)": {"first", "first"},
	"h2: GOAWAY with in-flight streams":                       {"first", "first"}, // the refused stream is asked again
	"h2: SETTINGS_MAX_CONCURRENT_STREAMS=1":                   {"first", "first"}, // they queue or get a connection each
	"two JSON documents":                                      {"next", "next"},
	"duplicate keys content":                                  {"first", "first"},
	"invalid UTF-8 in data":                                   {"first", "next"}, // it is no JSON
	"invalid JSON in the first event":                         {"first", "next"},
	"tool call index negative / missing":                      {"first", "first"},
	"choice index 5 only":                                     {"first", "first"},
	"two message_start":                                       {"first", "first"},
}

// badUpstreamSays is a part of what clients read, by case and protocol. Where
// there is none the bytes are the upstream's: names of deployments, arguments
// that are no text and negative counts among them.
var badUpstreamSays = map[string]map[string]string{
	"tool_calls arguments is object instead of string": {"chat": `"arguments":{"a":1}`, "messages": `"input":{"a":1}`, "responses": `"arguments":"{\"a\":1}"`},
	"finish_reason content_filter":                     {"messages": `"stop_reason":"refusal"`, "responses": `"incomplete_details":{"reason":"content_filter"}`},
	"usage negative":                                   {"messages": `"output_tokens":0}`, "responses": `"output_tokens":0`},
	"model echoes upstream deployment name":            {"chat": `"internal-deployment-42"`},
	"\\u0000 in content":                               {"messages": `he\u0000llo`, "responses": `he\u0000llo`},
	"response.incomplete max_output_tokens":            {"chat": `"finish_reason":"length"`, "messages": `"stop_reason":"max_tokens"`},
	"tool call without id":                             {"messages": `"type":"tool_use","id":"`, "responses": `"call_id":"`},
	"usage output_tokens negative":                     {"responses": `"output_tokens":0`},
}

// expected are the outcomes that a trial may have.
func (tr *trial) expected() []string {
	open, ok := badUpstreamOutcome[tr.Name]
	var want string
	switch complete := string(tr.Expected.StreamComplete); {
	case tr.expectsNext() && tr.alone:
		want = "error"
	case tr.expectsNext():
		want = "next"
	case ok && !tr.crossed():
		want = open[0]
	case ok:
		want = open[1]
	case complete == "true" || slices.Contains(tr.Expected.ClientStatus, 200) || tr.Expected.SSEEvents != nil && complete == "":
		want = "first"
	case complete == "false":
		want = "broken"
	default:
		want = "error"
	}
	if want == "first" && !tr.stream && tr.contentType() == "text/event-stream" {
		// It may be turned into a whole answer, or be a failure.
		return []string{"first", "next"}
	}
	return []string{want}
}

// statuses are those that an error may have.
func (tr *trial) statuses() []int {
	switch {
	case len(tr.Expected.ClientStatus) > 0:
		return tr.Expected.ClientStatus
	case strings.HasPrefix(tr.Name, "429"), strings.Contains(tr.bytes, "rate_limit_exceeded"), strings.Contains(tr.bytes, `"code":429`):
		return []int{429}
	case strings.HasPrefix(tr.Name, "404"):
		return []int{404}
	case tr.client.name == "messages" && strings.Contains(tr.bytes, "overloaded_error"):
		return []int{529}
	}
	return []int{502, 503, 504}
}

// asExpected compares an answer with what the case says, and returns in a word
// what it was: the first route's, whole or with an error at its end; the next
// one's; or an error.
func (tr *trial) asExpected(t *testing.T, got response, seen view) (outcome string) {
	switch {
	case got.status != 200:
		outcome = "error"
		if !slices.Contains(tr.statuses(), got.status) {
			t.Errorf("status %d, want one of %v: %s", got.status, tr.statuses(), got.body)
		}
	case got.header.Get("Llm-Proxy-Provider") == "spare":
		outcome = "next"
		if seen.text != "other" && !strings.Contains(got.body, `"other"`) {
			t.Errorf("the next route's answer is %q", got.body)
		}
	case seen.failed:
		outcome = "broken"
	default:
		outcome = "first"
	}
	if want := tr.expected(); !slices.Contains(want, outcome) {
		t.Errorf("outcome %q, want %q: status %d, %.1000q", outcome, want, got.status, got.body)
	}
	if outcome == "first" || outcome == "broken" {
		tr.saysWhatCame(t, got, seen)
	}
	return outcome
}

// saysWhatCame compares what the client reads with what the upstream wrote.
func (tr *trial) saysWhatCame(t *testing.T, got response, seen view) {
	if coding := got.header.Get("Content-Encoding"); coding != "" {
		t.Errorf("Content-Encoding = %q", coding)
	}
	if says := badUpstreamSays[tr.Name][tr.client.name]; tr.stream == (tr.Layer == "sse") && !strings.Contains(got.body, says) {
		t.Errorf("no %s in %.2000q", says, got.body)
	}
	if tr.crossed() && (strings.Contains(got.body, `"id":""`) || strings.Contains(got.body, `"call_id":""`)) {
		t.Errorf("something has no id: %.2000q", got.body)
	}
	if tr.Layer != "sse" {
		return
	}
	events := sseEvents(got.body)
	if tr.crossed() {
		if n := terminals(events); n != 1 {
			t.Errorf("%d events end the stream: %.2000q", n, got.body)
		}
	} else if want := tr.Expected.SSEEvents; len(want) > 0 && (len(events) < len(want) || !slices.Equal(events[:len(want)], want)) {
		t.Errorf("events = %q, want %q", events, want)
	}
	if tr.Name == "choice index 5 only" && tr.crossed() {
		return // nobody asked for a sixth answer, so none is read
	}
	if want := tr.says(tr.wire); seen.text != want && !(seen.failed && strings.HasPrefix(want, seen.text)) {
		t.Errorf("the client reads %.200q (%d bytes), the upstream wrote %.200q (%d bytes)", seen.text, len(seen.text), want, len(want))
	}
	if want := tr.Expected.Usage; want != nil {
		if in, out := usageIn(events); in != want[0] || out != want[1] {
			t.Errorf("usage = %d and %d, want %v", in, out, want)
		}
	}
}

// terminals counts the events that end a stream.
func terminals(events []sseEvent) (n int) {
	for _, e := range events {
		switch {
		case e.Data == "[DONE]", e.Event == "message_stop", e.Event == "error",
			e.Event == "response.completed", e.Event == "response.incomplete", e.Event == "response.failed",
			e.Event == "message" && strings.HasPrefix(e.Data, `{"error":`):
			n++
		}
	}
	return n
}

// usageIn is the last usage that a stream tells of, in any protocol.
func usageIn(events []sseEvent) (in, out int64) {
	type usage struct {
		PromptTokens     *int64 `json:"prompt_tokens"`
		InputTokens      *int64 `json:"input_tokens"`
		CompletionTokens *int64 `json:"completion_tokens"`
		OutputTokens     *int64 `json:"output_tokens"`
	}
	for _, e := range events {
		var holders struct {
			Usage             usage
			Message, Response struct{ Usage usage }
		}
		if json.Unmarshal([]byte(e.Data), &holders) != nil {
			continue
		}
		for _, u := range []usage{holders.Usage, holders.Message.Usage, holders.Response.Usage} {
			for _, n := range []*int64{u.PromptTokens, u.InputTokens} {
				if n != nil {
					in = *n
				}
			}
			for _, n := range []*int64{u.CompletionTokens, u.OutputTokens} {
				if n != nil {
					out = *n
				}
			}
		}
	}
	return in, out
}
