package translate

import (
	"strconv"
	"strings"
	"testing"
)

// Models of Messages, as the table of capabilities has them.

var (
	budgetModel   = Capabilities{MaxOutputTokens: 64000, Thinking: "budget", Sampling: "one"}
	adaptiveModel = Capabilities{MaxOutputTokens: 128000, Thinking: "adaptive", Efforts: []string{"low", "medium", "high", "xhigh", "max"}, Sampling: "never", Prefill: new(false)}
	bothModel     = Capabilities{MaxOutputTokens: 128000, Thinking: "both", Efforts: []string{"low", "medium", "high", "max"}, Sampling: "one"}
	plainModel    = Capabilities{MaxOutputTokens: 4096}
)

// asked is a conversation with a question, asked in p.

func asked(p Protocol) *Conversation {
	c := new(Conversation)
	c.Reset(p)
	c.BeginTurn(User, 0, false)
	c.Add(Block{Kind: KindText, Text: Text("Hello")})
	return c
}

func fit(t *testing.T, c *Conversation, p Protocol, capabilities Capabilities) {
	t.Helper()
	if e := c.Fit(&Target{Protocol: p, Provider: "up", Capabilities: capabilities}); e != nil {
		t.Fatalf("Fit = %v", e)
	}
}

func losses(c *Conversation) string { return string(c.Losses.AppendHeader(nil)) }

func lossesWithout(c *Conversation, param string) string {
	var rest []string
	for _, loss := range strings.Split(losses(c), ", ") {
		if loss != "" && !strings.HasPrefix(loss, "param="+param+";") {
			rest = append(rest, loss)
		}
	}
	return strings.Join(rest, ", ")
}

// thinking tells how the model is to think, in short.

func TestAnswersAreBoundedAsTheModelIs(t *testing.T) {
	for _, tc := range []struct {
		target          Protocol
		asked, most     int64
		want            int64
		losses, comment string
	}{
		{Messages, 0, 0, 32000, "", "required, so it is chosen"},
		{Messages, 0, 64000, 64000, "", "the model's own bound"},
		{Messages, 100, 64000, 100, "", "the client's"},
		{Messages, 128000, 64000, 64000, "param=max_output_tokens;action=clamped", "more than there is"},
		{Chat, 0, 64000, 0, "", "not required"},
		{Chat, 128000, 64000, 64000, "param=max_output_tokens;action=clamped", "more than there is"},
		{Chat, 128000, 0, 128000, "", "nobody knows"},
	} {
		c := asked(Responses)
		c.MaxTokens = tc.asked
		fit(t, c, tc.target, Capabilities{MaxOutputTokens: int(tc.most)})
		if c.MaxTokens != tc.want || losses(c) != tc.losses {
			t.Errorf("%s (%d of %d for %s): %d, losses %q, want %d, %q", tc.comment, tc.asked, tc.most, tc.target, c.MaxTokens, losses(c), tc.want, tc.losses)
		}
	}
}

