package crossing_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

// FuzzInterleaving lets a Chat upstream write several calls at once, as the
// protocol allows and no vendor is known to do: the bytes say whose turn it is.
// Clients of the other protocols must get one call after the other.
func FuzzInterleaving(f *testing.F) {
	f.Add([]byte{0, 1, 2, 0, 1, 2, 0, 1, 2})
	f.Add([]byte{0, 0, 1, 1, 0, 0, 2, 2, 0x81, 0x40, 1, 1, 0})
	f.Add([]byte("The order in which they write is what this says."))
	f.Fuzz(func(t *testing.T, order []byte) {
		stream, calls := interleaved(order)
		for _, to := range others(translate.Chat) {
			got := relay(asking(pair{translate.Chat, to}, true), stream)
			told, err := readStream(to, got.bytes)
			if err != nil {
				t.Fatalf("for %s: %v\n%s", apiName(to), err, stream)
			}
			if told.failed || len(told.calls) != len(calls) {
				t.Fatalf("for %s: %d calls, failed %v; want %d\n%s", apiName(to), len(told.calls), told.failed, len(calls), stream)
			}
			for i, call := range told.calls {
				if call.name != calls[i].name || call.id != calls[i].id || call.input != calls[i].input {
					t.Errorf("for %s: call %d = %v, want %v", apiName(to), i, call, calls[i])
				}
			}
		}
	})
}

// interleaved is a Chat stream with up to 8 calls whose arguments come in pieces,
// in the order that the bytes give: the low bits choose the call, the others how
// much of it comes.
func interleaved(order []byte) ([]byte, []toldCall) {
	var calls []toldCall
	known := map[byte]int{}
	written := map[int]int{}
	var chunks []string
	piece := func(call, size int) {
		input := calls[call].input
		size = min(size, len(input)-written[call])
		text := input[written[call] : written[call]+size]
		written[call] += size
		chunks = append(chunks, chatChunk(fmt.Sprintf(`{"tool_calls":[{"index":%d,"function":{"arguments":"%s"}}]}`, call, canonicalText(text))))
	}
	for _, b := range order {
		call, ok := known[b%8]
		if !ok {
			call = len(calls)
			known[b%8] = call
			calls = append(calls, toldCall{
				id: fmt.Sprintf("call_%d", call), name: fmt.Sprintf("tool_%d", call),
				input: fmt.Sprintf(`{"number":%d,"text":"a \"quoted\" \\ \u0041 {[","list":[1,{"a":null}]}`, call),
			})
			chunks = append(chunks, chatChunk(fmt.Sprintf(`{"tool_calls":[{"index":%d,"id":"call_%d","type":"function","function":{"name":"tool_%d","arguments":""}}]}`, call, call, call)))
		}
		piece(call, int(b>>3)%16)
	}
	for call := range calls {
		piece(call, len(calls[call].input))
	}
	finish := "tool_calls"
	if len(calls) == 0 {
		finish = "stop"
	}
	return chatStream(`{"role":"assistant","content":"I call."}`, string(sse(chunks...)), finish), calls
}

// FuzzStream gives arbitrary streams of each protocol to the decoders. Whatever
// comes, the client gets a stream that keeps the law of its protocol, and an error
// at the end of what was not whole; and it does not depend on how it was cut.
func FuzzStream(f *testing.F) {
	for i, p := range pairs() {
		f.Add(uint8(i), 100, textStream(p.from, 2))
		f.Add(uint8(i), 7, textStream(p.from, 1)[:300])
	}
	stream, _ := interleaved([]byte("interleaved"))
	f.Add(uint8(0), 9, stream)
	f.Add(uint8(1), 9, stream)
	f.Fuzz(func(t *testing.T, way uint8, cut int, stream []byte) {
		p := pairs()[int(way)%6]
		got := relay(asking(p, true), stream)
		told, err := readStream(p.to, got.bytes)
		if err != nil {
			t.Fatalf("%s: %v\n%s\nbecame\n%s", p, err, stream, got.bytes)
		}
		if !told.failed && !got.whole {
			t.Fatalf("%s: the stream is not whole, and the client is told that it is", p)
		}
		if cut > 0 && cut < len(stream) {
			if in2 := relay(asking(p, true), stream[:cut], stream[cut:]); !bytes.Equal(in2.bytes, got.bytes) {
				t.Fatalf("%s: cut at %d: %s", p, cut, firstDifference(in2.bytes, got.bytes))
			}
		}
	})
}

