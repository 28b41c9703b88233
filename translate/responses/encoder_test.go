package responses

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// asking is what a request's answer depends on. Its echo is short, so that one
// can read what is compared.
func asking(stream bool) *translate.Asked {
	return &translate.Asked{
		Client: translate.Responses, Provider: "acme", Nonce: "N", Stream: stream, Echo: []byte(`"tools":[],`),
	}
}

func text(s string) translate.Text { return translate.Text(s) }

// encoded is what an encoder writes for events.
func encoded(asked *translate.Asked, events ...translate.Event) string {
	w := NewEncoder(asked)
	var out []byte
	for i := range events {
		out = w.Append(out, &events[i])
	}
	return string(out)
}

// sse is the data of the events of a stream, with the names checked and taken
// off.
func sse(t *testing.T, stream string) (data []string) {
	t.Helper()
	for n, event := range strings.SplitAfter(stream, "\n\n") {
		if event == "" {
			continue
		}
		name, rest, ok := strings.Cut(event, "\ndata: ")
		d, end, ok2 := strings.Cut(rest, "\n")
		if !ok || !ok2 || end != "\n" || name != "event: "+gjson.Get(d, "type").Str || !gjson.Valid(d) {
			t.Fatalf("event %d is not one: %q", n, event)
		}
		if got := gjson.Get(d, "sequence_number").Raw; got != fmt.Sprint(n) {
			t.Errorf("sequence_number of event %d = %s", n, got)
		}
		data = append(data, strings.Replace(d, fmt.Sprintf(`,"sequence_number":%d`, n), "", 1))
	}
	return data
}

var (
	start      = translate.Event{Kind: translate.EventStart, Model: text("m-1"), Created: 1700000000}
	textBegins = translate.Event{Kind: translate.EventOpen, Head: translate.Head{Kind: translate.KindText}}
	closes     = translate.Event{Kind: translate.EventClose}
	ends       = translate.Event{Kind: translate.EventEnd}
)

func says(s string) translate.Event {
	return translate.Event{Kind: translate.EventDelta, Text: text(s)}
}

func stops(r translate.StopReason) translate.Event {
	return translate.Event{Kind: translate.EventStop, Stop: r}
}

// turn is an answer with all kinds of blocks.
func turn() []translate.Event {
	return []translate.Event{
		start,
		{Kind: translate.EventOpen, Head: translate.Head{Kind: translate.KindThinking}},
		says("Hm."), says(`\n`),
		{Kind: translate.EventSeal, Seal: translate.Value(`{"a":1}`)},
		closes,
		textBegins, says("Hel"), says("lo"),
		{Kind: translate.EventCite, Citation: translate.Citation{URL: text("https://x.test"), Title: text("X")}},
		{Kind: translate.EventCite, Citation: translate.Citation{FileID: text("file_1"), Filename: text("f")}},
		closes,
		{Kind: translate.EventOpen, Head: translate.Head{Kind: translate.KindRefusal}},
		says("No"), closes,
		{Kind: translate.EventOpen, Head: translate.Head{Kind: translate.KindToolCall, ID: text("c1"), Name: text("f"), Namespace: text("n")}},
		says(`{\"a\":`), says("1}"), closes,
		{Kind: translate.EventOpen, Head: translate.Head{Kind: translate.KindToolCall, ID: text("c2"), Name: text("p"), Custom: true}},
		says("x"), closes,
		{Kind: translate.EventUsage, Usage: translate.Usage{Input: 10, CacheRead: 20, CacheWrite: 5, Output: 7, Reasoning: 3}},
		stops(translate.StopTool), ends,
	}
}

