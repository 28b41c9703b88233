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
	r := repair{protocol: p, slot: -1, answered: map[string]int{}}
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
	id     string
	raw    string // the id as the body writes it
	result string // Responses: the type of the item that answers it
	turn   int    // that makes it
}

// repair copies turns and puts results in where they are missing.
type repair struct {
	protocol Protocol
	out      []byte
	turns    int            // so far
	pending  []toolCall     // calls since flush, in order
	answered map[string]int // by id: the last turn with a result
	slot     int            // Messages: where in out missing results belong; -1: at the end
	changed  bool
}

func (r *repair) turn(turn gjson.Result) {
	calls, results := r.idsIn(turn)
	if r.protocol == Messages {
		r.changeSides(turn.Get("role").Str == "assistant")
	}
	r.turns++
	for _, id := range results {
		r.answered[id] = r.turns
	}
	if r.endsResults(turn, results) {
		r.flush()
	}
	r.add(turn.Raw)
	for _, call := range calls {
		call.turn = r.turns
		r.pending = append(r.pending, call)
	}
}

// changeSides tells whose turn comes. In Messages neighbouring turns of a role
// count as one, and results have to stand first in the user's: what is missing
// is known when the model speaks again, but belongs before what the user said.
func (r *repair) changeSides(model bool) {
	switch {
	case model && r.slot >= 0:
		r.flush()
		r.slot = -1
	case !model && r.slot < 0:
		r.slot = len(r.out)
	}
}

// endsResults reports whether results that are still missing have to stand
// before this turn.
func (r *repair) endsResults(turn gjson.Result, results []string) bool {
	switch r.protocol {
	case Chat:
		return len(results) == 0
	case Responses:
		// Reasoning and other items may stand between parallel calls.
		kind := turn.Get("type").Str
		return kind == "" || kind == "message"
	}
	return false
}

// flush writes an empty result for each pending call that has none.
func (r *repair) flush() {
	r.pending = slices.DeleteFunc(r.pending, func(call toolCall) bool { return r.answered[call.id] > call.turn })
	if len(r.pending) == 0 {
		return
	}
	r.changed = true
	switch r.protocol {
	case Chat:
		for _, call := range r.pending {
			r.add(`{"role":"tool","tool_call_id":` + call.raw + `,"content":""}`)
		}
	case Responses:
		for _, call := range r.pending {
			r.add(`{"type":"` + call.result + `","call_id":` + call.raw + `,"output":""}`)
		}
	case Messages:
		blocks := make([]string, len(r.pending))
		for i, call := range r.pending {
			blocks[i] = `{"type":"tool_result","tool_use_id":` + call.raw + `,"content":""}`
		}
		r.insert(`{"role":"user","content":[` + strings.Join(blocks, ",") + `]}`)
	}
	r.pending = nil
}

func (r *repair) add(turn string) {
	if len(r.out) > 0 {
		r.out = append(r.out, ',')
	}
	r.out = append(r.out, turn...)
}

// insert is add at the slot. A model's turn, with the calls, always stands
// before it.
func (r *repair) insert(turn string) {
	if r.slot < 0 {
		r.add(turn)
		return
	}
	r.out = slices.Insert(r.out, r.slot, []byte(","+turn)...)
}

// idsIn finds the calls that a turn makes and the results that it brings. A call
// without an id cannot be answered.
func (r *repair) idsIn(turn gjson.Result) (calls []toolCall, results []string) {
	called := func(id gjson.Result, result string) {
		if id.Exists() {
			calls = append(calls, toolCall{id: id.String(), raw: id.Raw, result: result})
		}
	}
	switch r.protocol {
	case Chat:
		switch turn.Get("role").Str {
		case "assistant":
			turn.Get("tool_calls").ForEach(func(_, call gjson.Result) bool {
				called(call.Get("id"), "")
				return true
			})
		case "tool":
			results = append(results, turn.Get("tool_call_id").String())
		}
	case Responses:
		switch kind := turn.Get("type").Str; kind {
		case "function_call", "custom_tool_call":
			called(turn.Get("call_id"), kind+"_output")
		case "function_call_output", "custom_tool_call_output":
			results = append(results, turn.Get("call_id").String())
		}
	case Messages:
		model := turn.Get("role").Str == "assistant"
		turn.Get("content").ForEach(func(_, block gjson.Result) bool {
			switch kind := block.Get("type").Str; {
			case kind == "tool_use" && model:
				called(block.Get("id"), "")
			case kind == "tool_result":
				results = append(results, block.Get("tool_use_id").String())
			}
			return true
		})
	}
	return calls, results
}
