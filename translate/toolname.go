package translate

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
)

// ToolName tells what a tool that was sent under another name, or as another
// kind of tool, is called by the client.
type ToolName struct {
	// Sent is its name in the upstream's request and answer.
	Sent string
	// Name and Namespace are the client's.
	Name, Namespace string
	// Custom says that the client declared a custom tool, whose input is text.
	Custom bool
	// Wrapped says that it was sent as a function whose one parameter, "input",
	// holds that text.
	Wrapped bool
	// Answer says that it is none of the client's: what it is called with is
	// the answer's text.
	Answer bool
}

// The longest names of tools.
const (
	maxToolNameOpenAI   = 64
	maxToolNameMessages = 128
)

// SentName is the name under which a tool of the client is sent in a protocol: a
// namespace goes before the name, characters that are not allowed become '_',
// and what is too long ends in a hash of the whole. It depends on nothing else,
// so a call in the history gets the name that its tool has.
func (c *Conversation) SentName(p Protocol, namespace, name Text) Text {
	limit := maxToolNameOpenAI
	if p == Messages {
		limit = maxToolNameMessages
	}
	if len(namespace) == 0 && len(name) > 0 && len(name) <= limit && nameLike(name) {
		return name
	}
	full := name.AppendDecoded(nil)
	if len(namespace) > 0 {
		full = append(append(namespace.AppendDecoded(nil), "__"...), full...)
	}
	const hashed = 8
	changed := len(full) > limit || len(full) == 0
	clean := make([]byte, 0, limit)
	for _, b := range full {
		if !nameByte(b) {
			// Two names that differ only here must not become one.
			b, changed = '_', true
		}
		if len(clean) < limit {
			clean = append(clean, b)
		}
	}
	if changed {
		sum := sha256.Sum256(full)
		clean = clean[:min(len(clean), limit-1-hashed)]
		clean = append(clean, '_')
		clean = hex.AppendEncode(clean, sum[:hashed/2])
	}
	return Text(c.Own(clean))
}

// SendTool notes under which name and as what a tool is sent, so that the answer
// can be told the difference. The error is that of a name which another tool has
// already: nobody could say which of them a call means. Encoders call it for each
// tool that has a name in their protocol.
func (c *Conversation) SendTool(t *Tool, sent Text, wrapped bool) *Error {
	if n := c.sent.Len(); c.sent.Add(sent, n) != n {
		e := Refuse(c.Param(SettingTools)+"["+strconv.Itoa(t.Index)+"]", `has the name of another tool, "`+sent.String()+`"`)
		e.Code = "invalid_value"
		return e
	}
	if t.Kind == HostedTool || !wrapped && t.Kind == FunctionTool && len(t.Namespace) == 0 && string(sent) == string(t.Name) {
		return nil
	}
	c.names = append(c.names, ToolName{
		Sent:      sent.String(),
		Name:      t.Name.String(),
		Namespace: t.Namespace.String(),
		Custom:    t.Kind == CustomTool,
		Wrapped:   wrapped,
	})
	return nil
}

// Sent reports whether some tool is sent under the name.
func (c *Conversation) Sent(name Text) bool { return c.sent.Find(name) >= 0 }
