package translate

import (
	"slices"
	"strconv"
)

// defaultMaxTokens bounds answers of Messages, which wants a bound, where neither
// the client nor the model's file has one.
const defaultMaxTokens = 32_000

// Fit adapts the conversation to what the target's model takes, by the target's
// Capabilities alone. What it changes that would change the answer is noted in
// Losses. The error is that of a request which the model cannot answer at all.
//
// Encoders then write the settings as they stand, by the law of their protocol
// only. For Messages: Thinking.Mode is one that the model has, or ThinkingUnset,
// and Budget below MaxTokens, which is set. Effort is one that the model has, or
// EffortUnset. For the other protocols: Effort is what to send, if it is set,
// Thinking.Mode is of no meaning any more, and Thinking.Show is Off where the
// model will not reason.
func (c *Conversation) Fit(t *Target) *Error {
	if e := c.fitTools(t); e != nil {
		return e
	}
	c.fitAttachments(t)
	prefilled, e := c.fitPrefill(t)
	if e != nil {
		return e
	}
	if t.Protocol == Messages {
		c.fitThinking(t, prefilled)
	} else {
		c.fitReasoning(t)
		c.fitMaxTokens(t)
	}
	c.fitCache(t)
	c.fitFormat(t)
	c.fitToolChoice(t)
	c.fitSampling(t)
	if len(c.Stop) > 0 && !Allows(t.Capabilities.Stop, true) {
		c.Stop = nil
		c.Lose(SettingStop, Dropped, "the model takes no stop sequences")
	}
	return nil
}

// fitCache asks for a prompt cache on behalf of clients whose own protocol needs
// no asking. One that sets marks of its own is not meddled with.
func (c *Conversation) fitCache(t *Target) {
	if t.Quirks.AutomaticCache && t.Protocol == Messages && c.Protocol != Messages && c.Cache == CacheNone && !c.CacheMarked() {
		c.Cache = Cache5m
		c.markBeginning()
	}
}

// markBeginning marks what all conversations of a client begin with, for the first
// request of the next one: the instructions, which the tools stand before, or the
// tools where there are none.
func (c *Conversation) markBeginning() {
	var last *Block
	for _, turn := range c.Turns {
		if turn.Role != System {
			break
		}
		for i := turn.From; i < turn.To; i++ {
			if b := &c.Blocks[i]; b.Kind == KindText && !b.Text.Blank() {
				last = b
			}
		}
	}
	if last != nil {
		last.Cache = Cache5m
		return
	}
	for i := len(c.Tools) - 1; i >= 0; i-- {
		if c.Tools[i].Kind != HostedTool { // that one may be left out
			c.Tools[i].Cache = Cache5m
			return
		}
	}
}

// CacheMarked reports whether some block or tool has a breakpoint for the prompt
// cache behind it.
func (c *Conversation) CacheMarked() bool {
	for _, blocks := range [...][]Block{c.Blocks, c.Parts} {
		for i := range blocks {
			if blocks[i].Cache != CacheNone {
				return true
			}
		}
	}
	for i := range c.Tools {
		if c.Tools[i].Cache != CacheNone {
			return true
		}
	}
	return false
}

// MostTools is how many tools a translated request may have, and how many its tool
// choice may name: more than any model takes, and few enough to look for one in
// all of them.
const MostTools = 2048

// fitTools refuses more tools than the model may be given. Which of them could
// be left out only the client knows.
func (c *Conversation) fitTools(t *Target) *Error {
	most := MostTools
	if n := t.Capabilities.MaxTools; n > 0 {
		most = min(n, most)
	}
	if n := len(c.Tools); n > most {
		return Refuse(c.Param(SettingTools), "may be "+strconv.Itoa(most)+" at most, the request has "+strconv.Itoa(n))
	}
	if len(c.ToolChoice.Allowed) > MostTools {
		return Refuse(c.Param(SettingToolChoice), "may name "+strconv.Itoa(MostTools)+" tools at most")
	}
	return nil
}