func TestSamplingParametersThatTheModelRefusesAreDropped(t *testing.T) {
	for _, tc := range []struct {
		name                    string
		target                  Protocol
		sampling                string
		mode                    ThinkingMode
		effort                  Effort
		temperature, topP, topK string
		want, losses            string
	}{
		{"all", Messages, "", 0, 0, "0.5", "0.9", "40", "0.5 0.9 40", ""},
		{"too hot", Messages, "", 0, 0, "1.7", "", "", "1  ", "param=temperature;action=clamped"},
		{"too cold", Messages, "", 0, 0, "-1", "", "", "0  ", "param=temperature;action=clamped"},
		{"hot at OpenAI", Chat, "", 0, 0, "1.7", "", "", "1.7  ", ""},
		{"one of two", Messages, "one", 0, 0, "0.5", "0.9", "", "0.5  ", "param=top_p;action=dropped"},
		{"one of one", Messages, "one", 0, 0, "", "0.9", "", " 0.9 ", ""},
		{"one, the other says nothing", Messages, "one", 0, 0, "0.5", "1", "", "0.5  ", ""},
		{"never", Messages, "never", 0, 0, "1.5", "0.9", "40", "  ", "param=temperature;action=dropped, param=top_p;action=dropped, param=top_k;action=dropped"},
		{"never, but they say nothing", Messages, "never", 0, 0, "1.0", "1", "", "  ", ""},
		{"top_k of 1 says much", Messages, "never", 0, 0, "", "", "1", "  ", "param=top_k;action=dropped"},
		{"thinking", Messages, "", ThinkingAdaptive, 0, "0.5", "0.9", "40", "  ", "param=temperature;action=dropped, param=top_k;action=dropped, param=top_p;action=dropped"},
		{"thinking, high top_p", Messages, "", ThinkingBudget, 0, "1", "0.95", "", " 0.95 ", ""},
		{"thinking off", Messages, "", ThinkingOff, 0, "0.5", "0.9", "40", "0.5 0.9 40", ""},
		{"reasoning", Responses, "not_reasoning", 0, EffortLow, "0.5", "0.9", "", "  ", "param=temperature;action=dropped, param=top_p;action=dropped"},
		{"reasoning off", Responses, "not_reasoning", 0, EffortNone, "0.5", "0.9", "", "0.5 0.9 ", ""},
		{"reasoning by itself", Chat, "not_reasoning", 0, 0, "0.5", "", "", "  ", "param=temperature;action=dropped"},
		{"reasoning, but it does not matter", Chat, "", 0, EffortLow, "0.5", "0.9", "", "0.5 0.9 ", ""},
	} {
		c := asked(Chat)
		c.Temperature, c.TopP, c.TopK = Value(tc.temperature), Value(tc.topP), Value(tc.topK)
		c.Thinking, c.Effort = Thinking{Mode: tc.mode, Budget: 2000}, tc.effort
		fit(t, c, tc.target, Capabilities{Sampling: tc.sampling, Thinking: "both", Efforts: []string{"none", "low"}, Reasons: new(true)})
		got := string(c.Temperature) + " " + string(c.TopP) + " " + string(c.TopK)
		if got != tc.want || losses(c) != tc.losses {
			t.Errorf("%s: %q, losses %q, want %q, %q", tc.name, got, losses(c), tc.want, tc.losses)
		}
	}
}

func TestModelsThatReasonTakeNothingOfProbabilities(t *testing.T) {
	c := asked(Chat)
	c.Fields = []Field{
		{"presence_penalty", Value("0.5")},
		{"frequency_penalty", Value("0.0")},
		{"logit_bias", Value("{}")},
		{"logprobs", Value("true")},
		{"top_logprobs", Value("3")},
		{"seed", Value("7")},
	}
	fit(t, c, Responses, Capabilities{Sampling: "never"})
	if len(c.Fields) != 1 || c.Fields[0].Name != "seed" {
		t.Errorf("Fields = %v, want the seed", c.Fields)
	}
	const want = "param=presence_penalty;action=dropped, param=logprobs;action=dropped, param=top_logprobs;action=dropped"
	if got := losses(c); got != want {
		t.Errorf("losses %q, want %q", got, want)
	}
}

