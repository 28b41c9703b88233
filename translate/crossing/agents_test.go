package crossing_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
)

// codexTools are declared as Codex does it: in namespaces, of both kinds, at the
// top and in an item of the input.
const codexTools = `"tools":[{"type":"function","name":"run","parameters":{"type":"object","properties":{}}},` +
	`{"type":"namespace","name":"agents","description":"Others.","tools":[{"type":"function","name":"run","parameters":{"type":"object","properties":{}}}]},{"type":"custom","name":"apply_patch"},{"type":"web_search"}],` +
	`"input":[{"type":"additional_tools","role":"developer","tools":[{"type":"namespace","name":"functions","description":"All.","tools":[{"type":"custom","name":"exec"}]}]},` + openAIHello + `]`

// TestCodexGetsItsToolsAsItDeclaredThem calls each of Codex's tools by the name
// under which another vendor has been sent it. Codex makes no call that does not
// come back with its namespace and kind.
func TestCodexGetsItsToolsAsItDeclaredThem(t *testing.T) {
	for _, upstream := range others(translate.Responses) {
		r, e := crossing.Translate(nil, translate.Responses, []byte(`{"model":"m",`+codexTools+`}`), bare(upstream))
		if e != nil {
			t.Fatal(e)
		}
		offered := readRequest(upstream, r.Body).tools
		if len(offered) != 4 {
			t.Fatalf("to %s: %d tools are sent, want 4: %s", apiName(upstream), len(offered), r.Body)
		}
		want := map[string]string{
			"run":             `{"type":"function_call","name":"run","arguments":"{\"input\":\"x\"}"}`,
			"agents__run":     `{"type":"function_call","name":"run","namespace":"agents","arguments":"{\"input\":\"x\"}"}`,
			"apply_patch":     `{"type":"custom_tool_call","name":"apply_patch","input":"x"}`,
			"functions__exec": `{"type":"custom_tool_call","name":"exec","namespace":"functions","input":"x"}`,
		}
		for _, tool := range offered {
			answer := chatAnswer(`{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"`+tool.name+`","arguments":"{\"input\":\"x\"}"}}]}`, `"tool_calls"`, "")
			if upstream == translate.Messages {
				answer = claudeAnswer(`{"type":"tool_use","id":"call_1","name":"`+tool.name+`","input":{"input":"x"}}`, "tool_use", smallUsage)
			}
			got := answerOf(t, r.Asked, answer)
			wantAt(t, got, "output.0.{type,name,namespace,arguments,input}", want[tool.name])
		}
	}
}

// TestLegacyFunctionsComeBackAsTheyWere asks with functions, which tool_calls
// replaced: such clients read nothing else.
func TestLegacyFunctionsComeBackAsTheyWere(t *testing.T) {
	request := asks(hello+`,{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},{"role":"function","name":"f","content":"done"}`,
		`,"functions":[{"name":"f","parameters":{"type":"object","properties":{}}}],"function_call":{"name":"f"},"stream":%v`)
	for _, p := range []pair{messagesToChat, responsesToChat} {
		for _, stream := range []bool{false, true} {
			r, e := crossing.Translate(nil, translate.Chat, fmt.Appendf(nil, request, stream), bare(p.from))
			if e != nil {
				t.Fatal(e)
			}
			for _, problem := range requestProblems(p.from, r.Body) {
				t.Errorf("to %s: %s", apiName(p.from), problem)
			}
			r.Asked.Nonce = "abcdefghijklmnopqrstuvwx"
			if stream {
				upstream := claudeStream("tool_use", block("0", `{"type":"tool_use","id":"toolu_1","name":"f","input":{}}`, `{"type":"input_json_delta","partial_json":"{\"a\":1}"}`)...)
				if p.from == translate.Responses {
					upstream = openAIStream("completed", functionItem, `{"type":"response.output_item.done","sequence_number":1,"output_index":0,"item":`+functionItem+`}`)
				}
				got := relay(r.Asked, upstream).bytes
				if !bytes.Contains(got, []byte(`"function_call":{"name":"f"`)) || !bytes.Contains(got, []byte(`"finish_reason":"function_call"`)) || bytes.Contains(got, []byte("tool_calls")) {
					t.Errorf("%s: the stream is %s", p, got)
				}
				continue
			}
			answer := claudeAnswer(`{"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}}`, "tool_use", smallUsage)
			if p.from == translate.Responses {
				answer = openAIAnswer(functionItem, `,"status":"completed"`)
			}
			got := answerOf(t, r.Asked, answer)
			wantAt(t, got, "choices.0.message.function_call", `{"name":"f","arguments":"{\"a\":1}"}`)
			wantAt(t, got, "choices.0.message.tool_calls", "-")
			wantAt(t, got, "choices.0.finish_reason", `"function_call"`)
		}
	}
}

// TestSignsOfLifeMayStandBetweenEvents puts one behind all that a client is sent:
// what it reads is the same as without.
func TestSignsOfLifeMayStandBetweenEvents(t *testing.T) {
	for _, p := range pairs() {
		body := textStream(p.from, 2)
		whole := relay(asking(p, true), body).bytes
		want, err := readStream(p.to, whole)
		if err != nil {
			t.Fatal(err)
		}
		sent := events(whole)
		var out []byte
		for _, event := range sent[:len(sent)-1] {
			out = append(append(out, event...), translate.PingEvent(p.to)...)
		}
		out = append(out, sent[len(sent)-1]...)
		got, err := readStream(p.to, out)
		if err != nil || got.text != want.text || got.stop != want.stop {
			t.Errorf("%s: with pings it says %+v, %v, want %+v", p, got, err, want)
		}
		for _, violation := range read(t, p.to, out).Violations {
			t.Errorf("%s: %s: %s", p, violation.Code, violation.Msg)
		}
	}
}

// TestContextOverflowKeepsItsMeaning breaks streams off because the conversation
// is too long: agents compact it when they are told so in their protocol's words.
func TestContextOverflowKeepsItsMeaning(t *testing.T) {
	failures := map[translate.Protocol]string{
		translate.Chat:      `{"error":{"message":"This model's maximum context length is 100 tokens.","type":"invalid_request_error","code":"context_length_exceeded"}}`,
		translate.Messages:  `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 101 tokens > 100 maximum"}}`,
		translate.Responses: `{"type":"response.failed","sequence_number":1,"response":{"id":"resp_1","status":"failed","error":{"code":"context_length_exceeded","message":"Your input exceeds the context window."}}}`,
	}
	for _, p := range pairs() {
		got := relay(asking(p, true), append(bytes.Join(events(textStream(p.from, 1))[:1], nil), sse(failures[p.from])...))
		told, err := readStream(p.to, got.bytes)
		word := "context_length_exceeded"
		if p.to == translate.Messages {
			word = "prompt is too long"
		}
		if err != nil || !told.failed || !bytes.Contains(got.bytes, []byte(word)) {
			t.Errorf("%s: failed %v, %v, want the words %q in %s", p, told.failed, err, word, got.bytes)
		}
	}
}
