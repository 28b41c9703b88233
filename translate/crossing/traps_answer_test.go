package crossing_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// chatAnswer is a whole answer of Chat Completions.
func chatAnswer(message, finish, usage string) []byte {
	return fmt.Appendf(nil, `{"id":"c1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":%s,"finish_reason":%s}]%s}`, message, finish, usage)
}

// claudeAnswer is a whole answer of the Messages API.
func claudeAnswer(content, stop, usage string) []byte {
	return fmt.Appendf(nil, `{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[%s],"stop_reason":"%s","stop_sequence":null,"usage":%s}`, content, stop, usage)
}

// openAIAnswer is a whole answer of the Responses API.
func openAIAnswer(output, members string) []byte {
	return fmt.Appendf(nil, `{"id":"resp_1","object":"response","created_at":1,"model":"m","output":[%s]%s}`, output, members)
}

const (
	chatSays   = `{"role":"assistant","content":"Hi."}`
	chatCalls  = `{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}}]}`
	claudeSays = `{"type":"text","text":"Hi."}`
	claudeUse  = `{"type":"tool_use","id":"toolu_1","name":"f","input":{}}`
	smallUsage = `{"input_tokens":1,"output_tokens":1}`
	openAISays = `{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hi.","annotations":[]}]}`
)

// answerCase is a whole answer and what its client must get.
type answerCase struct {
	pair
	answer []byte
	want   map[string]string
	losses []string
}

// answers makes a trap's test of answers. Each is also asked about at the oracle,
// where there is one.
func answers(cases ...answerCase) func(t *testing.T) {
	return func(t *testing.T) {
		for i, c := range cases {
			t.Run(fmt.Sprintf("answer %d: %s", i, c.pair), func(t *testing.T) {
				got := whole(c.pair, c.answer)
				for path, want := range c.want {
					wantAt(t, got.bytes, path, want)
				}
				var losses []string
				for _, loss := range got.asked.Losses {
					losses = append(losses, loss.Param+" "+string(loss.Action))
				}
				if c.losses != nil && !slices.Equal(losses, c.losses) {
					t.Errorf("losses = %q, want %q", losses, c.losses)
				}
			})
		}
	}
}

// ways of an answer.
var (
	chatToMessages      = pair{translate.Chat, translate.Messages}
	chatToResponses     = pair{translate.Chat, translate.Responses}
	messagesToChat      = pair{translate.Messages, translate.Chat}
	messagesToResponses = pair{translate.Messages, translate.Responses}
	responsesToChat     = pair{translate.Responses, translate.Chat}
	responsesToMessages = pair{translate.Responses, translate.Messages}
)

const (
	chatUsageOf     = `{"prompt_tokens":100,"completion_tokens":30,"total_tokens":130,"prompt_tokens_details":{"cached_tokens":60,"cache_write_tokens":10},"completion_tokens_details":{"reasoning_tokens":20}}`
	openAIUsageOf   = `{"input_tokens":100,"input_tokens_details":{"cached_tokens":60,"cache_write_tokens":10},"output_tokens":30,"output_tokens_details":{"reasoning_tokens":20},"total_tokens":130}`
	messagesUsageOf = `{"input_tokens":30,"cache_read_input_tokens":60,"cache_creation_input_tokens":10,"output_tokens":30,"output_tokens_details":{"thinking_tokens":20}}`
)

// usages are the same counters in each protocol.
var usages = map[translate.Protocol]map[string]string{
	translate.Chat: {
		"usage.prompt_tokens": "100", "usage.completion_tokens": "30", "usage.total_tokens": "130", "usage.prompt_tokens_details.cached_tokens": "60",
		"usage.prompt_tokens_details.cache_write_tokens": "10", "usage.completion_tokens_details.reasoning_tokens": "20",
	},
	translate.Responses: {
		"usage.input_tokens": "100", "usage.output_tokens": "30", "usage.total_tokens": "130", "usage.input_tokens_details.cached_tokens": "60",
		"usage.input_tokens_details.cache_write_tokens": "10", "usage.output_tokens_details.reasoning_tokens": "20",
	},
	translate.Messages: {
		"usage.input_tokens": "30", "usage.output_tokens": "30", "usage.cache_read_input_tokens": "60", "usage.cache_creation_input_tokens": "10",
		"usage.output_tokens_details.thinking_tokens": "20",
	},
}

