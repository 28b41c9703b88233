package crossing_test

import (
	"strings"
	"testing"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// excuses lists the differences between an answer and its translation that no
// translation could avoid. The oracle reads what stands there, and what the SDK
// makes of it; it does not know what vendors mean.
var excuses = []struct {
	file       string // part of the fixture's name; empty: any
	to         translate.Protocol
	difference string // how it begins
	reason     string
}{
	{"", translate.Responses, "item.unclosed: item", "a call that broke off is never told as done: agents would make it"},
	{"", translate.Responses, "final.count: final response", "a call that broke off is never told as done: agents would make it"},
	{"test_openrouter_streaming_reasoning", "", `stop: "none"`, "the SDK forgets the finish when a later chunk has none"},
	{"test_openrouter_stream_with_native_options", "", `stop: "none"`, "the SDK forgets the finish when a later chunk has none"},
	{"test_openai_functions", "", "tool_calls: null", "the oracle does not read function_call, which tool_calls replaced"},
	{"truncated_tool_call", translate.Messages, "tool_calls: ", "the input of a call is an object there, so one that was cut is empty"},
	{"custom-tool", translate.Messages, "tool_calls: ", "there are no custom tools there, so the text is a parameter"},
	{"anthropic-programmatic-tool-calling", "", `stop: "end"`, "calls that a program of the vendor's made are told as the client's"},
	{"test_snowflake_openai_model", translate.Messages, "start.model", "the vendor names no model"},
	{"test_background_mode", "", `stop: "none"`, "only an answer in the background is unfinished, and no translated request asks for one"},
	{"test_openai_responses_verbosity", "", `stop: "none"`, `its status, "complete", is none of the protocol's`},
}

// excuse says why a difference that the oracle finds is excused, or "".
func (f fixture) excuse(t *testing.T, p pair, difference string, got relayed) string {
	t.Helper()
	if strings.HasPrefix(difference, "usage: ") {
		return f.excuseUsage(t, p, got)
	}
	for _, e := range excuses {
		if strings.HasPrefix(difference, e.difference) && (e.to == "" || e.to == p.to) && strings.Contains(f.file, e.file) {
			return e.reason
		}
	}
	return ""
}

// excuseUsage accepts a usage that is the one which [translate.Watcher] and
// [translate.ReadUsage] find. These know the arithmetic of each vendor, and have
// tests of their own.
func (f fixture) excuseUsage(t *testing.T, p pair, got relayed) string {
	t.Helper()
	switch {
	case !got.counts:
		return "the vendor tells no usage, and the protocol requires one"
	case !got.whole:
		return "an answer that failed has no usage"
	}
	r := read(t, p.to, got.bytes)
	if r.Usage == nil {
		return ""
	}
	told := translate.Usage{
		Input:      r.Usage.Input - r.Usage.Cached - r.Usage.CacheWrite,
		CacheRead:  r.Usage.Cached,
		CacheWrite: r.Usage.CacheWrite,
		Output:     r.Usage.Output - r.Usage.Reasoning,
		Reasoning:  r.Usage.Reasoning,
	}
	if told != got.usage {
		t.Logf("%s: usage is told as %+v, want %+v", p, told, got.usage)
		return ""
	}
	return "the vendor counts in its own way"
}
