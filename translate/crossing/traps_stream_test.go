package crossing_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
)

// claudeStart begins a stream of the Messages API.
const claudeStart = `{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"m","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":6,"output_tokens":1}}}`

// claudeEnd ends one.
func claudeEnd(stop string) []string {
	return []string{`{"type":"message_delta","delta":{"stop_reason":"` + stop + `","stop_sequence":null},"usage":{"output_tokens":9}}`, `{"type":"message_stop"}`}
}

// claudeStream is a stream of the Messages API with these events between start
// and end.
func claudeStream(stop string, data ...string) []byte {
	return sse(append(append([]string{claudeStart}, data...), claudeEnd(stop)...)...)
}

// block is the events of one block.
func block(index, head string, deltas ...string) []string {
	all := []string{`{"type":"content_block_start","index":` + index + `,"content_block":` + head + `}`}
	for _, delta := range deltas {
		all = append(all, `{"type":"content_block_delta","index":`+index+`,"delta":`+delta+`}`)
	}
	return append(all, `{"type":"content_block_stop","index":`+index+`}`)
}

// concat puts lists of events one behind the other.
func concat(lists ...[]string) []string {
	var all []string
	for _, list := range lists {
		all = append(all, list...)
	}
	return all
}

// chatDeltas is a stream of Chat Completions of these deltas.
func chatDeltas(finish string, deltas ...string) []byte {
	chunks := make([]string, len(deltas))
	for i, delta := range deltas {
		chunks[i] = chatChunk(delta)
	}
	return chatStream(`{"role":"assistant","content":""}`, string(sse(chunks...)), finish)
}

// openAIStream is a stream of the Responses API with these events between start
// and end. Its end repeats the items.
func openAIStream(status, output string, data ...string) []byte {
	response := func(status, output, more string) string {
		return `"response":{"id":"resp_1","object":"response","created_at":1,"status":"` + status + `","model":"m","output":[` + output + `]` + more + `}`
	}
	return sse(concat([]string{`{"type":"response.created","sequence_number":0,` + response("in_progress", "", "") + `}`}, data,
		[]string{`{"type":"response.` + status + `","sequence_number":99,` + response(status, output, `,"incomplete_details":{"reason":"max_output_tokens"},"usage":`+openAIUsageOf) + `}`})...)
}

// calls wants the calls of a stream in both other protocols.
func calls(stream []byte, from translate.Protocol, want ...toldCall) func(t *testing.T) {
	return func(t *testing.T) {
		t.Helper()
		for _, to := range others(from) {
			told, err := readStream(to, streamed(t, pair{from, to}, stream).bytes)
			if err != nil || len(told.calls) != len(want) {
				t.Errorf("for %s: calls = %v, %v, want %v", apiName(to), told.calls, err, want)
				continue
			}
			for i, call := range told.calls {
				if call.name != want[i].name || canonical(call.input) != canonical(want[i].input) || want[i].id != "" && call.id != want[i].id {
					t.Errorf("for %s: call %d = %v, want %v", apiName(to), i, call, want[i])
				}
			}
		}
	}
}

// says wants what a stream says in both other protocols.
func says(stream []byte, from translate.Protocol, text string) func(t *testing.T) {
	return func(t *testing.T) {
		t.Helper()
		for _, to := range others(from) {
			told, err := readStream(to, streamed(t, pair{from, to}, stream).bytes)
			if said := told.text; err != nil || said != text {
				t.Errorf("for %s: text = %q, %v, want %q", apiName(to), said, err, text)
			}
		}
	}
}

// all runs several tests as one.
func all(tests ...func(t *testing.T)) func(t *testing.T) {
	return func(t *testing.T) {
		t.Helper()
		for _, test := range tests {
			test(t)
		}
	}
}

// never wants none of the words in a stream, for each protocol that it may be
// told in.
func never(stream []byte, from translate.Protocol, words map[translate.Protocol]string) func(t *testing.T) {
	return func(t *testing.T) {
		t.Helper()
		for to, word := range words {
			if got := streamed(t, pair{from, to}, stream); bytes.Contains(got.bytes, []byte(word)) {
				t.Errorf("for %s: %s stands in %s", apiName(to), word, got.bytes)
			}
		}
	}
}

