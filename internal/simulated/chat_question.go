package simulated

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// readChat reads the conversation of a Chat Completions request.
func (q *question) readChat() *failure {
	if !q.raw.conversation.IsArray() {
		return invalid("missing_required_parameter", "messages", "Missing required parameter: 'messages'.")
	}
	var open calls
	var f *failure
	n := 0
	q.raw.conversation.ForEach(func(_, m gjson.Result) bool {
		f = q.readChatMessage(&open, n, m)
		n++
		return f == nil
	})
	switch {
	case f != nil:
		return f
	case len(open) > 0:
		return unansweredChat(open, n-1)
	case n == 0:
		return invalid("empty_array", "messages", "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	}
	if c := q.raw.choices; c.Type != gjson.Null && c.Int() != 1 {
		return invalid("unsupported_value", "n", "Unsupported value: 'n' must be 1 with the demo model.")
	}
	if q.raw.limitNewer.Type != gjson.Null {
		return q.readLimit(q.raw.limitNewer, "max_completion_tokens")
	}
	return q.readLimit(q.raw.limit, "max_tokens")
}

// readChatMessage reads the n-th message; open are the calls before it that
// still want their results.
func (q *question) readChatMessage(open *calls, n int, m gjson.Result) *failure {
	var role string
	var content, toolCalls, callID gjson.Result
	m.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "role":
			role = v.Str
		case "content":
			content = v
		case "tool_calls":
			toolCalls = v
		case "tool_call_id":
			callID = v
		}
		return true
	})
	at := "messages[" + strconv.Itoa(n) + "]"
	if f := checkParts(chat, content, at); f != nil {
		return f
	}
	if role != "tool" && len(*open) > 0 {
		return unansweredChat(*open, n)
	}
	q.weigh(m, content)
	switch role {
	case "user":
		q.hear(content)
	case "assistant":
		q.turn()
		return takeChatCalls(open, at, toolCalls)
	case "tool":
		if !open.take(callID.String()) {
			return invalid("", at+".role", "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.")
		}
		q.learn(content)
	case "function":
		q.learn(content)
	}
	return nil
}

// takeChatCalls notes the tool calls of a message.
func takeChatCalls(open *calls, at string, toolCalls gjson.Result) *failure {
	var f *failure
	toolCalls.ForEach(func(_, call gjson.Result) bool {
		id := call.Get("id").String()
		switch arguments := call.Get("function.arguments"); {
		case id == "" || len(id) > 40:
			f = invalid("string_above_max_length", at+".tool_calls", "Invalid '"+at+".tool_calls.id': a string of 1 to 40 characters is expected.")
		case arguments.Exists() && arguments.Type != gjson.String:
			f = invalid("invalid_type", at+".tool_calls", "Invalid type for '"+at+".tool_calls.function.arguments': expected a string.")
		}
		*open = append(*open, id)
		return f == nil
	})
	return f
}

// unansweredChat refuses calls without results before the n-th message.
func unansweredChat(open calls, n int) *failure {
	return invalid("", "messages.["+strconv.Itoa(n)+"].role", "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "+
		"The following tool_call_ids did not have response messages: "+strings.Join(open, ", "))
}

// checkParts refuses content with parts of another protocol.
func checkParts(p protocol, content gjson.Result, at string) *failure {
	if !content.IsArray() {
		return nil
	}
	var f *failure
	content.ForEach(func(_, part gjson.Result) bool {
		f = checkType(p, part.Get("type").Str, at+".content")
		return f == nil
	})
	return f
}
