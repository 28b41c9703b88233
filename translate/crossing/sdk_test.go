package crossing_test

import (
	"encoding/json"
	"fmt"
	"sort"

	"github.com/anthropics/anthropic-sdk-go"
	"github.com/openai/openai-go/v3"
	"github.com/openai/openai-go/v3/responses"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// sdkLeftovers reads a request with the official SDK's types, writes it again
// from them, and returns the paths of what got lost or became something else on
// the way: what the vendor's own types have no place for.
func sdkLeftovers(p translate.Protocol, body []byte) ([]string, error) {
	var params any
	switch p {
	case translate.Responses:
		params = new(responses.ResponseNewParams)
	case translate.Messages:
		params = new(anthropic.MessageNewParams)
	default:
		params = new(openai.ChatCompletionNewParams)
	}
	if err := json.Unmarshal(body, params); err != nil {
		return nil, fmt.Errorf("reading it with the SDK's types: %w", err)
	}
	again, err := json.Marshal(params)
	if err != nil {
		return nil, fmt.Errorf("writing it with the SDK's types: %w", err)
	}
	var was, is any
	if err := json.Unmarshal(body, &was); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(again, &is); err != nil {
		return nil, err
	}
	var lost []string
	missing("", was, is, func(path string) { lost = append(lost, path) })
	return lost, nil
}

// missing tells the paths of what a has and b has not. Numbers in paths stand
// for any index.
func missing(path string, a, b any, tell func(path string)) {
	switch a := a.(type) {
	case nil: // the SDK leaves out what is null
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok {
			tell(path)
			return
		}
		names := make([]string, 0, len(a))
		for name := range a {
			names = append(names, name)
		}
		sort.Strings(names)
		for _, name := range names {
			value, ok := b[name]
			switch member, isObject := a[name].(map[string]any); {
			case ok || a[name] == nil:
				missing(path+"."+name, a[name], value, tell)
			case !isObject || len(member) > 0: // it leaves out {} too
				tell(path + "." + name)
			}
		}
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			tell(path)
			return
		}
		for i := range a {
			missing(path+"[]", a[i], b[i], tell)
		}
	default:
		if fmt.Sprint(a) != fmt.Sprint(b) {
			tell(fmt.Sprintf("%s: %.60v became %.60v", path, a, b))
		}
	}
}
