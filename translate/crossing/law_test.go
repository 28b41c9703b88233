package crossing_test

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
)

// brokenLaws lists what an API would refuse of a request though it has the right
// form: the order of roles, calls and results, and the limits of names, ids and
// numbers.
func brokenLaws(p translate.Protocol, body []byte) []string {
	l := law{}
	root := gjson.ParseBytes(body)
	switch p {
	case translate.Responses:
		l.responses(root)
	case translate.Messages:
		l.messages(root)
	default:
		l.chat(root)
	}
	return l.broken
}

type law struct {
	broken []string
	open   map[string]bool // calls without a result
}

func (l *law) check(ok bool, format string, args ...any) {
	if !ok {
		l.broken = append(l.broken, fmt.Sprintf(format, args...))
	}
}

var (
	openAIName   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	messagesName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)
	commonID     = regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`)
)

// tools checks names, and that what needs tools has some.
func (l *law) tools(root gjson.Result, name string, legal *regexp.Regexp) {
	tools := root.Get("tools")
	l.check(!tools.Exists() || len(tools.Array()) > 0, "tools is empty")
	seen := map[string]bool{}
	for i, tool := range tools.Array() {
		if value := tool.Get(name); value.Exists() {
			l.check(legal.MatchString(value.String()), "tools[%d] is called %q", i, value)
			l.check(!seen[value.String()], "two tools are called %q", value)
			seen[value.String()] = true
		}
	}
	if !tools.Exists() {
		for _, needy := range []string{"tool_choice", "parallel_tool_calls"} {
			l.check(!root.Get(needy).Exists(), "%s stands without tools", needy)
		}
	}
}

func (l *law) call(id string) {
	l.check(commonID.MatchString(id), "the id of a call is %q", id)
	l.check(!l.open[id], "two calls have the id %q", id)
	l.open[id] = true
}

func (l *law) result(id string) {
	l.check(l.open[id], "a result of %q has no call before it", id)
	delete(l.open, id)
}

func (l *law) answered(where string) {
	l.check(len(l.open) == 0, "%s: there are calls without results: %v", where, l.open)
	l.open = map[string]bool{}
}

func (l *law) chat(root gjson.Result) {
	l.tools(root, "function.name", openAIName)
	l.check(len(root.Get("tools").Array()) <= 128, "there are too many tools")
	l.check(len(root.Get("messages").Array()) > 0, "there are no messages")
	l.check(len(root.Get("stop").Array()) <= 4, "there are too many stop sequences")
	l.open = map[string]bool{}
	for i, message := range root.Get("messages").Array() {
		role, content := message.Get("role").String(), message.Get("content")
		if role == "tool" {
			l.result(message.Get("tool_call_id").String())
			continue
		}
		l.answered(fmt.Sprintf("messages[%d]", i))
		calls := message.Get("tool_calls").Array()
		for _, call := range calls {
			l.call(call.Get("id").String())
			if arguments := call.Get("function.arguments"); call.Get("type").String() == "function" {
				l.check(arguments.String() != "", "messages[%d]: the arguments are %s", i, arguments.Raw)
			}
		}
		l.check(content.Raw != "[]" && (content.IsArray() || content.Type == gjson.String || len(calls) > 0 || message.Get("refusal").Exists()), "messages[%d] of the %s has no content", i, role)
		if role == "system" || role == "developer" || role == "assistant" {
			l.check(!strings.Contains(content.Raw, `"type":"image_url"`) || content.Type == gjson.String, "messages[%d] of the %s has an image", i, role)
		}
	}
	l.answered("at the end")
}

func (l *law) responses(root gjson.Result) {
	l.tools(root, "name", openAIName)
	l.check(root.Get("store").Exists(), "store is not told")
	l.check(root.Get("max_output_tokens").Int() >= 16 || !root.Get("max_output_tokens").Exists(), "max_output_tokens is less than 16")
	for i, tool := range root.Get("tools").Array() {
		l.check(tool.Get("type").String() != "function" || tool.Get("strict").IsBool(), "tools[%d]: strict is not told", i)
	}
	l.open = map[string]bool{}
	items := root.Get("input").Array()
	l.check(root.Get("input").Type == gjson.String || len(items) > 0, "there is no input")
	for i, item := range items {
		where := fmt.Sprintf("input[%d]", i)
		switch kind := item.Get("type").String(); kind {
		case "message":
			if item.Get("role").String() != "assistant" {
				l.answered(where)
			}
			l.check(item.Get("content").Raw != "[]" && item.Get("content").Raw != `""`, "%s says nothing", where)
		case "function_call", "custom_tool_call":
			l.call(item.Get("call_id").String())
			l.check(!item.Get("id").Exists(), "%s has an id", where)
			if arguments := item.Get("arguments"); kind == "function_call" {
				l.check(arguments.String() != "", "%s: the arguments are %s", where, arguments.Raw)
			}
		case "function_call_output", "custom_tool_call_output":
			l.result(item.Get("call_id").String())
		case "reasoning":
			next := ""
			if i+1 < len(items) {
				next = items[i+1].Get("type").String()
			}
			l.check(strings.HasSuffix(next, "_call") || next == "reasoning" || next == "message" && items[i+1].Get("role").String() == "assistant", "%s: reasoning stands before %q", where, next)
		default:
			l.check(false, "%s is a %q", where, kind)
		}
	}
	l.answered("at the end")
}

func (l *law) messages(root gjson.Result) {
	l.tools(root, "name", messagesName)
	l.check(root.Get("max_tokens").Int() > 0, "max_tokens is %s", root.Get("max_tokens").Raw)
	l.check(root.Get("temperature").Num <= 1, "temperature is %s", root.Get("temperature").Raw)
	if budget := root.Get("thinking.budget_tokens"); budget.Exists() {
		l.check(budget.Int() >= 1024 && budget.Int() < root.Get("max_tokens").Int(), "the budget is %s of %s", budget.Raw, root.Get("max_tokens").Raw)
	}
	l.check(strings.Count(withoutStrings(root.Raw), `"cache_control":`) <= 4, "there are more than four marks for the cache")
	for i, tool := range root.Get("tools").Array() {
		schema := tool.Get("input_schema")
		l.check(!schema.Exists() || schema.Get("type").String() == "object" && !schema.Get("oneOf").Exists() && !schema.Get("anyOf").Exists() && !schema.Get("allOf").Exists(), "tools[%d]: the schema is %s", i, schema.Raw)
	}
	for _, stop := range root.Get("stop_sequences").Array() {
		l.check(strings.TrimSpace(stop.String()) != "", "a stop sequence is blank")
	}
	turns := root.Get("messages").Array()
	l.check(len(turns) > 0 && turns[0].Get("role").String() == "user", "the first message is not the user's")
	l.open = map[string]bool{}
	last, called := "", false
	for i, turn := range turns {
		role, blocks := turn.Get("role").String(), turn.Get("content").Array()
		l.check(role != last, "messages[%d]: the role %s stands twice in a row", i, role)
		l.check(role != "system" || last == "user", "messages[%d]: the system speaks behind the %s", i, last)
		l.check(last != "system" || role == "assistant", "messages[%d]: the %s speaks behind the system", i, role)
		l.check(len(blocks) > 0, "messages[%d] says nothing", i)
		last = role
		others := false
		for k, block := range blocks {
			where := fmt.Sprintf("messages[%d].content[%d]", i, k)
			switch block.Get("type").String() {
			case "text":
				others = true
				l.check(strings.TrimSpace(block.Get("text").String()) != "", "%s is blank", where)
			case "tool_use":
				called = true
				l.check(role == "assistant", "%s is a call by the %s", where, role)
				l.check(block.Get("input").IsObject(), "%s has the input %s", where, block.Get("input").Raw)
				l.call(block.Get("id").String())
			case "tool_result":
				l.check(role == "user" && !others, "%s is a result behind other blocks", where)
				l.result(block.Get("tool_use_id").String())
				l.check(block.Get("content").Raw != "[]", "%s is an empty list", where)
			case "thinking", "redacted_thinking":
				l.check(!block.Get("cache_control").Exists(), "%s has a mark for the cache", where)
			default:
				others = true
			}
		}
		if role == "user" {
			l.answered(fmt.Sprintf("behind messages[%d]", i))
		}
	}
	l.answered("at the end")
	l.check(!called || root.Get("tools").Exists(), "there are calls and no tools")
	if n := len(turns); n > 0 && last == "assistant" {
		blocks := turns[n-1].Get("content").Array()
		if text := blocks[len(blocks)-1].Get("text").String(); len(blocks) > 0 {
			l.check(text == strings.TrimRight(text, " \n\t\r"), "the last words end in white space")
		}
	}
}

// withoutStrings is JSON with the insides of its strings gone where they could be
// taken for members.
func withoutStrings(doc string) string { return strings.ReplaceAll(doc, `\"`, "") }
