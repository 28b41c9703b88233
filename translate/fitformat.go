package translate

// answerTool is the tool whose input is the answer, where the model cannot be
// held to a schema but to that of a tool.
const answerTool = "answer_in_json"

// fitFormat finds another way to an answer by a schema for models that cannot be
// held to one.
func (c *Conversation) fitFormat(t *Target) {
	if c.Format.Kind != FormatSchema || Allows(t.Capabilities.JSONSchema, true) {
		return
	}
	schema := c.Format.Schema
	if t.Protocol == Messages && c.answersByTool(t) {
		c.Format = Format{}
		c.Tools = append(c.Tools, Tool{
			Kind:        FunctionTool,
			Name:        Text(answerTool),
			Description: Text("Gives the answer to the user. Call it once, with the whole answer."),
			Schema:      schema,
		})
		c.ToolChoice = ToolChoice{Mode: ToolOne, Name: Text(answerTool)}
		c.names = append(c.names, ToolName{Sent: answerTool, Name: answerTool, Answer: true})
		return
	}
	c.instruct(c.OwnString("Answer with JSON that matches this schema, and with nothing else: " + string(schema)))
	c.Lose(SettingFormat, Changed, "the model is told the schema, but not held to it")
	c.Format = Format{}
	if t.Protocol != Messages {
		c.Format.Kind = FormatJSON
	}
}

// answersByTool reports whether a tool can take the answer: the model can be
// forced to call it, the client has no tools that the model should be free to
// call, and the schema is one that tools can have.
func (c *Conversation) answersByTool(t *Target) bool {
	return len(c.Tools) == 0 && c.unforceable(t) == "" && hasType(c.Format.Schema.Get("type"), "object")
}