// fitPrefill handles a conversation that ends with words of the assistant, which
// the client wants continued.
func (c *Conversation) fitPrefill(t *Target) (prefilled bool, _ *Error) {
	turn, ok := c.prefill()
	if !ok {
		return false, nil
	}
	at := c.At(turn.Index, -1)
	switch allowed := t.Capabilities.Prefill; {
	case !Allows(allowed, true):
		return true, Refuse(at, "the model does not continue what the assistant began; the conversation must end with a message of the user")
	case allowed == nil && t.Protocol != Messages:
		c.Losses.Add(at, Changed, "the model may begin anew instead of continuing it")
	}
	return true, nil
}

// prefill returns the last turn if it is the beginning of the answer.
func (c *Conversation) prefill() (turn Turn, ok bool) {
	if len(c.Turns) == 0 {
		return Turn{}, false
	}
	turn = c.Turns[len(c.Turns)-1]
	if turn.Role != Assistant {
		return Turn{}, false
	}
	for _, b := range c.BlocksOf(turn) {
		switch b.Kind {
		case KindToolCall:
			return Turn{}, false
		case KindText, KindRefusal:
			ok = ok || !b.Text.Blank()
		}
	}
	return turn, ok
}

// fitMaxTokens keeps the bound of the answer below the model's, and sets one
// where the protocol requires it. chosen says that it did, so that nobody relies
// on the number.
func (c *Conversation) fitMaxTokens(t *Target) (chosen bool) {
	most := int64(t.Capabilities.MaxOutputTokens)
	switch {
	case c.MaxTokens == 0 && t.Protocol == Messages:
		c.MaxTokens = most
		if most == 0 {
			c.MaxTokens = defaultMaxTokens
		}
		return true
	case most > 0 && c.MaxTokens > most:
		c.MaxTokens = most
		c.Lose(SettingMaxTokens, Clamped, "the model answers with fewer tokens")
	}
	return false
}

// reasons reports whether the model will think before it answers, as far as that
// is known. The settings must have been adapted to it.
func (c *Conversation) reasons(t *Target) bool {
	switch {
	case t.Protocol == Messages:
		return c.Thinking.Mode == ThinkingBudget || c.Thinking.Mode == ThinkingAdaptive
	case c.Effort == EffortUnset:
		return reasonsUnasked(t)
	}
	return c.Effort != EffortNone
}

// reasonsUnasked reports whether an OpenAI model reasons unless it is told not
// to.
func reasonsUnasked(t *Target) bool {
	return Allows(t.Capabilities.Reasons, len(t.Capabilities.Efforts) > 0)
}

// fitToolChoice leaves it to the model to call a tool where it cannot be forced.
func (c *Conversation) fitToolChoice(t *Target) {
	if c.ToolChoice.Mode != ToolAny && c.ToolChoice.Mode != ToolOne {
		return
	}
	if reason := c.unforceable(t); reason != "" {
		c.ToolChoice.Mode = ToolAuto
		c.Lose(SettingToolChoice, Changed, reason)
	}
}

// unforceable says why no tool call can be forced, or "".
func (c *Conversation) unforceable(t *Target) string {
	law := t.Capabilities.ForcedTools
	if law == "never" {
		return "the model cannot be forced to call a tool"
	}
	forbids := law == "not_thinking" && c.reasons(t)
	if t.Protocol == Messages {
		// Messages forbids it while the model thinks on a budget, whatever the
		// model, and never while it decides itself how much.
		forbids = c.Thinking.Mode == ThinkingBudget
	}
	if forbids {
		return "the model cannot be forced to call a tool while it thinks"
	}
	return ""
}

// instruct adds an instruction behind those that the conversation begins with.
func (c *Conversation) instruct(text Text) {
	n := 0
	for n < len(c.Turns) && c.Turns[n].Role == System {
		n++
	}
	if n == 0 {
		c.Turns = slices.Insert(c.Turns, 0, Turn{Role: System})
		n = 1
	}
	turn := &c.Turns[n-1]
	c.Blocks = slices.Insert(c.Blocks, turn.To, Block{Kind: KindText, Text: text})
	turn.To++
	for i := n; i < len(c.Turns); i++ {
		c.Turns[i].From++
		c.Turns[i].To++
	}
}
