package translate

import (
	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

// Operation is what a request asks of a model.
type Operation uint8

// The operations. Not every protocol has each of them.
const (
	Generate    Operation = iota // an answer to a conversation
	Embed                        // embeddings
	CountTokens                  // the size of a conversation
)

// CheckAnswer tells whether body, sent with a good status, is a whole and good
// answer: one JSON object without an error inside, that has what its protocol
// requires. Beyond that it is lenient, because vendors differ. The error is an
// [*Error] with what the upstream said, or status 502.
func CheckAnswer(p Protocol, op Operation, body []byte) error {
	if err := strictjson.Valid(body); err != nil {
		return badAnswer("the answer is not JSON: " + err.Error())
	}
	root := parse(trimmed(body))
	if !root.IsObject() {
		if e, failed := ErrorInAnswer(p, body); failed {
			return &e
		}
		return badAnswer("the answer is not a JSON object")
	}
	if e, failed := errorInAnswer(p, root); failed {
		return &e
	}
	if missing := missingIn(root, p, op); missing != "" {
		return badAnswer("the answer has no " + missing)
	}
	return nil
}

func badAnswer(message string) *Error {
	return &Error{Status: 502, Message: message}
}

// missingIn names what an answer lacks, or returns "".
func missingIn(root gjson.Result, p Protocol, op Operation) string {
	switch {
	case op == CountTokens:
		if root.Get("input_tokens").Type != gjson.Number {
			return "input_tokens"
		}
	case op == Embed:
		if !root.Get("data").IsArray() {
			return "data"
		}
	case p == Messages:
		if root.Get("type").Str != "message" {
			return `type "message"`
		}
		if !root.Get("content").IsArray() {
			return "content"
		}
	case p == Responses:
		if !root.Get("output").IsArray() {
			return "output"
		}
	default:
		if choices := root.Get("choices"); !choices.IsArray() || isEmpty(choices) {
			return "choices"
		}
	}
	return ""
}
