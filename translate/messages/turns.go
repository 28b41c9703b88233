package messages

import (
	"bytes"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// beforeMessages is the index of the turn that stands in "system" and not in
// "messages".
const beforeMessages = -1

// attribution begins a block by which Claude Code tells Anthropic's billing
// about itself. It is no instruction, and as it changes with every session, it
// would void the prompt cache of everybody else.
const attribution = "x-anthropic-billing-header:"

// readSystem reads the instructions that stand before the conversation, as one
// turn.
func (r *request) readSystem() *translate.Error {
	if text := r.system.Text(); text != nil {
		r.instruct(translate.Block{Kind: translate.KindText, Text: text})
		return nil
	}
	for e := r.system.Elements(); e.Next(); {
		b := &r.block
		b.read(e.Value)
		if string(b.kind) != "text" {
			return translate.Refuse("system", "must hold nothing but text")
		}
		if !bytes.HasPrefix(b.text, []byte(attribution)) {
			r.instruct(translate.Block{Kind: translate.KindText, Text: b.text, Cache: cacheOf(b.cache)})
		}
	}
	return nil
}

// instruct adds an instruction to the turn of them, which it begins.
func (r *request) instruct(b translate.Block) {
	if len(b.Text) > 0 {
		r.c.BeginTurn(translate.System, beforeMessages, true)
		r.c.Add(b)
	}
}

func (r *request) readMessages() *translate.Error {
	if r.messages.IsEmpty() {
		return translate.Refuse("messages", "must hold at least one message")
	}
	for e := r.messages.Elements(); e.Next(); {
		if err := r.readMessage(e.Index, e.Value); err != nil {
			return err
		}
	}
	return nil
}

func (r *request) readMessage(index int, message translate.Value) *translate.Error {
	var role, clearAt translate.Text
	var content, config translate.Value
	for m := message.Members(); m.Next(); {
		switch string(m.Name) {
		case "role":
			role = m.Value.Text()
		case "content":
			content = m.Value
		case "clear_at":
			clearAt = m.Value.Text()
		case "output_config":
			config = m.Value
		}
	}
	switch string(role) {
	case "user":
		r.c.BeginTurn(translate.User, index, false)
	case "assistant":
		r.c.BeginTurn(translate.Assistant, index, false)
	case "system":
		if string(clearAt) == "next_user_message" && r.userAfter(index) {
			return r.readToolChanges(content) // the rest was for a turn that is over
		}
		r.readTurnConfig(config)
		r.c.BeginTurn(translate.System, index, false)
	default:
		return translate.Refuse(r.c.At(index, -1)+".role", "must be user, assistant or system")
	}
	return r.readContent(index, content)
}

// userAfter reports whether a message of the user follows on the one at index.
func (r *request) userAfter(index int) bool {
	if !r.searched {
		r.searched, r.lastUser = true, -1
		for e := r.messages.Elements(); e.Next(); {
			if string(e.Value.Get("role").Text()) == "user" {
				r.lastUser = e.Index
			}
		}
	}
	return index < r.lastUser
}

// readTurnConfig reads the settings that a system message makes for one turn.
// Nobody else has such; mostly they say what the whole request says.
func (r *request) readTurnConfig(config translate.Value) {
	for m := config.Members(); m.Next(); {
		if string(m.Name) == "effort" && m.Value.Text().Is(r.c.Effort.String()) {
			continue
		}
		if !m.Value.IsNull() {
			r.c.Losses.Add("messages.output_config", translate.Dropped, "settings are those of the whole request")
		}
	}
}

func (r *request) readContent(index int, content translate.Value) *translate.Error {
	if text := content.Text(); text != nil {
		if len(text) > 0 {
			r.c.Add(translate.Block{Kind: translate.KindText, Text: text})
		}
		return nil
	}
	for e := content.Elements(); e.Next(); {
		if err := r.readContentBlock(index, e.Index, e.Value); err != nil {
			return err
		}
	}
	return nil
}
