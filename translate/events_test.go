package translate

import (
	"fmt"
	"strings"
	"testing"
)

func TestOnlyWhatTheModelWritesIsContent(t *testing.T) {
	chunk := func(choice string) string { return `{"id":"x","choices":[{"index":0,` + choice + `}]}` }
	for _, tc := range []struct {
		protocol Protocol
		data     string
		want     int
	}{
		{Chat, chunk(`"delta":{"role":"assistant","content":""}`), 0},
		{Chat, chunk(`"delta":{"role":"assistant","content":null,"tool_calls":[]}`), 0},
		{Chat, chunk(`"delta":{},"finish_reason":null`), 0},
		{Chat, chunk(`"delta":{},"finish_reason":""`), 0},
		{Chat, chunk(`"text":"","finish_reason":null`), 0},
		{Chat, chunk(`"delta":{"content":[],"reasoning_details":[],"function_call":null}`), 0},
		{Chat, `{"id":"x","choices":[],"usage":{"prompt_tokens":1}}`, 0},
		{Chat, `{"id":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}`, 0},
		{Chat, `{not json}`, 0},
		{Chat, `17`, 0},
		{Chat, chunk(`"delta":{"content":"a"}`), 1},
		{Chat, chunk(`"delta":{"content":" "}`), 1},
		{Chat, chunk(`"delta":{"content":[{"type":"text","text":"a"}]}`), 1},
		{Chat, chunk(`"delta":{"content":"","reasoning_content":"a"}`), 1},
		{Chat, chunk(`"delta":{"content":"","reasoning":"a"}`), 1},
		{Chat, chunk(`"delta":{"reasoning_details":[{"type":"reasoning.encrypted","data":"e"}]}`), 1},
		{Chat, chunk(`"delta":{"refusal":"no"}`), 1},
		{Chat, chunk(`"delta":{"tool_calls":[{"index":0,"function":{"arguments":""}}]}`), 1},
		{Chat, chunk(`"delta":{"function_call":{"name":"f"}}`), 1},
		{Chat, chunk(`"delta":{"audio":{"data":"AA"}}`), 1},
		{Chat, chunk(`"text":"a","finish_reason":null`), 1},
		{Chat, chunk(`"delta":{},"finish_reason":"stop"`), 1},

		{Messages, `{"type":"message_start","message":{"content":[],"usage":{"input_tokens":1}}}`, 0},
		{Messages, `{"type":"ping"}`, 0},
		{Messages, `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`, 0},
		{Messages, `{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`, 0},
		{Messages, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}`, 0},
		{Messages, `{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}`, 0},
		{Messages, `{"type":"content_block_stop","index":0}`, 0},
		{Messages, `{"type":"message_stop"}`, 0},
		{Messages, `{"type":"future_event","delta":{"text":"a"}}`, 0},
		{Messages, `{"type":"message_start","message":{"content":[{"type":"tool_use","id":"t"}]}}`, 1},
		{Messages, `{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"a"}}`, 1},
		{Messages, `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}`, 1},
		{Messages, `{"type":"content_block_start","index":0,"content_block":{"type":"redacted_thinking","data":"x"}}`, 1},
		{Messages, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`, 1},
		{Messages, `{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"a"}}`, 1},
		{Messages, `{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"a"}}`, 1},
		{Messages, `{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"type":"page_location"}}}`, 1},
		{Messages, `{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}`, 1},

		{Responses, `{"type":"response.created","response":{"id":"r"}}`, 0},
		{Responses, `{"type":"response.queued","response":{"id":"r"}}`, 0},
		{Responses, `{"type":"keepalive","sequence_number":3}`, 0},
		{Responses, `{"type":"response.output_item.added","item":{"type":"message","content":[]}}`, 0},
		{Responses, `{"type":"response.output_item.added","item":{"type":"reasoning","summary":[]}}`, 0},
		{Responses, `{"type":"response.content_part.added","part":{"type":"output_text","text":""}}`, 0},
		{Responses, `{"type":"response.output_text.delta","delta":""}`, 0},
		{Responses, `{"type":"response.output_text.done","text":"a"}`, 0},
		{Responses, `{"type":"response.output_text.delta","delta":"a"}`, 1},
		{Responses, `{"type":"response.function_call_arguments.delta","delta":"{"}`, 1},
		{Responses, `{"type":"response.reasoning_summary_text.delta","delta":"a"}`, 1},
		{Responses, `{"type":"response.output_item.added","item":{"type":"function_call","name":"f"}}`, 1},
		{Responses, `{"type":"response.output_item.added","item":{"type":"web_search_call"}}`, 1},
		{Responses, `{"type":"response.output_item.done","item":{"type":"message"}}`, 1},
		{Responses, `{"type":"response.completed","response":{"status":"completed"}}`, 1},
		{Responses, `{"type":"response.incomplete","response":{"status":"incomplete"}}`, 1},
	} {
		var w Watcher
		if got := watch(&w, tc.protocol, "data: "+tc.data+"\n\n"); got.contents != tc.want {
			t.Errorf("%s: Contents() after %s = %d, want %d", tc.protocol, tc.data, got.contents, tc.want)
		}
	}
}

