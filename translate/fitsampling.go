package translate

import "slices"

// fitSampling drops the sampling parameters that the model refuses.
func (c *Conversation) fitSampling(t *Target) {
	law := t.Capabilities.Sampling
	switch {
	case law == "never":
		c.dropSampling(t, "the model takes no sampling parameters")
	case law == "not_reasoning" && c.reasons(t):
		c.dropSampling(t, "the model takes no sampling parameters while it reasons")
	case t.Protocol == Messages && c.reasons(t):
		const reason = "the model does not take it while it thinks"
		c.dropNumber(&c.Temperature, SettingTemperature, reason)
		c.dropNumber(&c.TopK, SettingTopK, reason)
		if p, ok := c.TopP.Float(); ok && p < 0.95 {
			c.dropNumber(&c.TopP, SettingTopP, reason)
		}
	case law == "one" && len(c.Temperature) > 0:
		c.dropNumber(&c.TopP, SettingTopP, "the model does not take it together with temperature")
	}
	if t.Protocol == Messages {
		c.clampTemperature()
	}
}

// dropNumber drops a sampling parameter. 1 is what it is without being set, but
// for top_k, where it is the strictest of all.
func (c *Conversation) dropNumber(v *Value, s Setting, reason string) {
	if len(*v) == 0 {
		return
	}
	if n, ok := v.Float(); !ok || n != 1 || s == SettingTopK {
		c.Lose(s, Dropped, reason)
	}
	*v = nil
}

// dropSampling drops all sampling parameters, and whatever else has to do with
// probabilities.
func (c *Conversation) dropSampling(t *Target, reason string) {
	c.dropNumber(&c.Temperature, SettingTemperature, reason)
	c.dropNumber(&c.TopP, SettingTopP, reason)
	c.dropNumber(&c.TopK, SettingTopK, reason)
	if t.Protocol == Messages {
		return // which has no more of them
	}
	c.Fields = slices.DeleteFunc(c.Fields, func(f Field) bool {
		switch f.Name {
		case "presence_penalty", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs":
			if n, ok := f.Value.Float(); !(ok && n == 0) && !f.Value.IsFalse() && !f.Value.IsEmpty() {
				c.Losses.Add(f.Name, Dropped, reason)
			}
			return true
		}
		return false
	})
}

// clampTemperature moves the temperature into the range of Messages, which ends
// where OpenAI's has its middle.
func (c *Conversation) clampTemperature() {
	n, ok := c.Temperature.Float()
	switch {
	case !ok || n >= 0 && n <= 1:
		return
	case n > 1:
		c.Temperature = Value("1")
	default:
		c.Temperature = Value("0")
	}
	c.Lose(SettingTemperature, Clamped, "the model takes 0 to 1")
}
