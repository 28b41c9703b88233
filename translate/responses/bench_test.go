package responses

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

const smallRequest = `{"model":"m","stream":true,"instructions":"Be brief.","input":[{"role":"user","content":"What is the capital of Norway?"}],"max_output_tokens":500,"store":false}`

// agentRequest is a request as agents send it in the middle of their work: some
// 120 KB, most of them files that were read, and a dozen tools.
func agentRequest() string {
	var b strings.Builder
	b.WriteString(`{"model":"m","stream":true,"store":false,"include":["reasoning.encrypted_content"],"parallel_tool_calls":true,"tool_choice":"auto","reasoning":{"effort":"medium","summary":"auto"},"tools":[`)
	for i := range 12 {
		fmt.Fprintf(&b, `{"type":"function","name":"tool_%d","description":"%s","strict":false,"parameters":{"type":"object","properties":{"path":{"type":"string","description":"The file."},"lines":{"type":"array","items":{"type":"integer"}}},"required":["path"],"additionalProperties":false}},`,
			i, strings.Repeat("It does this, and that. ", 20))
	}
	b.WriteString(`{"type":"custom","name":"apply_patch","description":"Patches.","format":{"type":"grammar","syntax":"lark","definition":"start: x"}}],"input":[`)
	fmt.Fprintf(&b, `{"type":"message","role":"developer","content":[{"type":"input_text","text":"%s"}]},`, strings.Repeat("You are an agent. ", 600))
	b.WriteString(`{"type":"message","role":"user","content":[{"type":"input_text","text":"Fix the bug."}]}`)
	file := strings.Repeat(`\tif err != nil {\n\t\treturn fmt.Errorf(\"reading %s: %w\", name, err)\n\t}\n`, 25)
	for i := range 50 {
		fmt.Fprintf(&b, `,{"type":"reasoning","id":"rs_%d","summary":[{"type":"summary_text","text":"I look at the next file."}],"encrypted_content":"lgw1.acme."}`, i)
		fmt.Fprintf(&b, `,{"type":"function_call","id":"fc_%d","call_id":"call_%d","name":"tool_1","arguments":"{\"path\":\"a/b/c_%d.go\"}","status":"completed"}`, i, i, i)
		fmt.Fprintf(&b, `,{"type":"function_call_output","call_id":"call_%d","output":"%s"}`, i, file)
	}
	b.WriteString(`]}`)
	return b.String()
}

func requests() []struct{ name, body string } {
	return []struct{ name, body string }{{"small", smallRequest}, {"agent", agentRequest()}}
}

func BenchmarkDecodeRequest(b *testing.B) {
	for _, r := range requests() {
		b.Run(r.name, func(b *testing.B) {
			c, body := new(translate.Conversation), []byte(r.body)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				c.Reset(translate.Responses)
				if e := DecodeRequest(c, body); e != nil {
					b.Fatal(e)
				}
			}
		})
	}
}

func BenchmarkEncodeRequest(b *testing.B) {
	for _, r := range requests() {
		b.Run(r.name, func(b *testing.B) {
			c, to := new(translate.Conversation), target()
			c.Reset(translate.Responses)
			if e := DecodeRequest(c, []byte(r.body)); e != nil {
				b.Fatal(e)
			}
			dst := make([]byte, 0, 2*len(r.body))
			b.SetBytes(int64(len(r.body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, e := EncodeRequest(dst, c, to); e != nil {
					b.Fatal(e)
				}
			}
		})
	}
}

// BenchmarkEncodeEvent is one piece of a text, call or thought.
func BenchmarkEncodeEvent(b *testing.B) {
	for _, head := range []translate.Head{
		{Kind: translate.KindText},
		{Kind: translate.KindThinking},
		{Kind: translate.KindToolCall, ID: text("c1"), Name: text("f")},
	} {
		b.Run(fmt.Sprint(head.Kind), func(b *testing.B) {
			delta := says("some words of it")
			open := translate.Event{Kind: translate.EventOpen, Head: head}
			var w translate.AnswerEncoder
			dst := make([]byte, 0, 4096)
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if n%1000 == 0 {
					w = NewEncoder(asking(true))
					w.Append(dst, &start)
					w.Append(dst, &open)
				}
				w.Append(dst, &delta)
			}
		})
	}
}

// BenchmarkDecodeEvent is one piece of a text, as OpenAI sends it.
func BenchmarkDecodeEvent(b *testing.B) {
	asked := asking(true)
	a := translate.NewAssembler(asked, new(silence))
	d := NewDecoder(a)
	d.Event(nil, []byte(created))
	name, data := []byte("response.output_text.delta"), []byte(`{"type":"response.output_text.delta","content_index":0,"delta":"some words of it","item_id":"msg_05ed6c8b322854d8006a024b52c1a481969f53b39e297cf5d1","logprobs":[],"obfuscation":"abcdefgh","output_index":0,"sequence_number":17}`)
	b.ReportAllocs()
	for b.Loop() {
		d.Event(name, data)
		a.Take()
	}
}

// silence is an encoder that writes nothing.
type silence struct{}

func (*silence) Append(dst []byte, _ *translate.Event) []byte { return dst }
