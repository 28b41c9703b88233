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
func thinking(c *Conversation) string {
	mode := [...]string{"", "off", strconv.FormatInt(c.Thinking.Budget, 10), "adaptive"}[c.Thinking.Mode]
	if c.Effort != EffortUnset {
		mode += " " + c.Effort.String()
	}
	return strings.TrimSpace(mode)
}

func TestEffortBecomesTheThinkingThatTheModelHas(t *testing.T) {
	for _, tc := range []struct {
		name  string
		model Capabilities
		// want has for none, minimal, low, medium, high, xhigh, max how the
		// model thinks, and losses.
		want [7][2]string
	}{
		{"adaptive", adaptiveModel, [7][2]string{
			{"off"}, {"adaptive low"}, {"adaptive low"}, {"adaptive medium"}, {"adaptive high"}, {"adaptive xhigh"}, {"adaptive max"},
		}},
		{"both", bothModel, [7][2]string{
			{"off"},
			{"adaptive low"},
			{"adaptive low"},
			{"adaptive medium"},
			{"adaptive high"},
			{"adaptive max", "param=reasoning_effort;action=changed"},
			{"adaptive max"},
		}},
		{"adaptive without max", Capabilities{Thinking: "adaptive", Efforts: []string{"low", "high"}}, [7][2]string{
			{"off"},
			{"adaptive low"},
			{"adaptive low"},
			{"adaptive low", "param=reasoning_effort;action=changed"},
			{"adaptive high"},
			{"adaptive high", "param=reasoning_effort;action=changed"},
			{"adaptive high", "param=reasoning_effort;action=changed"},
		}},
		{"budget", budgetModel, [7][2]string{
			{"off"}, {"1024"}, {"2048"}, {"10000"}, {"16384"}, {"32768"}, {"59904"},
		}},
		{"none", plainModel, [7][2]string{
			{""},
			{"", "param=reasoning_effort;action=dropped"},
			{"", "param=reasoning_effort;action=dropped"},
			{"", "param=reasoning_effort;action=dropped"},
			{"", "param=reasoning_effort;action=dropped"},
			{"", "param=reasoning_effort;action=dropped"},
			{"", "param=reasoning_effort;action=dropped"},
		}},
	} {
		for i, want := range tc.want {
			c := asked(Chat)
			c.Effort = EffortNone + Effort(i)
			effort := c.Effort
			fit(t, c, Messages, tc.model)
			if got := thinking(c); got != want[0] || losses(c) != want[1] {
				t.Errorf("%s, effort %v: %q, losses %q, want %q, %q", tc.name, effort, got, losses(c), want[0], want[1])
			}
		}
	}
}

