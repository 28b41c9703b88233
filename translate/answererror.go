package translate

import (
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// ErrorInAnswer reports an error inside the body of an answer with a good
// status, which several vendors send. "error": null is healthy. The error's
// Status is never 0: 502 when the body names none.
func ErrorInAnswer(p Protocol, body []byte) (Error, bool) {
	return errorInAnswer(p, unwrapped(parse(rawjson.Parse(body))))
}

func errorInAnswer(p Protocol, root gjson.Result) (Error, bool) {
	parts := partsOf(p, root)
	return parts.failure(root)
}

// parts is what an answer consists of, as far as its judges care.
type parts struct {
	explicit bool  // it says itself that it is an error
	payload  bool  // it has what only a good answer has
	stopped  bool  // the model broke off, by failed
	failed   Error // if stopped

	kind, content, output, data, tokens, choices gjson.Result
}

// partsOf reads an answer in one pass. Of a member that is there twice the
// first counts.
func partsOf(p Protocol, root gjson.Result) (a parts) {
	root.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "error":
			a.explicit = a.explicit || isError(value)
		case "type", "object":
			a.explicit = a.explicit || value.Str == "error"
			if key.Str == "type" {
				first(&a.kind, value)
			}
		case "base_resp":
			a.explicit = a.explicit || value.Get("status_code").Int() != 0
		case "status":
			a.explicit = a.explicit || p == Responses && (value.Str == "failed" || value.Str == "cancelled")
		case "choices":
			a.payload = true
			first(&a.choices, value)
			choice := value.Get("0")
			a.explicit = a.explicit || isError(choice.Get("error"))
			a.failed, a.stopped = finishError(choice.Get("finish_reason").Str)
		case "content":
			a.payload = true
			first(&a.content, value)
		case "output":
			a.payload = true
			first(&a.output, value)
		case "data":
			a.payload = true
			first(&a.data, value)
		case "input_tokens":
			a.payload = true
			first(&a.tokens, value)
		}
		return true
	})
	return a
}

func first(to *gjson.Result, value gjson.Result) {
	if !to.Exists() {
		*to = value
	}
}

// failure is the error that an answer reports.
func (a *parts) failure(root gjson.Result) (Error, bool) {
	if a.payload && !a.explicit {
		return a.failed, a.stopped
	}
	e, ok := readError(root)
	if !ok && a.explicit {
		e, ok = Error{Message: "the upstream reported an error without details"}, true
	}
	if ok && e.Status == 0 {
		e.Status = 502
	}
	return e, ok
}

// finishError reports whether a Chat finish_reason says that the model broke
// off, and how. OpenRouter, DeepSeek and GLM have one each.
func finishError(reason string) (Error, bool) {
	var e Error
	switch reason {
	case "error", "network_error":
		e.Status = 502
	case "insufficient_system_resource":
		e.Status = 503
	default:
		return Error{}, false
	}
	e.Code = strings.Clone(reason)
	e.Message = "the model broke off: " + e.Code
	return e, true
}

// isError reports whether the value of a key "error" means one.
func isError(value gjson.Result) bool {
	switch value.Type {
	case gjson.String:
		return value.Str != ""
	case gjson.JSON:
		return !isEmpty(value)
	case gjson.Number, gjson.True:
		return true
	}
	return false
}

// isEmpty reports whether an object or array has nothing in it.
func isEmpty(value gjson.Result) bool {
	empty := true
	value.ForEach(func(_, _ gjson.Result) bool {
		empty = false
		return false
	})
	return empty
}
