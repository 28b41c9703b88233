package translate

import (
	"strconv"
	"strings"
	"testing"
)

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
	// A second call behind the first one's result needs no thoughts of its own.
	for _, tc := range []struct{ between, want string }{
		{"", "16384"},
		{"And now?", "off"},
	} {
		c := asked(Chat)
		c.Effort = EffortHigh
		c.BeginTurn(Assistant, 1, false)
		c.Add(thought)
		c.Add(Block{Kind: KindToolCall})
		c.BeginTurn(User, 2, false)
		c.Add(Block{Kind: KindToolResult})
		if tc.between != "" {
			c.BeginTurn(Assistant, 3, false)
			c.Add(Block{Kind: KindText, Text: Text("Done.")})
			c.BeginTurn(User, 4, false)
			c.Add(Block{Kind: KindText, Text: Text(tc.between)})
		}
		c.BeginTurn(Assistant, 5, false)
		c.Add(Block{Kind: KindToolCall})
		c.BeginTurn(User, 6, false)
		c.Add(Block{Kind: KindToolResult})
		fit(t, c, Messages, budgetModel)
		if got := thinking(c); got != tc.want {
			t.Errorf("second call, %q asked between: %q, want %q", tc.between, got, tc.want)
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
