package caddymodule

import (
	"flag"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

var cutsOfCorpus = flag.Int("cuts", 0, "cut every recorded stream at so many places, in each way, instead of a few streams")

// cutCase is one stream to cut.
type cutCase struct {
	name   string
	wire   translate.Protocol // that the upstream speaks
	stream string
	// own says that it is one of the test's own, which the SDKs read.
	own bool
	// every is the distance of the places to cut, by way; 0: none.
	every map[string]int
}

// cutRecordings are recorded streams that are small and have what the test's own
// have not: other vendors' habits, calls in one piece, comments, refusals.
var cutRecordings = []string{
	"vercel.mistral-tool-call.stream.sse",
	"vercel.moonshotai-stream.stream.sse",
	"vercel.anthropic-fallback-tool-call.stream.sse",
	"fantasy.TestOpenRouterCommon.gemini.tool_streaming.0.sse",
	"agentgateway.stream_tool_empty_args.stream.sse",
	"vercel.anthropic-refusal.stream.sse",
	"agentgateway.stream_thinking.stream.sse",
	"fantasy.TestAnthropicCommon.claude-sonnet-4.multi_tool_streaming.0.sse",
	"agentgateway.stream-refusal.stream.sse",
	"pydantic-ai.test_openai_responses.test_openai_responses_stream.0.sse",
	"fantasy.TestOpenAIResponsesCommon.openai-gpt-5.multi_tool_streaming.0.sse",
	"ruby_llm.chat_responses_protocol_dialects_with_deepseek_deepseek-v4-flash_streams_reasoning_deltas.0.sse",
}

// casesToCut are the test's own streams, which hold every kind of content, and
// some of the recorded ones where these are at hand; or all of these.
func casesToCut(t *testing.T) []cutCase {
	t.Helper()
	var cases []cutCase
	for _, wire := range wires {
		cases = append(cases, cutCase{
			name: "own " + string(wire), wire: wire, stream: cutStreams[wire].whole, own: true,
			every: map[string]int{cutEnd: 1, cutClosed: 1, cutReset: 1, cutHang: 5},
		})
	}
	// The last event of real responses repeats the request.
	long := strings.Replace(cutStreams[translate.Responses].whole, `"output":[],"usage"`, `"output":[],"instructions":"`+strings.Repeat("x", 20<<10)+`","usage"`, 1)
	cases = append(cases, cutCase{
		name: "own, long", wire: translate.Responses, stream: long, own: true,
		every: map[string]int{cutEnd: 61, cutClosed: 61, cutReset: 61, cutHang: 601},
	})
	if _, err := os.Stat(corpus); err != nil {
		t.Logf("the recorded traffic is not at hand: %v", err)
		return cases
	}
	for _, r := range recordings(t, "stream") {
		c := cutCase{name: r.file, wire: protocolOf[r.api], stream: string(r.body)}
		switch {
		case *cutsOfCorpus > 0:
			c.every = make(map[string]int)
			for _, way := range []string{cutEnd, cutClosed, cutReset, cutHang} {
				c.every[way] = 1 + len(c.stream) / *cutsOfCorpus
			}
		case slices.Contains(cutRecordings, path.Base(r.file)):
			// Primes, so that the places do not follow the streams' own rhythm.
			c.every = map[string]int{cutEnd: 7, cutClosed: 17, cutReset: 13, cutHang: 89}
		default:
			continue
		}
		cases = append(cases, c)
	}
	return cases
}

var protocolOf = map[string]translate.Protocol{"chat": translate.Chat, "messages": translate.Messages, "responses": translate.Responses}
