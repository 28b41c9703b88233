package translate

import "math"

// Budgets of thinking tokens. Messages takes none below leastBudget. What the
// efforts come to is what PydanticAI takes them for.
const (
	leastBudget    = 1024
	adaptiveBudget = 10_000 // where the model would have been to decide
	mostBudget     = math.MaxInt64

	// answerRoom is what is left for the answer where nobody said how long it
	// may be.
	answerRoom = 4096
)

// budgetOf returns how many tokens an effort comes to.
func budgetOf(e Effort) int64 {
	switch e {
	case EffortMinimal:
		return leastBudget
	case EffortLow:
		return 2048
	case EffortMedium:
		return 10_000
	case EffortHigh:
		return 16_384
	case EffortXHigh:
		return 32_768
	case EffortMax:
		return mostBudget
	}
	return adaptiveBudget
}

// effortOfBudget returns the effort that a budget comes to, as CLIProxyAPI has
// it.
func effortOfBudget(budget int64) Effort {
	switch {
	case budget <= leastBudget:
		return EffortLow
	case budget <= 8192:
		return EffortMedium
	case budget <= 24_576:
		return EffortHigh
	}
	return EffortXHigh
}

// fitThinking decides how a model of Messages thinks.
func (c *Conversation) fitThinking(t *Target, prefilled bool) {
	exact := c.chooseThinking(t)
	switch { // the API would refuse these
	case prefilled && c.reasons(t):
		c.dropThinking("the model does not think where it continues the assistant's words")
	case c.Thinking.Mode == ThinkingBudget && c.lostThinking(t.Provider):
		c.dropThinking("the model cannot go on thinking without its thoughts before the last tool call")
	}
	c.fitMessagesEffort(t)
	chosen := c.fitMaxTokens(t)
	if c.Thinking.Mode == ThinkingBudget {
		c.fitBudget(t, chosen, exact)
	}
}

func (c *Conversation) dropThinking(reason string) {
	c.Thinking.Mode, c.Thinking.Budget = ThinkingOff, 0
	c.Lose(SettingThinking, Dropped, reason)
}

// chooseThinking finds the mode that the model has for what was asked. exact
// says that the budget is the one that the client named.
func (c *Conversation) chooseThinking(t *Target) (exact bool) {
	law := t.Capabilities.Thinking
	adaptive := law == "adaptive" || law == "both"
	budget := law == "budget" || law == "both"
	think := &c.Thinking
	if c.Effort == EffortNone {
		think.Mode, c.Effort = ThinkingOff, EffortUnset
	}
	switch think.Mode {
	case ThinkingUnset:
		switch {
		case c.Effort == EffortUnset:
			if think.Show == On && adaptive {
				// Whoever wants to read along expects a model that thinks.
				think.Mode = ThinkingAdaptive
			}
		case adaptive:
			think.Mode = ThinkingAdaptive
		case budget:
			think.Mode, think.Budget = ThinkingBudget, budgetOf(c.Effort)
			c.Effort = EffortUnset
		}
	case ThinkingOff:
		if !adaptive && !budget {
			think.Mode = ThinkingUnset
		}
	case ThinkingBudget:
		switch {
		case budget:
			return true
		case adaptive:
			think.Mode = ThinkingAdaptive
			if c.Effort == EffortUnset {
				c.Effort = closest(t, effortOfBudget(think.Budget))
			}
		default:
			think.Mode = ThinkingUnset
			c.Lose(SettingThinking, Dropped, "the model does not think")
		}
	case ThinkingAdaptive:
		switch {
		case adaptive:
		case budget:
			think.Mode, think.Budget = ThinkingBudget, budgetOf(c.Effort)
			c.Effort = EffortUnset
			c.Lose(SettingThinking, Changed, "the model cannot decide itself how much it thinks")
		default:
			think.Mode = ThinkingUnset
			c.Lose(SettingThinking, Dropped, "the model does not think")
		}
	}
	return false
}

// fitBudget keeps the thinking shorter than the answer, of which it is a part.
func (c *Conversation) fitBudget(t *Target, chosen, exact bool) {
	think := &c.Thinking
	think.Budget = max(think.Budget, leastBudget)
	most := c.MaxTokens - 1
	if chosen {
		if t.Capabilities.MaxOutputTokens == 0 && think.Budget < mostBudget {
			c.MaxTokens = max(c.MaxTokens, think.Budget+answerRoom)
		}
		most = c.MaxTokens - min(answerRoom, c.MaxTokens/2)
	}
	if think.Budget > most {
		think.Budget = most
		if exact {
			c.Lose(SettingThinking, Clamped, "the model may not think longer than it may answer")
		}
	}
	if think.Budget < leastBudget {
		c.dropThinking("the answer may not be long enough for the model to think")
	}
}

// lostThinking reports whether the conversation goes on after tool calls before
// which the model must have thought, but its thoughts are not there. A model
// that thinks on a budget must get them back, as far as the first words behind
// the user's last question: it often calls tool after tool without another
// thought.
func (c *Conversation) lostThinking(provider string) bool {
	for i := c.loopStart(); i < len(c.Turns) && c.Turns[i].Role == Assistant; i++ {
		for _, b := range c.BlocksOf(c.Turns[i]) {
			switch {
			case b.Kind == KindThinking && b.Sealer == provider && sealsThinking(b.Seal):
				return false
			case b.Kind == KindToolCall:
				return true
			}
		}
	}
	return false
}

// loopStart returns the first assistant's turn of the tool calls that the
// request goes on with: none but their results have been said since. There may
// be none.
func (c *Conversation) loopStart() int {
	start := len(c.Turns)
	for at := start; ; {
		results := false
		for at > 0 && c.Turns[at-1].Role != Assistant {
			at--
			for _, b := range c.BlocksOf(c.Turns[at]) {
				results = results || b.Kind == KindToolResult
			}
		}
		if !results {
			return start
		}
		for at > 0 && c.Turns[at-1].Role == Assistant {
			at--
			start = at
		}
	}
}

// sealsThinking reports whether a seal is a thinking block of Messages.
func sealsThinking(seal Value) bool {
	kind := string(seal.Get("type").Text())
	return kind == "thinking" || kind == "redacted_thinking"
}
