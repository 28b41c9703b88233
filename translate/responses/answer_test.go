package responses

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// recorder is an encoder that writes the events themselves.
type recorder struct{ events []string }

func (r *recorder) Append(dst []byte, e *translate.Event) []byte {
	switch e.Kind {
	case translate.EventStart:
		r.add("start %s %d", e.Model, e.Created)
	case translate.EventOpen:
		h := &e.Head
		kind := [...]string{translate.KindText: "text", translate.KindRefusal: "refusal", translate.KindThinking: "thinking", translate.KindToolCall: "call"}[h.Kind]
		if h.Hidden {
			kind = "hidden " + kind
		}
		if h.Custom {
			kind = "custom " + kind
		}
		if h.Kind == translate.KindToolCall {
			kind += fmt.Sprintf(" %s %s", h.ID, h.Name)
		}
		r.add("open %d %s", e.Index, kind)
	case translate.EventDelta:
		r.add("%s", string(e.Text))
	case translate.EventSeal:
		if len(e.Seal) > 0 {
			r.add("seal %s", e.Seal)
		}
	case translate.EventCite:
		r.add("cite %s %s %s %s", e.Citation.URL, e.Citation.Title, e.Citation.FileID, e.Citation.Filename)
	case translate.EventClose:
		if e.Cut {
			r.add("cut")
		} else {
			r.add("close")
		}
	case translate.EventStop:
		r.add("stop %s", [...]string{
			translate.StopEnd: "end", translate.StopTool: "tool", translate.StopLength: "length", translate.StopFilter: "filter",
		}[e.Stop])
	}
	return dst
}

func (r *recorder) add(format string, args ...any) {
	r.events = append(r.events, fmt.Sprintf(format, args...))
}

// heard is what a decoder tells of a stream of events.
func heard(events ...string) string {
	var r recorder
	a := translate.NewAssembler(&translate.Asked{Nonce: "nonce"}, &r)
	d := NewDecoder(a)
	for _, event := range events {
		name, data, ok := strings.Cut(event, " ")
		if !ok || strings.HasPrefix(event, "{") {
			name, data = "", event
		}
		d.Event([]byte(name), []byte(data))
	}
	a.End(translate.Usage{}, false)
	return strings.Join(r.events, " | ")
}

const (
	created   = `{"type":"response.created","response":{"id":"resp_1","model":"m-1","created_at":1700000000,"output":[]}}`
	completed = `{"type":"response.completed","response":{"status":"completed","output":[]}}`
)