var (
	claudeThinking = block("0", `{"type":"thinking","thinking":"","signature":""}`, `{"type":"thinking_delta","thinking":"hm"}`, `{"type":"signature_delta","signature":"c2ln"}`)
	claudeText     = block("1", `{"type":"text","text":""}`, `{"type":"text_delta","text":"Hi."}`)
	claudeTool     = block("2", `{"type":"tool_use","id":"toolu_1","name":"f","input":{}}`, `{"type":"input_json_delta","partial_json":""}`, `{"type":"input_json_delta","partial_json":"{\"a\":1}"}`)
	functionItem   = `{"id":"fc_1","type":"function_call","status":"completed","call_id":"call_1","name":"f","arguments":"{\"a\":1}"}`
)

var streamTraps = []trap{
	{number: 69, name: "the index of a block is not that of a call", test: func(t *testing.T) {
		got := streamed(t, messagesToChat, claudeStream("tool_use", concat(claudeThinking, claudeText, claudeTool)...))
		for _, chunk := range dataOf(got.bytes, "tool_calls\":[") {
			wantAt(t, []byte(chunk.Raw), "choices.0.delta.tool_calls.0.index", "0")
		}
		if len(dataOf(got.bytes, `"tool_calls":[`)) == 0 {
			t.Errorf("there is no call in %s", got.bytes)
		}
	}},
	{number: 70, name: "calls without an index, or all with the same", test: all(
		calls(chatDeltas("tool_calls", `{"tool_calls":[{"id":"call_1","function":{"name":"f","arguments":"{\"a\":1}"}}]}`, `{"tool_calls":[{"id":"call_2","function":{"name":"g","arguments":"{\"b\":2}"}}]}`), translate.Chat,
			toldCall{"call_1", "f", `{"a":1}`}, toldCall{"call_2", "g", `{"b":2}`}),
		calls(chatDeltas("tool_calls", `{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"f","arguments":"{\"a\":1}"}}]}`, `{"tool_calls":[{"index":0,"id":"call_2","function":{"name":"g","arguments":"{\"b\":2}"}}]}`), translate.Chat,
			toldCall{"call_1", "f", `{"a":1}`}, toldCall{"call_2", "g", `{"b":2}`}),
		calls(chatDeltas("tool_calls", `{"tool_calls":[{"index":0,"id":"","function":{"name":"f","arguments":"{\"a\":1}"}},{"index":0,"id":"","function":{"name":"f","arguments":"{\"b\":2}"}}]}`), translate.Chat,
			toldCall{"", "f", `{"a":1}`}, toldCall{"", "f", `{"b":2}`}),
	)},
	{number: 71, name: "names that are repeated", test: calls(chatDeltas("tool_calls", `{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"f","arguments":"{\"a\""}}]}`, `{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"f","arguments":":1}"}}]}`), translate.Chat,
		toldCall{"call_1", "f", `{"a":1}`})},
	{number: 72, name: "ids that change from chunk to chunk", test: says(
		bytes.Replace(textStream(translate.Chat, 1), []byte(`"id":"c1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":{"content"`), []byte(`"id":"c2","object":"chat.completion.chunk","created":1700000001,"model":"m","choices":[{"index":0,"delta":{"content"`), 1),
		translate.Chat, ` and "some" more – 日本`)},
	{number: 73, name: "error: null", test: all(
		never(textStream(translate.Messages, 1), translate.Messages, map[translate.Protocol]string{translate.Chat: `"error"`}),
		never(textStream(translate.Responses, 1), translate.Responses, map[translate.Protocol]string{translate.Chat: `"error"`}),
		says(bytes.ReplaceAll(textStream(translate.Chat, 1), []byte(`"model":"m"`), []byte(`"model":"m","error":null`)), translate.Chat, ` and "some" more – 日本`),
	)},
	{number: 74, name: "events without a name", test: func(t *testing.T) {
		for _, p := range []pair{chatToMessages, responsesToMessages} {
			got := streamed(t, p, textStream(p.from, 2))
			if names, data := strings.Count(string(got.bytes), "event: "), strings.Count(string(got.bytes), "data: "); names != data {
				t.Errorf("%s: %d names for %d events", p, names, data)
			}
		}
		unnamed := bytes.ReplaceAll(textStream(translate.Responses, 1), []byte("event: response."), []byte(": response."))
		says(unnamed, translate.Responses, ` and "some" more – 日本`)(t)
	}},
	{number: 75, name: "gaps between the indexes of blocks", test: func(t *testing.T) {
		// Empty deltas open no block, so they leave no gap either.
		stream := chatDeltas("tool_calls", `{"reasoning_content":"hm"}`, `{"content":""}`, `{"content":null,"tool_calls":[]}`, `{"tool_calls":[{"index":3,"id":"call_1","function":{"name":"f","arguments":"{}"}}]}`)
		got := streamed(t, chatToMessages, stream)
		if n := len(dataOf(got.bytes, "content_block_start")); n != 2 {
			t.Errorf("there are %d blocks, want 2: %s", n, got.bytes)
		}
	}},
	{number: 76, name: "a last event without an empty line", test: func(t *testing.T) {
		for _, p := range pairs() {
			stream := textStream(p.from, 1)
			if got := streamed(t, p, stream[:len(stream)-2]); !bytes.HasSuffix(got.bytes, []byte("\n\n")) {
				t.Errorf("%s: it ends %q", p, tail(got.bytes))
			}
		}
	}},
	{number: 77, name: "words that are swallowed where a block begins or the stream finishes", test: func(t *testing.T) {
		finishing := `{"id":"c1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":{"content":" c"},"finish_reason":"stop"}]}`
		stream := sse(chatChunk(`{"role":"assistant","content":"a"}`), chatChunk(`{"reasoning_content":"hm"}`), chatChunk(`{"content":" b"}`), finishing, "data: [DONE]\n\n")
		for _, to := range others(translate.Chat) {
			told, err := readStream(to, streamed(t, pair{translate.Chat, to}, stream).bytes)
			if told.text != "a b c" || told.thinking != "hm" || err != nil {
				t.Errorf("for %s: %+v, %v", apiName(to), told, err)
			}
		}
	}},
	{number: 78, name: "a finish before the usage", test: func(t *testing.T) {
		got := streamed(t, chatToMessages, textStream(translate.Chat, 1))
		deltas := dataOf(got.bytes, "message_delta")
		if len(deltas) != 1 {
			t.Fatalf("there are %d message_delta", len(deltas))
		}
		wantAt(t, []byte(deltas[0].Raw), "usage.output_tokens", "9")
		wantAt(t, []byte(deltas[0].Raw), "usage.input_tokens", "6")
		wantAt(t, []byte(deltas[0].Raw), "usage.cache_read_input_tokens", "4")
	}},
	{number: 79, name: "no tokens in message_start", test: func(t *testing.T) {
		got := streamed(t, chatToMessages, textStream(translate.Chat, 1))
		wantAt(t, lastData(got.bytes, "message_start"), "message.usage.input_tokens", "7")
		without := bytes.Replace(textStream(translate.Chat, 1), []byte(`"usage":{`), []byte(`"other":{`), 1)
		for _, word := range []string{"message_start", "message_delta"} {
			data := lastData(streamed(t, chatToMessages, without).bytes, word)
			if !gjson.GetBytes(data, "usage.output_tokens").Exists() && !gjson.GetBytes(data, "message.usage.output_tokens").Exists() {
				t.Errorf("%s has no usage: %s", word, data)
			}
		}
	}},
	{number: 80, name: "[DONE] where there is none", test: func(t *testing.T) {
		never(textStream(translate.Chat, 1), translate.Chat, map[translate.Protocol]string{translate.Messages: "[DONE]", translate.Responses: "[DONE]"})(t)
		done := []byte("data: [DONE]\n\n")
		never(append(textStream(translate.Responses, 1), done...), translate.Responses, map[translate.Protocol]string{translate.Messages: "[DONE]"})(t)
		never(append(textStream(translate.Messages, 1), done...), translate.Messages, map[translate.Protocol]string{translate.Responses: "[DONE]"})(t)
	}},
	{number: 81, name: "streams that broke off", test: func(t *testing.T) {
		for _, p := range pairs() {
			all := events(textStream(p.from, 3))
			for n := range all[:len(all)-3] {
				got := relay(asking(p, true), bytes.Join(all[:n], nil))
				told, err := readStream(p.to, got.bytes)
				if err != nil || !told.failed || successEnd(p.to, got.bytes) != "" {
					t.Errorf("%s behind %d events: failed %v, %v: %s", p, n, told.failed, err, got.bytes)
				}
			}
		}
	}},
	{number: 82, name: "errors in the middle of a stream", test: func(t *testing.T) {
		for _, p := range pairs() {
			failure := map[translate.Protocol]string{
				translate.Chat:      `{"error":{"message":"The engine is overloaded.","type":"server_error","code":"overloaded"}}`,
				translate.Messages:  `{"type":"error","error":{"type":"overloaded_error","message":"The engine is overloaded."}}`,
				translate.Responses: `{"type":"error","sequence_number":4,"error":{"type":"server_error","code":"overloaded","message":"The engine is overloaded."}}`,
			}[p.from]
			all := events(textStream(p.from, 3))
			got := relay(asking(p, true), append(bytes.Join(all[:4], nil), sse(failure, "data: [DONE]\n\n")...))
			told, err := readStream(p.to, got.bytes)
			if err != nil || !told.failed || !bytes.Contains(got.bytes, []byte("The engine is overloaded.")) || successEnd(p.to, got.bytes) != "" {
				t.Errorf("%s: failed %v, %v: %s", p, told.failed, err, got.bytes)
			}
		}
	}},
	{number: 83, name: "answers that are too long told as complete", test: func(t *testing.T) {
		got := streamed(t, chatToResponses, chatDeltas("length", `{"content":"Hi"}`))
		wantAt(t, lastData(got.bytes, "response.incomplete"), "response.incomplete_details.reason", `"max_output_tokens"`)
		got = streamed(t, messagesToResponses, claudeStream("max_tokens", concat(claudeThinking, claudeText)...))
		wantAt(t, lastData(got.bytes, "response.incomplete"), "response.status", `"incomplete"`)
		got = streamed(t, responsesToMessages, bytes.ReplaceAll(openAIStream("incomplete", openAISays), []byte(`"status":"completed"`), []byte(`"status":"incomplete"`)))
		wantAt(t, lastData(got.bytes, "message_delta"), "delta.stop_reason", `"max_tokens"`)
	}},
	{number: 84, name: "items that share an index or an id", test: func(t *testing.T) {
		got := streamed(t, messagesToResponses, claudeStream("tool_use", concat(claudeThinking, claudeText, claudeTool)...))
		seen := map[string]bool{}
		for i, added := range dataOf(got.bytes, "response.output_item.added") {
			id := added.Get("item.id").String()
			if added.Get("output_index").Int() != int64(i) || id == "" || seen[id] || id == added.Get("item.call_id").String() {
				t.Errorf("item %d is %s", i, added.Raw)
			}
			seen[id] = true
		}
	}},
	{number: 85, name: "items that nobody announced, or whose ids rotate", test: all(
		says(openAIStream("completed", openAISays, `{"type":"response.output_text.delta","sequence_number":1,"item_id":"a","output_index":0,"content_index":0,"delta":"H"}`, `{"type":"response.output_text.delta","sequence_number":2,"item_id":"b","output_index":0,"content_index":0,"delta":"i."}`), translate.Responses, "Hi."),
		says(openAIStream("completed", openAISays), translate.Responses, "Hi."),
		calls(openAIStream("completed", functionItem, `{"type":"response.function_call_arguments.delta","sequence_number":1,"item_id":"a","output_index":0,"delta":"{\"a\":1}"}`, `{"type":"response.output_item.done","sequence_number":2,"output_index":0,"item":`+functionItem+`}`), translate.Responses,
			toldCall{"call_1", "f", `{"a":1}`}),
	)},
	{number: 86, name: "encrypted reasoning that changes until it is done", test: func(t *testing.T) {
		done := `{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"hm"}],"encrypted_content":"LAST"}`
		stream := openAIStream("completed", done+`,`+openAISays,
			`{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[],"encrypted_content":"FIRST"}}`,
			`{"type":"response.reasoning_summary_part.added","sequence_number":2,"item_id":"rs_1","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}`,
			`{"type":"response.reasoning_summary_text.delta","sequence_number":3,"item_id":"rs_1","output_index":0,"summary_index":0,"delta":"hm"}`,
			`{"type":"response.output_item.done","sequence_number":4,"output_index":0,"item":`+done+`}`,
			`{"type":"response.output_text.delta","sequence_number":5,"item_id":"msg_1","output_index":1,"content_index":0,"delta":"Hi."}`)
		got := streamed(t, responsesToMessages, stream)
		var c translate.Conversation
		_, seal, ok := c.OpenEnvelope(translate.Text(gjson.GetBytes(lastData(got.bytes, "signature_delta"), "delta.signature").String()))
		if !ok || gjson.GetBytes(seal, "encrypted_content").String() != "LAST" {
			t.Errorf("the seal is %s", seal)
		}
	}},
	{number: 87, name: "Azure's first chunk", test: says(
		append(sse(`{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{}}]}`), textStream(translate.Chat, 1)...), translate.Chat, ` and "some" more – 日本`)},
	{number: 88, name: "calls that come whole", test: all(
		calls(chatDeltas("tool_calls", `{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]}`), translate.Chat, toldCall{"call_1", "f", `{"a":1}`}),
		calls(openAIStream("completed", functionItem, `{"type":"response.output_item.done","sequence_number":1,"output_index":0,"item":`+functionItem+`}`), translate.Responses, toldCall{"call_1", "f", `{"a":1}`}),
		calls(claudeStream("tool_use", block("0", `{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}`)...), translate.Messages, toldCall{"toolu_1", "f", `{"a":1}`}),
	)},
	{
		number: 89, name: "silence", test: says(append([]byte(": OPENROUTER PROCESSING\n\n"), textStream(translate.Chat, 1)...), translate.Chat, ` and "some" more – 日本`),
		elsewhere: []string{"caddymodule.TestSilenceIsFilledWithPings"},
	},
	{number: 90, name: "a message that is whole when it starts", test: calls(
		sse(concat([]string{strings.Replace(strings.Replace(claudeStart, `"content":[]`, `"content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}]`, 1), `"stop_reason":null`, `"stop_reason":"tool_use"`, 1)}, claudeEnd("tool_use"))...),
		translate.Messages, toldCall{"toolu_1", "f", `{"a":1}`})},
	{number: 91, name: "a second start", test: says(sse(concat([]string{claudeStart}, block("0", `{"type":"text","text":""}`, `{"type":"text_delta","text":"H"}`), []string{strings.Replace(claudeStart, "msg_1", "msg_2", 1)},
		block("1", `{"type":"fallback","model":"m"}`), block("2", `{"type":"text","text":""}`, `{"type":"text_delta","text":"i."}`), claudeEnd("end_turn"))...), translate.Messages, "Hi.")},
	{number: 92, name: "characters that are cut", test: testCutCharacters},
	{number: 93, name: "characters and numbers that JSON writers change", test: testBytesThatStay},
	{number: 94, name: "keys and events that nobody knows", test: all(
		says(claudeStream("end_turn", concat([]string{`{"type":"weather","index":0}`}, block("0", `{"type":"text","text":""}`, `{"type":"text_delta","text":"Hi.","mood":"good"}`, `{"type":"mood_delta","mood":"better"}`))...), translate.Messages, "Hi."),
		says(bytes.ReplaceAll(textStream(translate.Chat, 1), []byte(`"delta":{"content"`), []byte(`"obfuscation":"xx","delta":{"mood":{},"content"`)), translate.Chat, ` and "some" more – 日本`),
		says(append(sse(`{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","model":"m"}}`, `{"type":"response.mood","sequence_number":1}`, `{"type":"keepalive"}`), textStream(translate.Responses, 1)...), translate.Responses, ` and "some" more – 日本`),
	)},
	{number: 95, name: "custom input in the shape of a function's", test: testCustomInput},
}

