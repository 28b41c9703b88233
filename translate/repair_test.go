package translate

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

// Turns of the three protocols, short enough to read a conversation at once.
const (
	userTurn = `{"role":"user","content":"u"}`

	chatCall1  = `{"role":"assistant","tool_calls":[{"id":"c1","type":"function"}]}`
	chatCalls2 = `{"role":"assistant","content":"t","tool_calls":[{"id":"c1"},{"id":"c2"}]}`
	chatTool1  = `{"role":"tool","tool_call_id":"c1","content":"r1"}`
	chatTool2  = `{"role":"tool","tool_call_id":"c2","content":"r2"}`
	chatMade1  = `{"role":"tool","tool_call_id":"c1","content":""}`
	chatMade2  = `{"role":"tool","tool_call_id":"c2","content":""}`

	modelTurn     = `{"role":"assistant","content":"a"}`
	use1          = `{"role":"assistant","content":[{"type":"tool_use","id":"c1"}]}`
	use2          = `{"role":"assistant","content":[{"type":"tool_use","id":"c2"}]}`
	useBoth       = `{"role":"assistant","content":[{"type":"text","text":"t"},{"type":"tool_use","id":"c1"},{"type":"tool_use","id":"c2"}]}`
	result1       = `{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1"}]}`
	result2       = `{"role":"user","content":[{"type":"tool_result","tool_use_id":"c2"}]}`
	made1         = `{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":""}]}`
	made2         = `{"role":"user","content":[{"type":"tool_result","tool_use_id":"c2","content":""}]}`
	madeBoth      = `{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1","content":""},{"type":"tool_result","tool_use_id":"c2","content":""}]}`
	reasoningItem = `{"type":"reasoning","id":"rs"}`
	item1         = `{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"}`
	item2         = `{"type":"custom_tool_call","call_id":"c2","name":"g","input":"x"}`
	output1       = `{"type":"function_call_output","call_id":"c1","output":"r1"}`
	itemMade1     = `{"type":"function_call_output","call_id":"c1","output":""}`
	itemMade2     = `{"type":"custom_tool_call_output","call_id":"c2","output":""}`
)

func TestEveryToolCallGetsAResult(t *testing.T) {
	for _, tc := range []struct {
		name     string
		protocol Protocol
		turns    []string
		want     []string // nil: unchanged
	}{
		{"no calls", Chat, []string{userTurn, modelTurn, userTurn}, nil},
		{"nothing missing", Chat, []string{userTurn, chatCalls2, chatTool1, chatTool2, userTurn}, nil},
		{"in another order", Chat, []string{chatCalls2, chatTool2, chatTool1}, nil},
		{"at the end", Chat, []string{userTurn, chatCall1}, []string{userTurn, chatCall1, chatMade1}},
		{"before the user's next turn", Chat, []string{chatCall1, userTurn}, []string{chatCall1, chatMade1, userTurn}},
		{"before the model's next turn", Chat, []string{chatCall1, modelTurn}, []string{chatCall1, chatMade1, modelTurn}},
		{"after the result that is there", Chat, []string{chatCalls2, chatTool1, userTurn}, []string{chatCalls2, chatTool1, chatMade2, userTurn}},
		{"both, in the order of the calls", Chat, []string{chatCalls2, userTurn}, []string{chatCalls2, chatMade1, chatMade2, userTurn}},
		{"a result that comes too late stays", Chat, []string{chatCall1, userTurn, chatTool1}, []string{chatCall1, chatMade1, userTurn, chatTool1}},
		{"one id in two rounds", Chat, []string{chatCall1, chatTool1, chatCall1, userTurn}, []string{chatCall1, chatTool1, chatCall1, chatMade1, userTurn}},
		{"ids in other escapes", Chat, []string{chatCall1, `{"role":"tool","tool_call_id":"\u00631"}`}, nil},
		{"a call without an id", Chat, []string{`{"role":"assistant","tool_calls":[{"type":"function"}]}`, userTurn}, nil},
		{"calls that are null", Chat, []string{`{"role":"assistant","content":"x","tool_calls":null}`, userTurn}, nil},

		{"no calls", Messages, []string{userTurn, modelTurn, userTurn}, nil},
		{"nothing missing", Messages, []string{useBoth, `{"role":"user","content":[{"type":"tool_result","tool_use_id":"c1"},{"type":"tool_result","tool_use_id":"c2"},{"type":"text","text":"x"}]}`}, nil},
		{"at the end", Messages, []string{userTurn, useBoth}, []string{userTurn, useBoth, madeBoth}},
		{"before what the user said", Messages, []string{use1, userTurn}, []string{use1, made1, userTurn}},
		{"before the result that is there", Messages, []string{useBoth, result1, modelTurn}, []string{useBoth, made2, result1, modelTurn}},
		{"results spread over neighbouring turns", Messages, []string{useBoth, result1, result2, modelTurn}, nil},
		{"missing from neighbouring turns", Messages, []string{useBoth, userTurn, result2, modelTurn, userTurn}, []string{useBoth, made1, userTurn, result2, modelTurn, userTurn}},
		{"calls spread over neighbouring turns", Messages, []string{use1, use2, result1, result2}, nil},
		{"missing after neighbouring calls", Messages, []string{use1, use2, result2}, []string{use1, use2, made1, result2}},
		{"two rounds", Messages, []string{use1, userTurn, use2, userTurn}, []string{use1, made1, userTurn, use2, made2, userTurn}},

		{"no calls", Responses, []string{userTurn, modelTurn}, nil},
		{"nothing missing", Responses, []string{userTurn, item1, output1, userTurn}, nil},
		{"at the end", Responses, []string{userTurn, item1}, []string{userTurn, item1, itemMade1}},
		{"by the kind of the call", Responses, []string{item1, item2, userTurn}, []string{item1, item2, itemMade1, itemMade2, userTurn}},
		{"items between parallel calls", Responses, []string{item1, reasoningItem, item2, output1, userTurn}, []string{item1, reasoningItem, item2, output1, itemMade2, userTurn}},
	} {
		t.Run(string(tc.protocol)+" "+tc.name, func(t *testing.T) {
			field := "messages"
			if tc.protocol == Responses {
				field = "input"
			}
			body := conversation(field, tc.turns)
			want := body
			if tc.want != nil {
				want = conversation(field, tc.want)
			}
			got, changed := CompleteToolResults(tc.protocol, []byte(body))
			if string(got) != want || changed != (tc.want != nil) {
				t.Errorf("changed = %v\n got %s\nwant %s", changed, got, want)
			}
		})
	}
}

