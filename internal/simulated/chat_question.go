package simulated

import "github.com/tidwall/gjson"

// readChat reads the conversation of a Chat Completions request.
func (q *question) readChat() *failure {
	if !q.raw.conversation.IsArray() {
		return invalid("missing_required_parameter", "messages", "Missing required parameter: 'messages'.")
	}
	n := 0
	q.raw.conversation.ForEach(func(_, m gjson.Result) bool {
		n++
		q.readChatMessage(m)
		return true
	})
	if n == 0 {
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

func (q *question) readChatMessage(m gjson.Result) {
	var role string
	var content gjson.Result
	m.ForEach(func(key, v gjson.Result) bool {
		switch key.Str {
		case "role":
			role = v.Str
		case "content":
			content = v
		}
		return true
	})
	q.weigh(m, content)
	switch role {
	case "user":
		q.hear(content)
	case "assistant":
		q.turn()
	case "tool", "function":
		q.learn(content)
	}
}