// testCutCharacters cuts streams inside of characters, and characters between
// deltas.
func testCutCharacters(t *testing.T) {
	for _, p := range pairs() {
		stream := textStream(p.from, 1)
		if got, want := relay(asking(p, true), bytewise(stream)...).bytes, relay(asking(p, true), stream).bytes; !bytes.Equal(got, want) {
			t.Errorf("%s: %s", p, firstDifference(got, want))
		}
	}
	for _, to := range others(translate.Chat) {
		got := streamed(t, pair{translate.Chat, to}, chatDeltas("stop", `{"content":"a \ud83d"}`, `{"content":"\ude00 b"}`))
		told, err := readStream(to, got.bytes)
		if told.text != "a 😀 b" || err != nil {
			t.Errorf("for %s: text = %q, %v", apiName(to), told.text, err)
		}
	}
}

// testBytesThatStay looks for texts and numbers exactly as they came.
func testBytesThatStay(t *testing.T) {
	args := `{"html":"<b>&amp;\u003c/b>","big":12345678901234567890,"exact":1.10,"é":"\/"}`
	for _, p := range []pair{messagesToChat, messagesToResponses} {
		got := whole(p, claudeAnswer(`{"type":"tool_use","id":"toolu_1","name":"f","input":`+args+`}`, "tool_use", smallUsage)).bytes
		said := gjson.GetBytes(got, "choices.0.message.tool_calls.0.function.arguments").String() + gjson.GetBytes(got, "output.0.arguments").String()
		if said != args {
			t.Errorf("%s: the arguments %s became %s", p, args, said)
		}
	}
	for _, from := range others(translate.Messages) {
		request := asks(hello+`,{"role":"assistant","content":"<a & b>","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"`+string(canonicalText(args))+`"}}]},`+resultOfF, oneTool)
		input := "messages.1.content.1.input"
		if from == translate.Responses {
			request = `{"model":"m","input":[` + openAIHello + `,{"role":"assistant","content":[{"type":"output_text","text":"<a & b>"}]},{"type":"function_call","call_id":"call_1","name":"f","arguments":"` + string(canonicalText(args)) + `"},` + openAIResultOfF + `]}`
		}
		r, e := crossing.Translate(nil, from, []byte(request), bare(translate.Messages))
		if e != nil {
			t.Fatal(e)
		}
		if got := gjson.GetBytes(r.Body, input).Raw; got != args {
			t.Errorf("from %s: the arguments %s became %s", apiName(from), args, got)
		}
		if !bytes.Contains(r.Body, []byte(`"<a & b>"`)) {
			t.Errorf("from %s: the text is not as it was in %s", apiName(from), r.Body)
		}
	}
}

