package payload

import (
	"encoding/json"
	"fmt"
)

// The request of the Chat Completions API, its keys in the order of OpenAI's
// SDK for JavaScript.
type (
	chatRequest struct {
		Model         string             `json:"model"`
		Messages      []chatMessage      `json:"messages"`
		Tools         []chatTool         `json:"tools,omitempty"`
		MaxTokens     int                `json:"max_completion_tokens,omitempty"`
		Stream        bool               `json:"stream,omitempty"`
		StreamOptions *chatStreamOptions `json:"stream_options,omitempty"`
	}
	chatStreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	}
	chatMessage struct {
		Role       string     `json:"role"`
		Content    string     `json:"content"`
		ToolCalls  []chatCall `json:"tool_calls,omitempty"`
		ToolCallID string     `json:"tool_call_id,omitempty"`
	}
	chatCall struct {
		ID       string           `json:"id"`
		Type     string           `json:"type"`
		Function chatCallFunction `json:"function"`
	}
	chatCallFunction struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	}
	chatTool struct {
		Type     string       `json:"type"`
		Function chatFunction `json:"function"`
	}
	chatFunction struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
	}
)

func chatBody(c conversation, model string, stream bool) []byte {
	request := chatRequest{Model: model, MaxTokens: c.maxTokens, Stream: stream}
	if stream {
		request.StreamOptions = &chatStreamOptions{IncludeUsage: true}
	}
	request.Messages = append(request.Messages, chatMessage{Role: "system", Content: c.system})
	for _, t := range c.turns {
		if t.user != "" {
			request.Messages = append(request.Messages, chatMessage{Role: "user", Content: t.user})
		}
		if t.call.id == "" {
			continue
		}
		function := chatCallFunction{Name: t.call.tool, Arguments: string(t.call.input)}
		request.Messages = append(request.Messages,
			chatMessage{Role: "assistant", Content: t.assistant, ToolCalls: []chatCall{{ID: t.call.id, Type: "function", Function: function}}},
			chatMessage{Role: "tool", Content: t.result, ToolCallID: t.call.id})
	}
	for _, t := range c.tools {
		request.Tools = append(request.Tools, chatTool{Type: "function", Function: chatFunction{t.name, t.description, t.schema}})
	}
	return encode(request)
}

func chatUsage(words int) string {
	return fmt.Sprintf(`{"prompt_tokens":21,"completion_tokens":%d,"total_tokens":%d,"prompt_tokens_details":{"cached_tokens":0}}`, words, words+21)
}

func chatWhole(a Answer, model string) []byte {
	return fmt.Appendf(nil, `{"id":"chatcmpl-b1","object":"chat.completion","created":1767225600,"model":%q,`+
		`"choices":[{"index":0,"message":{"role":"assistant","content":%q,"refusal":null},"finish_reason":"stop"}],"usage":%s}`,
		model, text(a.Words), chatUsage(a.Words))
}

func chatStream(a Answer, model string) []Event {
	start := fmt.Sprintf(`data: {"id":"chatcmpl-b1","object":"chat.completion.chunk","created":1767225600,"model":%q,"choices":`, model)
	event := func(rest string) Event { return Event{Bytes: []byte(start + rest + "}\n\n")} }
	events := []Event{event(`[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]`)}
	for i := range a.Words {
		e := event(fmt.Sprintf(`[{"index":0,"delta":{"content":%q},"finish_reason":null}]`, word(i)))
		e.Word = true
		events = append(events, e)
	}
	return append(events,
		event(`[{"index":0,"delta":{},"finish_reason":"stop"}]`),
		event(`[],"usage":`+chatUsage(a.Words)),
		Event{Bytes: []byte("data: [DONE]\n\n")})
}