// FuzzAnswer gives arbitrary whole answers to the decoders.
func FuzzAnswer(f *testing.F) {
	for i, p := range pairs() {
		f.Add(uint8(i), ownAnswer(p.from))
	}
	f.Fuzz(func(t *testing.T, way uint8, body []byte) {
		p := pairs()[int(way)%6]
		if translate.CheckAnswer(p.from, translate.Generate, body) != nil {
			return
		}
		out := whole(p, body).bytes
		if err := translate.CheckAnswer(p.to, translate.Generate, out); err != nil {
			t.Fatalf("%s: %v\n%s\nbecame\n%s", p, err, body, out)
		}
	})
}

// FuzzReplay tells arbitrary answers as streams. The data of each event is JSON, the
// stream ends well where the answer is good, and another protocol's clients can be
// told it.
func FuzzReplay(f *testing.F) {
	for i, p := range pairs() {
		f.Add(uint8(i), ownAnswer(p.from))
	}
	f.Fuzz(func(t *testing.T, way uint8, body []byte) {
		p := pairs()[int(way)%6]
		if translate.CheckAnswer(p.from, translate.Generate, body) != nil || translate.CheckFinished(p.from, body) != nil {
			return
		}
		stream := translate.AppendReplay(nil, p.from, body)
		for _, event := range bytes.Split(bytes.TrimSuffix(stream, []byte("\n\n")), []byte("\n\n")) {
			_, data, ok := bytes.Cut(event, []byte("data: "))
			if !ok || string(data) != "[DONE]" && !rawjson.Valid(data) {
				t.Fatalf("%s: an event is %s\n%s\nbecame\n%s", apiName(p.from), event, body, stream)
			}
		}
		var w translate.Watcher
		w.Reset(p.from)
		w.Write(stream)
		w.Close()
		if e, failed := w.Failure(); failed || !w.Ended() {
			t.Fatalf("%s: its stream failed: %v %v\n%s\nbecame\n%s", apiName(p.from), failed, e.Message, body, stream)
		}
		if got := relay(asking(p, true), stream); w.Complete() && !got.whole {
			t.Fatalf("%s: its stream is not whole\n%s\nbecame\n%s", p, body, got.bytes)
		}
	})
}

// claudeBlocks are content blocks of Messages of many types.
var claudeBlocks = []string{
	`{"type":"text","text":""}`,
	`{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}`,
	claudeImage,
	`{"type":"document","source":{"type":"text","media_type":"text/plain","data":"d"},"title":"t"}`,
	`{"type":"document","source":{"type":"content","content":[{"type":"text","text":"d"}]}}`,
	`{"type":"search_result","title":"t","source":"s","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}`,
	`{"type":"thinking","thinking":"hm","signature":"s"}`,
	`{"type":"redacted_thinking","data":"d"}`,
	`{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{}}`,
	`{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[]}`,
	`{"type":"compaction","content":"c"}`,
	`{"type":"container_upload","file_id":"f"}`,
}

// FuzzRequest gives arbitrary requests to the codecs. What comes out is good JSON,
// no member twice, that its protocol takes; or an error that names a field.
func FuzzRequest(f *testing.F) {
	for i, p := range pairs() {
		f.Add(uint8(i), ownRequest(p.from))
		f.Add(uint8(i), agentRequest(p.from, 16<<10))
		if p.from == translate.Messages {
			for _, block := range claudeBlocks {
				for _, role := range []string{"user", "assistant", "system"} {
					f.Add(uint8(i), []byte(claudeAsks(hello+`,{"role":"`+role+`","content":[`+block+`]},`+hello, "")))
				}
			}
		}
	}
	f.Fuzz(func(t *testing.T, way uint8, body []byte) {
		p := pairs()[int(way)%6]
		var o strictjson.Object
		if o.Parse(body) != nil || translate.CheckRequest(p.from, translate.Generate, &o) != nil {
			return
		}
		for _, target := range allTargets {
			r, e := crossing.Translate(nil, p.from, body, target.of(p.to))
			if e != nil {
				if e.Param == "" || e.Status != 400 {
					t.Fatalf("%s (%s): the error names no field: %v\n%s", p, target.name, e, body)
				}
				continue
			}
			if problems := illFormed(p.to, r.Body); problems != nil {
				t.Fatalf("%s (%s): %v\n%s\nbecame\n%s", p, target.name, problems, body, r.Body)
			}
		}
	})
}