func TestThinkingOfMessagesBecomesTheEffortThatTheModelHas(t *testing.T) {
	none := []string{"none", "low", "medium", "high", "xhigh"}
	always := []string{"minimal", "low", "medium", "high"}
	for _, tc := range []struct {
		name     string
		thinking Thinking
		effort   Effort
		efforts  []string
		reasons  *bool
		want     string
		losses   string
	}{
		{"nothing asked", Thinking{}, EffortUnset, none, new(true), "", ""},
		{"adaptive", Thinking{Mode: ThinkingAdaptive}, EffortUnset, none, nil, "", ""},
		{"adaptive, effort", Thinking{Mode: ThinkingAdaptive}, EffortHigh, none, nil, "high", ""},
		{"adaptive, effort max", Thinking{Mode: ThinkingAdaptive}, EffortMax, none, nil, "xhigh", "param=output_config.effort;action=changed"},
		{"effort, model without", Thinking{Mode: ThinkingAdaptive}, EffortHigh, nil, nil, "", "param=output_config.effort;action=dropped"},
		{"budget 1024", Thinking{Mode: ThinkingBudget, Budget: 1024}, EffortUnset, none, nil, "low", ""},
		{"budget 8192", Thinking{Mode: ThinkingBudget, Budget: 8192}, EffortUnset, none, nil, "medium", ""},
		{"budget 24576", Thinking{Mode: ThinkingBudget, Budget: 24576}, EffortUnset, none, nil, "high", ""},
		{"budget 31999", Thinking{Mode: ThinkingBudget, Budget: 31999}, EffortUnset, none, nil, "xhigh", ""},
		{"budget 31999, no xhigh", Thinking{Mode: ThinkingBudget, Budget: 31999}, EffortUnset, always, nil, "high", ""},
		{"budget, model without", Thinking{Mode: ThinkingBudget, Budget: 31999}, EffortUnset, nil, nil, "", "param=thinking;action=dropped"},
		{"budget and effort", Thinking{Mode: ThinkingBudget, Budget: 31999}, EffortLow, none, nil, "low", ""},
		{"disabled", Thinking{Mode: ThinkingOff}, EffortUnset, none, new(true), "none", ""},
		{"disabled, always reasons", Thinking{Mode: ThinkingOff}, EffortUnset, always, new(true), "minimal", "param=thinking;action=changed"},
		{"disabled, reasons when asked", Thinking{Mode: ThinkingOff}, EffortUnset, always, new(false), "", ""},
		{"disabled, reasons somehow", Thinking{Mode: ThinkingOff}, EffortUnset, nil, new(true), "", "param=thinking;action=dropped"},
		{"disabled, plain model", Thinking{Mode: ThinkingOff}, EffortUnset, nil, nil, "", ""},
		{"disabled, effort", Thinking{Mode: ThinkingOff}, EffortHigh, none, nil, "none", "param=output_config.effort;action=dropped"},
		{"minimal, not there", Thinking{}, EffortMinimal, none, nil, "low", "param=output_config.effort;action=changed"},
	} {
		for _, p := range []Protocol{Chat, Responses} {
			c := asked(Messages)
			c.Thinking, c.Effort = tc.thinking, tc.effort
			fit(t, c, p, Capabilities{Efforts: tc.efforts, Reasons: tc.reasons})
			if got := c.Effort.String(); got != tc.want || losses(c) != tc.losses {
				t.Errorf("%s, for %s: effort %q, losses %q, want %q, %q", tc.name, p, got, losses(c), tc.want, tc.losses)
			}
		}
	}
}

func TestModesOfThinkingThatAModelOfMessagesLacks(t *testing.T) {
	for _, tc := range []struct {
		name     string
		model    Capabilities
		thinking Thinking
		effort   Effort
		want     string
		losses   string
	}{
		{"adaptive on a budget", budgetModel, Thinking{Mode: ThinkingAdaptive}, EffortUnset, "10000", "param=reasoning;action=changed"},
		{"adaptive with effort on a budget", budgetModel, Thinking{Mode: ThinkingAdaptive}, EffortHigh, "16384", "param=reasoning;action=changed"},
		{"budget for an adaptive one", adaptiveModel, Thinking{Mode: ThinkingBudget, Budget: 9000}, EffortUnset, "adaptive high", ""},
		{"budget where both are", bothModel, Thinking{Mode: ThinkingBudget, Budget: 9000}, EffortUnset, "9000", ""},
		{"budget for none", plainModel, Thinking{Mode: ThinkingBudget, Budget: 9000}, EffortUnset, "", "param=reasoning;action=dropped"},
		{"adaptive for none", plainModel, Thinking{Mode: ThinkingAdaptive}, EffortUnset, "", "param=reasoning;action=dropped"},
		{"off for none", plainModel, Thinking{Mode: ThinkingOff}, EffortUnset, "", ""},
		{"shown", adaptiveModel, Thinking{Show: On}, EffortUnset, "adaptive", ""},
		{"shown on a budget", budgetModel, Thinking{Show: On}, EffortUnset, "", ""},
		{"off with effort", bothModel, Thinking{Mode: ThinkingOff}, EffortMax, "off max", ""},
		{"off with xhigh", adaptiveModel, Thinking{Mode: ThinkingOff}, EffortXHigh, "off high", "param=reasoning.effort;action=changed"},
		{"off with max", adaptiveModel, Thinking{Mode: ThinkingOff}, EffortMax, "off high", "param=reasoning.effort;action=changed"},
	} {
		c := asked(Responses)
		c.Thinking, c.Effort = tc.thinking, tc.effort
		fit(t, c, Messages, tc.model)
		if got := thinking(c); got != tc.want || losses(c) != tc.losses {
			t.Errorf("%s: %q, losses %q, want %q, %q", tc.name, got, losses(c), tc.want, tc.losses)
		}
	}
}

