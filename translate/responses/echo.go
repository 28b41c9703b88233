package responses

import (
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// A response object repeats what was asked for, and typed clients require it to.
// A stream does so three times, and until its end the texts have to be kept. So
// what is long is told as the API's default instead, which no client reads: the
// instructions and tools of an agent, which together often are megabytes, and
// whatever else is longer than anybody means it to be.
const maxEcho = 16 << 10

// echoed are the members of a response object that repeat the request, and what
// they say where it does not. The answer is never kept, whatever was asked for.
var echoed = [...]struct {
	name, standard string
	fixed          bool
}{
	{name: "background", standard: "false", fixed: true},
	{name: "instructions", standard: "null"},
	{name: "max_output_tokens", standard: "null"},
	{name: "max_tool_calls", standard: "null"},
	{name: "metadata", standard: "{}"},
	{name: "parallel_tool_calls", standard: "true"},
	{name: "previous_response_id", standard: "null", fixed: true},
	{name: "prompt_cache_key", standard: "null"},
	{name: "reasoning", standard: `{"effort":null,"summary":null}`},
	{name: "safety_identifier", standard: "null"},
	{name: "store", standard: "false", fixed: true},
	{name: "temperature", standard: "1"},
	{name: "text", standard: `{"format":{"type":"text"},"verbosity":"medium"}`},
	{name: "tool_choice", standard: `"auto"`},
	{name: "tools", standard: "[]"},
	{name: "top_logprobs", standard: "0"},
	{name: "top_p", standard: "1"},
	{name: "truncation", standard: `"disabled"`},
	{name: "user", standard: "null"},
}

// echo is what a request says of the members that its answer repeats.
type echo [len(echoed)]translate.Value

func (e *echo) note(name translate.Text, v translate.Value) {
	for i := range echoed {
		if echoed[i].name == string(name) && !echoed[i].fixed {
			e[i] = v
		}
	}
}

// append appends the members, each followed by a comma.
func (e *echo) append(dst []byte) []byte {
	long := 0
	for i := range echoed {
		if name := echoed[i].name; name == "instructions" || name == "tools" {
			long += len(e[i])
		}
	}
	for i := range echoed {
		name := echoed[i].name
		dst = append(dst, '"')
		dst = append(dst, name...)
		dst = append(dst, `":`...)
		tooLong := len(e[i]) > maxEcho || long > maxEcho && (name == "instructions" || name == "tools")
		if e[i].IsNull() || tooLong {
			dst = append(dst, echoed[i].standard...)
		} else {
			dst = rawjson.AppendCompact(dst, e[i])
		}
		dst = append(dst, ',')
	}
	return dst
}
