// Package chat reads and writes OpenAI's Chat Completions: requests, answers and event
// streams, to and from the form that translate has for all protocols.
//
// Dozens of vendors speak it, each with habits of its own. Those are met where
// answers are read; what is written is what OpenAI itself would write, but for
// what the target's [translate.Quirks] say.
package chat

import "github.com/caddy-llm-proxy/caddy-llm-proxy/translate"

// Interface guards
var (
	_ translate.AnswerDecoder = (*answerReader)(nil)
	_ translate.AnswerEncoder = (*streamWriter)(nil)
	_ translate.AnswerEncoder = (*answerWriter)(nil)
)

// NewDecoder returns a decoder for one answer, which tells a what it finds.
func NewDecoder(a *translate.Assembler) translate.AnswerDecoder {
	return &answerReader{a: a, current: noKey}
}

// NewEncoder returns an encoder for one answer: for a stream where asked.Stream
// is set, else for a whole one.
func NewEncoder(asked *translate.Asked) translate.AnswerEncoder {
	if asked.Stream {
		return &streamWriter{reply: reply{asked: asked}}
	}
	return &answerWriter{reply: reply{asked: asked}}
}
