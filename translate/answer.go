package translate

import (
	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
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
	root := parse(rawjson.Parse(body))
	if !root.IsObject() {
		if e, failed := ErrorInAnswer(p, body); failed {
			return &e
		}
		return badAnswer("the answer is not a JSON object")
	}
	parts := partsOf(p, root)
	if e, failed := parts.failure(root); failed {
		return &e
	}
	if missing := parts.missing(p, op); missing != "" {
		return badAnswer("the answer has no " + missing)
	}
	return nil
}

// CheckFinished tells whether body, which has passed [CheckAnswer], is the answer
// and not the word that one will come: the Responses API has such for requests
// that run in the background. In another protocol it would look like an answer
// without content. The error is an [*Error] with status 502.
func CheckFinished(p Protocol, body []byte) error {
	if p != Responses {
		return nil
	}
	switch status := string(rawjson.Parse(body).Get("status").Text()); status {
	case "queued", "in_progress", "cancelled":
		return badAnswer("the answer is not finished but " + status)
	}
	return nil
}

func badAnswer(message string) *Error {
	return &Error{Status: 502, Message: message}
}

// missing names what an answer lacks, or returns "".
func (a *parts) missing(p Protocol, op Operation) string {
	switch {
	case op == CountTokens:
		if a.tokens.Type != gjson.Number {
			return "input_tokens"
		}
	case op == Embed:
		if !a.data.IsArray() {
			return "data"
		}
	case p == Messages:
		if a.kind.Str != "message" {
			return `type "message"`
		}
		if !a.content.IsArray() {
			return "content"
		}
	case p == Responses:
		if !a.output.IsArray() {
			return "output"
		}
	default:
		if !a.choices.IsArray() || isEmpty(a.choices) {
			return "choices"
		}
	}
	return ""
}
