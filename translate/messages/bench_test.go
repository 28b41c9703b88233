package messages

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

const smallRequest = `{"model":"m","max_tokens":1024,"system":"You are helpful.","messages":[{"role":"user","content":"What is the capital of France?"}],"stream":true}`

// agentRequest is what a coding agent sends after some turns: long
// instructions, a dozen tools, and calls with their results. It has about
// 120 KB.
func agentRequest() string {
	var b strings.Builder
	paragraph := strings.Repeat(`Read the file before you change it, and say \"why\".\nNever guess. `, 16)
	b.WriteString(`{"model":"m","max_tokens":32000,"stream":true,"thinking":{"type":"adaptive"},"output_config":{"effort":"high"},"system":[`)
	b.WriteString(`{"type":"text","text":"x-anthropic-billing-header: cc_version=1;"},{"type":"text","text":"` + strings.Repeat(paragraph, 12) + `","cache_control":{"type":"ephemeral"}}],"tools":[`)
	for i := range 12 {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `{"name":"tool_%d","description":"%s","input_schema":{"type":"object","properties":{"path":{"type":"string","description":"where"},"limit":{"type":"integer"}},"required":["path"],"additionalProperties":false}}`, i, paragraph)
	}
	b.WriteString(`],"messages":[{"role":"user","content":[{"type":"text","text":"Fix the bug."}]}`)
	for i := range 40 {
		fmt.Fprintf(&b, `,{"role":"assistant","content":[{"type":"text","text":"Next is file %d."},{"type":"tool_use","id":"toolu_%024d","name":"tool_%d","input":{"path":"/src/file_%d.go","limit":2000}}]}`, i, i, i%12, i)
		fmt.Fprintf(&b, `,{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_%024d","content":"%s"}]}`, i,
			strings.Repeat(`\tif err != nil {\n\t\treturn fmt.Errorf(\"reading %q: %w\", name, err)\n\t}\n`, 20))
	}
	b.WriteString(`]}`)
	return b.String()
}

func BenchmarkDecodeRequest(b *testing.B) {
	for _, bc := range []struct{ name, body string }{{"small", smallRequest}, {"agent", agentRequest()}} {
		b.Run(bc.name, func(b *testing.B) {
			var c translate.Conversation
			body := []byte(bc.body)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				c.Reset(translate.Messages)
				if e := DecodeRequest(&c, body); e != nil {
					b.Fatal(e)
				}
			}
		})
	}
}

func BenchmarkEncodeRequest(b *testing.B) {
	for _, bc := range []struct{ name, body string }{{"small", smallRequest}, {"agent", agentRequest()}} {
		b.Run(bc.name, func(b *testing.B) {
			c := decoded(b, bc.body)
			c.Protocol = translate.Chat
			for i := range c.Blocks { // as the other protocols have it
				if in := &c.Blocks[i].Input; in.JSON != nil {
					*in = translate.Input{Text: c.OwnString(string(in.JSON))}
				}
			}
			var out []byte
			b.SetBytes(int64(len(bc.body)))
			b.ReportAllocs()
			for b.Loop() {
				var e *translate.Error
				if out, e = EncodeRequest(out[:0], c, &target); e != nil {
					b.Fatal(e)
				}
			}
		})
	}
}

func BenchmarkDecodeEvent(b *testing.B) {
	data := []byte(delta(0, "text_delta", "text", `some words, \"quoted\" ones `))
	a := translate.NewAssembler(&translate.Asked{}, discard{})
	d := NewDecoder(a)
	d.Event(nil, []byte(start("")))
	d.Event(nil, []byte(begin(0, `{"type":"text","text":""}`)))
	b.ReportAllocs()
	for b.Loop() {
		d.Event([]byte("content_block_delta"), data)
	}
}

type discard struct{}

func (discard) Append(dst []byte, _ *translate.Event) []byte { return dst }

func BenchmarkEncodeEvent(b *testing.B) {
	for _, bc := range []struct {
		name string
		head translate.Head
	}{
		{"text", translate.Head{Kind: translate.KindText}},
		{"input", translate.Head{Kind: translate.KindToolCall, ID: translate.Text("t"), Name: translate.Text("f")}},
		{"custom", translate.Head{Kind: translate.KindToolCall, ID: translate.Text("t"), Name: translate.Text("f"), Custom: true}},
	} {
		b.Run(bc.name, func(b *testing.B) {
			s := NewEncoder(&translate.Asked{Stream: true})
			e := translate.Event{Kind: translate.EventOpen, Head: bc.head}
			dst := s.Append(nil, &e)
			e = translate.Event{Kind: translate.EventDelta, Text: translate.Text(`some words, \"quoted\" ones `)}
			b.ReportAllocs()
			for b.Loop() {
				dst = s.Append(dst[:0], &e)
			}
		})
	}
}