func TestBudgetsFitIntoTheAnswer(t *testing.T) {
	for _, tc := range []struct {
		name      string
		model     Capabilities
		effort    Effort
		budget    int64 // of the client, where effort is unset
		maxTokens int64 // of the client
		want      string
		wantMax   int64
		losses    string
	}{
		{"nobody bounds", Capabilities{Thinking: "budget"}, EffortHigh, 0, 0, "16384", 32000, ""},
		{"raised, since chosen here", Capabilities{Thinking: "budget"}, EffortXHigh, 0, 0, "32768", 36864, ""},
		{"max, nobody bounds", Capabilities{Thinking: "budget"}, EffortMax, 0, 0, "27904", 32000, ""},
		{"model bounds", Capabilities{Thinking: "budget", MaxOutputTokens: 8192}, EffortHigh, 0, 0, "4096", 8192, ""},
		{"client bounds", budgetModel, EffortHigh, 0, 4000, "3999", 4000, ""},
		{"client bounds its own", budgetModel, EffortUnset, 8000, 4000, "3999", 4000, "param=reasoning_effort;action=clamped"},
		{"own too small", budgetModel, EffortUnset, 500, 4000, "1024", 4000, ""},
		{"no room", budgetModel, EffortHigh, 0, 1024, "off", 1024, "param=reasoning_effort;action=dropped"},
		{"just room", budgetModel, EffortHigh, 0, 1025, "1024", 1025, ""},
	} {
		c := asked(Chat)
		c.Effort, c.MaxTokens = tc.effort, tc.maxTokens
		if tc.budget > 0 {
			c.Thinking = Thinking{Mode: ThinkingBudget, Budget: tc.budget}
		}
		fit(t, c, Messages, tc.model)
		got := lossesWithout(c, "")
		if thinking(c) != tc.want || c.MaxTokens != tc.wantMax || got != tc.losses {
			t.Errorf("%s: %q of %d, losses %q, want %q of %d, %q", tc.name, thinking(c), c.MaxTokens, got, tc.want, tc.wantMax, tc.losses)
		}
	}
}

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
	c := prefill("The")
	c.Effort = EffortHigh
	fit(t, c, Messages, Capabilities{Thinking: "budget"})
	if got := thinking(c); got != "off" || losses(c) != "param=thinking;action=dropped" {
		t.Errorf("with thinking: %q, losses %q", got, losses(c))
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
func TestThinkingIsOffWhereTheToolTurnLostItsThoughts(t *testing.T) {
	seal := Value(`{"type":"thinking","thinking":"Hm.","signature":"s"}`)
	thought := Block{Kind: KindThinking, Sealer: "up", Seal: seal}
	for _, tc := range []struct {
		name      string
		assistant []Block
		user      []Block
		want      string
	}{
		{"there", []Block{thought, {Kind: KindToolCall}}, []Block{{Kind: KindToolResult}}, "16384"},
		{"there, hidden", []Block{{Kind: KindThinking, Sealer: "up", Seal: Value(`{"type":"redacted_thinking","data":"x"}`)}, {Kind: KindToolCall}}, []Block{{Kind: KindToolResult}}, "16384"},
		{"lost", []Block{{Kind: KindText}, {Kind: KindToolCall}}, []Block{{Kind: KindToolResult}}, "off"},
		{"of another provider", []Block{{Kind: KindThinking, Sealer: "other", Seal: seal}, {Kind: KindToolCall}}, []Block{{Kind: KindToolResult}}, "off"},
		{"without a seal", []Block{{Kind: KindThinking, Sealer: "up"}, {Kind: KindToolCall}}, []Block{{Kind: KindToolResult}}, "off"},
		{"behind the call", []Block{{Kind: KindToolCall}, thought}, []Block{{Kind: KindToolResult}}, "off"},
		{"answered, and then asked", []Block{{Kind: KindToolCall}}, []Block{{Kind: KindToolResult}, {Kind: KindText, Text: Text("Go on.")}}, "off"},
		{"no tools", []Block{{Kind: KindText}}, []Block{{Kind: KindText}}, "16384"},
	} {
		c := asked(Chat)
		c.Effort = EffortHigh
		c.BeginTurn(Assistant, 1, false)
		for _, b := range tc.assistant {
			c.Add(b)
		}
		for i, b := range tc.user {
			c.BeginTurn(User, 2+i, false)
			c.Add(b)
		}
		fit(t, c, Messages, budgetModel)
		want := ""
		if tc.want == "off" {
			want = "param=reasoning_effort;action=dropped"
		}
		if got := thinking(c); got != tc.want || losses(c) != want {
			t.Errorf("%s: %q, losses %q, want %q, %q", tc.name, got, losses(c), tc.want, want)
		}
	}
	c := asked(Chat)
	c.Effort = EffortHigh
	c.BeginTurn(Assistant, 1, false)
	c.Add(Block{Kind: KindToolCall})
	c.BeginTurn(User, 2, false)
	c.Add(Block{Kind: KindToolResult})
	fit(t, c, Messages, adaptiveModel)
	if got := thinking(c); got != "adaptive high" || losses(c) != "" {
		t.Errorf("adaptive: %q, losses %q, want its thinking kept", got, losses(c))
	}
}

func TestReasoningIsOffInChatWhereToolsForbidIt(t *testing.T) {
	for _, tc := range []struct {
		name         string
		target       Protocol
		efforts      []string
		reasons      bool
		tools        int
		effort       Effort
		want, losses string
	}{
		{"asked", Chat, []string{"none", "low"}, false, 1, EffortLow, "none", "param=output_config.effort;action=changed"},
		{"asked, none unknown", Chat, []string{"low"}, false, 1, EffortLow, "", "param=output_config.effort;action=changed"},
		{"by itself", Chat, []string{"none", "low"}, true, 1, EffortUnset, "none", "param=output_config.effort;action=changed"},
		{"not at all", Chat, []string{"none", "low"}, false, 1, EffortUnset, "", ""},
		{"no tools", Chat, []string{"none", "low"}, true, 0, EffortLow, "low", ""},
		{"Responses", Responses, []string{"none", "low"}, true, 1, EffortLow, "low", ""},
	} {
		c := asked(Messages)
		c.Effort = tc.effort
		for range tc.tools {
			c.Tools = append(c.Tools, Tool{Name: Text("f")})
		}
		fit(t, c, tc.target, Capabilities{Efforts: tc.efforts, Reasons: new(tc.reasons), ToolsWithReasoning: new(false)})
		if got := c.Effort.String(); got != tc.want || losses(c) != tc.losses {
			t.Errorf("%s: %q, losses %q, want %q, %q", tc.name, got, losses(c), tc.want, tc.losses)
		}
	}
}

func TestThoughtsAreShownOnlyWhereTheModelReasons(t *testing.T) {
	for _, tc := range []struct {
		reasons *bool
		effort  Effort
		want    Flag
	}{
		{new(false), EffortUnset, Off}, {nil, EffortUnset, On}, {new(true), EffortUnset, On}, {nil, EffortLow, On}, {new(true), EffortNone, Off},
	} {
		c := asked(Messages)
		c.Thinking.Show, c.Effort = On, tc.effort
		fit(t, c, Responses, Capabilities{Reasons: tc.reasons, Efforts: []string{"none", "low"}})
		if c.Thinking.Show != tc.want {
			t.Errorf("reasons %v, effort %v: Show = %v, want %v", tc.reasons, tc.effort, c.Thinking.Show, tc.want)
		}
	}
}

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