func TestToolCallsAreForcedOnlyWhereTheyCanBe(t *testing.T) {
	for _, tc := range []struct {
		name     string
		target   Protocol
		forced   string
		thinking ThinkingMode
		effort   Effort
		want     ToolMode
	}{
		{"Messages", Messages, "", 0, 0, ToolOne},
		{"Messages, thinks on a budget", Messages, "", ThinkingBudget, 0, ToolAuto},
		{"Messages, thinks on a budget, whatever its file says", Messages, "always", ThinkingBudget, 0, ToolAuto},
		{"Messages, thinks as it likes", Messages, "not_thinking", ThinkingAdaptive, 0, ToolOne},
		{"Messages, never", Messages, "never", 0, 0, ToolAuto},
		{"Chat, reasons", Chat, "not_thinking", 0, EffortLow, ToolAuto},
		{"Chat, does not reason", Chat, "not_thinking", 0, EffortNone, ToolOne},
		{"Chat, reasons, but it does not matter", Chat, "", 0, EffortLow, ToolOne},
	} {
		c := asked(Responses)
		c.Thinking, c.Effort = Thinking{Mode: tc.thinking, Budget: 2000}, tc.effort
		c.Tools = append(c.Tools, Tool{Name: Text("f")})
		c.ToolChoice = ToolChoice{Mode: ToolOne, Name: Text("f")}
		fit(t, c, tc.target, Capabilities{ForcedTools: tc.forced, Thinking: "both", Efforts: []string{"none", "low"}})
		want := ""
		if tc.want == ToolAuto {
			want = "param=tool_choice;action=changed"
		}
		if c.ToolChoice.Mode != tc.want || losses(c) != want {
			t.Errorf("%s: mode %v, losses %q, want %v, %q", tc.name, c.ToolChoice.Mode, losses(c), tc.want, want)
		}
	}
}

func TestAPrefillThatTheModelDoesNotContinueIsRefused(t *testing.T) {
	prefill := func(text string) *Conversation {
		c := asked(Messages)
		c.BeginTurn(Assistant, 1, false)
		c.Add(Block{Kind: KindText, Text: Text(text)})
		return c
	}
	for _, tc := range []struct {
		name            string
		target          Protocol
		allowed         *bool
		text            string
		refused, losses string
	}{
		{"allowed", Messages, nil, "The", "", ""},
		{"refused", Messages, new(false), "The", "messages[1]", ""},
		{"refused in Chat too", Chat, new(false), "The", "messages[1]", ""},
		{"nobody knows", Chat, nil, "The", "", "param=messages[1];action=changed"},
		{"allowed in Chat", Chat, new(true), "The", "", ""},
		{"blank", Messages, new(false), `\n `, "", ""},
	} {
		c := prefill(tc.text)
		e := c.Fit(&Target{Protocol: tc.target, Capabilities: Capabilities{Prefill: tc.allowed}})
		refused := ""
		if e != nil {
			refused = e.Param
		}
		if refused != tc.refused || losses(c) != tc.losses {
			t.Errorf("%s: refused %q, losses %q, want %q, %q", tc.name, refused, losses(c), tc.refused, tc.losses)
		}
	}
	for _, law := range []string{"budget", "adaptive"} {
		c := prefill("The")
		c.Effort = EffortHigh
		fit(t, c, Messages, Capabilities{Thinking: law, Efforts: []string{"high"}})
		if c.Thinking.Mode != ThinkingOff || losses(c) != "param=thinking;action=dropped" {
			t.Errorf("with thinking (%s): %q, losses %q", law, thinking(c), losses(c))
		}
	}
}

func TestAToolCallAtTheEndIsNoPrefill(t *testing.T) {
	c := asked(Messages)
	c.BeginTurn(Assistant, 1, false)
	c.Add(Block{Kind: KindText, Text: Text("Let me see.")})
	c.Add(Block{Kind: KindToolCall, ID: Text("1"), Name: Text("f")})
	fit(t, c, Messages, Capabilities{Prefill: new(false)})
}

// The name is that of the trap: thinking on, and the last assistant's tool turn

// has lost its thinking block.

func TestStopSequencesAreDroppedWhereTheModelRefusesThem(t *testing.T) {
	c := asked(Messages)
	c.Stop = Value(`["END"]`)
	fit(t, c, Chat, Capabilities{Stop: new(false)})
	if len(c.Stop) > 0 || losses(c) != "param=stop_sequences;action=dropped" {
		t.Errorf("Stop = %s, losses %q", c.Stop, losses(c))
	}
}