var answerTraps = []trap{
	{number: 57, name: "prompt tokens with the cache in it or beside it", test: answers(
		answerCase{pair: chatToMessages, answer: chatAnswer(chatSays, `"stop"`, `,"usage":`+chatUsageOf), want: usages[translate.Messages]},
		answerCase{pair: chatToResponses, answer: chatAnswer(chatSays, `"stop"`, `,"usage":`+chatUsageOf), want: usages[translate.Responses]},
		answerCase{pair: messagesToChat, answer: claudeAnswer(claudeSays, "end_turn", messagesUsageOf), want: usages[translate.Chat]},
		answerCase{pair: messagesToResponses, answer: claudeAnswer(claudeSays, "end_turn", messagesUsageOf), want: usages[translate.Responses]},
		answerCase{pair: responsesToChat, answer: openAIAnswer(openAISays, `,"status":"completed","usage":`+openAIUsageOf), want: usages[translate.Chat]},
		answerCase{pair: responsesToMessages, answer: openAIAnswer(openAISays, `,"status":"completed","usage":`+openAIUsageOf), want: usages[translate.Messages]},
	)},
	{number: 58, name: "more tokens from the cache than there are", test: answers(
		answerCase{
			pair: chatToMessages, answer: chatAnswer(chatSays, `"stop"`, `,"usage":{"prompt_tokens":5,"completion_tokens":1,"total_tokens":6,"prompt_tokens_details":{"cached_tokens":9}}`),
			want: map[string]string{"usage.input_tokens": "0", "usage.cache_read_input_tokens": "5"},
		},
	)},
	{number: 59, name: "usage that the end of a stream corrects", test: func(t *testing.T) {
		stream := sse(
			`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"m","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"cache_read_input_tokens":0,"output_tokens":1}}}`,
			`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
			`{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi."}}`,
			`{"type":"content_block_stop","index":0}`,
			`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":30,"cache_read_input_tokens":60,"cache_creation_input_tokens":10,"output_tokens":30,"output_tokens_details":{"thinking_tokens":20}}}`,
			`{"type":"message_stop"}`)
		for _, p := range []pair{messagesToChat, messagesToResponses} {
			got := streamed(t, p, stream)
			for path, want := range usages[p.to] {
				if p.to == translate.Responses {
					path = "response." + path
				}
				wantAt(t, lastData(got.bytes, "usage"), path, want)
			}
		}
	}},
	{number: 60, name: "reasoning that is not part of the completion", test: answers(
		answerCase{
			pair: chatToMessages, answer: chatAnswer(chatSays, `"stop"`, `,"usage":{"prompt_tokens":100,"completion_tokens":10,"total_tokens":130,"completion_tokens_details":{"reasoning_tokens":20}}`),
			want: map[string]string{"usage.output_tokens": "30", "usage.output_tokens_details.thinking_tokens": "20"},
		},
		answerCase{
			pair: chatToResponses, answer: chatAnswer(chatSays, `"stop"`, `,"usage":{"prompt_tokens":100,"completion_tokens":0,"total_tokens":130}`),
			want: map[string]string{"usage.output_tokens": "30", "usage.total_tokens": "130"},
		},
	)},
	{number: 61, name: "usage on every chunk", test: func(t *testing.T) {
		chunk := func(delta, finish string, completion int) string {
			return fmt.Sprintf(`{"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":%s,"finish_reason":%s}],"usage":{"prompt_tokens":100,"completion_tokens":%d,"total_tokens":%d}}`, delta, finish, completion, 100+completion)
		}
		stream := sse(chunk(`{"role":"assistant","content":"a"}`, "null", 1), chunk(`{"content":"b"}`, "null", 2), chunk(`{"content":"c"}`, `"stop"`, 3), "data: [DONE]\n\n")
		for _, p := range []pair{chatToMessages, chatToResponses} {
			got := streamed(t, p, stream)
			path := map[translate.Protocol]string{translate.Messages: "usage.output_tokens", translate.Responses: "response.usage.output_tokens"}[p.to]
			wantAt(t, lastData(got.bytes, "usage"), path, "3")
			if n := strings.Count(string(got.bytes), `"output_tokens":3`); n != 1 {
				t.Errorf("%s: the usage is told %d times", p, n)
			}
		}
	}},
	{number: 62, name: "tools that the vendor itself ran", test: answers(
		answerCase{
			pair: messagesToChat, answer: claudeAnswer(`{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"x"}},{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[]},`+claudeSays, "end_turn", smallUsage),
			want: map[string]string{"choices.0.message.tool_calls": "-", "choices.0.message.content": `"Hi."`, "choices.0.finish_reason": `"stop"`},
		},
		answerCase{
			pair: messagesToResponses, answer: claudeAnswer(`{"type":"mcp_tool_use","id":"mcptoolu_1","name":"x","server_name":"s","input":{}},{"type":"mcp_tool_result","tool_use_id":"mcptoolu_1","is_error":false,"content":[]},`+claudeSays, "end_turn", smallUsage),
			want: map[string]string{"output.#(type==function_call)": "-", "status": `"completed"`},
		},
		answerCase{
			pair: responsesToMessages, answer: openAIAnswer(`{"id":"ws_1","type":"web_search_call","status":"completed","action":{"type":"search","query":"x"}},`+openAISays, `,"status":"completed"`),
			want: map[string]string{"content.#(type==tool_use)": "-", "stop_reason": `"end_turn"`},
		},
	)},
	{number: 63, name: "refusals told as an end", test: answers(
		answerCase{pair: chatToMessages, answer: chatAnswer(`{"role":"assistant","content":"I"}`, `"content_filter"`, ""), want: map[string]string{"stop_reason": `"refusal"`}},
		answerCase{pair: chatToMessages, answer: chatAnswer(`{"role":"assistant","content":null,"refusal":"No."}`, `"stop"`, ""), want: map[string]string{"stop_reason": `"refusal"`, "content.0.text": `"No."`}},
		answerCase{pair: chatToResponses, answer: chatAnswer(`{"role":"assistant","content":"I"}`, `"content_filter"`, ""), want: map[string]string{"status": `"incomplete"`, "incomplete_details.reason": `"content_filter"`}},
		answerCase{pair: messagesToChat, answer: claudeAnswer(claudeSays, "refusal", smallUsage), want: map[string]string{"choices.0.finish_reason": `"content_filter"`}},
		answerCase{pair: messagesToChat, answer: claudeAnswer("", `refusal","stop_details":{"type":"refusal","explanation":"No."},"x":"`, smallUsage), want: map[string]string{"choices.0.finish_reason": `"content_filter"`, "choices.0.message.refusal": `"No."`}},
		answerCase{pair: messagesToResponses, answer: claudeAnswer(claudeSays, "refusal", smallUsage), want: map[string]string{"status": `"incomplete"`, "incomplete_details.reason": `"content_filter"`}},
		answerCase{pair: responsesToMessages, answer: openAIAnswer(`{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"refusal","refusal":"No."}]}`, `,"status":"completed"`), want: map[string]string{"stop_reason": `"refusal"`, "content.0.text": `"No."`}},
		answerCase{pair: responsesToChat, answer: openAIAnswer(`{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"refusal","refusal":"No."}]}`, `,"status":"completed"`), want: map[string]string{"choices.0.message.refusal": `"No."`, "choices.0.message.content": "null", "choices.0.finish_reason": `"stop"`}},
	)},
	{number: 64, name: "finish reasons that do not fit the calls", test: answers(
		answerCase{pair: chatToMessages, answer: chatAnswer(chatCalls, `"stop"`, ""), want: map[string]string{"stop_reason": `"tool_use"`}},
		answerCase{pair: chatToMessages, answer: chatAnswer(chatSays, `"tool_calls"`, ""), want: map[string]string{"stop_reason": `"end_turn"`}},
		answerCase{pair: messagesToChat, answer: claudeAnswer(claudeUse, "end_turn", smallUsage), want: map[string]string{"choices.0.finish_reason": `"tool_calls"`}},
	)},
	{number: 65, name: "a pause told as an end", test: answers(
		answerCase{pair: messagesToChat, answer: claudeAnswer(claudeSays, "pause_turn", smallUsage), want: map[string]string{"choices.0.finish_reason": `"stop"`}, losses: []string{"stop_reason changed"}},
		answerCase{pair: messagesToResponses, answer: claudeAnswer(claudeSays, "pause_turn", smallUsage), want: map[string]string{"status": `"completed"`}, losses: []string{"stop_reason changed"}},
	)},
	{number: 66, name: "an error in a good answer", elsewhere: []string{"translate.TestErrorsInsideGoodAnswers", "caddymodule.TestEveryFaultBeforeContentIsMendedByTheNextRoute"}},
	{number: 67, name: "results that are errors", requests: []requestCase{
		{
			from: translate.Messages, request: claudeAsks(hello+`,`+claudeCallOfF+`,{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","is_error":true,"content":"no file"}]}`, oneClaudeTool), to: bare(translate.Chat),
			want: map[string]string{"messages.2.content": `"Error: no file"`},
		},
		{
			from: translate.Messages, request: claudeAsks(hello+`,`+claudeCallOfF+`,{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","is_error":true,"content":[{"type":"text","text":"no"},`+claudeImage+`]}]}`, oneClaudeTool), to: bare(translate.Responses),
			want: map[string]string{"input.2.output.0.text": `"Error: no"`},
		},
	}},
	{number: 68, name: "model calls that the totals leave out", test: answers(
		answerCase{
			pair: messagesToChat, answer: claudeAnswer(claudeSays, "end_turn", `{"input_tokens":10,"output_tokens":5,"iterations":[{"type":"compaction","input_tokens":90,"output_tokens":25},{"type":"message","input_tokens":10,"output_tokens":5}]}`),
			want: map[string]string{"usage.prompt_tokens": "100", "usage.completion_tokens": "30"},
		},
	)},
}

// streamed translates a stream that must be whole, and requires that what comes
// out keeps the law of its protocol.
func streamed(t *testing.T, p pair, stream []byte) relayed {
	t.Helper()
	got := relay(asking(p, true), stream)
	if !got.whole {
		t.Errorf("%s: the stream is not whole: %s", p, got.bytes)
	}
	if _, err := readStream(p.to, got.bytes); err != nil {
		t.Errorf("%s: %v", p, err)
	}
	return got
}

// lastData is the data of the last event in which a word stands.
func lastData(stream []byte, word string) []byte {
	all := dataOf(stream, word)
	if len(all) == 0 {
		return nil
	}
	return []byte(all[len(all)-1].Raw)
}

// dataOf is the data of the events in which a word stands.
func dataOf(stream []byte, word string) []gjson.Result {
	var all []gjson.Result
	for _, line := range strings.Split(string(stream), "\n") {
		if data, ok := strings.CutPrefix(line, "data: "); ok && strings.Contains(data, word) {
			all = append(all, gjson.Parse(data))
		}
	}
	return all
}
