package translate

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// benchStreams are whole streams with a hundred deltas, written like the
// vendors write them.
func benchStreams() map[string]struct {
	protocol Protocol
	stream   []byte
} {
	words := []string{"The", " quick", " brown", " fox", " says", " \\\"hi\\\"", ",", "\\n", " 日本", " and"}
	var small, large, messages, responses strings.Builder
	const id = "chatcmpl-DIgPoiOp8apP6QCFndXcGTivO3TuR"
	for i := range 100 {
		word := words[i%len(words)]
		fmt.Fprintf(&small, `data: {"id":"c1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]}`+"\n\n", word)
		fmt.Fprintf(&large, `data: {"id":"%s","object":"chat.completion.chunk","created":1773345320,"model":"gpt-4o-2024-08-06","service_tier":"default","system_fingerprint":"fp_c7a156cce7",`+
			`"choices":[{"index":0,"delta":{"content":"%s"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"%s"}`+"\n\n", id, word, "abcdefghijklmno"[i%14:])
		fmt.Fprintf(&messages, "event: content_block_delta\n"+`data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%s"}%s}`+"\n\n", word, strings.Repeat(" ", i%12))
		fmt.Fprintf(&responses, "event: response.output_text.delta\n"+`data: {"type":"response.output_text.delta","sequence_number":%d,"item_id":"msg_01830d662ab3856501693c32183a488190a612c410a0a39823",`+
			`"output_index":0,"content_index":0,"delta":"%s","logprobs":[],"obfuscation":"%s"}`+"\n\n", i+4, word, "abcdefghijklmno"[i%14:])
	}
	chatEnd := `data: {"id":"c1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n" +
		`data: {"id":"c1","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":7,"completion_tokens":100,"total_tokens":107}}` + "\n\ndata: [DONE]\n\n"
	return map[string]struct {
		protocol Protocol
		stream   []byte
	}{
		"chat-120B": {Chat, []byte(small.String() + chatEnd)},
		"chat-300B": {Chat, []byte(large.String() + chatEnd)},
		"messages": {Messages, []byte(
			"event: message_start\n" + `data: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[],"model":"c","stop_reason":null,"usage":{"input_tokens":5,"output_tokens":1}}}` + "\n\n" +
				"event: content_block_start\n" + `data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}` + "\n\n" +
				messages.String() +
				"event: content_block_stop\n" + `data: {"type":"content_block_stop","index":0}` + "\n\n" +
				"event: message_delta\n" + `data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":100}}` + "\n\n" +
				"event: message_stop\n" + `data: {"type":"message_stop"}` + "\n\n")},
		"responses": {Responses, []byte(
			"event: response.created\n" + `data: {"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":1773345320,"model":"gpt-5","status":"in_progress","output":[]}}` + "\n\n" +
				responses.String() +
				"event: response.completed\n" + `data: {"type":"response.completed","sequence_number":105,"response":{"id":"resp_1","object":"response","status":"completed","output":[],"usage":{"input_tokens":4,"output_tokens":100}}}` + "\n\n")},
	}
}

// BenchmarkWatcher measures a stream of a hundred deltas, against the least
// that looking at its bytes can cost.
func BenchmarkWatcher(b *testing.B) {
	for name, s := range benchStreams() {
		b.Run(name+"/baseline-count-lines", func(b *testing.B) {
			b.SetBytes(int64(len(s.stream)))
			b.ReportAllocs()
			for b.Loop() {
				if bytes.Count(s.stream, []byte{'\n'}) == 0 {
					b.Fatal("no lines")
				}
			}
		})
		for _, size := range []int{len(s.stream), 8 << 10, 512} {
			b.Run(fmt.Sprintf("%s/chunks-of-%d", name, size), func(b *testing.B) {
				b.SetBytes(int64(len(s.stream)))
				b.ReportAllocs()
				var w Watcher
				for b.Loop() {
					w.Reset(s.protocol)
					for rest := s.stream; len(rest) > 0; {
						n := min(size, len(rest))
						w.Write(rest[:n])
						rest = rest[n:]
					}
					w.Close()
				}
				if !w.Complete() || w.Contents() < 100 {
					b.Fatalf("Complete() = %v, Contents() = %d", w.Complete(), w.Contents())
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(w.Events()), "ns/event")
			})
		}
	}
}