// testCustomInput calls a custom tool where it was sent as a function: the client
// gets the text as it comes, and nothing of what it is wrapped in.
func testCustomInput(t *testing.T) {
	request := `{"model":"m","stream":true,"input":"hello","tools":[{"type":"custom","name":"apply","description":"Applies a patch."}]}`
	for _, upstream := range others(translate.Responses) {
		r, e := crossing.Translate(nil, translate.Responses, []byte(request), bare(upstream))
		if e != nil {
			t.Fatal(e)
		}
		r.Asked.Nonce = "abcdefghijklmnopqrstuvwx"
		stream := chatDeltas("tool_calls", `{"tool_calls":[{"index":0,"id":"call_1","type":"function","function":{"name":"apply","arguments":"{\"in"}}]}`,
			`{"tool_calls":[{"index":0,"function":{"arguments":"put\":\"*** Begin\\"}}]}`, `{"tool_calls":[{"index":0,"function":{"arguments":"n+\\\"a\\u00e9"}}]}`, `{"tool_calls":[{"index":0,"function":{"arguments":"\\\"\"}"}}]}`)
		if upstream == translate.Messages {
			stream = claudeStream("tool_use", block("0", `{"type":"tool_use","id":"call_1","name":"apply","input":{}}`, `{"type":"input_json_delta","partial_json":"{\"in"}`,
				`{"type":"input_json_delta","partial_json":"put\":\"*** Begin\\"}`, `{"type":"input_json_delta","partial_json":"n+\\\"a\\u00e9"}`, `{"type":"input_json_delta","partial_json":"\\\"\"}"}`)...)
		}
		got := relay(r.Asked, stream)
		told, err := readStream(translate.Responses, got.bytes)
		want := "*** Begin\n+\"aé\""
		if err != nil || len(told.calls) != 1 || told.calls[0].input != want || told.calls[0].name != "apply" {
			t.Errorf("from %s: calls = %q, %v, want the input %q", apiName(upstream), told.calls, err, want)
		}
		deltas := dataOf(got.bytes, "response.custom_tool_call_input.delta")
		if len(deltas) < 3 {
			t.Errorf("from %s: the input came in %d deltas", apiName(upstream), len(deltas))
		}
		wantAt(t, lastData(got.bytes, "response.output_item.done"), "item.type", `"custom_tool_call"`)
	}
}
