package chat

import (
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

const smallRequest = `{"model":"m","messages":[{"role":"system","content":"You are a helpful assistant."},` +
	`{"role":"user","content":"Tell me something about Norway."}],"stream":true,"max_tokens":1000,"temperature":0.7}`

// agentRequest is like what a coding agent sends after some time: a long
// instruction, tools with schemas, and many rounds of calls whose results are
// files full of quotes and line ends. It has about 120 KB.
func agentRequest() string {
	const line = `\tif err := doSomething(\"with a quoted string\", value); err != nil {\n\t\treturn fmt.Errorf(\"reading %s: %w\", name, err)\n\t}\n`
	var b strings.Builder
	fmt.Fprintf(&b, `{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[{"role":"system","content":"%s"}`,
		strings.Repeat(`You are an agent that edits code. Be careful.\n`, 250))
	fmt.Fprint(&b, `,{"role":"user","content":"Fix the bug in \"main.go\"."}`)
	for i := range 20 {
		fmt.Fprintf(&b, `,{"role":"assistant","content":"Let me look.","tool_calls":[{"id":"call_a%d","type":"function","function":{"name":"read_file","arguments":"{\"path\":\"/src/file%d.go\",\"limit\":100}"}},`+
			`{"id":"call_b%d","type":"function","function":{"name":"run","arguments":"{\"command\":\"go test ./... 2>&1 | tail -n 20\"}"}}]}`, i, i, i)
		fmt.Fprintf(&b, `,{"role":"tool","tool_call_id":"call_a%d","content":"%s"}`, i, strings.Repeat(line, 32))
		fmt.Fprintf(&b, `,{"role":"tool","tool_call_id":"call_b%d","content":"ok  \tgithub.com/x/y\t0.3s\n"}`, i)
	}
	fmt.Fprint(&b, `],"tools":[`)
	for i := range 20 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"function","function":{"name":"tool_%d","description":"%s","parameters":{"type":"object","properties":{"path":{"type":"string","description":"Where."},"limit":{"type":"integer","minimum":1}},"required":["path"],"additionalProperties":false}}}`,
			i, strings.Repeat("Does something useful. ", 20))
	}
	fmt.Fprint(&b, `],"tool_choice":"auto","temperature":0}`)
	return b.String()
}

func requests() []struct{ name, body string } {
	return []struct{ name, body string }{{"small", smallRequest}, {"agent", agentRequest()}}
}

func BenchmarkDecodeRequest(b *testing.B) {
	for _, r := range requests() {
		b.Run(r.name, func(b *testing.B) {
			body := []byte(r.body)
			c := new(translate.Conversation)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				c.Reset(translate.Chat)
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
			c := new(translate.Conversation)
			c.Reset(translate.Chat)
			if e := DecodeRequest(c, []byte(r.body)); e != nil {
				b.Fatal(e)
			}
			to := target(nil)
			var dst []byte
			b.SetBytes(int64(len(r.body)))
			b.ReportAllocs()
			for b.Loop() {
				out, e := EncodeRequest(dst[:0], c, to)
				if e != nil {
					b.Fatal(e)
				}
				dst = out
			}
		})
	}
}

// BenchmarkDecodeEvent measures a chunk of text on its way to the encoder.
func BenchmarkDecodeEvent(b *testing.B) {
	a := translate.NewAssembler(newAsked(), silent{})
	d := NewDecoder(a)
	chunk := []byte(`{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-5","system_fingerprint":"fp_1",` +
		`"choices":[{"index":0,"delta":{"content":" something"},"logprobs":null,"finish_reason":null}],"obfuscation":"abcdef"}`)
	b.ReportAllocs()
	for b.Loop() {
		d.Event(nil, chunk)
		a.Take()
	}
}

// silent is an encoder that writes nothing.
type silent struct{}

func (silent) Append(dst []byte, _ *translate.Event) []byte { return dst }

// BenchmarkEncodeEvent measures a piece of text, and of a call's arguments, that
// becomes a chunk.
func BenchmarkEncodeEvent(b *testing.B) {
	for _, head := range []translate.Head{
		{Kind: translate.KindText},
		{Kind: translate.KindToolCall, ID: translate.Text("call_1"), Name: translate.Text("f")},
	} {
		name := "text"
		if head.Kind == translate.KindToolCall {
			name = "call"
		}
		b.Run(name, func(b *testing.B) {
			w := NewEncoder(newAsked())
			dst := w.Append(nil, &translate.Event{Kind: translate.EventStart, Model: translate.Text("m"), Created: 7})
			dst = w.Append(dst, &translate.Event{Kind: translate.EventOpen, Head: head})
			e := &translate.Event{Kind: translate.EventDelta, Text: translate.Text(` something\n`)}
			b.ReportAllocs()
			for b.Loop() {
				dst = w.Append(dst[:0], e)
			}
		})
	}
}
