package translate

import "github.com/tidwall/gjson"

// messagesEvent interprets an event of Anthropic's Messages.
func (w *Watcher) messagesEvent(name, data []byte) {
	if string(name) == "ping" {
		w.ping()
		return // as the SDKs do, whatever its data
	}
	root := parse(data)
	switch kindOf(name, root.Get("type")) {
	case "content_block_delta":
		if text, ok := deltaContent(root.Get("delta")); ok {
			w.contents++
			w.learn(data, text)
		}
	case "content_block_start":
		block := root.Get("content_block")
		w.thinking = block.Get("type").Str == "thinking"
		if startsWithContent(block) {
			w.contents++
		}
	case "message_start":
		w.counts.add(root.Get("message.usage"))
		// With programmatic tool calls the message begins filled.
		if !isEmpty(root.Get("message.content")) {
			w.contents++
		}
	case "message_delta":
		w.contents++
		w.counts.add(root.Get("usage"))
		if reason := root.Get("delta.stop_reason"); reason.Type == gjson.String {
			w.stopped = true
		}
	case "message_stop":
		w.ended, w.whole = true, true
	case "error":
		w.failWith(data)
	case "ping":
		w.ping()
	case "content_block_stop":
		w.thinking = false
	default:
		if isError(root.Get("error")) {
			w.failWith(data)
		}
	}
}

func (w *Watcher) ping() {
	if w.thinking {
		w.hiddenThoughts++
	}
}

// deltaContent reports whether a delta of any type brings something, and which
// text if it is one.
func deltaContent(delta gjson.Result) (text gjson.Result, ok bool) {
	delta.ForEach(func(key, value gjson.Result) bool {
		switch {
		case key.Str == "type":
			return true
		case key.Str == "signature": // nothing that the model wrote
			ok = value.Str != ""
		case value.Type == gjson.String && value.Str != "":
			text, ok = value, true
		case value.Type == gjson.JSON && !isEmpty(value): // a citation
			ok = true
		}
		return !ok
	})
	return text, ok
}

// startsWithContent reports whether the start of a block means something by
// itself: a tool call does, while text and thinking begin empty.
func startsWithContent(block gjson.Result) bool {
	switch block.Get("type").Str {
	case "":
		return false
	case "text":
		return block.Get("text").Str != ""
	case "thinking":
		return block.Get("thinking").Str != ""
	}
	return true
}
