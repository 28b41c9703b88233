package translate

// efforts is a set of them.
type efforts uint16

// effortsOf reads a list of efforts; words that are none are passed over.
func effortsOf(words []string) efforts {
	var set efforts
	for _, word := range words {
		if e, ok := EffortOf(word); ok {
			set |= 1 << e
		}
	}
	return set
}

func (s efforts) has(e Effort) bool { return s&(1<<e) != 0 }

// lower returns the highest of the set below or at e, but for EffortNone, which
// is no effort at all; EffortUnset if there is none.
func (s efforts) lower(e Effort) Effort {
	for ; e > EffortNone; e-- {
		if s.has(e) {
			return e
		}
	}
	return EffortUnset
}

// higher returns the lowest of the set above or at e.
func (s efforts) higher(e Effort) Effort {
	for e = max(e, EffortMinimal); e <= EffortMax; e++ {
		if s.has(e) {
			return e
		}
	}
	return EffortUnset
}

// closest returns what comes closest to an effort of those that the target's
// model has: the next lower one, or else the next higher one.
func closest(t *Target, e Effort) Effort {
	set := effortsOf(t.Capabilities.Efforts)
	if t.Protocol == Messages && e == EffortXHigh && !set.has(e) && set.has(EffortMax) {
		return EffortMax // there it came before xhigh, and meant that too
	}
	if lower := set.lower(e); lower != EffortUnset {
		return lower
	}
	return set.higher(e)
}

// fitMessagesEffort finds the effort for a model of Messages.
func (c *Conversation) fitMessagesEffort(t *Target) {
	asked := c.Effort
	if asked == EffortUnset {
		return
	}
	c.Effort = closest(t, asked)
	set := effortsOf(t.Capabilities.Efforts)
	if c.Thinking.Mode == ThinkingOff && set.has(EffortXHigh) && c.Effort > EffortHigh {
		// Models that have xhigh try as hard only where they may think.
		c.Effort = set.lower(EffortHigh)
	}
	switch {
	case c.Effort == EffortUnset:
		c.Lose(SettingEffort, Dropped, "the model cannot be told how hard to try")
	case c.Effort != asked && asked != EffortMinimal: // Messages has no word for that
		c.Lose(SettingEffort, Changed, "the model has no such effort")
	}
}

// fitReasoning finds the effort for a model of OpenAI's protocols, where thinking
// is nothing but that.
func (c *Conversation) fitReasoning(t *Target) {
	asked, setting, exact := c.Effort, SettingEffort, true
	switch c.Thinking.Mode {
	case ThinkingOff:
		if asked > EffortNone {
			c.Lose(SettingEffort, Dropped, "the model tries as hard as it reasons, which is turned off")
		}
		asked, setting = EffortNone, SettingThinking
	case ThinkingBudget:
		if asked == EffortUnset {
			asked, setting, exact = effortOfBudget(c.Thinking.Budget), SettingThinking, false
		}
	}
	switch asked {
	case EffortUnset:
	case EffortNone:
		c.Effort = c.leastReasoning(t, setting)
	default:
		c.Effort = closest(t, asked)
		switch {
		case c.Effort == EffortUnset:
			c.Lose(setting, Dropped, "the model cannot be told how much to reason")
		case exact && c.Effort != asked:
			c.Lose(setting, Changed, "the model has no such effort")
		}
	}
	c.fitReasoningWithTools(t, asked, setting)
	if !c.reasons(t) {
		c.Thinking.Show = Off
	}
}

// leastReasoning returns the effort that comes closest to none.
func (c *Conversation) leastReasoning(t *Target, setting Setting) Effort {
	set := effortsOf(t.Capabilities.Efforts)
	least := set.higher(EffortMinimal)
	switch {
	case set.has(EffortNone):
		return EffortNone
	case least == EffortUnset:
		if reasonsUnasked(t) {
			c.Lose(setting, Dropped, "the model cannot be told how much to reason")
		}
		return EffortUnset
	case reasonsUnasked(t):
		c.Lose(setting, Changed, "the model cannot answer without reasoning")
		return least
	}
	return EffortUnset // it does not reason unless it is asked to
}

// fitReasoningWithTools turns reasoning off where Chat Completions cannot have
// it together with functions.
func (c *Conversation) fitReasoningWithTools(t *Target, asked Effort, setting Setting) {
	if t.Protocol != Chat || len(c.Tools) == 0 || Allows(t.Capabilities.ToolsWithReasoning, true) || !c.reasons(t) {
		return
	}
	c.Effort = EffortUnset
	if effortsOf(t.Capabilities.Efforts).has(EffortNone) {
		c.Effort = EffortNone
	}
	if asked == EffortUnset {
		setting = SettingEffort // which it would have had without being asked
	}
	c.Lose(setting, Changed, "the model cannot reason in Chat Completions while it has tools")
}