// The items of turn, when they are done.
const (
	thoughtItem = `{"id":"rs_N0","type":"reasoning","summary":[{"type":"summary_text","text":"Hm.\n"}],"encrypted_content":"lgw1.acme.eyJhIjoxfQ"}`
	textPart    = `{"type":"output_text","text":"Hello","annotations":[{"type":"url_citation","url":"https://x.test","title":"X","start_index":0,"end_index":5},{"type":"file_citation","file_id":"file_1","filename":"f","index":5}],"logprobs":[]}`
	messageItem = `{"id":"msg_N1","type":"message","role":"assistant","content":[` + textPart + `,{"type":"refusal","refusal":"No"}],"status":"completed"}`
	callItem    = `{"id":"fc_N2","type":"function_call","call_id":"c1","name":"f","namespace":"n","arguments":"{\"a\":1}","status":"completed"}`
	customItem  = `{"id":"ctc_N3","type":"custom_tool_call","call_id":"c2","name":"p","input":"x","status":"completed"}`
	turnOutput  = `[` + thoughtItem + `,` + messageItem + `,` + callItem + `,` + customItem + `]`
	turnUsage   = `{"input_tokens":35,"input_tokens_details":{"cached_tokens":20,"cache_write_tokens":5},"output_tokens":10,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":45}`
)

func response(status, failure, incomplete, output, usage string) string {
	return `{"id":"resp_N","object":"response","created_at":1700000000,"status":"` + status + `","error":` + failure +
		`,"incomplete_details":` + incomplete + `,"model":"m-1","output":` + output + `,"tools":[],"usage":` + usage + `}`
}

func TestAStreamHasEveryEventThatClientsWaitFor(t *testing.T) {
	begun := response("in_progress", "null", "null", "[]", "null")
	want := []string{
		`{"type":"response.created","response":` + begun + `}`,
		`{"type":"response.in_progress","response":` + begun + `}`,

		`{"type":"response.output_item.added","output_index":0,"item":{"id":"rs_N0","type":"reasoning","summary":[]}}`,
		`{"type":"response.reasoning_summary_part.added","item_id":"rs_N0","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}`,
		`{"type":"response.reasoning_summary_text.delta","item_id":"rs_N0","output_index":0,"summary_index":0,"delta":"Hm."}`,
		`{"type":"response.reasoning_summary_text.delta","item_id":"rs_N0","output_index":0,"summary_index":0,"delta":"\n"}`,
		`{"type":"response.reasoning_summary_text.done","item_id":"rs_N0","output_index":0,"summary_index":0,"text":"Hm.\n"}`,
		`{"type":"response.reasoning_summary_part.done","item_id":"rs_N0","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":"Hm.\n"}}`,
		`{"type":"response.output_item.done","output_index":0,"item":` + thoughtItem + `}`,

		`{"type":"response.output_item.added","output_index":1,"item":{"id":"msg_N1","type":"message","role":"assistant","status":"in_progress","content":[]}}`,
		`{"type":"response.content_part.added","item_id":"msg_N1","output_index":1,"content_index":0,"part":{"type":"output_text","text":"","annotations":[],"logprobs":[]}}`,
		`{"type":"response.output_text.delta","item_id":"msg_N1","output_index":1,"content_index":0,"delta":"Hel","logprobs":[]}`,
		`{"type":"response.output_text.delta","item_id":"msg_N1","output_index":1,"content_index":0,"delta":"lo","logprobs":[]}`,
		`{"type":"response.output_text.annotation.added","item_id":"msg_N1","output_index":1,"content_index":0,"annotation_index":0,"annotation":{"type":"url_citation","url":"https://x.test","title":"X","start_index":0,"end_index":5}}`,
		`{"type":"response.output_text.annotation.added","item_id":"msg_N1","output_index":1,"content_index":0,"annotation_index":1,"annotation":{"type":"file_citation","file_id":"file_1","filename":"f","index":5}}`,
		`{"type":"response.output_text.done","item_id":"msg_N1","output_index":1,"content_index":0,"text":"Hello","logprobs":[]}`,
		`{"type":"response.content_part.done","item_id":"msg_N1","output_index":1,"content_index":0,"part":` + textPart + `}`,
		`{"type":"response.content_part.added","item_id":"msg_N1","output_index":1,"content_index":1,"part":{"type":"refusal","refusal":""}}`,
		`{"type":"response.refusal.delta","item_id":"msg_N1","output_index":1,"content_index":1,"delta":"No"}`,
		`{"type":"response.refusal.done","item_id":"msg_N1","output_index":1,"content_index":1,"refusal":"No"}`,
		`{"type":"response.content_part.done","item_id":"msg_N1","output_index":1,"content_index":1,"part":{"type":"refusal","refusal":"No"}}`,
		`{"type":"response.output_item.done","output_index":1,"item":` + messageItem + `}`,

		`{"type":"response.output_item.added","output_index":2,"item":{"id":"fc_N2","type":"function_call","call_id":"c1","name":"f","namespace":"n","arguments":"","status":"in_progress"}}`,
		`{"type":"response.function_call_arguments.delta","item_id":"fc_N2","output_index":2,"delta":"{\"a\":"}`,
		`{"type":"response.function_call_arguments.delta","item_id":"fc_N2","output_index":2,"delta":"1}"}`,
		`{"type":"response.function_call_arguments.done","item_id":"fc_N2","output_index":2,"arguments":"{\"a\":1}"}`,
		`{"type":"response.output_item.done","output_index":2,"item":` + callItem + `}`,

		`{"type":"response.output_item.added","output_index":3,"item":{"id":"ctc_N3","type":"custom_tool_call","call_id":"c2","name":"p","input":"","status":"in_progress"}}`,
		`{"type":"response.custom_tool_call_input.delta","item_id":"ctc_N3","output_index":3,"delta":"x"}`,
		`{"type":"response.custom_tool_call_input.done","item_id":"ctc_N3","output_index":3,"input":"x"}`,
		`{"type":"response.output_item.done","output_index":3,"item":` + customItem + `}`,

		`{"type":"response.completed","response":` + response("completed", "null", "null", turnOutput, turnUsage) + `}`,
	}
	got := sse(t, encoded(asking(true), turn()...))
	for i := range max(len(got), len(want)) {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Fatalf("event %d:\n got %s\nwant %s", i, g, w)
		}
	}
}

