package simulated

import (
	"slices"
	"strings"
	"testing"
)

// put composes the answer to a request body.
func put(t *testing.T, p protocol, body string) *answer {
	t.Helper()
	q := scan(p, body)
	if f := q.read(); f != nil {
		t.Fatalf("%s is refused: %+v", body, f)
	}
	var b behaviour
	b.applyModel(q.model)
	b.applyLine(q.directive)
	a, f := compose(&q, &b)
	if f != nil {
		t.Fatalf("%s is refused: %+v", body, f)
	}
	return a
}

func names(a *answer) (out []string) {
	for _, c := range a.calls {
		out = append(out, c.tool.name)
	}
	return out
}

func TestToolChoiceIsRespected(t *testing.T) {
	const (
		chatTools      = `"tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"b"}}]`
		responsesTools = `"tools":[{"type":"function","name":"a"},{"type":"namespace","name":"ns","tools":[{"type":"function","name":"b"}]},{"type":"web_search"}]`
		messagesTools  = `"tools":[{"type":"bash_20250124","name":"bash"},{"name":"a","input_schema":{}},{"type":"custom","name":"b","input_schema":{}}]`
	)
	for _, tc := range []struct {
		proto  protocol
		model  string
		choice string
		want   []string
	}{
		{chat, "demo", `"auto"`, nil},
		{chat, "demo", `"required"`, []string{"a"}},
		{chat, "demo", `{"type":"function","function":{"name":"b"}}`, []string{"b"}},
		{chat, "demo", `{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"b"}}]}}`, []string{"b"}},
		{chat, "demo-tools", `"none"`, nil},
		{chat, "demo-tools", `"auto"`, []string{"a"}},
		{chat, "demo-tools+parallel", `"auto"`, []string{"a", "b"}},
		{chat, "demo-tools+parallel", `"auto","parallel_tool_calls":false`, []string{"a"}},
		{chat, "demo-tools+parallel", `{"type":"function","function":{"name":"b"}}`, []string{"b", "b"}},
		{responses, "demo", `{"type":"function","name":"b"}`, []string{"b"}},
		{responses, "demo", `{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"b"}]}`, []string{"b"}},
		{responses, "demo-tools+parallel", `"auto"`, []string{"a", "b"}},
		{responses, "demo-tools", `"none"`, nil},
		{messages, "demo", `{"type":"any"}`, []string{"a"}},
		{messages, "demo", `{"type":"tool","name":"b"}`, []string{"b"}},
		{messages, "demo-tools", `{"type":"none"}`, nil},
		{messages, "demo-tools+parallel", `{"type":"auto"}`, []string{"a", "b"}},
		{messages, "demo-tools+parallel", `{"type":"auto","disable_parallel_tool_use":true}`, []string{"a"}},
	} {
		body := map[protocol]string{
			chat:      `{"messages":[{"role":"user","content":"x"}],` + chatTools,
			responses: `{"input":"x",` + responsesTools,
			messages:  `{"messages":[{"role":"user","content":"x"}],` + messagesTools,
		}[tc.proto] + `,"model":"` + tc.model + `","tool_choice":` + tc.choice + `}`
		if got := names(put(t, tc.proto, body)); !slices.Equal(got, tc.want) {
			t.Errorf("%s with %s calls %q, want %q", tc.model, tc.choice, got, tc.want)
		}
	}
}

func TestToolResultsEndTheTurnOnlyUntilTheNextOne(t *testing.T) {
	const tools = `"model":"demo-tools","tools":[{"name":"a","input_schema":{}}],"messages":[{"role":"user","content":"x"},` +
		`{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"a","input":{}}]},`
	const result = `{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"42"}]},{"type":"text","text":"Tool loaded."}]}`
	for _, tc := range []struct {
		body string
		call bool
	}{
		{`{` + tools + result + `]}`, false},
		{`{` + tools + result + `,{"role":"system","content":"More."}]}`, false},
		{`{` + tools + result + `,{"role":"assistant","content":"It is 42."},{"role":"user","content":"Again."}]}`, true},
	} {
		a := put(t, messages, tc.body)
		if called := len(a.calls) > 0; called != tc.call || !called && a.text != `The tool answered: "42".` {
			t.Errorf("%s: calls %q, says %q", tc.body, names(a), a.text)
		}
	}
	a := put(t, responses, `{"model":"demo-tools","input":[{"role":"user","content":"x"},
		{"type":"function_call","call_id":"1","name":"a","arguments":"{}"},{"type":"custom_tool_call","call_id":"2","name":"b","input":""},
		{"type":"function_call_output","call_id":"1","output":"one"},
		{"type":"custom_tool_call_output","call_id":"2","output":[{"type":"input_text","text":"two"}]},
		{"role":"developer","content":"Go on."}],"tools":[{"type":"function","name":"a"}]}`)
	if want := `The tool answered: "one", "two".`; a.text != want {
		t.Errorf("text is %q, want %q", a.text, want)
	}
}

