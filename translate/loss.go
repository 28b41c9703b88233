package translate

import "strconv"

// Loss is something of a request or answer that did not cross from one protocol
// to the other as it was. Losses without any effect on the answer, such as hints
// about speed or cost, are none.
type Loss struct {
	// Param is where it stood, in the words of the request's protocol, such as
	// "seed" or "messages.content.citations".
	Param string
	// Action is what became of it.
	Action Action
	// Reason says why, for people.
	Reason string
}

// Action is what becomes of something that cannot cross.
type Action string

// The actions.
const (
	// Dropped: it is gone.
	Dropped Action = "dropped"
	// Clamped: it is a number that was moved into the range that is allowed.
	Clamped Action = "clamped"
	// Changed: something similar took its place.
	Changed Action = "changed"
)

// Losses is a list of losses, none twice.
type Losses []Loss

// Bounds of a list, of the name of a param, which may be the client's invention,
// and of the header that tells them all: nginx, where it stands in front, takes no
// more than 4 KB of headers.
const (
	maxLosses     = 64
	maxParam      = 100
	maxLossHeader = 2 << 10
)

// unlisted stands for all losses that are not told one by one.
var unlisted = Loss{Param: "more", Action: Dropped, Reason: "there are too many to list"}

// Add notes a loss, unless the list has one of that param and action. Where there
// are too many, the last of the list stands for the others.
func (l *Losses) Add(param string, action Action, reason string) {
	if len(*l) == maxLosses {
		return
	}
	if len(param) > maxParam {
		param = clip(param, maxParam)
	}
	for i := range *l {
		if (*l)[i].Param == param && (*l)[i].Action == action {
			return
		}
	}
	if len(*l) == maxLosses-1 {
		*l = append(*l, unlisted)
		return
	}
	*l = append(*l, Loss{Param: param, Action: action, Reason: reason})
}

// AppendHeader appends the list as the value of the header Llm-Proxy-Warnings:
// param=seed;action=dropped, param=temperature;action=clamped. What is not fit
// for a header is replaced by '_'. Losses that do not fit into 2 KB are told as
// param=more;action=dropped, whatever became of them.
func (l Losses) AppendHeader(dst []byte) []byte {
	const unlistedSize = len(", param=more;action=dropped")
	start := len(dst)
	fits := start // behind it there is room for what stands for the rest
	for i := range l {
		if dst = l[i].appendHeader(dst, start); len(dst) > start+maxLossHeader {
			return unlisted.appendHeader(dst[:fits], start)
		}
		if len(dst) <= start+maxLossHeader-unlistedSize {
			fits = len(dst)
		}
	}
	return dst
}

// appendHeader appends one loss to those that begin at start.
func (l *Loss) appendHeader(dst []byte, start int) []byte {
	if len(dst) > start {
		dst = append(dst, ", "...)
	}
	dst = append(dst, "param="...)
	for _, c := range []byte(l.Param) {
		if c <= ' ' || c >= 0x7F || c == ',' || c == ';' || c == '=' || c == '"' {
			c = '_'
		}
		dst = append(dst, c)
	}
	dst = append(dst, ";action="...)
	return append(dst, l.Action...)
}

// Lose notes that a setting could not cross.
func (c *Conversation) Lose(s Setting, action Action, reason string) {
	c.Losses.Add(c.Param(s), action, reason)
}

// Refuse is the error of a request that cannot be translated: without the param
// it would be another request.
func Refuse(param, reason string) *Error {
	return &Error{
		Status:  400,
		Type:    "invalid_request_error",
		Code:    "unsupported_parameter",
		Param:   param,
		Message: param + ": " + reason,
	}
}

// At is the param of a block: messages[3].content[1], or input[3] where part is
// negative.
func (c *Conversation) At(index, part int) string {
	at := c.Param(SettingTurns) + "[" + strconv.Itoa(index) + "]"
	if part >= 0 {
		at += ".content[" + strconv.Itoa(part) + "]"
	}
	return at
}
