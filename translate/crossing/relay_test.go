package crossing_test

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/crossing"
)

// asking is a request of a client of one protocol that an upstream of another
// one answers.
func asking(p pair, stream bool) *translate.Asked {
	return &translate.Asked{
		Client: p.to, Upstream: p.from,
		Provider: "acme", Nonce: "abcdefghijklmnopqrstuvwx", Now: 1700000000, InputTokens: 7,
		Stream: stream, IncludeUsage: true,
	}
}

// relayed is a stream as its client gets it.
type relayed struct {
	bytes  []byte
	whole  bool // it ended as a success
	asked  *translate.Asked
	usage  translate.Usage // as the watcher read it
	counts bool            // there was a usage
}

// relay translates a stream that comes in chunks.
func relay(asked *translate.Asked, chunks ...[]byte) relayed {
	var w translate.Watcher
	w.Reset(asked.Upstream)
	stream := crossing.NewStream(asked)
	w.Tap(stream)
	var out []byte
	for _, chunk := range chunks {
		w.Write(chunk)
		out = append(out, stream.Take()...)
		if _, failed := w.Failure(); failed || w.Ended() || stream.Broken() != nil {
			break
		}
	}
	w.Close()
	out = append(out, stream.Take()...)
	whole := w.Complete() && stream.Broken() == nil
	usage, known := w.Usage()
	if whole {
		stream.End(usage, known)
	} else {
		e, failed := w.Failure()
		switch fault := stream.Broken(); {
		case failed:
		case fault != nil:
			e = *fault
		default:
			e = translate.Error{Status: 502, Message: "the upstream's stream broke off"}
		}
		stream.Fail(&e)
	}
	out = append(out, stream.Take()...)
	return relayed{out, whole, asked, usage, known}
}

// bytewise cuts a stream into its bytes.
func bytewise(stream []byte) [][]byte {
	chunks := make([][]byte, len(stream))
	for i := range stream {
		chunks[i] = stream[i : i+1]
	}
	return chunks
}
