package translate

import (
	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

// CheckRequest refuses what no upstream of a protocol would take and what this
// gateway cannot honour. It is not a schema: fields that it does not know, and
// values that only a provider can judge, pass. A nil error means that the
// request may go upstream.
func CheckRequest(p Protocol, op Operation, o *strictjson.Object) *Error {
	switch {
	case op == Embed:
		return required(o, "input")
	case p == Responses:
		return checkResponses(o)
	case p == Messages:
		if system, _, ok := o.Get("system"); ok && system[0] != '"' && system[0] != '[' && system[0] != 'n' {
			return badField("system", "must be a string or an array of blocks")
		}
	}
	if e := required(o, "messages"); e != nil {
		return e
	}
	raw, member, _ := o.Get("messages")
	if raw[0] != '[' {
		return badField("messages", "must be an array")
	}
	return checkTurns("messages", raw, member)
}

func checkResponses(o *strictjson.Object) *Error {
	for _, stateful := range []string{"previous_response_id", "conversation"} {
		// Keys rotate and providers fall back, so an answer kept at one of
		// them is not there for the next request; and with a shared key it
		// might be another client's.
		if raw, _, ok := o.Get(stateful); ok && string(raw) != "null" {
			return badField(stateful, "is not supported: this gateway keeps no conversations; send the whole input with every request and store: false")
		}
	}
	raw, member, ok := o.Get("input")
	switch {
	case !ok || raw[0] == '"' || raw[0] == 'n':
		return nil // a stored prompt may come without input
	case raw[0] != '[':
		return badField("input", "must be a string or an array of items")
	}
	return checkTurns("input", raw, member)
}

// checkTurns refuses turns, and parts of their content, that are null, numbers
// or booleans. Most requests hold no such thing in any array, which their index
// already knows.
func checkTurns(field string, raw []byte, member strictjson.Member) *Error {
	const turns, parts = 2, 4 // depths of the arrays: field[], field[].content[]
	if !member.Bare(turns) && !member.Bare(parts) {
		return nil
	}
	bad := ""
	gjson.ParseBytes(raw).ForEach(func(_, turn gjson.Result) bool {
		if isBare(turn) {
			bad = "must hold only objects"
			return false
		}
		if content := turn.Get("content"); content.IsArray() {
			content.ForEach(func(_, part gjson.Result) bool {
				if isBare(part) {
					bad = "has a content part that is not an object"
				}
				return bad == ""
			})
		}
		return bad == ""
	})
	if bad != "" {
		return badField(field, bad)
	}
	return nil
}

func isBare(v gjson.Result) bool { return v.Type != gjson.JSON && v.Type != gjson.String }

func required(o *strictjson.Object, field string) *Error {
	if raw, _, ok := o.Get(field); ok && string(raw) != "null" {
		return nil
	}
	return badField(field, "is required")
}

func badField(field, problem string) *Error {
	return &Error{Status: 400, Param: field, Message: field + ": " + problem}
}
