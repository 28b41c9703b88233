package simulated

import "github.com/tidwall/gjson"

// readMessages reads the conversation of a Messages request.
func (q *question) readMessages() *failure {
	if !q.raw.conversation.IsArray() {
		return invalid("", "", "messages: Field required")
	}
	n := 0
	q.raw.conversation.ForEach(func(_, m gjson.Result) bool {
		n++
		q.readMessage(m)
		return true
	})
	if n == 0 {
		return invalid("", "", "messages: at least one message is required")
	}
	return q.readLimit(q.raw.limit, "max_tokens")
}

func (q *question) readMessage(m gjson.Result) {
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
		q.learnBlocks(content)
	case "assistant":
		q.turn()
	}
}

// learnBlocks takes the tool results of a user turn.
func (q *question) learnBlocks(content gjson.Result) {
	if !content.IsArray() {
		return
	}
	content.ForEach(func(_, block gjson.Result) bool {
		if block.Get("type").Str == "tool_result" {
			q.learn(block.Get("content"))
		}
		return true
	})
}
