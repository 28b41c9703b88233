// Package responses reads and writes OpenAI's Responses API: requests, answers and event
// streams, to and from the form that translate has for all protocols.
package responses

import "github.com/caddy-llm-proxy/caddy-llm-proxy/translate"

// Interface guards
var (
	_ translate.AnswerDecoder = (*decoder)(nil)
	_ translate.AnswerEncoder = (*encoder)(nil)
)