func TestStreamsBecomeEvents(t *testing.T) {
	const (
		start   = "start m-1 1700000000 | "
		hello   = start + "open 0 text | Hel | lo | close | stop end"
		message = `{"id":"msg_1","type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello","annotations":[]}]}`
		delta1  = `{"type":"response.output_text.delta","item_id":"msg_1","output_index":0,"content_index":0,"delta":"Hel","logprobs":[],"obfuscation":"x"}`
		delta2  = `{"type":"response.output_text.delta","item_id":"rotated","output_index":0,"content_index":0,"delta":"lo"}`
		added   = `{"type":"response.output_item.added","output_index":0,"item":{"id":"msg_1","type":"message","role":"assistant","content":[]}}`
		done    = `{"type":"response.output_item.done","output_index":0,"item":` + message + `}`
	)
	for _, tc := range []struct {
		name   string
		events []string
		want   string
	}{
		{"text", []string{
			created, added,
			`{"type":"response.content_part.added","output_index":0,"content_index":0,"part":{"type":"output_text","text":""}}`, delta1, delta2,
			`{"type":"response.output_text.done","output_index":0,"content_index":0,"text":"Hello"}`,
			`{"type":"response.content_part.done","output_index":0,"content_index":0,"part":{"type":"output_text","text":"Hello"}}`, done, completed,
		}, hello},
		{"nothing announced", []string{created, delta1, delta2, completed}, hello},
		{"announced after it began", []string{created, delta1, added, delta2, done, completed}, hello},
		{"only done items", []string{created, done, completed}, start + "open 0 text | Hello | close | stop end"},
		{"only the last event", []string{`{"type":"response.completed","response":{"model":"m-1","created_at":1.7e9,"status":"completed","output":[` + message + `]}}`}, start + "open 0 text | Hello | close | stop end"},
		{"only done texts", []string{created, `{"type":"response.output_text.done","output_index":0,"content_index":0,"text":"Hello"}`, done, completed}, start + "open 0 text | Hello | close | stop end"},
		{"without types", []string{created, `response.output_text.delta {"output_index":0,"content_index":0,"delta":"Hi"}`, completed}, start + "open 0 text | Hi | close | stop end"},
		{"without indices", []string{
			created, `{"type":"response.output_item.added","item":{"type":"message"}}`, `{"type":"response.output_text.delta","delta":"Hi"}`,
			`{"type":"response.output_item.done","item":{"type":"message","content":[{"type":"output_text","text":"Hi"}]}}`, completed,
		}, start + "open 0 text | Hi | close | stop end"},
		{"empty text", []string{
			created, added, `{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":""}`,
			`{"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":""}]}}`, completed,
		}, start + "stop end"},
		{"progress and unknown events", []string{
			created, `{"type":"response.web_search_call.searching","output_index":0}`, `{"type":"keepalive"}`, `{"type":"response.mood","delta":"x"}`,
			`{"type":"response.output_item.done","output_index":0,"item":{"type":"web_search_call"}}`,
			`{"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"Hi"}`, completed,
		}, start + "open 0 text | Hi | close | stop end"},
		{"two parts and a refusal", []string{
			created, delta1, `{"type":"response.output_text.delta","output_index":0,"content_index":1,"delta":"B"}`,
			`{"type":"response.refusal.delta","output_index":0,"content_index":2,"delta":"No"}`,
			`{"type":"response.output_item.done","output_index":0,"item":{"type":"message","content":[{"type":"output_text","text":"Hel"},{"type":"output_text","text":"B"},{"type":"refusal","refusal":"No"}]}}`, completed,
		}, start + "open 0 text | Hel | close | open 1 text | B | close | open 2 refusal | No | close | stop end"},
		{"citations, one of them only in the end", []string{
			created, delta1, `{"type":"response.output_text.annotation.added","output_index":0,"content_index":0,"annotation_index":0,"annotation":{"type":"url_citation","url":"https://x.test","title":"X"}}`,
			`{"type":"response.content_part.done","output_index":0,"content_index":0,"part":{"type":"output_text","text":"Hel","annotations":[{"type":"url_citation","url":"https://x.test","title":"X"},{"type":"file_citation","file_id":"file_1","filename":"f"}]}}`, completed,
		}, start + "open 0 text | Hel | cite https://x.test X   | cite   file_1 f | close | stop end"},
		{"a summary in parts, sealed by what is final", []string{
			created, `{"type":"response.output_item.added","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"early"}}`,
			`{"type":"response.reasoning_summary_part.added","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}`,
			`{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"One."}`,
			`{"type":"response.reasoning_summary_text.done","output_index":0,"summary_index":0,"text":"One."}`,
			`{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":1,"delta":"Two."}`,
			`{"type":"response.output_item.done","output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"One."}],"encrypted_content":"late","status":null}}`, completed,
		}, start + `open 0 thinking | One. | \n\n | Two. | seal {"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"One."}],"encrypted_content":"late"} | close | stop end`},
		{"raw reasoning, of which the summary is not told as well", []string{
			created, `{"type":"response.reasoning_text.delta","output_index":0,"content_index":0,"delta":"Hm."}`,
			`{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"Thought."}`,
			`{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","content":[{"type":"reasoning_text","text":"Hm."}],"summary":[]}}`, completed,
		}, start + `open 0 thinking | Hm. | seal {"type":"reasoning","content":[{"type":"reasoning_text","text":"Hm."}],"summary":[]} | close | stop end`},
		{
			"reasoning that is not shown",
			[]string{created, `{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","summary":[],"encrypted_content":"x"}}`, completed},
			start + `open 0 hidden thinking | seal {"type":"reasoning","summary":[],"encrypted_content":"x"} | close | stop end`,
		},
		{"reasoning of which nothing is left", []string{created, `{"type":"response.output_item.done","output_index":0,"item":{"type":"reasoning","summary":[]}}`, completed}, start + "stop end"},
		{"calls", []string{
			created, `{"type":"response.output_item.added","output_index":0,"item":{"id":"fc_1","type":"function_call","call_id":"call_1","name":"f","arguments":""}}`,
			`{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{\"a\":"}`, `{"type":"response.function_call_arguments.delta","output_index":0,"delta":"1}"}`,
			`{"type":"response.function_call_arguments.done","output_index":0,"arguments":"{\"a\":1}"}`,
			`{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"call_1","name":"f","arguments":"{\"a\":1}","status":"completed"}}`,
			`{"type":"response.output_item.added","output_index":1,"item":{"id":"ctc_1","type":"custom_tool_call","call_id":"call_2","name":"p","input":""}}`,
			`{"type":"response.custom_tool_call_input.delta","output_index":1,"delta":"x"}`,
			`{"type":"response.output_item.done","output_index":1,"item":{"type":"custom_tool_call","call_id":"call_2","name":"p","input":"x"}}`, completed,
		}, start + `open 0 call call_1 f | {\"a\": | 1} | close | open 1 custom call call_2 p | x | close | stop tool`},
		{"a call that is only told when it is done", []string{
			created, `{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{}"}`,
			`{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"call_1","name":"f","arguments":{"a":"b"}}}`, completed,
		}, start + `open 0 call call_1 f | {\"a\":\"b\"} | close | stop tool`},
		{"arguments that come at once", []string{
			created, `{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"call_1","name":"f"}}`,
			`{"type":"response.function_call_arguments.done","output_index":0,"arguments":"{}"}`,
			`{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"call_1","name":"f","arguments":"{}"}}`, completed,
		}, start + `open 0 call call_1 f | {} | close | stop tool`},
		{"calls that were written at once come one after the other", []string{
			created, `{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"c1","name":"f"}}`,
			`{"type":"response.output_item.added","output_index":1,"item":{"type":"function_call","call_id":"c2","name":"g"}}`,
			`{"type":"response.function_call_arguments.delta","output_index":1,"delta":"{\"b\""}`, `{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{}"}`,
			`{"type":"response.function_call_arguments.delta","output_index":1,"delta":":2}"}`,
			`{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"}}`,
			`{"type":"response.output_item.done","output_index":1,"item":{"type":"function_call","call_id":"c2","name":"g","arguments":"{\"b\":2}"}}`, completed,
		}, start + `open 0 call c1 f | {} | close | open 1 call c2 g | {\"b\":2} | close | stop tool`},
		{"an index that is used again", []string{
			created, `{"type":"response.output_item.added","output_index":0,"item":{"type":"reasoning"}}`, `{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"Hm."}`,
			added, delta1, done, completed,
		}, start + "open 0 thinking | Hm. | close | open 1 text | Hel | close | stop end"},
		{"a call that is announced twice", []string{
			created, `{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"c1","name":"f"}}`,
			`{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"c1","name":"f"}}`,
			`{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"}}`, completed,
		}, start + `open 0 call c1 f | {} | close | stop tool`},
		{"an answer that was cut", []string{
			created, `{"type":"response.output_item.added","output_index":0,"item":{"type":"function_call","call_id":"c1","name":"f"}}`,
			`{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{\"a"}`,
			`{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"c1","name":"f","arguments":"{\"a","status":"incomplete"}}`,
			`{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[]}}`,
		}, start + `open 0 call c1 f | {\"a | cut | stop length`},
	} {
		if got := heard(tc.events...); got != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
		}
	}
}