// TestEmptyEventsAfterContentAreNoContent: a pattern learnt from content must
// not take an empty delta, or anything else that merely looks alike, for it.
func TestEmptyEventsAfterContentAreNoContent(t *testing.T) {
	for _, tc := range []struct {
		protocol        Protocol
		content, unlike string
	}{
		{Chat, `{"choices":[{"index":0,"delta":{"content":"a"}}]}`, `{"choices":[{"index":0,"delta":{"content":""}}]}`},
		{Chat, `{"choices":[{"index":0,"delta":{"content":"a"}}],"obfuscation":"x"}`, `{"choices":[{"index":0,"delta":{"content":""}}],"obfuscation":"xyz"}`},
		{Chat, `{"choices":[{"index":0,"delta":{"content":"a"}}]}`, `{"choices":[{"index":0,"delta":{"content":"\"}}]}`},
		{Chat, `{"choices":[{"index":0,"delta":{"content":"a"}}]}`, `: ping`},
		{Messages, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"} }`, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}   }`},
		{Messages, `{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}`, `{"type":"ping"}`},
		{Responses, `{"type":"response.output_text.delta","sequence_number":1,"delta":"a"}`, `{"type":"response.output_text.delta","sequence_number":2,"delta":""}`},
	} {
		var w Watcher
		if got := watch(&w, tc.protocol, "data: "+tc.content+"\n\ndata: "+tc.unlike+"\n\n"); got.contents != 1 {
			t.Errorf("%s: Contents() after %s and %s = %d, want 1", tc.protocol, tc.content, tc.unlike, got.contents)
		}
	}
}

func TestPatternsAreExact(t *testing.T) {
	// Events that differ from the first in what a pattern leaves open must
	// have the same effect as if they were parsed.
	first := `{"type":"response.output_text.delta","sequence_number":9,"delta":"a","obfuscation":"z"}`
	for _, tc := range []struct {
		data     string
		contents int
		next     int
	}{
		{`{"type":"response.output_text.delta","sequence_number":10,"delta":"b\"\\","obfuscation":""}`, 2, 11},
		{`{"type":"response.output_text.delta","sequence_number":3,"delta":"b","obfuscation":"zz"}   `, 2, 10},
		{`{"type":"response.output_text.delta","sequence_number":12,"delta":"","obfuscation":"zz"}`, 1, 13},
		{`{"type":"response.output_text.delta","sequence_number":12,"obfuscation":"zz","delta":"b"}`, 2, 13},
		{`{"type":"response.output_text.delta","sequence_number":-1,"delta":"b","obfuscation":"z"}`, 2, 10},
		{`{"type":"response.output_text.delta","sequence_number":99999999999999999999,"delta":"b","obfuscation":"z"}`, 2, 10},
	} {
		var w Watcher
		got := watch(&w, Responses, "data: "+first+"\n\ndata: "+tc.data+"\n\n")
		want := fmt.Sprintf(`"sequence_number":%d,`, tc.next)
		if got.contents != tc.contents || !strings.Contains(got.ending, want) {
			t.Errorf("after %s: Contents() = %d, want %d; ending %s, want %s in it", tc.data, got.contents, tc.contents, got.ending, want)
		}
	}
}

func TestEndsOfStreams(t *testing.T) {
	delta := `data: {"choices":[{"index":0,"delta":{"content":"a"}}]}` + "\n\n"
	second := `data: {"choices":[{"index":1,"delta":{"content":"a"}}]}` + "\n\n"
	stop := `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n"
	done := "data: [DONE]\n\n"
	block := `data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"a"}}` + "\n\n"
	messageDelta := `data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":1}}` + "\n\n"
	text := `data: {"type":"response.output_text.delta","delta":"a"}` + "\n\n"
	for _, tc := range []struct {
		name                      string
		protocol                  Protocol
		stream                    string
		finished, ended, complete bool
	}{
		{"nothing", Chat, "", false, false, false},
		{"comments only", Chat, ": ping\n\n", false, false, false},
		{"no content", Chat, done, true, true, false},
		{"content only", Chat, delta, false, false, false},
		{"no finish_reason but [DONE]", Chat, delta + done, true, true, true},
		{"no [DONE]", Chat, delta + stop, true, false, true},
		{"one choice of two", Chat, delta + second + stop, false, false, false},
		{"[DONE] without its line end", Chat, delta + stop + "data: [DONE]", true, true, true},
		{"data after [DONE]", Chat, delta + stop + done + `data: {"error":{"message":"late"}}` + "\n\n", true, true, true},
		{"error null", Chat, `data: {"error":null,"choices":[{"index":0,"delta":{"content":"a"}}]}` + "\n\n" + stop + done, true, true, true},
		{"error then [DONE]", Chat, delta + `data: {"error":{"message":"boom"}}` + "\n\n" + done, true, true, false},
		{"HTML", Chat, "<html><body>Bad gateway</body></html>", false, false, false},

		{"no message_delta", Messages, block, false, false, false},
		{"no message_stop", Messages, block + messageDelta, true, false, false},
		{"message_stop", Messages, block + messageDelta + `data: {"type":"message_stop"}` + "\n\n", true, true, true},
		{"stop without line end", Messages, block + messageDelta + `data: {"type":"message_stop"}`, true, true, true},
		{"[DONE] is nothing here", Messages, block + messageDelta + done, true, false, false},
		{"type only in the event line", Messages, block + "event: message_stop\ndata: {}\n\n", true, true, true},

		{"no end", Responses, text, false, false, false},
		{"completed", Responses, text + `data: {"type":"response.completed","response":{"error":null}}` + "\n\n", true, true, true},
		{"incomplete", Responses, text + `data: {"type":"response.incomplete","response":{}}` + "\n\n", true, true, true},
		{"failed", Responses, text + `data: {"type":"response.failed","response":{"error":{"code":"server_error","message":"x"}}}` + "\n\n", true, true, false},
		{"cancelled", Responses, text + `data: {"type":"response.cancelled","response":{"error":null}}` + "\n\n", true, true, false},
		{"completed with an error", Responses, text + `data: {"type":"response.completed","response":{"error":{"message":"x"}}}` + "\n\n", true, true, false},
		{"[DONE] is nothing here", Responses, text + done, false, false, false},
	} {
		var w Watcher
		got := watch(&w, tc.protocol, tc.stream)
		if got.finished != tc.finished || got.ended != tc.ended || got.complete != tc.complete {
			t.Errorf("%s, %s: finished %v, ended %v, complete %v, want %v, %v, %v", tc.protocol, tc.name,
				got.finished, got.ended, got.complete, tc.finished, tc.ended, tc.complete)
		}
	}
}

