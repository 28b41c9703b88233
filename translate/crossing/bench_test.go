package crossing_test

import (
	"fmt"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
)

// BenchmarkRequest translates a question and an agent's request of 120 KB.
func BenchmarkRequest(b *testing.B) {
	for _, p := range pairs() {
		for _, size := range []struct {
			name string
			body []byte
		}{
			{"small", ownRequest(p.from)},
			{"120KB", agentRequest(p.from, 120<<10)},
		} {
			b.Run(fmt.Sprintf("%s/%s", p, size.name), func(b *testing.B) {
				target := bare(p.to)
				dst := make([]byte, 0, 2*len(size.body)+4096)
				b.SetBytes(int64(len(size.body)))
				b.ReportAllocs()
				for b.Loop() {
					if _, e := crossing.Translate(dst, p.from, size.body, target); e != nil {
						b.Fatal(e)
					}
				}
			})
		}
	}
}

// BenchmarkCleaned looks for what is to be cleaned in a request of 120 KB that has
// nothing of it.
func BenchmarkCleaned(b *testing.B) {
	for _, client := range protocols {
		body := agentRequest(client, 120<<10)
		b.Run(apiName(client), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, changed := crossing.Cleaned(nil, client, body); changed {
					b.Fatal("there was something to clean")
				}
			}
		})
	}
}

// BenchmarkAnswer translates a whole answer.
func BenchmarkAnswer(b *testing.B) {
	for _, p := range pairs() {
		b.Run(p.String(), func(b *testing.B) {
			body := ownAnswer(p.from)
			dst := make([]byte, 0, 2*len(body)+4096)
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				crossing.Answer(dst, asking(p, false), body)
			}
		})
	}
}

// BenchmarkStream translates a stream of 100 events of text, with what reads it.
// It does not tell events apart, so what a single one costs is reported as
// ns/event: everything that happens once in a stream included.
func BenchmarkStream(b *testing.B) {
	const deltas = 100
	for _, p := range pairs() {
		b.Run(p.String(), func(b *testing.B) {
			stream := textStream(p.from, deltas)
			chunks := events(stream)
			b.SetBytes(int64(len(stream)))
			b.ReportAllocs()
			var w translate.Watcher
			for b.Loop() {
				w.Reset(p.from)
				s := crossing.NewStream(asking(p, true))
				w.Tap(s)
				for _, chunk := range chunks {
					w.Write(chunk)
					s.Take()
				}
				w.Close()
				s.End(w.Usage())
				s.Take()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(chunks)), "ns/event")
		})
	}
}

// BenchmarkDelta is one more event of text in a stream that has begun.
func BenchmarkDelta(b *testing.B) {
	for _, p := range pairs() {
		b.Run(p.String(), func(b *testing.B) {
			chunks := events(textStream(p.from, 3))
			delta := deltaOf(p.from)
			var w translate.Watcher
			b.ReportAllocs()
			n := 0
			var s *crossing.Stream
			for b.Loop() {
				if n%1000 == 0 { // an answer that repeats its text at the end grows
					b.StopTimer()
					w.Reset(p.from)
					s = crossing.NewStream(asking(p, true))
					w.Tap(s)
					for _, chunk := range chunks[:len(chunks)/2] {
						w.Write(chunk)
					}
					b.StartTimer()
				}
				n++
				w.Write(delta)
				s.Take()
			}
		})
	}
}