func TestADirectiveCallsAToolByNameWithItsArguments(t *testing.T) {
	body := func(line string) string {
		return `{"model":"demo","messages":[{"role":"user","content":[{"type":"text","text":"` + line + `"},{"type":"text","text":"The end."}]}],` +
			`"tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"b"}},{"type":"custom","custom":{"name":"c"}}]}`
	}
	a := put(t, chat, body(`Hello\ndemo: call b {\"x\":[1, 2]}`))
	if len(a.calls) != 1 || a.calls[0].tool.name != "b" || a.calls[0].args != `{"x":[1, 2]}` {
		t.Errorf("calls are %+v", a.calls)
	}
	if a = put(t, chat, body("demo: call c")); len(a.calls) != 1 || !a.calls[0].tool.custom || a.calls[0].args != sampleText {
		t.Errorf("calls are %+v", a.calls)
	}
	if a = put(t, chat, body("demo: call nobody")); a.text != `No tool called "nobody" is declared in this request.` {
		t.Errorf("text is %q", a.text)
	}
	if a = put(t, chat, body("demo: tolls")); !strings.Contains(a.text, `"tolls"`) {
		t.Errorf("text is %q", a.text)
	}
}

func TestTheOutputLimitIsHonoured(t *testing.T) {
	for limit := 1; limit < 80; limit++ {
		for _, model := range []string{"demo", "demo-thinking", "demo-thinking+tools+text+parallel", "demo-long-20"} {
			whole := put(t, chat, `{"model":"`+model+`","messages":[{"role":"user","content":"日本語"}],"tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","required":["city"]}}}]}`)
			q := question{proto: chat, limit: limit}
			cutAnswer := *whole
			cutAnswer.calls = slices.Clone(whole.calls)
			cutAnswer.output = 0
			cutAnswer.finish(&q)
			short := limit < whole.output
			if (cutAnswer.stop == stopLimit) != short || cutAnswer.output > limit || short && cutAnswer.output != limit {
				t.Errorf("%s, limit %d: stop %v, output %d of %d", model, limit, cutAnswer.stop, cutAnswer.output, whole.output)
			}
			if !strings.HasPrefix(whole.thinking, cutAnswer.thinking) || !strings.HasPrefix(whole.text, cutAnswer.text) || len(cutAnswer.calls) > len(whole.calls) {
				t.Errorf("%s, limit %d: %+v is no beginning of %+v", model, limit, cutAnswer, *whole)
			}
		}
	}
}

func TestStopSequencesEndTheText(t *testing.T) {
	for _, tc := range []struct {
		proto protocol
		stop  string
		text  string
		want  stopReason
	}{
		{chat, `"stop":" 4"`, "1 2 3", stopSequence},
		{chat, `"stop":["5","3"]`, "1 2 ", stopSequence},
		{chat, `"stop":["x",""]`, "1 2 3 4 5", stopEnd},
		{messages, `"stop_sequences":["2"]`, "1 ", stopSequence},
	} {
		a := put(t, tc.proto, `{"model":"demo-long-5","messages":[{"role":"user","content":"x"}],`+tc.stop+`}`)
		if a.text != tc.text || a.stop != tc.want {
			t.Errorf("%s: %q, stop %v, want %q, %v", tc.stop, a.text, a.stop, tc.text, tc.want)
		}
	}
	w := do(New(Config{}), "POST", "/messages", `{"model":"demo-long-5","max_tokens":99,"messages":[{"role":"user","content":"x"}],"stop_sequences":["2"]}`)
	if !strings.Contains(w.Body.String(), `"stop_reason":"stop_sequence","stop_sequence":"2"`) {
		t.Errorf("body is %s", w.Body)
	}
}

func TestMediaDoNotCountByTheirBytes(t *testing.T) {
	image := strings.Repeat("A", 1_000_000)
	for _, tc := range []struct {
		proto protocol
		body  string
	}{
		{chat, `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"` + image + `"}}]}]}`},
		{responses, `{"input":[{"role":"user","content":[{"type":"input_image","image_url":"` + image + `"}]}]}`},
		{responses, `{"input":[{"type":"function_call","call_id":"1"},{"type":"function_call_output","call_id":"1","output":[{"type":"input_image","image_url":"` + image + `"}]}]}`},
		{messages, `{"messages":[{"role":"user","content":[{"type":"document","source":{"data":"` + image + `"}}]}]}`},
		{messages, `{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"1","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"1","content":[{"type":"image","source":{"data":"` + image + `"}}]}]}]}`},
	} {
		q := scan(tc.proto, tc.body)
		if f := q.read(); f != nil {
			t.Fatal(f)
		}
		if n := q.tokens(); n < mediaTokens || n > mediaTokens+50 {
			t.Errorf("%.60s… is %d tokens", tc.body, n)
		}
	}
}
