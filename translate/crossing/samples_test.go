package crossing_test

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// ownRequest is a short question.
func ownRequest(p translate.Protocol) []byte {
	switch p {
	case translate.Responses:
		return []byte(`{"model":"m","instructions":"Be brief.","input":"How high is the Zugspitze?","max_output_tokens":300,"stream":true}`)
	case translate.Messages:
		return []byte(`{"model":"m","system":"Be brief.","messages":[{"role":"user","content":"How high is the Zugspitze?"}],"max_tokens":300,"stream":true}`)
	}
	return []byte(`{"model":"m","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"How high is the Zugspitze?"}],"max_completion_tokens":300,"stream":true}`)
}

// agentRequest is what an agent sends in the middle of its work: many tools, a
// long instruction, and files that it has read and written, of about size bytes.
func agentRequest(p translate.Protocol, size int) []byte {
	var tools, turns []string
	for i := range 12 {
		tools = append(tools, agentTool(p, i))
	}
	length := 0
	for i := 0; length < size-12*700-2000; i++ {
		turn := agentTurn(p, i)
		length += len(turn)
		turns = append(turns, turn)
	}
	instruction := strings.Repeat(`Work on the task until it is done. Say \"done\" then.\n`, 30)
	head := `{"model":"m","stream":true,"tools":[` + strings.Join(tools, ",") + `],`
	switch p {
	case translate.Responses:
		return []byte(head + `"max_output_tokens":8000,"store":false,"instructions":"` + instruction + `","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"Begin."}]},` + strings.Join(turns, ",") + `]}`)
	case translate.Messages:
		return []byte(head + `"max_tokens":8000,"system":[{"type":"text","text":"` + instruction + `","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":[{"type":"text","text":"Begin."}]},` + strings.Join(turns, ",") + `]}`)
	}
	return []byte(head + `"max_completion_tokens":8000,"messages":[{"role":"system","content":"` + instruction + `"},{"role":"user","content":"Begin."},` + strings.Join(turns, ",") + `]}`)
}

func agentTool(p translate.Protocol, i int) string {
	name := fmt.Sprintf(`"name":"tool_%d"`, i)
	description := `"description":"` + strings.Repeat("What the tool does, and when it is to be used. ", 6) + `"`
	schema := `{"type":"object","properties":{"path":{"type":"string","description":"The file to work on, from the root of the project."},"lines":{"type":"array","items":{"type":"integer"}},"mode":{"type":"string","enum":["read","write"]}},"required":["path"],"additionalProperties":false}`
	switch p {
	case translate.Responses:
		return `{"type":"function",` + name + `,` + description + `,"parameters":` + schema + `,"strict":false}`
	case translate.Messages:
		return `{` + name + `,` + description + `,"input_schema":` + schema + `}`
	}
	return `{"type":"function","function":{` + name + `,` + description + `,"parameters":` + schema + `}}`
}

// agentTurn is a call of a tool and its result, of about 3 KB.
func agentTurn(p translate.Protocol, i int) string {
	id := fmt.Sprintf("call_%d", i)
	text := `I read the file number ` + decimal(i) + ` now.`
	args := fmt.Sprintf(`{"path":"src/file_%d.go","lines":[1,200]}`, i)
	quoted := strings.ReplaceAll(args, `"`, `\"`)
	result := strings.Repeat(`\tif err := write(\"a < b && c\"); err != nil {\n\t\treturn err // über 日本\n\t}\n`, 36)
	switch p {
	case translate.Responses:
		return `{"type":"message","role":"assistant","content":[{"type":"output_text","text":"` + text + `"}]},` +
			`{"type":"function_call","call_id":"` + id + `","name":"tool_1","arguments":"` + quoted + `"},` +
			`{"type":"function_call_output","call_id":"` + id + `","output":"` + result + `"}`
	case translate.Messages:
		return `{"role":"assistant","content":[{"type":"text","text":"` + text + `"},{"type":"tool_use","id":"` + id + `","name":"tool_1","input":` + args + `}]},` +
			`{"role":"user","content":[{"type":"tool_result","tool_use_id":"` + id + `","content":"` + result + `"}]}`
	}
	return `{"role":"assistant","content":"` + text + `","tool_calls":[{"id":"` + id + `","type":"function","function":{"name":"tool_1","arguments":"` + quoted + `"}}]},` +
		`{"role":"tool","tool_call_id":"` + id + `","content":"` + result + `"}`
}

