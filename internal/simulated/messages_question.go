package simulated

import (
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// readMessages reads the conversation of a Messages request.
func (q *question) readMessages() *failure {
	if !q.raw.conversation.IsArray() {
		return invalid("", "", "messages: Field required")
	}
	var law messagesLaw
	var f *failure
	n := 0
	q.raw.conversation.ForEach(func(_, m gjson.Result) bool {
		f = q.readMessage(&law, "messages."+strconv.Itoa(n), m)
		n++
		return f == nil
	})
	if f == nil && n > 0 {
		f = law.unanswered("messages." + strconv.Itoa(n-1))
	}
	switch {
	case f != nil:
		return f
	case n == 0:
		return invalid("", "", "messages: at least one message is required")
	}
	return q.readLimit(q.raw.limit, "max_tokens")
}

func (q *question) readMessage(law *messagesLaw, at string, m gjson.Result) *failure {
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
	if f := law.message(at, role, content); f != nil {
		return f
	}
	q.weigh(m, content)
	switch role {
	case "user":
		q.hear(content)
		q.learnBlocks(content)
	case "assistant":
		q.turn()
	}
	return nil
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

// messagesLaw is the conversation so far, as far as the service checks it.
// Neighbouring messages of one role count as one.
type messagesLaw struct {
	open  calls  // of the last assistant turn
	role  string // of the last message
	other bool   // the user has said something else than results in this turn
}

// message checks the next message.
func (l *messagesLaw) message(at, role string, content gjson.Result) *failure {
	switch role {
	case "user", "system":
	case "assistant":
		if l.role != "assistant" {
			if f := l.unanswered(at); f != nil {
				return f
			}
			l.other = false
		}
	default:
		return invalid("", "", at+".role: Input should be 'user' or 'assistant'")
	}
	l.role = role
	if !content.IsArray() {
		l.other = l.other || role == "user"
		return nil
	}
	var f *failure
	i := 0
	content.ForEach(func(_, block gjson.Result) bool {
		f = l.block(at+".content."+strconv.Itoa(i), role, block)
		i++
		return f == nil
	})
	return f
}

// unanswered refuses calls that have no result at the end of the user's turn.
func (l *messagesLaw) unanswered(at string) *failure {
	if len(l.open) == 0 {
		return nil
	}
	return invalid("", "", at+": `tool_use` ids were found without `tool_result` blocks immediately after: "+strings.Join(l.open, ", ")+
		". Each `tool_use` block must have a corresponding `tool_result` block in the next message.")
}

func (l *messagesLaw) block(at, role string, block gjson.Result) *failure {
	typ := block.Get("type").Str
	if f := checkType(messages, typ, at); f != nil {
		return f
	}
	if typ == "tool_result" {
		return l.result(at, block)
	}
	l.other = l.other || role == "user"
	switch typ {
	case "text":
		if text := block.Get("text"); text.Type == gjson.String && text.Str == "" {
			return invalid("", "", "messages: text content blocks must be non-empty")
		}
	case "tool_use":
		return l.call(at, block)
	case "thinking":
		text, signature := block.Get("thinking").String(), block.Get("signature")
		switch {
		case !signature.Exists():
			return invalid("", "", at+".thinking.signature: Field required")
		case !genuine(signature.Str) || text != "" && signature.Str != seal(text):
			return invalid("", "", at+": Invalid `signature` in `thinking` block")
		}
	case "redacted_thinking":
		if !genuine(block.Get("data").Str) {
			return invalid("", "", at+": Invalid `data` in `redacted_thinking` block")
		}
	}
	return nil
}

func (l *messagesLaw) call(at string, block gjson.Result) *failure {
	id := block.Get("id").String()
	switch {
	case l.role != "assistant":
		return invalid("", "", at+": `tool_use` blocks can only be in `assistant` messages")
	case !legalID(id, len(id)):
		return invalid("", "", at+".tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
	case !block.Get("input").IsObject():
		return invalid("", "", at+".tool_use.input: Input should be a valid dictionary")
	}
	l.open = append(l.open, id)
	return nil
}

func (l *messagesLaw) result(at string, block gjson.Result) *failure {
	id := block.Get("tool_use_id").String()
	switch {
	case l.role != "user":
		return invalid("", "", at+": `tool_result` blocks can only be in `user` messages")
	case !l.open.take(id):
		return invalid("", "", at+": unexpected `tool_use_id` found in `tool_result` blocks: "+id+
			". Each `tool_result` block must have a corresponding `tool_use` block in the previous message.")
	case l.other:
		return invalid("", "", at+": `tool_result` blocks must come before other content in the message")
	}
	var f *failure
	block.Get("content").ForEach(func(_, part gjson.Result) bool {
		if part.IsObject() { // a text is visited too
			f = checkType(messages, part.Get("type").Str, at+".content")
		}
		return f == nil
	})
	return f
}
