package translate

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// CompleteToolResults gives every tool call of a conversation that has no
// result an empty one, right before the next turn that is none. Some providers
// refuse a conversation that was interrupted between a call and its result;
// changed is false when nothing was missing.
func CompleteToolResults(p Protocol, body []byte) (repaired []byte, changed bool) {
	field := "messages"
	if p == Responses {
		field = "input"
	}
	turns := gjson.GetBytes(body, field)
	if !turns.IsArray() {
		return body, false
	}
	r := repair{protocol: p}
	turns.ForEach(func(_, turn gjson.Result) bool {
		r.turn(turn)
		return true
	})
	r.flush()
	if !r.changed {
		return body, false
	}
	out := make([]byte, 0, len(body)+len(r.out))
	out = append(out, body[:turns.Index]...)
	out = append(out, '[')
	out = append(out, r.out...)
	out = append(out, ']')
	return append(out, body[turns.Index+len(turns.Raw):]...), true
}

// toolCall is a call as its result has to name it.
type toolCall struct {
	id     string // raw JSON
	result string // Responses: the type of the item that answers it
}

// repair copies turns and puts results in where they are missing.
type repair struct {
	protocol Protocol
	out      []byte
	pending  []toolCall // calls without a result, in order
	changed  bool
}

func (r *repair) turn(turn gjson.Result) {
	calls, results := r.idsIn(turn)
	r.pending = slices.DeleteFunc(r.pending, func(call toolCall) bool { return slices.Contains(results, call.id) })
	if r.endsResults(turn, results) {
		r.flush()
	}
	r.add(turn.Raw)
	r.pending = append(r.pending, calls...)
}

// endsResults reports whether results that are still missing have to stand
// before this turn. In Messages all of them belong into the turn after the
// calls, and neighbouring turns of a role count as one.
func (r *repair) endsResults(turn gjson.Result, results []string) bool {
	switch r.protocol {
	case Chat:
		return len(results) == 0
	case Responses:
		// Reasoning and other items may stand between parallel calls.
		kind := turn.Get("type").Str
		return kind == "" || kind == "message"
	}
	return true
}

// flush writes an empty result for each pending call.
func (r *repair) flush() {
	if len(r.pending) == 0 {
		return
	}
	r.changed = true
	switch r.protocol {
	case Chat:
		for _, call := range r.pending {
			r.add(`{"role":"tool","tool_call_id":` + call.id + `,"content":""}`)
		}
	case Responses:
		for _, call := range r.pending {
			r.add(`{"type":"` + call.result + `","call_id":` + call.id + `,"output":""}`)
		}
	case Messages:
		blocks := make([]string, len(r.pending))
		for i, call := range r.pending {
			blocks[i] = `{"type":"tool_result","tool_use_id":` + call.id + `,"content":""}`
		}
		r.add(`{"role":"user","content":[` + strings.Join(blocks, ",") + `]}`)
	}
	r.pending = nil
}

func (r *repair) add(turn string) {
	if len(r.out) > 0 {
		r.out = append(r.out, ',')
	}
	r.out = append(r.out, turn...)
}

// idsIn finds the calls that a turn makes and the results that it brings.
func (r *repair) idsIn(turn gjson.Result) (calls []toolCall, results []string) {
	switch r.protocol {
	case Chat:
		turn.Get("tool_calls").ForEach(func(_, call gjson.Result) bool {
			calls = append(calls, toolCall{id: call.Get("id").Raw})
			return true
		})
		if turn.Get("role").Str == "tool" {
			results = append(results, turn.Get("tool_call_id").Raw)
		}
	case Responses:
		switch turn.Get("type").Str {
		case "function_call", "custom_tool_call":
			calls = append(calls, toolCall{turn.Get("call_id").Raw, turn.Get("type").Str + "_output"})
		case "function_call_output", "custom_tool_call_output":
			results = append(results, turn.Get("call_id").Raw)
		}
	case Messages:
		turn.Get("content").ForEach(func(_, block gjson.Result) bool {
			switch block.Get("type").Str {
			case "tool_use":
				calls = append(calls, toolCall{id: block.Get("id").Raw})
			case "tool_result":
				results = append(results, block.Get("tool_use_id").Raw)
			}
			return true
		})
	}
	return calls, results
}
