package caddymodule

import (
	"encoding/json"
	"strings"
)

// What a client sees in a stream, read without any code of the gateway.

// wholeEvents cuts a stream after each empty line.
func wholeEvents(stream string) []string {
	var events []string
	event, empty := "", true
	for line := range strings.Lines(stream) {
		event += line
		if strings.Trim(line, "\r\n") == "" && !empty {
			events = append(events, event)
			event, empty = "", true
			continue
		}
		empty = empty && strings.Trim(line, "\r\n") == ""
	}
	if event != "" {
		events = append(events, event)
	}
	return events
}

// readable is what a client can read of a stream that may have been cut: all
// events but a last one that is none.
func readable(stream string) []string {
	events := wholeEvents(stream)
	if n := len(events); n > 0 {
		if data := dataOf(events[n-1]); data != "[DONE]" && !json.Valid([]byte(data)) {
			events = events[:n-1]
		}
	}
	return events
}

// dataOf is the data of an event; none of the corpus has two lines of it.
func dataOf(event string) string {
	for line := range strings.Lines(event) {
		if data, ok := strings.CutPrefix(line, "data:"); ok {
			return strings.TrimSpace(data)
		}
	}
	return ""
}

// streamEvent holds what these tests look at in events of all protocols.
type streamEvent struct {
	Type    string
	Choices []struct {
		Index        int
		Delta        map[string]json.RawMessage
		FinishReason *string `json:"finish_reason"`
	}
	ContentBlock map[string]any `json:"content_block"`
	Message      struct{ Content []any }
	Item         struct{ Type string }
}

func decoded(event string) (e streamEvent) {
	_ = json.Unmarshal([]byte(dataOf(event)), &e)
	return e
}

// contentIn reports whether events show anything of an answer.
func contentIn(api string, events []string) bool {
	for _, event := range events {
		e := decoded(event)
		switch api {
		case "chat":
			for _, choice := range e.Choices {
				if choice.FinishReason != nil && *choice.FinishReason != "" {
					return true
				}
				for name, value := range choice.Delta {
					switch v := string(value); {
					case name == "role" || v == "null" || v == `""` || v == "[]":
					default:
						return true
					}
				}
			}
		case "messages":
			switch e.Type {
			case "content_block_delta", "message_delta":
				return true
			case "message_start": // filled where code execution calls tools
				if len(e.Message.Content) > 0 {
					return true
				}
			case "content_block_start":
				if kind := e.ContentBlock["type"]; kind != "text" && kind != "thinking" {
					return true
				}
			}
		case "responses":
			switch {
			case e.Type == "response.output_item.done" || e.Type == "response.completed" || e.Type == "response.incomplete":
				return true
			case strings.HasSuffix(e.Type, ".delta"):
				return true
			case e.Type == "response.output_item.added" && e.Item.Type != "message" && e.Item.Type != "reasoning":
				return true
			}
		}
	}
	return false
}

// finished reports whether events say by themselves that the answer is whole.
func finished(api string, events []string) bool {
	stopped := make(map[int]bool)
	for _, event := range events {
		e := decoded(event)
		switch {
		case dataOf(event) == "[DONE]" && api == "chat", e.Type == "message_stop", e.Type == "response.completed", e.Type == "response.incomplete":
			return true
		}
		for _, choice := range e.Choices {
			stopped[choice.Index] = stopped[choice.Index] || choice.FinishReason != nil && *choice.FinishReason != ""
		}
	}
	for _, done := range stopped {
		if !done {
			return false
		}
	}
	return len(stopped) > 0
}

// lastEnd is where the last whole event of a stream ends.
func lastEnd(stream string) (end int) {
	at := 0
	for line := range strings.Lines(stream) {
		if at += len(line); strings.Trim(line, "\r\n") == "" {
			end = at
		}
	}
	return end
}