func TestStopReasons(t *testing.T) {
	for _, tc := range []struct {
		status, reason string
		want           translate.StopReason
	}{
		{"completed", "", translate.StopEnd},
		{"", "", translate.StopEnd},
		{"incomplete", "max_output_tokens", translate.StopLength},
		{"incomplete", "content_filter", translate.StopFilter},
		{"incomplete", "max_messages", translate.StopEnd},
		{"incomplete", "", translate.StopLength},
	} {
		if got := stopOf(translate.Text(tc.status), translate.Text(tc.reason)); got != tc.want {
			t.Errorf("stopOf(%q, %q) = %v, want %v", tc.status, tc.reason, got, tc.want)
		}
	}
}

func TestWholeAnswersTellTheSameAsStreams(t *testing.T) {
	var r recorder
	asked := &translate.Asked{Nonce: "nonce"}
	a := translate.NewAssembler(asked, &r)
	NewDecoder(a).Whole([]byte(`{"id":"resp_1","object":"response","created_at":1700000000,"model":"m-1","status":"completed","output":[
		{"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"One."},{"type":"summary_text","text":"Two."}]},
		{"type":"web_search_call","id":"ws_1"},
		{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi.","annotations":[{"type":"url_citation","url":"https://x.test","title":"X"}]}]},
		{"type":"function_call","call_id":"c1","name":"f","arguments":""}]}`))
	a.End(translate.Usage{}, false)
	want := `start m-1 1700000000 | open 0 thinking | One.\n\nTwo. | close | open 1 text | Hi. | cite https://x.test X   | close | open 2 call c1 f | close | stop tool`
	if got := strings.Join(r.events, " | "); got != want {
		t.Errorf("events:\n got %s\nwant %s", got, want)
	}
	if got, want := string(asked.Losses.AppendHeader(nil)), "param=output.web_search_call;action=dropped"; got != want {
		t.Errorf("Losses = %s, want %s", got, want)
	}
}
