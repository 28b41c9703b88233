package messages

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// recorder tells the events of an answer, one per line.
type recorder struct{ out strings.Builder }

func (r *recorder) Append(dst []byte, e *translate.Event) []byte {
	switch e.Kind {
	case translate.EventStart:
		fmt.Fprintf(&r.out, "start %s\n", e.Model)
	case translate.EventOpen:
		kind := [...]string{translate.KindText: "text", translate.KindRefusal: "refusal", translate.KindThinking: "thinking", translate.KindToolCall: "call"}[e.Head.Kind]
		fmt.Fprintf(&r.out, "%d %s", e.Index, kind)
		if e.Head.Kind == translate.KindToolCall {
			fmt.Fprintf(&r.out, " %s %s", e.Head.ID, e.Head.Name)
		}
		if e.Head.Hidden {
			r.out.WriteString(" hidden")
		}
		r.out.WriteString("\n")
	case translate.EventDelta:
		fmt.Fprintf(&r.out, "%d + %s\n", e.Index, string(e.Text))
	case translate.EventSeal:
		fmt.Fprintf(&r.out, "%d seal %s\n", e.Index, e.Seal)
	case translate.EventCite:
		fmt.Fprintf(&r.out, "%d cite %s %s %s\n", e.Index, e.Citation.URL, e.Citation.Title, e.Citation.CitedText)
	case translate.EventClose:
		fmt.Fprintf(&r.out, "%d end\n", e.Index)
	case translate.EventFailed:
		r.out.WriteString("failed")
	case translate.EventStop:
		reason := [...]string{"", "end", "tool", "sequence", "length", "window", "pause", "filter"}[e.Stop]
		fmt.Fprintf(&r.out, "stop %s %s", reason, e.Sequence)
	}
	return dst
}

// events tells what the decoder finds in a stream, one event a line, or in a
// whole answer.
func events(stream []string, whole string) (found string, losses translate.Losses) {
	var r recorder
	asked := &translate.Asked{Nonce: "nonce"}
	a := translate.NewAssembler(asked, &r)
	d := NewDecoder(a)
	for _, data := range stream {
		d.Event(nil, []byte(data))
	}
	if stream == nil {
		d.Whole([]byte(whole))
	}
	a.End(translate.Usage{}, false)
	return strings.TrimSpace(r.out.String()), asked.Losses
}

// The events of streams, for the tables below.
func start(content string) string {
	return `{"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"claude","content":[` + content + `],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}`
}

func begin(index int, block string) string {
	return fmt.Sprintf(`{"type":"content_block_start","index":%d,"content_block":%s}`, index, block)
}

func delta(index int, kind, field, text string) string {
	return fmt.Sprintf(`{"type":"content_block_delta","index":%d,"delta":{"type":"%s","%s":"%s"}}`, index, kind, field, text)
}

func end(index int) string { return fmt.Sprintf(`{"type":"content_block_stop","index":%d}`, index) }

func stopped(reason string) string {
	return `{"type":"message_delta","delta":{"stop_reason":"` + reason + `","stop_sequence":null},"usage":{"output_tokens":5}}`
}

const over = `{"type":"message_stop"}`

