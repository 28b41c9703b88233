package simulated

import (
	"net/http"
	"strings"

	"github.com/tidwall/gjson"
)

// question is what a request asks, in terms that the three protocols share.
type question struct {
	proto  protocol
	model  string
	stream bool

	raw raw // parts of the body that are read when they are needed

	prompt    string   // the newest user text
	directive string   // the words of its "demo:" line
	answered  bool     // tool results follow the last assistant turn
	results   []string // their texts
	length    int      // bytes that count as input
	media     int      // images, documents and sounds

	limit        int // of output tokens; 0 is none
	includeUsage bool
	encrypted    bool // reasoning comes with encrypted_content
}

// raw holds top-level values of the body under their names in the three
// protocols.
type raw struct {
	conversation gjson.Result // messages or input
	system       gjson.Result // system or instructions
	tools        gjson.Result
	moreTools    gjson.Result // of an additional_tools item
	toolChoice   gjson.Result
	parallel     gjson.Result // parallel_tool_calls
	format       gjson.Result // the object that holds the wanted format
	stop         gjson.Result
	limit        gjson.Result
	limitNewer   gjson.Result // max_completion_tokens, before which max_tokens steps back
	choices      gjson.Result // n
	stateful     string       // the name of a parameter that needs stored state, or ""
	foreign      string       // the name of a parameter of another protocol, or ""
	echo         [len(echoes)]string
}

// scan reads the top level of a body in one pass. The conversation is not
// looked at.
func scan(p protocol, body string) question {
	q := question{proto: p}
	gjson.Parse(body).ForEach(func(key, v gjson.Result) bool {
		q.take(key.Str, v)
		return true
	})
	return q
}

func (q *question) take(name string, v gjson.Result) {
	r := &q.raw
	switch name {
	case "model":
		q.model = v.String()
	case "stream":
		q.stream = v.Bool()
	case "messages", "input":
		r.conversation = v
	case "system", "instructions":
		r.system = v
	case "tools":
		r.tools = v
	case "tool_choice":
		r.toolChoice = v
	case "parallel_tool_calls":
		r.parallel = v
	case "response_format", "text", "output_config", "output_format":
		r.format = v
	case "stop", "stop_sequences":
		r.stop = v
	case "max_tokens", "max_output_tokens":
		r.limit = v
	case "max_completion_tokens":
		r.limitNewer = v
	case "n":
		r.choices = v
	case "stream_options":
		q.includeUsage = v.Get("include_usage").Bool()
	case "include":
		q.encrypted = strings.Contains(v.Raw, `"reasoning.encrypted_content"`)
	case "previous_response_id", "conversation", "prompt":
		if v.Type != gjson.Null {
			r.stateful = name
		}
	case "background":
		if v.Bool() {
			r.stateful = name
		}
	}
	if membersOf[name].foreignTo(q.proto) {
		r.foreign = name
	}
	if q.proto == responses {
		r.takeEcho(name, v)
	}
}

// read reads the conversation and checks what the real services check first.
func (q *question) read() *failure {
	if name := q.raw.foreign; name != "" {
		return foreignMember(q.proto, name)
	}
	switch q.proto {
	case chat:
		return q.readChat()
	case responses:
		return q.readResponses()
	}
	return q.readMessages()
}

// readLimit sets the output limit from v, which may be absent or null.
func (q *question) readLimit(v gjson.Result, name string) *failure {
	if v.Type == gjson.Null {
		return nil
	}
	if v.Type != gjson.Number || v.Int() < 1 {
		return invalid("integer_below_min_value", name, name+": must be an integer of 1 or more")
	}
	q.limit = int(min(v.Int(), 1<<30))
	return nil
}

// invalid is the failure of a body with a wrong or missing value.
func invalid(code, param, message string) *failure {
	f := refusal(http.StatusBadRequest, code, param, message)
	return &f
}

// tokens estimates the input of a question.
func (q *question) tokens() int {
	n := q.length + len(q.raw.system.Raw) + len(q.raw.tools.Raw)
	return tokens(n) + q.media*mediaTokens
}

// hear takes the texts of a user turn: the last one is the prompt.
func (q *question) hear(content gjson.Result) {
	eachText(content, func(text string) {
		q.prompt = text
		if d := directive(text); d != "" {
			q.directive = d
		}
	})
}

// learn takes a tool result.
func (q *question) learn(content gjson.Result) {
	var b strings.Builder
	eachText(content, func(text string) { b.WriteString(text) })
	q.answered = true
	q.results = append(q.results, b.String())
}

// turn starts a new assistant turn: results before it are spent.
func (q *question) turn() { q.answered, q.results = false, nil }

// weigh counts an entry of the conversation as input; parts are its content,
// in which media have a fixed weight.
func (q *question) weigh(entry, parts gjson.Result) {
	q.length += len(entry.Raw)
	q.weighMedia(parts)
}

func (q *question) weighMedia(parts gjson.Result) {
	if !parts.IsArray() {
		return
	}
	parts.ForEach(func(_, part gjson.Result) bool {
		switch part.Get("type").Str {
		case "image", "image_url", "input_image", "document", "file", "input_file", "input_audio":
			q.length -= len(part.Raw)
			q.media++
		case "tool_result":
			q.weighMedia(part.Get("content"))
		}
		return true
	})
}

// eachText calls f with every text of a content: a string, or parts of which
// some are text.
func eachText(content gjson.Result, f func(string)) {
	if content.Type == gjson.String {
		f(content.String())
		return
	}
	if !content.IsArray() {
		return
	}
	content.ForEach(func(_, part gjson.Result) bool {
		switch part.Get("type").Str {
		case "text", "input_text", "output_text":
			f(part.Get("text").String())
		}
		return true
	})
}

// schema returns the JSON Schema that the answer must follow, and whether it
// must be a JSON object at all.
func (q *question) schema() (schema gjson.Result, object bool) {
	f := q.raw.format
	switch q.proto {
	case chat:
		return f.Get("json_schema.schema"), f.Get("type").Str == "json_object"
	case responses:
		return f.Get("format.schema"), f.Get("format.type").Str == "json_object"
	}
	if inner := f.Get("format"); inner.IsObject() {
		f = inner // output_config; the older output_format is the format itself
	}
	return f.Get("schema"), false
}

// stops returns the stop sequences.
func (q *question) stops() []string {
	if q.raw.stop.Type == gjson.String {
		return []string{q.raw.stop.String()}
	}
	var out []string
	for _, s := range q.raw.stop.Array() {
		if s.Type == gjson.String && s.Str != "" {
			out = append(out, s.Str)
		}
	}
	return out
}
