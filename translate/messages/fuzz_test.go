package messages

import (
	"bytes"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

// FuzzDecodeRequest reads any request and writes it again: nothing panics, what
// is written is JSON, and to write it once more changes nothing.
func FuzzDecodeRequest(f *testing.F) {
	f.Add(smallRequest)
	f.Add(`{"messages":` + short("s: z | a: x | u: a b | s: y | a: thought c1 c2 | u: r2 b r1 | s: w") + `,"tools":[{"name":"f","input_schema":{}}],"tool_choice":{"type":"any"}}`)
	f.Add(`{"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}},` +
		`{"type":"document","title":"T","source":{"type":"content","content":[{"type":"text","text":"a"}]}},{"type":"search_result","title":"T","source":"s","content":[{"text":"x"}]}]}],` +
		`"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral","ttl":"1h"}}],"stop_sequences":["a"," "],"output_config":{"format":{"type":"json_schema","schema":{"oneOf":[]}}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		var o strictjson.Object
		if o.Parse([]byte(body)) != nil {
			return
		}
		c := new(translate.Conversation)
		c.Reset(translate.Messages)
		if DecodeRequest(c, []byte(body)) != nil {
			return
		}
		first, e := EncodeRequest(nil, c, &target)
		if e != nil {
			return
		}
		if !rawjson.Valid(first) {
			t.Fatalf("EncodeRequest of %q = %q, which is no JSON", body, first)
		}
		again := new(translate.Conversation)
		again.Reset(translate.Messages)
		if e := DecodeRequest(again, first); e != nil {
			return // such as one with max_tokens 0
		}
		second, e := EncodeRequest(nil, again, &target)
		if e != nil {
			t.Fatalf("EncodeRequest of %q = %v", first, e)
		}
		if third, _ := EncodeRequest(nil, again, &target); !bytes.Equal(second, third) {
			t.Errorf("EncodeRequest of %q = %q, and then %q", first, second, third)
		}
	})
}

// FuzzDecodeStream reads any events, one a line, and writes them as a stream and
// as a whole answer: nothing panics, and both are made of JSON.
func FuzzDecodeStream(f *testing.F) {
	f.Add(start("") + "\n" + begin(0, `{"type":"thinking","thinking":"a","signature":""}`) + "\n" + delta(0, "signature_delta", "signature", "Eq") + "\n" + end(0) + "\n" +
		begin(1, `{"type":"tool_use","id":"t","name":"f","input":{"a":1}}`) + "\n" + end(1) + "\n" + stopped("tool_use") + "\n" + over)
	f.Add(begin(3, `{"type":"text","text":"a","citations":[{"url":"u"}]}`) + "\n" + delta(3, "text_delta", "text", `\ud83d`) + "\n" + begin(3, `{"type":"redacted_thinking","data":"x"}`))
	f.Add(`{"type":"message_start","message":{"content":[{"type":"tool_use","name":"f","input":{}},{"type":"server_tool_use"}],"stop_reason":"pause_turn"}}`)
	f.Fuzz(func(t *testing.T, lines string) {
		for _, stream := range []bool{true, false} {
			asked := &translate.Asked{Stream: stream, Nonce: "N", Provider: "p"}
			a := translate.NewAssembler(asked, NewEncoder(asked))
			d := NewDecoder(a)
			for line := range bytes.Lines([]byte(lines)) {
				line = bytes.TrimSpace(line)
				if rawjson.Parse(line).IsObject() && rawjson.Valid(line) {
					d.Event(nil, line)
				}
			}
			a.End(translate.Usage{}, false)
			out := a.Take()
			if !stream {
				if !rawjson.Valid(out) {
					t.Fatalf("the answer to %q is %q, which is no JSON", lines, out)
				}
				continue
			}
			for event := range bytes.SplitSeq(bytes.TrimSuffix(out, []byte("\n\n")), []byte("\n\n")) {
				name, data, ok := bytes.Cut(event, []byte("\ndata: "))
				if !ok || !bytes.HasPrefix(name, []byte("event: ")) || !rawjson.Valid(data) {
					t.Fatalf("an event of the answer to %q is %q", lines, event)
				}
			}
		}
	})
}
