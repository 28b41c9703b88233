package translate

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// sseEvent is an event as a browser's EventSource would dispatch it.
type sseEvent struct {
	Event string `json:"event"`
	Data  string `json:"data"`
}

// readEvents returns the events of stream, read in chunks that end at cuts.
// An event that the end of the stream cuts is not among them, as in WHATWG's
// rules.
func readEvents(stream []byte, cuts ...int) []sseEvent {
	var r eventReader
	events := []sseEvent{}
	from := 0
	for _, to := range append(cuts, len(stream)) {
		r.feed(bytes.Clone(stream[from:to]))
		for r.next() {
			e := sseEvent{string(r.name), string([]rune(string(r.data)))}
			if e.Event == "" {
				e.Event = "message"
			}
			events = append(events, e)
		}
		from = to
	}
	return events
}

// badInput is a case of the shared corpus of hostile input.
type badInput struct {
	ID       string `json:"id"`
	Protocol string `json:"protocol"`
	Kind     string `json:"kind"`
	Name     string `json:"name"`
	Payload  struct {
		Enc      string `json:"enc"`
		Data     string `json:"data"`
		Segments []struct {
			Lit string `json:"lit"`
			B64 string `json:"b64"`
			Rep string `json:"rep"`
			N   int    `json:"n"`
		} `json:"segments"`
	} `json:"payload"`
	Expected struct {
		Events       []sseEvent      `json:"sse_events"`
		Complete     json.RawMessage `json:"stream_complete"` // a truth value, or a list of those that are fine
		Fallback     bool            `json:"fallback"`
		Usage        []int64         `json:"usage"`
		ClientStatus []int           `json:"client_status"`
	} `json:"expected"`
}

func (b *badInput) payload(t *testing.T) []byte {
	t.Helper()
	decode := func(s string) []byte {
		decoded, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			t.Fatalf("%s: decoding the payload: %v", b.ID, err)
		}
		return decoded
	}
	switch b.Payload.Enc {
	case "base64":
		return decode(b.Payload.Data)
	case "segments":
		var all []byte
		for _, s := range b.Payload.Segments {
			all = append(all, s.Lit...)
			all = append(all, decode(s.B64)...)
			all = append(all, strings.Repeat(s.Rep, s.N)...)
		}
		return all
	}
	return []byte(b.Payload.Data)
}

// badInputs returns the corpus's cases of some kinds, or skips the test.
func badInputs(t *testing.T, kinds ...string) []badInput {
	t.Helper()
	corpus, err := os.ReadFile("../../shared/reliability/bad_inputs.jsonl")
	if err != nil {
		t.Skipf("the corpus of hostile input is not at hand: %v", err)
	}
	var cases []badInput
	for line := range bytes.Lines(corpus) {
		var c badInput
		if err := json.Unmarshal(line, &c); err == nil && slices.Contains(kinds, c.Kind) {
			cases = append(cases, c)
		}
	}
	if len(cases) == 0 {
		t.Fatalf("the corpus has no case of %v", kinds)
	}
	return cases
}

func TestFramingFollowsTheRules(t *testing.T) {
	n := 0
	for _, c := range badInputs(t, "sse-framing") {
		if c.Expected.Events == nil {
			continue
		}
		n++
		stream := c.payload(t)
		if got := readEvents(stream); !slices.Equal(got, c.Expected.Events) {
			t.Errorf("%s %s: events %q, want %q", c.ID, c.Name, got, c.Expected.Events)
		}
		if got := readEvents(stream, everyByte(string(stream))...); !slices.Equal(got, c.Expected.Events) {
			t.Errorf("%s %s, bytewise: events %q, want %q", c.ID, c.Name, got, c.Expected.Events)
		}
		for cut := range stream {
			if got := readEvents(stream, cut); !slices.Equal(got, c.Expected.Events) {
				t.Fatalf("%s %s, cut at %d: events %q, want %q", c.ID, c.Name, cut, got, c.Expected.Events)
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d cases with exact events", n)
	}
}

func TestHostileStreamsAreJudgedAsExpected(t *testing.T) {
	protocols := map[string]Protocol{"openai_chat": Chat, "sse": Chat, "anthropic_messages": Messages, "openai_responses": Responses}
	for _, c := range badInputs(t, "sse-framing", "sse-semantics") {
		protocol, ok := protocols[c.Protocol]
		if !ok {
			t.Fatalf("%s: unknown protocol %q", c.ID, c.Protocol)
		}
		stream := string(c.payload(t))
		var w Watcher
		got := watch(&w, protocol, stream)
		if want := string(c.Expected.Complete); want == "true" || want == "false" {
			if got.complete != (want == "true") {
				t.Errorf("%s %s: Complete() = %v, want %s", c.ID, c.Name, got.complete, want)
			}
		}
		// A fallback is possible only while there is no content.
		if c.Expected.Fallback && got.contents > 0 {
			t.Errorf("%s %s: Contents() = %d, want 0, so that another route can answer", c.ID, c.Name, got.contents)
		}
		if want := c.Expected.Usage; want != nil && (got.usage.Input != want[0] || got.usage.Output != want[1]) {
			t.Errorf("%s %s: Usage() = %+v, want %v", c.ID, c.Name, got.usage, want)
		}
		if len(stream) > 100_000 {
			continue
		}
		if bytewise := watch(&w, protocol, stream, everyByte(stream)...); bytewise != got {
			t.Errorf("%s %s: bytewise %+v, want %+v", c.ID, c.Name, bytewise, got)
		}
	}
}

func TestHostileAnswersAreJudgedAsExpected(t *testing.T) {
	protocols := map[string]Protocol{"openai_chat": Chat, "anthropic_messages": Messages, "openai_responses": Responses}
	for _, c := range badInputs(t, "up-json") {
		err := CheckAnswer(protocols[c.Protocol], Generate, c.payload(t))
		if c.Expected.Fallback && err == nil {
			t.Errorf("%s %s: CheckAnswer = nil, want an error", c.ID, c.Name)
		}
		if slices.Equal(c.Expected.ClientStatus, []int{200}) && err != nil {
			t.Errorf("%s %s: CheckAnswer = %v, want nil", c.ID, c.Name, err)
		}
	}
}

func TestWhatLooksLikeAnEventStream(t *testing.T) {
	for _, tc := range []struct {
		first string
		want  bool
	}{
		{"", true},
		{"d", true},
		{"data", true},
		{"data:{}", true},
		{"data: {}\n\n", true},
		{"event: message_start\r\n", true},
		{"id: 1\n", true},
		{"retry: 5\n", true},
		{": ping\n\n", true},
		{"\n\n\r\ndata: x", true},
		{"\xEF", true},
		{"\xEF\xBB\xBFdata: x", true},
		{"data\n", true}, // an empty field
		{"{", false},
		{`{"error":"x"}`, false},
		{"<html>", false},
		{"error: x\n", false},
		{"dat: x\n", false},
		{"dat\n", false},
		{"upstream connect error", false},
		{"\x1f\x8b\x08", false},
	} {
		if got := LooksLikeEventStream([]byte(tc.first)); got != tc.want {
			t.Errorf("LooksLikeEventStream(%q) = %v, want %v", tc.first, got, tc.want)
		}
	}
	for _, f := range fixtures(t, "stream") {
		if !LooksLikeEventStream(f.body) || !LooksLikeEventStream(f.body[:1]) {
			t.Errorf("LooksLikeEventStream is false for %s", f.file)
		}
	}
}