func TestStreamsAreRead(t *testing.T) {
	const empty = `{"type":"text","text":""}`
	for _, tc := range []struct {
		name   string
		stream []string
		want   string
		losses string
	}{
		{
			"text",
			[]string{start(""), begin(0, empty), `{"type":"ping"}`, delta(0, "text_delta", "text", `a\n`), delta(0, "text_delta", "text", "b"), end(0), stopped("end_turn"), over},
			"start claude\n0 text\n0 + a\\n\n0 + b\n0 end\nstop end", "",
		},
		{
			"thinking and a call",
			[]string{
				start(""), begin(0, `{"type":"thinking","thinking":"","signature":""}`), delta(0, "thinking_delta", "thinking", "h"), delta(0, "thinking_delta", "thinking", "m"),
				delta(0, "signature_delta", "signature", "Eq=="), end(0),
				begin(1, `{"type":"tool_use","id":"toolu_1","name":"f","input":{}}`), delta(1, "input_json_delta", "partial_json", ""),
				delta(1, "input_json_delta", "partial_json", `{\"a\"`), delta(1, "input_json_delta", "partial_json", `:1}`), end(1), stopped("tool_use"), over,
			},
			"start claude\n0 thinking\n0 + h\n0 + m\n0 seal {\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"Eq==\"}\n0 end\n" +
				"1 call toolu_1 f\n1 + {\\\"a\\\"\n1 + :1}\n1 end\nstop tool", "",
		},
		{
			"thinking that is not shown",
			[]string{start(""), begin(0, `{"type":"thinking","thinking":"","signature":""}`), delta(0, "signature_delta", "signature", "Eq"), end(0)},
			"start claude\n0 thinking\n0 seal {\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"Eq\"}\n0 end\nstop end", "",
		},
		{
			"redacted thinking",
			[]string{start(""), begin(0, `{"type":"redacted_thinking","data":"Eq"}`), end(0)},
			"start claude\n0 thinking hidden\n0 seal {\"type\":\"redacted_thinking\",\"data\":\"Eq\"}\n0 end\nstop end", "",
		},
		{
			"a call that begins with its input",
			[]string{start(""), begin(0, `{"type":"tool_use","id":"t","name":"f","input":{"a":"b"}}`), delta(0, "input_json_delta", "partial_json", "{}"), end(0)},
			"start claude\n0 call t f\n0 + {\\\"a\\\":\\\"b\\\"}\n0 end\nstop tool", "",
		},
		{
			"a call that begins with its input, and tells another one",
			[]string{start(""), begin(0, `{"type":"tool_use","id":"t","name":"f","input":{"new":1}}`), delta(0, "input_json_delta", "partial_json", ""), delta(0, "input_json_delta", "partial_json", `{\"a\":1}`), end(0)},
			"start claude\n0 call t f\n0 + {\\\"a\\\":1}\n0 end\nstop tool", "",
		},
		{
			"a call that begins with its input, and does not end",
			[]string{start(""), begin(0, `{"type":"tool_use","id":"t","name":"f","input":{"a":1}}`), stopped("tool_use"), over},
			"start claude\n0 call t f\n0 + {\\\"a\\\":1}\n0 end\nstop tool", "",
		},
		{
			"a message that begins filled",
			[]string{`{"type":"message_start","message":{"model":"claude","content":[{"type":"tool_use","id":"t","name":"f","input":{"a":1}}],"stop_reason":"tool_use"}}`, over},
			"start claude\n0 call t f\n0 + {\\\"a\\\":1}\n0 end\nstop tool", "",
		},
		{
			"a second beginning",
			[]string{
				start(""), begin(0, empty), delta(0, "text_delta", "text", "a"), strings.ReplaceAll(start(""), "claude", "other"),
				begin(0, `{"type":"fallback","from":"a","to":"b"}`), end(0), begin(1, empty), delta(1, "text_delta", "text", "b"), end(1), stopped("end_turn"),
			},
			"start claude\n0 text\n0 + a\n0 end\n1 text\n1 + b\n1 end\nstop end", "",
		},
		{
			"a tool of the vendor's",
			[]string{
				start(""), begin(0, `{"type":"server_tool_use","id":"s","name":"web_search","input":{}}`), delta(0, "input_json_delta", "partial_json", `{}`), end(0),
				begin(1, `{"type":"web_search_tool_result","tool_use_id":"s","content":[]}`), end(1), begin(2, `{"type":"text","text":"","citations":[]}`),
				`{"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"https://e.org","title":"E","cited_text":"c","encrypted_index":"x"}}}`,
				delta(2, "text_delta", "text", "found"), end(2), stopped("end_turn"),
			},
			"start claude\n0 text\n0 + found\n0 cite https://e.org E c\n0 end\nstop end", "content.server_tool_use",
		},
		{
			"what is not known yet",
			[]string{start(""), `{"type":"news"}`, begin(0, empty), delta(0, "text_delta", "text", "a"), delta(0, "shape_delta", "text", "x"), end(0), begin(1, `{"type":"novel"}`), end(1)},
			"start claude\n0 text\n0 + a\n0 end\nstop end", "content",
		},
		{
			"without beginnings",
			[]string{start(""), delta(0, "thinking_delta", "thinking", "h"), end(0), delta(1, "text_delta", "text", "a"), delta(1, "input_json_delta", "partial_json", "{}"), end(1)},
			"start claude\n0 thinking\n0 + h\n0 seal {\"type\":\"thinking\",\"thinking\":\"h\",\"signature\":\"\"}\n0 end\n1 text\n1 + a\n1 end\nstop end", "",
		},
		{
			"without indices",
			[]string{
				start(""), `{"type":"content_block_start","content_block":` + empty + `}`, `{"type":"content_block_delta","delta":{"type":"text_delta","text":"a"}}`, `{"type":"content_block_stop"}`,
				`{"type":"content_block_start","content_block":` + empty + `}`, `{"type":"content_block_delta","delta":{"type":"text_delta","text":"b"}}`,
			},
			"start claude\n0 text\n0 + a\n0 end\n1 text\n1 + b\n1 end\nstop end", "",
		},
		{"nothing at all", []string{start(""), stopped("end_turn"), over}, "start claude\nstop end", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, losses := events(tc.stream, "")
			if got != tc.want {
				t.Errorf("events =\n%s, want\n%s", got, tc.want)
			}
			if got := params(losses); got != tc.losses {
				t.Errorf("losses = %q, want %q", got, tc.losses)
			}
		})
	}
}

