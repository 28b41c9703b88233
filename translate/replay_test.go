package translate

import (
	"strings"
	"testing"
)

func TestWholeAnswersAreToldAsTheStreamTheyCouldHaveBeen(t *testing.T) {
	for _, tc := range []struct {
		name     string
		protocol Protocol
		body     string
		want     []string // events, or the data of those without a name
	}{
		{
			"chat", Chat,
			`{
				"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [
					{"index": 0, "message": {"role": "assistant", "content": "a b", "reasoning_content": "r", "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, "logprobs": null, "finish_reason": "tool_calls"},
					{"index": 1, "message": {"role": "assistant", "content": "b"}, "finish_reason": "stop"}
				], "usage": {"total_tokens": 7}, "service_tier": "x"
			}`,
			[]string{
				`data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","service_tier":"x","choices":[` +
					`{"index":0,"delta":{"role":"assistant","content":"a b","reasoning_content":"r","tool_calls":[{"index":0,"id":"t1","type":"function","function":{"name":"f","arguments":"{}"}}]},"logprobs":null,"finish_reason":null},` +
					`{"index":1,"delta":{"role":"assistant","content":"b"},"finish_reason":null}]}`,
				`data: {"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","usage":{"total_tokens":7},"service_tier":"x","choices":[` +
					`{"index":0,"delta":{},"finish_reason":"tool_calls"},{"index":1,"delta":{},"finish_reason":"stop"}]}`,
				`data: [DONE]`,
			},
		},
		{
			"messages", Messages,
			`{"id":"m1","type":"message","role":"assistant","model":"m","content":[
				{"type":"thinking","thinking":"t","signature":"s\/1"},
				{"type":"redacted_thinking","data":"d"},
				{"type":"text","text":"a\n","citations":[{"type":"char_location","cited_text":"x"}]},
				{"type":"server_tool_use","id":"s1","name":"web_search","input":{"q":"\"x\""}},
				{"type":"tool_use","id":"t1","name":"f","input":{}}
			],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":2}}`,
			[]string{
				`message_start {"type":"message_start","message":{"id":"m1","type":"message","role":"assistant","model":"m","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":2}}}`,
				`content_block_start {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}`,
				`content_block_delta {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"t"}}`,
				`content_block_delta {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"s\/1"}}`,
				`content_block_stop {"type":"content_block_stop","index":0}`,
				`content_block_start {"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"d"}}`,
				`content_block_stop {"type":"content_block_stop","index":1}`,
				`content_block_start {"type":"content_block_start","index":2,"content_block":{"type":"text","text":"","citations":[]}}`,
				`content_block_delta {"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"a\n"}}`,
				`content_block_delta {"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"type":"char_location","cited_text":"x"}}}`,
				`content_block_stop {"type":"content_block_stop","index":2}`,
				`content_block_start {"type":"content_block_start","index":3,"content_block":{"type":"server_tool_use","id":"s1","name":"web_search","input":{}}}`,
				`content_block_delta {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"q\":\"\\\"x\\\"\"}"}}`,
				`content_block_stop {"type":"content_block_stop","index":3}`,
				`content_block_start {"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"t1","name":"f","input":{}}}`,
				`content_block_stop {"type":"content_block_stop","index":4}`,
				`message_delta {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":1,"output_tokens":2}}`,
				`message_stop {"type":"message_stop"}`,
			},
		},
		{
			"responses", Responses,
			`{"id":"r1","object":"response","created_at":1,"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"model":"m","output":[
				{"type":"reasoning","id":"i1","summary":[{"type":"summary_text","text":"t"}],"encrypted_content":"e"},
				{"type":"web_search_call","id":"i2","status":"completed"},
				{"type":"function_call","id":"i3","call_id":"c1","name":"f","arguments":"{}","status":"completed"},
				{"type":"message","id":"i4","role":"assistant","status":"incomplete","content":[{"type":"output_text","text":"a","annotations":[{"type":"url_citation","url":"u"}]}]}
			],"usage":{"input_tokens":1,"output_tokens":2}}`,
			[]string{
				`response.created {"type":"response.created","sequence_number":0,"response":{"id":"r1","object":"response","created_at":1,"status":"in_progress","incomplete_details":null,"model":"m","output":[],"usage":null}}`,
				`response.in_progress {"type":"response.in_progress","sequence_number":1,"response":{"id":"r1","object":"response","created_at":1,"status":"in_progress","incomplete_details":null,"model":"m","output":[],"usage":null}}`,
				`response.output_item.added {"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"type":"reasoning","id":"i1","summary":[],"encrypted_content":"e"}}`,
				`response.reasoning_summary_part.added {"type":"response.reasoning_summary_part.added","sequence_number":3,"output_index":0,"item_id":"i1","summary_index":0,"part":{"type":"summary_text","text":""}}`,
				`response.reasoning_summary_text.delta {"type":"response.reasoning_summary_text.delta","sequence_number":4,"output_index":0,"item_id":"i1","summary_index":0,"delta":"t"}`,
				`response.reasoning_summary_text.done {"type":"response.reasoning_summary_text.done","sequence_number":5,"output_index":0,"item_id":"i1","summary_index":0,"text":"t"}`,
				`response.reasoning_summary_part.done {"type":"response.reasoning_summary_part.done","sequence_number":6,"output_index":0,"item_id":"i1","summary_index":0,"part":{"type":"summary_text","text":"t"}}`,
				`response.output_item.done {"type":"response.output_item.done","sequence_number":7,"output_index":0,"item":{"type":"reasoning","id":"i1","summary":[{"type":"summary_text","text":"t"}],"encrypted_content":"e"}}`,
				`response.output_item.added {"type":"response.output_item.added","sequence_number":8,"output_index":1,"item":{"type":"web_search_call","id":"i2","status":"in_progress"}}`,
				`response.output_item.done {"type":"response.output_item.done","sequence_number":9,"output_index":1,"item":{"type":"web_search_call","id":"i2","status":"completed"}}`,
				`response.output_item.added {"type":"response.output_item.added","sequence_number":10,"output_index":2,"item":{"type":"function_call","id":"i3","call_id":"c1","name":"f","arguments":"","status":"in_progress"}}`,
				`response.function_call_arguments.delta {"type":"response.function_call_arguments.delta","sequence_number":11,"output_index":2,"item_id":"i3","delta":"{}"}`,
				`response.function_call_arguments.done {"type":"response.function_call_arguments.done","sequence_number":12,"output_index":2,"item_id":"i3","arguments":"{}"}`,
				`response.output_item.done {"type":"response.output_item.done","sequence_number":13,"output_index":2,"item":{"type":"function_call","id":"i3","call_id":"c1","name":"f","arguments":"{}","status":"completed"}}`,
				`response.output_item.added {"type":"response.output_item.added","sequence_number":14,"output_index":3,"item":{"type":"message","id":"i4","role":"assistant","status":"in_progress","content":[]}}`,
				`response.content_part.added {"type":"response.content_part.added","sequence_number":15,"output_index":3,"item_id":"i4","content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}`,
				`response.output_text.delta {"type":"response.output_text.delta","sequence_number":16,"output_index":3,"item_id":"i4","content_index":0,"logprobs":[],"delta":"a"}`,
				`response.output_text.annotation.added {"type":"response.output_text.annotation.added","sequence_number":17,"output_index":3,"item_id":"i4","content_index":0,"annotation_index":0,"annotation":{"type":"url_citation","url":"u"}}`,
				`response.output_text.done {"type":"response.output_text.done","sequence_number":18,"output_index":3,"item_id":"i4","content_index":0,"logprobs":[],"text":"a"}`,
				`response.content_part.done {"type":"response.content_part.done","sequence_number":19,"output_index":3,"item_id":"i4","content_index":0,"part":{"type":"output_text","text":"a","annotations":[{"type":"url_citation","url":"u"}]}}`,
				`response.output_item.done {"type":"response.output_item.done","sequence_number":20,"output_index":3,"item":{"type":"message","id":"i4","role":"assistant","status":"incomplete","content":[{"type":"output_text","text":"a","annotations":[{"type":"url_citation","url":"u"}]}]}}`,
				`response.incomplete {"type":"response.incomplete","sequence_number":21,"response":{"id":"r1","object":"response","created_at":1,"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"model":"m","output":[` +
					`{"type":"reasoning","id":"i1","summary":[{"type":"summary_text","text":"t"}],"encrypted_content":"e"},{"type":"web_search_call","id":"i2","status":"completed"},` +
					`{"type":"function_call","id":"i3","call_id":"c1","name":"f","arguments":"{}","status":"completed"},` +
					`{"type":"message","id":"i4","role":"assistant","status":"incomplete","content":[{"type":"output_text","text":"a","annotations":[{"type":"url_citation","url":"u"}]}]}],"usage":{"input_tokens":1,"output_tokens":2}}}`,
			},
		},
	} {
		if err := CheckAnswer(tc.protocol, Generate, []byte(tc.body)); err != nil {
			t.Fatalf("%s: CheckAnswer = %v", tc.name, err)
		}
		got := strings.TrimSuffix(string(AppendReplay(nil, tc.protocol, []byte(tc.body))), "\n\n")
		for i, event := range strings.Split(got, "\n\n") {
			event = strings.Replace(strings.TrimPrefix(event, "event: "), "\ndata: ", " ", 1)
			if i >= len(tc.want) || event != tc.want[i] {
				t.Errorf("%s: event %d = %s\nwant %s", tc.name, i, event, tc.want[min(i, len(tc.want)-1)])
			}
		}
		if n := strings.Count(got, "\n\n") + 1; n != len(tc.want) {
			t.Errorf("%s: %d events, want %d", tc.name, n, len(tc.want))
		}
	}
}

func TestAnswersWithoutContentAreWholeStreamsToo(t *testing.T) {
	for p, body := range map[Protocol]string{
		Chat:      `{"choices":[{"message":{"role":"assistant","content":null}}]}`,
		Responses: `{"output":[]}`,
		Messages:  `{"type":"message","content":[null]}`,
	} {
		var w Watcher
		w.Reset(p)
		w.Write(AppendReplay(nil, p, []byte(body)))
		w.Close()
		if _, failed := w.Failure(); failed || !w.Ended() {
			t.Errorf("%s: ended %v, failed %v; want a stream that ends well", p, w.Ended(), failed)
		}
	}
}
