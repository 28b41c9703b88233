package messages

import (
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// answer is what a decoder tells an assembler, and whether the answer is whole.
type answer func(a *translate.Assembler)

// written is an answer as this protocol's client gets it.
func written(stream bool, tell answer) string {
	asked := &translate.Asked{Stream: stream, Nonce: "N", Provider: "p", InputTokens: 7}
	a := translate.NewAssembler(asked, NewEncoder(asked))
	tell(a)
	return string(a.Take())
}

var usage = translate.Usage{Input: 1, CacheRead: 2, CacheWrite: 3, Output: 4, Reasoning: 5}

const usageJSON = `{"input_tokens":1,"cache_creation_input_tokens":3,"cache_read_input_tokens":2,"output_tokens":9,"output_tokens_details":{"thinking_tokens":5}}`

// everything has all kinds of blocks.
func everything(a *translate.Assembler) {
	a.Start(translate.Text("gpt"), 0)
	a.Open(0, translate.Head{Kind: translate.KindThinking})
	a.Delta(0, translate.Text("hm"))
	a.Seal(0, []byte(`{"id":"rs_1"}`))
	a.Close(0)
	a.Open(1, translate.Head{Kind: translate.KindThinking, Hidden: true})
	a.Close(1)
	a.Open(2, translate.Head{Kind: translate.KindText})
	a.Delta(2, translate.Text(`a\n`))
	a.Delta(2, translate.Text("b"))
	a.Cite(2, translate.Citation{URL: translate.Text("https://e.org"), Title: translate.Text("E"), CitedText: translate.Text("c")})
	a.Cite(2, translate.Citation{FileID: translate.Text("file")})
	a.Cite(2, translate.Citation{URL: translate.Text("https://e.net")})
	a.Close(2)
	a.Open(3, translate.Head{Kind: translate.KindText})
	a.Close(3)
	a.Open(4, translate.Head{Kind: translate.KindToolCall, ID: translate.Text("t1"), Name: translate.Text("f")})
	a.Delta(4, translate.Text(`{\"a\":`))
	a.Delta(4, translate.Text(`1}`))
	a.Close(4)
	a.Open(5, translate.Head{Kind: translate.KindToolCall, ID: translate.Text("t2"), Name: translate.Text("g")})
	a.Close(5)
	a.Open(6, translate.Head{Kind: translate.KindToolCall, ID: translate.Text("t3"), Name: translate.Text("h"), Custom: true})
	a.Delta(6, translate.Text(`say \"`))
	a.Delta(6, translate.Text(`hi\"`))
	a.Close(6)
	a.End(usage, true)
}

func TestStreamsAreWritten(t *testing.T) {
	block := func(index, kind, rest string) string {
		return "event: " + kind + "\ndata: {\"type\":\"" + kind + "\",\"index\":" + index + rest + "}\n\n"
	}
	open := func(index, content string) string {
		return block(index, "content_block_start", `,"content_block":`+content)
	}
	add := func(index, delta string) string {
		return block(index, "content_block_delta", `,"delta":`+delta)
	}
	want := "event: message_start\ndata: " + `{"type":"message_start","message":{"id":"msg_N","type":"message","role":"assistant","model":"gpt","content":[],` +
		`"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":7,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}}` + "\n\n" +
		open("0", `{"type":"thinking","thinking":"","signature":""}`) +
		add("0", `{"type":"thinking_delta","thinking":"hm"}`) +
		add("0", `{"type":"signature_delta","signature":"`+sealed(`{"id":"rs_1"}`)+`"}`) +
		block("0", "content_block_stop", "") +
		open("1", `{"type":"redacted_thinking","data":"`+sealed("")+`"}`) +
		block("1", "content_block_stop", "") +
		open("2", `{"type":"text","text":""}`) +
		add("2", `{"type":"text_delta","text":"a\n"}`) +
		add("2", `{"type":"text_delta","text":"b"}`) +
		add("2", `{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"https://e.org","title":"E","cited_text":"c","encrypted_index":"lgw1.p."}}`) +
		add("2", `{"type":"citations_delta","citation":{"type":"web_search_result_location","url":"https://e.net","title":"","cited_text":"","encrypted_index":"lgw1.p."}}`) +
		block("2", "content_block_stop", "") +
		open("3", `{"type":"tool_use","id":"t1","name":"f","input":{}}`) +
		add("3", `{"type":"input_json_delta","partial_json":"{\"a\":"}`) +
		add("3", `{"type":"input_json_delta","partial_json":"1}"}`) +
		block("3", "content_block_stop", "") +
		open("4", `{"type":"tool_use","id":"t2","name":"g","input":{}}`) +
		add("4", `{"type":"input_json_delta","partial_json":""}`) +
		block("4", "content_block_stop", "") +
		open("5", `{"type":"tool_use","id":"t3","name":"h","input":{}}`) +
		add("5", `{"type":"input_json_delta","partial_json":"{\"input\":\"say \\\""}`) +
		add("5", `{"type":"input_json_delta","partial_json":"hi\\\""}`) +
		add("5", `{"type":"input_json_delta","partial_json":"\"}"}`) +
		block("5", "content_block_stop", "") +
		"event: message_delta\ndata: " + `{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":` + usageJSON + "}\n\n" +
		"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"
	if got := written(true, everything); got != want {
		t.Errorf("stream =\n%s, want\n%s", got, want)
	}
}

func TestWholeAnswersAreWritten(t *testing.T) {
	want := `{"id":"msg_N","type":"message","role":"assistant","model":"gpt","content":[` +
		`{"type":"thinking","thinking":"hm","signature":"` + sealed(`{"id":"rs_1"}`) + `"},` +
		`{"type":"redacted_thinking","data":"` + sealed("") + `"},` +
		`{"type":"text","text":"a\nb","citations":[{"type":"web_search_result_location","url":"https://e.org","title":"E","cited_text":"c","encrypted_index":"lgw1.p."},` +
		`{"type":"web_search_result_location","url":"https://e.net","title":"","cited_text":"","encrypted_index":"lgw1.p."}]},` +
		`{"type":"tool_use","id":"t1","name":"f","input":{"a":1}},` +
		`{"type":"tool_use","id":"t2","name":"g","input":{}},` +
		`{"type":"tool_use","id":"t3","name":"h","input":{"input":"say \"hi\""}}],` +
		`"stop_reason":"tool_use","stop_sequence":null,"usage":` + usageJSON + `}`
	if got := written(false, everything); got != want {
		t.Errorf("answer =\n%s, want\n%s", got, want)
	}
}

func TestCitationsOfFilesAreLostByName(t *testing.T) {
	for _, stream := range []bool{true, false} {
		asked := &translate.Asked{Stream: stream}
		a := translate.NewAssembler(asked, NewEncoder(asked))
		everything(a)
		if got := params(asked.Losses); got != "citations" {
			t.Errorf("losses = %q, want citations", got)
		}
	}
}

func TestStopReasonsAreWritten(t *testing.T) {
	for _, tc := range []struct {
		stop     translate.StopReason
		sequence string
		kind     translate.Kind
		want     string
	}{
		{translate.StopEnd, "", translate.KindText, `"stop_reason":"end_turn","stop_sequence":null`},
		{translate.StopSequence, `\n#`, translate.KindText, `"stop_reason":"stop_sequence","stop_sequence":"\n#"`},
		{translate.StopSequence, "", translate.KindText, `"stop_reason":"stop_sequence","stop_sequence":null`},
		{translate.StopLength, "", translate.KindText, `"stop_reason":"max_tokens","stop_sequence":null`},
		{translate.StopWindow, "", translate.KindText, `"stop_reason":"model_context_window_exceeded","stop_sequence":null`},
		{translate.StopPause, "", translate.KindText, `"stop_reason":"pause_turn","stop_sequence":null`},
		{translate.StopFilter, "", translate.KindText, `"stop_reason":"refusal","stop_sequence":null`},
		{translate.StopEnd, "", translate.KindRefusal, `"stop_reason":"refusal","stop_sequence":null`},
	} {
		for _, stream := range []bool{true, false} {
			got := written(stream, func(a *translate.Assembler) {
				a.Open(0, translate.Head{Kind: tc.kind})
				a.Delta(0, translate.Text("no"))
				a.Stop(tc.stop, translate.Text(tc.sequence))
				a.End(usage, true)
			})
			if !strings.Contains(got, tc.want) || !strings.Contains(got, `"type":"text"`) {
				t.Errorf("answer with stop %d = %s, want %s in it", tc.stop, got, tc.want)
			}
		}
	}
}

func TestInputThatIsNoObject(t *testing.T) {
	for _, tc := range []struct {
		input, want string
		stop        translate.StopReason
	}{
		{`{\"a\":`, `{}`, translate.StopLength},
		{`{\"a\":`, `{}`, translate.StopWindow},
		{`{\"a\":`, `{"input":"{\"a\":"}`, translate.StopTool},
		{`[1]`, `{"input":"[1]"}`, translate.StopTool},
		{`\n `, `{}`, translate.StopTool},
	} {
		got := written(false, func(a *translate.Assembler) {
			for i, id := range []string{"t1", "t2"} {
				a.Open(i, translate.Head{Kind: translate.KindToolCall, ID: translate.Text(id), Name: translate.Text("f")})
				a.Delta(i, translate.Text(tc.input))
				a.Close(i)
			}
			a.Stop(tc.stop, nil)
			a.End(usage, true)
		})
		want := `[{"type":"tool_use","id":"t1","name":"f","input":` + tc.want + `},{"type":"tool_use","id":"t2","name":"f","input":` + tc.want + `}]`
		if content := string(rawjson.Parse([]byte(got)).Get("content")); content != want {
			t.Errorf("content with input %s = %s, want %s", tc.input, content, want)
		}
	}
}

func TestUsageThatIsNotKnownIsTheEstimate(t *testing.T) {
	want := `"usage":{"input_tokens":7,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}`
	for _, stream := range []bool{true, false} {
		got := written(stream, func(a *translate.Assembler) { a.End(translate.Usage{}, false) })
		if !strings.Contains(got, want) {
			t.Errorf("answer = %s, want %s in it", got, want)
		}
	}
}

func TestTruncatedStreamNeverEndsLikeASuccess(t *testing.T) {
	got := written(true, func(a *translate.Assembler) {
		a.Open(0, translate.Head{Kind: translate.KindText})
		a.Delta(0, translate.Text("half"))
		a.Fail(&translate.Error{Status: 529, Message: "busy"})
	})
	want := "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n"
	if !strings.HasSuffix(got, want) || strings.Contains(got, "message_stop") || strings.Contains(got, "message_delta") {
		t.Errorf("stream = %s, want it to end with %s", got, want)
	}
}

func TestAnAnswerWithoutBlocksHasNone(t *testing.T) {
	got := written(true, func(a *translate.Assembler) {
		a.Open(0, translate.Head{Kind: translate.KindText})
		a.End(usage, true)
	})
	if strings.Contains(got, "content_block") {
		t.Errorf("stream = %s, want no block in it", got)
	}
}