// ownAnswer is a whole answer with thinking, text and a call.
func ownAnswer(p translate.Protocol) []byte {
	switch p {
	case translate.Responses:
		return []byte(`{"id":"resp_1","object":"response","created_at":1700000000,"status":"completed","model":"m","output":[` +
			`{"id":"rs_1","type":"reasoning","summary":[{"type":"summary_text","text":"Let me \"see\"."}],"encrypted_content":"c2VhbA=="},` +
			`{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","text":"It is 2962 m. 日本","annotations":[],"logprobs":[]}]},` +
			`{"id":"fc_1","type":"function_call","status":"completed","call_id":"call_1","name":"f","arguments":"{\"a\":1}"}],` +
			`"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":9,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":19}}`)
	case translate.Messages:
		return []byte(`{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[` +
			`{"type":"thinking","thinking":"Let me \"see\".","signature":"c2VhbA=="},{"type":"text","text":"It is 2962 m. 日本"},` +
			`{"type":"tool_use","id":"call_1","name":"f","input":{"a":1}}],"stop_reason":"tool_use","stop_sequence":null,` +
			`"usage":{"input_tokens":6,"cache_read_input_tokens":4,"cache_creation_input_tokens":0,"output_tokens":9,"output_tokens_details":{"thinking_tokens":2}}}`)
	}
	return []byte(`{"id":"c1","object":"chat.completion","created":1700000000,"model":"m","choices":[{"index":0,"message":{"role":"assistant",` +
		`"reasoning_content":"Let me \"see\".","content":"It is 2962 m. 日本","tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},` +
		`"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":10,"completion_tokens":9,"total_tokens":19,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}}`)
}

// words is what one event of a stream of text says.
const words = ` and \"some\" more – 日本`

// deltaOf is an event that adds words to the text of [textStream].
func deltaOf(p translate.Protocol) []byte {
	switch p {
	case translate.Responses:
		return []byte("event: response.output_text.delta\n" +
			`data: {"type":"response.output_text.delta","sequence_number":5,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"` + words + `","logprobs":[]}` + "\n\n")
	case translate.Messages:
		return []byte("event: content_block_delta\n" +
			`data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"` + words + `"}}` + "\n\n")
	}
	return []byte(`data: {"id":"c1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":{"content":"` + words + `"},"finish_reason":null}]}` + "\n\n")
}

// textStream is a stream with deltas events of text in it.
func textStream(p translate.Protocol, deltas int) []byte {
	text := strings.Repeat(string(deltaOf(p)), deltas)
	switch p {
	case translate.Responses:
		said := strings.Repeat(words, deltas)
		item := func(status, content string) string {
			return `{"id":"msg_1","type":"message","role":"assistant","status":"` + status + `","content":[` + content + `]}`
		}
		part := func(text string) string {
			return `{"type":"output_text","text":"` + text + `","annotations":[],"logprobs":[]}`
		}
		response := func(status, output, usage string) string {
			return `"response":{"id":"resp_1","object":"response","created_at":1700000000,"status":"` + status + `","model":"m","output":[` + output + `],"usage":` + usage + `}`
		}
		at := `"item_id":"msg_1","output_index":0,"content_index":0,`
		return sse(
			`{"type":"response.created","sequence_number":0,`+response("in_progress", "", "null")+`}`,
			`{"type":"response.in_progress","sequence_number":1,`+response("in_progress", "", "null")+`}`,
			`{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":`+item("in_progress", "")+`}`,
			`{"type":"response.content_part.added","sequence_number":3,`+at+`"part":`+part("")+`}`,
			text,
			`{"type":"response.output_text.done","sequence_number":6,`+at+`"text":"`+said+`","logprobs":[]}`,
			`{"type":"response.content_part.done","sequence_number":7,`+at+`"part":`+part(said)+`}`,
			`{"type":"response.output_item.done","sequence_number":8,"output_index":0,"item":`+item("completed", part(said))+`}`,
			`{"type":"response.completed","sequence_number":9,`+response("completed", item("completed", part(said)),
				`{"input_tokens":10,"input_tokens_details":{"cached_tokens":4},"output_tokens":9,"output_tokens_details":{"reasoning_tokens":2},"total_tokens":19}`)+`}`)
	case translate.Messages:
		return sse(
			`{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"m","stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":6,"cache_read_input_tokens":4,"cache_creation_input_tokens":0,"output_tokens":1}}}`,
			`{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}`,
			text,
			`{"type":"content_block_stop","index":0}`,
			`{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":9}}`,
			`{"type":"message_stop"}`)
	}
	return chatStream(`{"role":"assistant","content":""}`, text, "stop")
}

// chatStream is a stream of Chat Completions: deltas, events, and the end.
func chatStream(first, more, finish string) []byte {
	return sse(chatChunk(first), more,
		`{"id":"c1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"`+finish+`"}]}`,
		`{"id":"c1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":9,"total_tokens":19,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}}`,
		"data: [DONE]\n\n")
}

// chatChunk is the data of a chunk with one delta.
func chatChunk(delta string) string {
	return `{"id":"c1","object":"chat.completion.chunk","created":1700000000,"model":"m","choices":[{"index":0,"delta":` + delta + `,"finish_reason":null}]}`
}

// sse writes events: of JSON with the name that its type gives, anything else as
// it is.
func sse(data ...string) []byte {
	var b bytes.Buffer
	for _, d := range data {
		if !strings.HasPrefix(d, "{") {
			b.WriteString(d)
			continue
		}
		if _, rest, ok := strings.Cut(d, `{"type":"`); ok && strings.HasPrefix(d, `{"type":"`) {
			name, _, _ := strings.Cut(rest, `"`)
			b.WriteString("event: " + name + "\n")
		}
		b.WriteString("data: " + d + "\n\n")
	}
	return b.Bytes()
}

// events splits a stream behind each event.
func events(stream []byte) [][]byte {
	all := bytes.SplitAfter(stream, []byte("\n\n"))
	return all[:len(all)-1]
}