func TestStreamsTellTheirFailure(t *testing.T) {
	for _, tc := range []struct {
		name     string
		protocol Protocol
		stream   string
		want     Error
	}{
		{"error chunk", Chat, `data: {"error":{"message":"overloaded","code":503}}`, Error{Status: 503, Message: "overloaded"}},
		{"error text", Chat, `data: {"error":"rate limited"}`, Error{Status: 502, Message: "rate limited"}},
		{
			"OpenRouter: chunk with error", Chat, `data: {"id":"g","choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],"error":{"code":429,"message":"slow down"}}`,
			Error{Status: 429, Message: "slow down"},
		},
		{
			"OpenRouter: choice with error", Chat, `data: {"id":"g","choices":[{"index":0,"delta":{},"error":{"code":502,"message":"lost"}}]}`,
			Error{Status: 502, Message: "lost"},
		},
		{
			"Groq: event error", Chat, "event: error\n" + `data: {"error":{"message":"no call","type":"invalid_request_error","code":"tool_use_failed","status_code":400}}`,
			Error{Status: 400, Type: "invalid_request_error", Code: "tool_use_failed", Message: "no call"},
		},
		{"event error with text", Chat, "event: error\ndata: upstream gone", Error{Status: 502, Message: "the upstream sent plain text: upstream gone"}},
		{"MiniMax", Chat, `data: {"base_resp":{"status_code":1002,"status_msg":"rate limit"}}`, Error{Status: 429, Code: "1002", Message: "rate limit"}},
		{"DashScope", Chat, `data: {"code":"InvalidApiKey","message":"bad key","request_id":"r"}`, Error{Status: 401, Code: "InvalidApiKey", Message: "bad key"}},
		{"finish_reason", Chat, `data: {"choices":[{"index":0,"delta":{},"finish_reason":"insufficient_system_resource"}]}`, Error{Status: 503, Code: "insufficient_system_resource", Message: "the model broke off: insufficient_system_resource"}},
		{
			"first event", Messages, "event: error\n" + `data: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`,
			Error{Status: 529, Type: "overloaded_error", Message: "Overloaded"},
		},
		{"OpenAI's shape", Messages, `data: {"error":{"type":"server_error","message":"x"}}`, Error{Status: 500, Type: "server_error", Message: "x"}},
		{
			"flat", Responses, `data: {"type":"error","code":"rate_limit_exceeded","message":"x","param":null,"sequence_number":1}`,
			Error{Status: 429, Code: "rate_limit_exceeded", Message: "x"},
		},
		{
			"nested", Responses, `data: {"type":"error","sequence_number":1,"error":{"type":"invalid_request_error","code":"context_length_exceeded","message":"x","param":"input"}}`,
			Error{Status: 400, Type: "invalid_request_error", Code: "context_length_exceeded", Param: "input", Message: "x"},
		},
		{
			"failed", Responses, `data: {"type":"response.failed","response":{"id":"r","status":"failed","error":{"code":"server_error","message":"x"}}}`,
			Error{Status: 500, Code: "server_error", Message: "x"},
		},
		{"cancelled", Responses, `data: {"type":"response.cancelled","response":{"id":"r","status":"cancelled"}}`, Error{Status: 502, Message: "the upstream ended the stream with response.cancelled"}},
	} {
		var w Watcher
		got := watch(&w, tc.protocol, tc.stream+"\n\n")
		if !got.fail || got.failure != tc.want {
			t.Errorf("%s, %s: Failure() = %+v, %v, want %+v", tc.protocol, tc.name, got.failure, got.fail, tc.want)
		}
		if got.complete {
			t.Errorf("%s, %s: Complete() = true", tc.protocol, tc.name)
		}
	}
}
