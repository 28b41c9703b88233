package payload

import (
	"encoding/json"
	"fmt"
)

// The request of the Messages API, its keys in the order of Claude Code.
type (
	messagesRequest struct {
		Model     string            `json:"model"`
		Messages  []messagesMessage `json:"messages"`
		System    []messagesBlock   `json:"system,omitempty"`
		Tools     []messagesTool    `json:"tools,omitempty"`
		Metadata  *messagesMetadata `json:"metadata,omitempty"`
		MaxTokens int               `json:"max_tokens"`
		Stream    bool              `json:"stream"`
	}
	messagesMetadata struct {
		UserID string `json:"user_id"`
	}
	messagesMessage struct {
		Role    string          `json:"role"`
		Content []messagesBlock `json:"content"`
	}
	// messagesBlock is a block of any type; each uses some of the fields.
	messagesBlock struct {
		Type         string          `json:"type"`
		Text         string          `json:"text,omitempty"`
		ID           string          `json:"id,omitempty"`
		Name         string          `json:"name,omitempty"`
		Input        json.RawMessage `json:"input,omitempty"`
		ToolUseID    string          `json:"tool_use_id,omitempty"`
		Content      string          `json:"content,omitempty"`
		CacheControl *cacheControl   `json:"cache_control,omitempty"`
	}
	cacheControl struct {
		Type string `json:"type"`
	}
	messagesTool struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		InputSchema json.RawMessage `json:"input_schema"`
	}
)

func messagesBody(c conversation, model string, stream bool) []byte {
	cached := &cacheControl{Type: "ephemeral"}
	request := messagesRequest{
		Model:     model,
		System:    []messagesBlock{{Type: "text", Text: c.system, CacheControl: cached}},
		Metadata:  &messagesMetadata{UserID: "user_bench_session_1"},
		MaxTokens: c.maxTokens,
		Stream:    stream,
	}
	for i, t := range c.turns {
		if t.user != "" {
			request.add("user", messagesBlock{Type: "text", Text: t.user})
		}
		if t.call.id == "" {
			continue
		}
		request.add("assistant", messagesBlock{Type: "text", Text: t.assistant},
			messagesBlock{Type: "tool_use", ID: t.call.id, Name: t.call.tool, Input: t.call.input})
		result := messagesBlock{Type: "tool_result", ToolUseID: t.call.id, Content: t.result}
		if i == len(c.turns)-1 {
			result.CacheControl = cached
		}
		request.add("user", result)
	}
	for _, t := range c.tools {
		request.Tools = append(request.Tools, messagesTool{t.name, t.description, t.schema})
	}
	return encode(request)
}

func (r *messagesRequest) add(role string, blocks ...messagesBlock) {
	r.Messages = append(r.Messages, messagesMessage{Role: role, Content: blocks})
}

func messagesWhole(a Answer, model string) []byte {
	return fmt.Appendf(nil, `{"id":"msg_b1","type":"message","role":"assistant","model":%q,"content":[{"type":"text","text":%q}],`+
		`"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":21,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":%d}}`,
		model, text(a.Words), a.Words)
}

func messagesStream(a Answer, model string) []Event {
	event := func(name, rest string) Event {
		return Event{Bytes: fmt.Appendf(nil, "event: %s\ndata: {\"type\":%q%s}\n\n", name, name, rest)}
	}
	events := []Event{
		event("message_start", fmt.Sprintf(`,"message":{"id":"msg_b1","type":"message","role":"assistant","model":%q,"content":[],`+
			`"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":21,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":1}}`, model)),
		event("content_block_start", `,"index":0,"content_block":{"type":"text","text":""}`),
		event("ping", ""),
	}
	for i := range a.Words {
		e := event("content_block_delta", fmt.Sprintf(`,"index":0,"delta":{"type":"text_delta","text":%q}`, word(i)))
		e.Word = true
		events = append(events, e)
	}
	return append(events,
		event("content_block_stop", `,"index":0`),
		event("message_delta", fmt.Sprintf(`,"delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":%d}`, a.Words)),
		event("message_stop", ""))
}