// conversation is a request of turns, with something before and after them that
// has to stay.
func conversation(field string, turns []string) string {
	body := `{ "model":"m", "` + field + `" :[`
	for i, turn := range turns {
		if i > 0 {
			body += ","
		}
		body += turn
	}
	return body + `], "temperature":1e0}`
}

func TestARequestWithoutTurnsIsLeftAlone(t *testing.T) {
	for _, body := range []string{`{"model":"m"}`, `{"input":"hi"}`, `{"messages":"x"}`, `{"messages":null,"input":null}`, `{"messages":[],"input":[]}`} {
		for _, p := range []Protocol{Chat, Messages, Responses} {
			if got, changed := CompleteToolResults(p, []byte(body)); changed || string(got) != body {
				t.Errorf("CompleteToolResults(%s, %s) = %s, %v", p, body, got, changed)
			}
		}
	}
}

// FuzzCompleteToolResults wants a completed conversation to be complete, to be
// JSON with one meaning, and to hold every turn that was there, in order.
func FuzzCompleteToolResults(f *testing.F) {
	for _, turns := range [][]string{
		{userTurn, chatCalls2, chatTool1, userTurn},
		{chatCall1},
		{useBoth, result1, modelTurn},
		{use1, use2, userTurn, result2},
		{use1},
		{item1, reasoningItem, item2, output1, userTurn},
		{item1},
		{`null`, `5`, `"x"`, `[]`, `{}`},
	} {
		f.Add([]byte(conversation("messages", turns)))
		f.Add([]byte(conversation("input", turns)))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var o strictjson.Object
		if o.Parse(body) != nil {
			return // refused before anything else
		}
		for _, p := range []Protocol{Chat, Messages, Responses} {
			field := "messages"
			if p == Responses {
				field = "input"
			}
			got, changed := CompleteToolResults(p, slices.Clone(body))
			if !changed && string(got) != string(body) || !json.Valid(got) {
				t.Fatalf("CompleteToolResults(%s, %q) = %q, %v", p, body, got, changed)
			}
			if err := o.Parse(got); err != nil {
				t.Fatalf("CompleteToolResults(%s, %q) = %q: %v", p, body, got, err)
			}
			if again, changed := CompleteToolResults(p, slices.Clone(got)); changed {
				t.Fatalf("CompleteToolResults(%s, %q) = %q, and then %q", p, body, got, again)
			}
			rest := gjson.GetBytes(got, field).Array()
			for _, turn := range gjson.GetBytes(body, field).Array() {
				at := slices.IndexFunc(rest, func(r gjson.Result) bool { return r.Raw == turn.Raw })
				if at < 0 {
					t.Fatalf("CompleteToolResults(%s, %q) = %q: a turn is gone", p, body, got)
				}
				rest = rest[at+1:]
			}
		}
	})
}