func TestAWholeAnswerIsTheLastStateOfItsStream(t *testing.T) {
	if got, want := encoded(asking(false), turn()...), response("completed", "null", "null", turnOutput, turnUsage); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestAnswersEndAsTheyStopped(t *testing.T) {
	refused := []translate.Event{{Kind: translate.EventOpen, Head: translate.Head{Kind: translate.KindRefusal}}, says("No"), closes}
	hello := []translate.Event{textBegins, says("Hi"), closes}
	for _, tc := range []struct {
		name               string
		blocks             []translate.Event
		stop               translate.StopReason
		event, reason, how string // how: the status of the message
	}{
		{"end", hello, translate.StopEnd, "completed", "", "completed"},
		{"a stop sequence", hello, translate.StopSequence, "completed", "", "completed"},
		{"length", hello, translate.StopLength, "incomplete", "max_output_tokens", "incomplete"},
		{"window", hello, translate.StopWindow, "incomplete", "max_output_tokens", "incomplete"},
		{"a filter", hello, translate.StopFilter, "incomplete", "content_filter", "incomplete"},
		{"a refusal in words", refused, translate.StopFilter, "completed", "", "completed"},
		{"a pause", hello, translate.StopPause, "completed", "", "completed"},
	} {
		events := append(append([]translate.Event{start}, tc.blocks...), stops(tc.stop), ends)
		data := sse(t, encoded(asking(true), events...))
		last := data[len(data)-1]
		if gjson.Get(last, "type").Str != "response."+tc.event || gjson.Get(last, "response.status").Str != tc.event ||
			gjson.Get(last, "response.incomplete_details.reason").Str != tc.reason || gjson.Get(last, "response.output.0.status").Str != tc.how {
			t.Errorf("%s: the last event is %s", tc.name, last)
		}
		if !gjson.Get(last, "response.usage.total_tokens").Exists() {
			t.Errorf("%s: the answer ends without usage: %s", tc.name, last)
		}
	}
}

func TestACallThatWasCutIsIncomplete(t *testing.T) {
	call := translate.Event{Kind: translate.EventOpen, Head: translate.Head{Kind: translate.KindToolCall, ID: text("c1"), Name: text("f")}}
	cut := translate.Event{Kind: translate.EventClose, Cut: true}
	data := sse(t, encoded(asking(true), start, call, says(`{\"a`), cut, stops(translate.StopLength), ends))
	last := data[len(data)-1]
	if got, want := gjson.Get(last, "response.output.0.status").Str, "incomplete"; got != want {
		t.Errorf("status = %s, want %s", got, want)
	}
	for _, d := range data {
		if gjson.Get(d, "type").Str == "response.function_call_arguments.done" {
			t.Errorf("the arguments are told as done: %s", d)
		}
	}
}

func TestACallWithoutArgumentsHasAnEmptyObject(t *testing.T) {
	call := translate.Event{Kind: translate.EventOpen, Head: translate.Head{Kind: translate.KindToolCall, ID: text("c1"), Name: text("f")}}
	custom := call
	custom.Head.Custom = true
	data := sse(t, encoded(asking(true), start, call, closes, custom, closes, stops(translate.StopTool), ends))
	last := data[len(data)-1]
	if got, want := gjson.Get(last, "response.output.0.arguments").Raw+gjson.Get(last, "response.output.1.input").Raw, `"{}"""`; got != want {
		t.Errorf("arguments and input = %s, want %s", got, want)
	}
	if got, want := gjson.Get(data[3], "delta").Str, "{}"; got != want {
		t.Errorf("delta = %q, want %q", got, want)
	}
}

func TestThoughtsThatAreNotShownHaveNoSummary(t *testing.T) {
	events := []translate.Event{
		start,
		{Kind: translate.EventOpen, Head: translate.Head{Kind: translate.KindThinking, Hidden: true}},
		{Kind: translate.EventSeal, Seal: translate.Value(`{}`)},
		closes, stops(translate.StopEnd), ends,
	}
	want := `[{"id":"rs_N0","type":"reasoning","summary":[],"encrypted_content":"lgw1.acme.e30"}]`
	if got := gjson.Get(encoded(asking(false), events...), "output").Raw; got != want {
		t.Errorf("output = %s, want %s", got, want)
	}
}

func TestTextsWithACallBetweenThemAreTwoMessages(t *testing.T) {
	call := translate.Event{Kind: translate.EventOpen, Head: translate.Head{Kind: translate.KindToolCall, ID: text("c1"), Name: text("f")}}
	whole := encoded(asking(false), start, textBegins, says("a"), closes, textBegins, says("b"), closes, call, closes, textBegins, says("c"), closes, stops(translate.StopTool), ends)
	var got []string
	for _, item := range gjson.Get(whole, "output").Array() {
		got = append(got, item.Get("id").Str+item.Get("content.#.text").Raw)
	}
	if got, want := strings.Join(got, " "), `msg_N0["a","b"] fc_N1 msg_N2["c"]`; got != want {
		t.Errorf("output = %s, want %s", got, want)
	}
}

func TestPlacesAreCountedInCharacters(t *testing.T) {
	cite := translate.Event{Kind: translate.EventCite, Citation: translate.Citation{URL: text("u")}}
	nowhere := translate.Event{Kind: translate.EventCite, Citation: translate.Citation{CitedText: text("x")}}
	asked := asking(false)
	whole := encoded(asked, start, textBegins, cite, says(`a\nb`), says("日本"), nowhere, closes, textBegins, says("x"), closes, stops(translate.StopEnd), ends)
	if got, want := gjson.Get(whole, "output.0.content.#.annotations").Raw, `[[{"type":"url_citation","url":"u","title":"","start_index":0,"end_index":5}],[]]`; got != want {
		t.Errorf("annotations = %s, want %s", got, want)
	}
	if got, want := string(asked.Losses.AppendHeader(nil)), "param=output.content.annotations;action=dropped"; got != want {
		t.Errorf("Losses = %s, want %s", got, want)
	}
}

func TestTruncatedStreamNeverEndsLikeASuccess(t *testing.T) {
	failure := translate.Event{Kind: translate.EventFailed, Err: &translate.Error{Status: 502, Message: `it "broke"`}}
	call := translate.Event{Kind: translate.EventOpen, Head: translate.Head{Kind: translate.KindToolCall, ID: text("c1"), Name: text("exec"), Custom: true}}
	thinking := translate.Event{Kind: translate.EventOpen, Head: translate.Head{Kind: translate.KindThinking}}
	const (
		message = `{"id":"msg_N0","type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi","annotations":[],"logprobs":[]}],"status":"incomplete"}`
		whole   = `{"id":"msg_N0","type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi","annotations":[],"logprobs":[]}],"status":"completed"}`
		thought = `{"id":"rs_N0","type":"reasoning","summary":[{"type":"summary_text","text":"Hm"}],"encrypted_content":"lgw1.acme."}`
	)
	for _, tc := range []struct {
		name   string
		events []translate.Event
		output string
	}{
		{"at once", nil, ""},
		{"in a text", []translate.Event{textBegins, says("Hi")}, message},
		{"behind a text", []translate.Event{textBegins, says("Hi"), closes}, message},
		{"in a thought", []translate.Event{thinking, says("Hm")}, thought},
		// Nobody must make half a call.
		{"in a call", []translate.Event{textBegins, says("Hi"), closes, call, says("rm -r /tmp")}, whole},
		{"in the first call", []translate.Event{call, says("rm -r /tmp")}, ""},
	} {
		events := append(append([]translate.Event{start}, tc.events...), failure)
		data := sse(t, encoded(asking(true), events...))
		last := data[len(data)-1]
		want := `{"type":"response.failed","response":` +
			response("failed", `{"code":"server_error","message":"it \"broke\""}`, "null", "["+tc.output+"]", "null") + `}`
		if last != want {
			t.Errorf("%s:\n got %s\nwant %s", tc.name, last, want)
		}
		for _, d := range data {
			if gjson.Get(d, "item.type").Str == "custom_tool_call" && gjson.Get(d, "type").Str != "response.output_item.added" {
				t.Errorf("%s: half a call is told as done: %s", tc.name, d)
			}
		}
	}
}

func TestAnAnswerWithoutARequestEchoesDefaults(t *testing.T) {
	asked := asking(false)
	asked.Echo = nil
	whole := encoded(asked, start, stops(translate.StopEnd), ends)
	for _, member := range echoed {
		if got := gjson.Get(whole, member.name).Raw; got != member.standard {
			t.Errorf("%s = %s, want %s", member.name, got, member.standard)
		}
	}
}

func TestNamespacesAndCustomToolsComeBackAsTheClientDeclaredThem(t *testing.T) {
	asked := asking(false)
	asked.Names = []translate.ToolName{
		{Sent: "agents__spawn", Name: "spawn", Namespace: "agents"},
		{Sent: "functions__exec", Name: "exec", Namespace: "functions", Custom: true, Wrapped: true},
	}
	a := translate.NewAssembler(asked, NewEncoder(asked))
	for i, call := range []struct{ name, input string }{{"agents__spawn", `{\"a\":1}`}, {"functions__exec", `{\"input\":\"a\\nb\"}`}} {
		a.Open(i, translate.Head{Kind: translate.KindToolCall, ID: text(fmt.Sprint("c", i)), Name: text(call.name)})
		a.Delta(i, text(call.input))
		a.Close(i)
	}
	a.End(translate.Usage{}, false)
	want := `[{"id":"fc_N0","type":"function_call","call_id":"c0","name":"spawn","namespace":"agents","arguments":"{\"a\":1}","status":"completed"},` +
		`{"id":"ctc_N1","type":"custom_tool_call","call_id":"c1","name":"exec","namespace":"functions","input":"a\nb","status":"completed"}]`
	if got := gjson.GetBytes(a.Take(), "output").Raw; got != want {
		t.Errorf("output = %s, want %s", got, want)
	}
}