func TestMoreToolsThanTheModelTakesAreRefused(t *testing.T) {
	c := asked(Messages)
	c.Tools = make([]Tool, 129)
	e := c.Fit(&Target{Protocol: Chat, Capabilities: Capabilities{MaxTools: 128}})
	if e == nil || e.Param != "tools" || !strings.Contains(e.Message, "128") || !strings.Contains(e.Message, "129") {
		t.Errorf("Fit = %v, want an error with both numbers", e)
	}
	if e := c.Fit(&Target{Protocol: Chat, Capabilities: Capabilities{MaxTools: 129}}); e != nil {
		t.Errorf("Fit = %v", e)
	}
}

func TestMoreToolsThanAnyModelTakesAreRefused(t *testing.T) {
	for _, limit := range []int{0, 2 * MostTools} {
		target := &Target{Protocol: Chat, Capabilities: Capabilities{MaxTools: limit}}
		c := asked(Messages)
		c.Tools = make([]Tool, MostTools)
		c.ToolChoice.Allowed = make([]Text, MostTools)
		if e := c.Fit(target); e != nil {
			t.Errorf("Fit with %d tools = %v, want no error", MostTools, e)
		}
		c.ToolChoice.Allowed = append(c.ToolChoice.Allowed, nil)
		if e := c.Fit(target); e == nil || e.Param != "tool_choice" {
			t.Errorf("Fit with a choice of more = %v, want an error about it", e)
		}
		c.Tools = append(c.Tools, Tool{})
		if e := c.Fit(target); e == nil || e.Param != "tools" {
			t.Errorf("Fit with more tools = %v, want an error about them", e)
		}
	}
}

func TestASchemaIsToldWhereTheModelCannotBeHeldToIt(t *testing.T) {
	const schema = `{"type":"object","properties":{"a":{"type":"string"}}}`
	format := Format{Kind: FormatSchema, Schema: Value(schema)}
	loose := Capabilities{JSONSchema: new(false)}

	c := asked(Messages)
	c.Format = format
	c.BeginTurn(User, 1, false)
	c.Add(Block{Kind: KindText, Text: Text("More")})
	fit(t, c, Chat, loose)
	if c.Format.Kind != FormatJSON || losses(c) != "param=output_config.format;action=changed" {
		t.Errorf("Format = %v, losses %q, want any JSON", c.Format.Kind, losses(c))
	}
	if len(c.Turns) != 3 || c.Turns[0].Role != System || !strings.Contains(c.BlocksOf(c.Turns[0])[0].Text.String(), schema) {
		t.Errorf("Turns = %v, want the schema before them", c.Turns)
	}
	if got := string(c.BlocksOf(c.Turns[1])[0].Text) + string(c.BlocksOf(c.Turns[2])[0].Text); got != "HelloMore" {
		t.Errorf("the turns say %q", got)
	}

	c = asked(Chat)
	c.Format = format
	fit(t, c, Messages, loose)
	if c.Format.Kind != FormatText || len(c.Tools) != 1 || c.ToolChoice.Mode != ToolOne || string(c.Tools[0].Schema) != schema || losses(c) != "" {
		t.Errorf("Tools = %v, losses %q, want one for the answer", c.Tools, losses(c))
	}
	if names := c.Asked().Names; len(names) != 1 || !names[0].Answer {
		t.Errorf("Names = %v, want that of the answer", names)
	}

	c = asked(Chat)
	c.Format = format
	c.Tools = append(c.Tools, Tool{Name: Text("f")})
	fit(t, c, Messages, loose)
	if c.Format.Kind != FormatText || len(c.Tools) != 1 || c.ToolChoice.Mode != ToolUnset || losses(c) != "param=response_format;action=changed" {
		t.Errorf("Format = %v, Tools = %v, losses %q, want the client's tools free", c.Format.Kind, c.Tools, losses(c))
	}
}

