package payload

import (
	"encoding/json"
	"fmt"
)

// The request of the Responses API, its keys in the order of Codex.
type (
	responsesRequest struct {
		Model        string          `json:"model"`
		Instructions string          `json:"instructions"`
		Input        []responsesItem `json:"input"`
		Tools        []responsesTool `json:"tools,omitempty"`
		MaxTokens    int             `json:"max_output_tokens,omitempty"`
		Store        bool            `json:"store"`
		Stream       bool            `json:"stream,omitempty"`
		Include      []string        `json:"include"`
	}
	// responsesItem is an item of any type; each uses some of the fields.
	responsesItem struct {
		Type      string          `json:"type"`
		Role      string          `json:"role,omitempty"`
		Content   []responsesPart `json:"content,omitempty"`
		CallID    string          `json:"call_id,omitempty"`
		Name      string          `json:"name,omitempty"`
		Arguments string          `json:"arguments,omitempty"`
		Output    string          `json:"output,omitempty"`
	}
	responsesPart struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	responsesTool struct {
		Type        string          `json:"type"`
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Strict      bool            `json:"strict"`
		Parameters  json.RawMessage `json:"parameters"`
	}
)

func responsesBody(c conversation, model string, stream bool) []byte {
	request := responsesRequest{
		Model: model, Instructions: c.system, MaxTokens: c.maxTokens, Stream: stream,
		Include: []string{"reasoning.encrypted_content"},
	}
	say := func(role, part, text string) {
		request.Input = append(request.Input, responsesItem{Type: "message", Role: role, Content: []responsesPart{{part, text}}})
	}
	for _, t := range c.turns {
		if t.user != "" {
			say("user", "input_text", t.user)
		}
		if t.call.id == "" {
			continue
		}
		say("assistant", "output_text", t.assistant)
		request.Input = append(request.Input,
			responsesItem{Type: "function_call", CallID: t.call.id, Name: t.call.tool, Arguments: string(t.call.input)},
			responsesItem{Type: "function_call_output", CallID: t.call.id, Output: t.result})
	}
	for _, t := range c.tools {
		request.Tools = append(request.Tools, responsesTool{"function", t.name, t.description, false, t.schema})
	}
	return encode(request)
}

// responsesObject is a whole response object.
func responsesObject(model, status, output, usage string) string {
	return fmt.Sprintf(`{"id":"resp_b1","object":"response","created_at":1767225600,"status":%q,"background":false,"error":null,`+
		`"incomplete_details":null,"instructions":null,"max_output_tokens":null,"model":%q,"output":[%s],"parallel_tool_calls":true,`+
		`"previous_response_id":null,"reasoning":{"effort":null,"summary":null},"store":false,"temperature":1.0,"text":{"format":{"type":"text"}},`+
		`"tool_choice":"auto","tools":[],"top_p":1.0,"truncation":"disabled","usage":%s,"metadata":{}}`, status, model, output, usage)
}

func responsesUsage(words int) string {
	return fmt.Sprintf(`{"input_tokens":21,"input_tokens_details":{"cached_tokens":0},"output_tokens":%d,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":%d}`,
		words, words+21)
}

func responsesText(text string) string {
	return fmt.Sprintf(`{"type":"output_text","annotations":[],"logprobs":[],"text":%q}`, text)
}

func responsesMessage(status, content string) string {
	return fmt.Sprintf(`{"id":"msg_b1","type":"message","status":%q,"role":"assistant","content":[%s]}`, status, content)
}

func responsesWhole(a Answer, model string) []byte {
	message := responsesMessage("completed", responsesText(text(a.Words)))
	return []byte(responsesObject(model, "completed", message, responsesUsage(a.Words)))
}

// responsesTimes is how often a stream tells its text: in pieces, and at the end
// of the text, of the part, of the item and of the response.
const responsesTimes = 5

func responsesStream(a Answer, model string) []Event {
	var events []Event
	event := func(name, rest string) {
		events = append(events, Event{Bytes: fmt.Appendf(nil, "event: %s\ndata: {\"type\":%q,\"sequence_number\":%d,%s}\n\n", name, name, len(events), rest)})
	}
	const place = `"item_id":"msg_b1","output_index":0,"content_index":0,`
	said := text(a.Words)
	message := responsesMessage("completed", responsesText(said))

	event("response.created", `"response":`+responsesObject(model, "in_progress", "", "null"))
	event("response.in_progress", `"response":`+responsesObject(model, "in_progress", "", "null"))
	event("response.output_item.added", `"output_index":0,"item":`+responsesMessage("in_progress", ""))
	event("response.content_part.added", place+`"part":`+responsesText(""))
	for i := range a.Words {
		event("response.output_text.delta", fmt.Sprintf(`%s"delta":%q,"logprobs":[]`, place, word(i)))
		events[len(events)-1].Word = true
	}
	event("response.output_text.done", fmt.Sprintf(`%s"text":%q,"logprobs":[]`, place, said))
	event("response.content_part.done", place+`"part":`+responsesText(said))
	event("response.output_item.done", `"output_index":0,"item":`+message)
	event("response.completed", `"response":`+responsesObject(model, "completed", message, responsesUsage(a.Words)))
	return events
}
