package caddymodule

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/anthropics/anthropic-sdk-go"
	anthropicstream "github.com/anthropics/anthropic-sdk-go/packages/ssestream"
	"github.com/openai/openai-go/v3"
	openaistream "github.com/openai/openai-go/v3/packages/ssestream"
	"github.com/openai/openai-go/v3/responses"
	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// said is what a strict client understands of a stream: what the model wrote, by
// kind, and how the stream ended. It shares no code with the gateway.
type said struct {
	text, thinking, calls string
	// finished is the success of the protocol, failed its own error event.
	finished, failed bool
	// fault is what no stream may have: half an event, no JSON, an event behind
	// the end.
	fault  string
	events int

	chosen map[int64]bool // Chat: choices, and which of them have finished
}

// whatIsSaid reads a stream of a protocol. Behind its end an event may lack the
// empty line.
func whatIsSaid(p translate.Protocol, stream string) said {
	s := said{chosen: make(map[int64]bool)}
	for stream != "" {
		event, rest, whole := strings.Cut(stream, "\n\n")
		if _, data, _ := strings.Cut(event, "data: "); !whole && (!s.finished || !gjson.Valid(data) && strings.TrimSpace(data) != "[DONE]") {
			s.fault = "half an event: " + event
			return s
		}
		stream = rest
		var name, data string
		for line := range strings.Lines(event) {
			field, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
			value = strings.TrimPrefix(value, " ")
			switch field {
			case "event":
				name = value
			case "data":
				data += value
			}
		}
		if data == "" || name == "ping" {
			continue
		}
		s.events++
		switch {
		case s.failed:
			s.fault = "an event behind the error: " + event
		case data == "[DONE]":
			s.finished = s.finished || p == translate.Chat
		case !gjson.Valid(data):
			s.fault = "no JSON: " + event
		default:
			s.hear(p, name, gjson.Parse(data))
		}
	}
	return s
}

func (s *said) hear(p translate.Protocol, name string, data gjson.Result) {
	switch p {
	case translate.Chat:
		s.hearChunk(data)
	case translate.Messages:
		s.hearMessages(name, data)
	case translate.Responses:
		s.hearResponses(name, data)
	}
}

func (s *said) hearChunk(data gjson.Result) {
	s.failed = s.failed || data.Get("error.message").Str != ""
	for _, choice := range data.Get("choices").Array() {
		delta, index := choice.Get("delta"), choice.Get("index").Int()
		s.text += delta.Get("content").Str + delta.Get("refusal").Str
		s.thinking += delta.Get("reasoning_content").Str
		if delta.Get("reasoning_content").Str == "" {
			s.thinking += delta.Get("reasoning").Str
		}
		for _, call := range delta.Get("tool_calls").Array() {
			if call.Get("function.name").Str != "" {
				s.calls += ";" + call.Get("function.name").Str + ":"
			}
			s.calls += call.Get("function.arguments").Str
		}
		s.chosen[index] = s.chosen[index] || choice.Get("finish_reason").Str != ""
	}
	finished := len(s.chosen) > 0
	for _, done := range s.chosen {
		finished = finished && done
	}
	s.finished = s.finished || finished
}

func (s *said) hearMessages(name string, data gjson.Result) {
	kind := data.Get("type").Str
	if kind != name {
		s.fault = "event " + name + " is of type " + kind
	}
	switch kind {
	case "content_block_start":
		if block := data.Get("content_block"); strings.HasSuffix(block.Get("type").Str, "tool_use") {
			s.calls += ";" + block.Get("name").Str + ":"
		} else {
			s.text += block.Get("text").Str
			s.thinking += block.Get("thinking").Str
		}
	case "content_block_delta":
		s.text += data.Get("delta.text").Str
		s.thinking += data.Get("delta.thinking").Str
		s.calls += data.Get("delta.partial_json").Str
	case "message_stop":
		s.finished = true
	case "error":
		s.failed = data.Get("error.type").Str != "" && data.Get("error.message").Str != ""
	}
}

func (s *said) hearResponses(name string, data gjson.Result) {
	kind := data.Get("type").Str
	if kind != name {
		s.fault = "event " + name + " is of type " + kind
	}
	switch kind {
	case "response.output_text.delta", "response.refusal.delta":
		s.text += data.Get("delta").Str
	case "response.reasoning_summary_text.delta", "response.reasoning_text.delta":
		s.thinking += data.Get("delta").Str
	case "response.output_item.added":
		if item := data.Get("item"); strings.HasSuffix(item.Get("type").Str, "_call") {
			s.calls += ";" + item.Get("name").Str + ":"
		}
	case "response.function_call_arguments.delta", "response.custom_tool_call_input.delta":
		s.calls += data.Get("delta").Str
	case "response.completed", "response.incomplete":
		s.finished = true
	case "response.failed":
		s.failed = data.Get("response.status").Str == "failed" && data.Get("response.error.message").Str != ""
	}
}

// begins reports whether all that is said so far is how whole begins.
func (s said) begins(whole said) bool {
	return strings.HasPrefix(whole.text, s.text) && strings.HasPrefix(whole.thinking, s.thinking) && strings.HasPrefix(whole.calls, s.calls)
}

// saysAll reports whether that is all of it.
func (s said) saysAll(whole said) bool {
	return s.text == whole.text && s.thinking == whole.thinking && s.calls == whole.calls
}

// sdkEnd is how a stream ends for the official SDK of a protocol: whole, with an
// error, or, in the words of the SDK, with something that it cannot read.
func sdkEnd(p translate.Protocol, stream string) (failed bool, fault error) {
	response := &http.Response{
		Header: http.Header{"Content-Type": {"text/event-stream"}},
		Body:   io.NopCloser(strings.NewReader(stream)),
	}
	switch p {
	case translate.Chat:
		var whole openai.ChatCompletionAccumulator
		chunks := openaistream.NewStream[openai.ChatCompletionChunk](openaistream.NewDecoder(response), nil)
		for chunks.Next() {
			if !whole.AddChunk(chunks.Current()) {
				return false, fmt.Errorf("the accumulator refuses %s", chunks.Current().RawJSON())
			}
		}
		return chunks.Err() != nil, nil
	case translate.Messages:
		var whole anthropic.Message
		events := anthropicstream.NewStream[anthropic.MessageStreamEventUnion](anthropicstream.NewDecoder(response), nil)
		for events.Next() {
			if err := whole.Accumulate(events.Current()); err != nil {
				return false, err
			}
		}
		return events.Err() != nil, nil
	}
	events := openaistream.NewStream[responses.ResponseStreamEventUnion](openaistream.NewDecoder(response), nil)
	for events.Next() {
		event := events.Current()
		failed = event.Type == "response.failed" && event.AsResponseFailed().Response.Error.Message != ""
	}
	return failed, events.Err()
}