func TestHalfAToolCallIsNoToolCall(t *testing.T) {
	got, _ := events([]string{
		start(""), begin(0, `{"type":"tool_use","id":"t","name":"f","input":{}}`), delta(0, "input_json_delta", "partial_json", `{\"a\"`),
		start(""), begin(0, `{"type":"tool_use","id":"u","name":"f","input":{}}`), delta(0, "input_json_delta", "partial_json", `{}`), end(0), stopped("tool_use"),
	}, "")
	if want := "start claude\n0 call t f\n0 + {\\\"a\\\"\nfailed"; got != want {
		t.Errorf("events =\n%s, want\n%s", got, want)
	}
}

func TestStopReasonsAreRead(t *testing.T) {
	for _, tc := range []struct{ reason, want, losses string }{
		{"end_turn", "end", ""},
		{"max_tokens", "length", ""},
		{"stop_sequence", "sequence", ""},
		{"refusal", "filter", ""},
		{"model_context_window_exceeded", "window", ""},
		{"pause_turn", "pause", "stop_reason"},
		{"compaction", "end", ""},
		{"new", "end", ""},
	} {
		got, losses := events([]string{start(""), stopped(tc.reason)}, "")
		if want := "start claude\nstop " + tc.want; got != want || params(losses) != tc.losses {
			t.Errorf("events with %s = %q, %v, want %q, losses %q", tc.reason, got, losses, want, tc.losses)
		}
	}
	got, _ := events(nil, `{"type":"message","model":"claude","content":[],"stop_reason":"stop_sequence","stop_sequence":"END"}`)
	if want := "start claude\nstop sequence END"; got != want {
		t.Errorf("events = %q, want %q", got, want)
	}
}

func TestWholeAnswersAreReadAsStreamsAre(t *testing.T) {
	got, losses := events(nil, `{"id":"m","type":"message","role":"assistant","content":[
		{"type":"thinking","thinking":"hm","signature":"Eq"},
		{"type":"redacted_thinking","data":"Eq"},
		{"type":"text","text":"found","citations":[{"type":"web_search_result_location","url":"https://e.org","title":"E","cited_text":"c"}]},
		{"type":"server_tool_use","id":"s","name":"web_search","input":{}},
		{"type":"text","text":""},
		{"type":"tool_use","id":"t","name":"f","input":{"a": "b\n"}},
		{"type":"tool_use","id":"u","name":"g","input":{}}],
		"model":"claude","stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":2}}`)
	want := `start claude
0 thinking
0 + hm
0 seal {"type":"thinking","thinking":"hm","signature":"Eq"}
0 end
1 thinking hidden
1 seal {"type":"redacted_thinking","data":"Eq"}
1 end
2 text
2 + found
2 cite https://e.org E c
2 end
3 call t f
3 + {\"a\": \"b\\n\"}
3 end
4 call u g
4 end
stop tool`
	if got != want {
		t.Errorf("events =\n%s, want\n%s", got, want)
	}
	if params(losses) != "content.server_tool_use" {
		t.Errorf("losses = %v, want the tool of the vendor's", losses)
	}
}

func TestAnAnswerThatBeginsAnewWithinACallIsBroken(t *testing.T) {
	const start = `{"type":"message_start","message":{"model":"m","content":[]}}`
	call := []string{
		start,
		`{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}`,
		`{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}`,
	}
	for _, tc := range []struct {
		name   string
		stream []string
		broken bool
	}{
		{"half a call", append(call, start), true},
		{"a whole call", append(call, `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"1}"}}`, start), false},
	} {
		var r recorder
		a := translate.NewAssembler(&translate.Asked{}, &r)
		d := NewDecoder(a)
		for _, data := range tc.stream {
			d.Event(nil, []byte(data))
		}
		if e := a.Broken(); (e != nil) != tc.broken || strings.Contains(r.out.String(), "failed") {
			t.Errorf("%s: Broken = %v, want broken %v, and nothing of it told: %s", tc.name, e, tc.broken, r.out.String())
		}
	}
}