func TestInstructionsStandBehindThoseOfTheClient(t *testing.T) {
	c := new(Conversation)
	c.Reset(Chat)
	c.BeginTurn(System, 0, false)
	c.Add(Block{Kind: KindText, Text: Text("Be brief.")})
	c.BeginTurn(User, 1, false)
	c.Add(Block{Kind: KindText, Text: Text("Hello")})
	c.instruct(Text("Be kind."))
	var got []string
	for _, turn := range c.Turns {
		for _, b := range c.BlocksOf(turn) {
			got = append(got, strconv.Itoa(int(turn.Role))+string(b.Text))
		}
	}
	if want := "0Be brief. 0Be kind. 1Hello"; strings.Join(got, " ") != want {
		t.Errorf("turns %q, want %q", got, want)
	}
}

func TestFitAllocatesNothingWhereNothingIsLost(t *testing.T) {
	c := asked(Chat)
	target := &Target{Protocol: Messages, Capabilities: adaptiveModel}
	stop := Value(`["x"]`)
	if allocs := testing.AllocsPerRun(100, func() {
		c.Settings = Settings{Effort: EffortHigh, MaxTokens: 1000, Stop: stop, ToolChoice: ToolChoice{Mode: ToolAny}}
		if e := c.Fit(target); e != nil {
			t.Fatal(e)
		}
	}); allocs > 0 {
		t.Errorf("Fit allocates %v times", allocs)
	}
}

func TestTheBeginningOfAConversationIsCachedForTheNextOne(t *testing.T) {
	for _, tc := range []struct {
		name    string
		systems []string // the first two as one turn
		want    string   // the blocks and tools that are marked
	}{
		{"instructions", []string{"a", "b"}, "b"},
		{"more instructions", []string{"a", "b", "c", " "}, "c"},
		{"tools alone", nil, "g"},
	} {
		var c Conversation
		c.Reset(Responses)
		for i, text := range tc.systems {
			c.BeginTurn(System, i, i == 1)
			c.Add(Block{Kind: KindText, Text: Text(text)})
		}
		c.BeginTurn(User, 9, false)
		c.Add(Block{Kind: KindText, Text: Text("hi")})
		c.BeginTurn(System, 10, false)
		c.Add(Block{Kind: KindText, Text: Text("later")})
		c.Tools = []Tool{{Name: Text("f")}, {Name: Text("g")}, {Kind: HostedTool, Name: Text("web_search")}}
		target := Target{Protocol: Messages, Quirks: Quirks{AutomaticCache: true}}
		if e := c.Fit(&target); e != nil {
			t.Fatal(e)
		}
		got := ""
		for _, b := range c.Blocks {
			if b.Cache == Cache5m {
				got += string(b.Text)
			}
		}
		for _, tool := range c.Tools {
			if tool.Cache == Cache5m {
				got += string(tool.Name)
			}
		}
		if got != tc.want || c.Cache != Cache5m {
			t.Errorf("%s: %q is marked, want %q", tc.name, got, tc.want)
		}
	}
}

func TestCachesAreAskedForWhereTheClientCannot(t *testing.T) {
	for _, tc := range []struct {
		from, to Protocol
		quirk    bool
		mark     Cache
		want     Cache
	}{
		{from: Chat, to: Messages, quirk: true, want: Cache5m},
		{from: Responses, to: Messages, quirk: true, want: Cache5m},
		{from: Chat, to: Messages, want: CacheNone},
		{from: Chat, to: Responses, quirk: true, want: CacheNone},
		{from: Chat, to: Messages, quirk: true, mark: Cache1h, want: CacheNone},
	} {
		var c Conversation
		c.Reset(tc.from)
		c.BeginTurn(User, 0, false)
		c.Add(Block{Kind: KindText, Text: Text("hi"), Cache: tc.mark})
		target := Target{Protocol: tc.to, Quirks: Quirks{AutomaticCache: tc.quirk}}
		if e := c.Fit(&target); e != nil || c.Cache != tc.want || len(c.Losses) > 0 {
			t.Errorf("%+v: cache %d, %v, %v", tc, c.Cache, e, c.Losses)
		}
	}
}
