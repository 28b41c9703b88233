package translate

// Settings are how the model is to answer. What is zero was not asked for.
type Settings struct {
	Stream bool
	// IncludeUsage says that a stream of Chat Completions is to end with its
	// usage.
	IncludeUsage bool
	// LegacyFunctions says that a Chat request has functions and
	// function_call, so that the answer must have them too.
	LegacyFunctions bool

	// MaxTokens bounds the answer, thinking included. 0: not set.
	MaxTokens int64
	// Temperature, TopP and TopK are numbers.
	Temperature, TopP, TopK Value
	// Stop is a list of strings, as an array.
	Stop Value

	Thinking Thinking
	Effort   Effort

	Format     Format
	ToolChoice ToolChoice
	// Parallel says whether the model may call several tools at once.
	Parallel Flag

	// Cache is the breakpoint behind the whole request.
	Cache Cache
}

// Thinking is whether and how the model is to think before it answers.
type Thinking struct {
	Mode ThinkingMode
	// Budget bounds the thinking, in tokens, in mode ThinkingBudget.
	Budget int64
	// Show says whether the client wants to read along.
	Show Flag
}

// ThinkingMode is one of the ways to ask for thinking.
type ThinkingMode uint8

// The ways to ask for thinking.
const (
	// ThinkingUnset leaves it to the model, or to Effort.
	ThinkingUnset ThinkingMode = iota
	// ThinkingOff asks for none.
	ThinkingOff
	// ThinkingBudget gives it a number of tokens.
	ThinkingBudget
	// ThinkingAdaptive lets the model decide how much.
	ThinkingAdaptive
)

// Effort is how hard the model is to try. They are in order.
type Effort uint8

// The efforts that the protocols know.
const (
	EffortUnset Effort = iota
	EffortNone
	EffortMinimal
	EffortLow
	EffortMedium
	EffortHigh
	EffortXHigh
	EffortMax
)

var effortNames = [...]string{"", "none", "minimal", "low", "medium", "high", "xhigh", "max"}

// String returns the effort as all protocols spell it; "" for EffortUnset.
func (e Effort) String() string { return effortNames[e] }

// EffortOf reads an effort. ok is false for a word that is none.
func EffortOf(word string) (e Effort, ok bool) {
	for i, name := range effortNames {
		if name == word && i > 0 {
			return Effort(i), true
		}
	}
	return EffortUnset, false
}

// Format is the form that the answer's text must have.
type Format struct {
	Kind FormatKind
	// Name, Description, Schema and Strict belong to FormatSchema.
	Name, Description Text
	Schema            Value
	Strict            Flag
}

// FormatKind is a form of text.
type FormatKind uint8

// The forms of text.
const (
	FormatText FormatKind = iota
	// FormatJSON is any JSON object.
	FormatJSON
	// FormatSchema is JSON by a schema.
	FormatSchema
)

// ToolChoice is whether the model must call a tool.
type ToolChoice struct {
	Mode ToolMode
	// Name, Namespace and Custom name the tool that ToolOne forces. Type is
	// set instead where that is a hosted one.
	Name, Namespace Text
	Custom          bool
	Type            Text
	// Allowed are the only tools that may be called, by name, as
	// [Conversation.Tools] has them; nil: all. Mode is then ToolAuto or
	// ToolAny.
	Allowed []Text
}

// ToolMode says who decides whether a tool is called.
type ToolMode uint8

// The modes.
const (
	ToolUnset ToolMode = iota
	// ToolAuto lets the model decide.
	ToolAuto
	// ToolNone forbids calls.
	ToolNone
	// ToolAny forces some call.
	ToolAny
	// ToolOne forces a call of one tool.
	ToolOne
)

// Setting names one of the settings in messages and lists of losses.
type Setting uint8

// The settings whose names differ between the protocols.
const (
	SettingMaxTokens Setting = iota
	SettingStop
	SettingEffort
	SettingThinking
	SettingFormat
	SettingTemperature
	SettingTopP
	SettingTopK
	SettingToolChoice
	SettingParallel
	SettingTools
	SettingTurns
	SettingSystem
)

// Param is what the protocol of the request calls a setting.
func (c *Conversation) Param(s Setting) string {
	names := [...][3]string{
		SettingMaxTokens:   {"max_completion_tokens", "max_output_tokens", "max_tokens"},
		SettingStop:        {"stop", "stop", "stop_sequences"},
		SettingEffort:      {"reasoning_effort", "reasoning.effort", "output_config.effort"},
		SettingThinking:    {"reasoning_effort", "reasoning", "thinking"},
		SettingFormat:      {"response_format", "text.format", "output_config.format"},
		SettingTemperature: {"temperature", "temperature", "temperature"},
		SettingTopP:        {"top_p", "top_p", "top_p"},
		SettingTopK:        {"top_k", "top_k", "top_k"},
		SettingToolChoice:  {"tool_choice", "tool_choice", "tool_choice"},
		SettingParallel:    {"parallel_tool_calls", "parallel_tool_calls", "tool_choice.disable_parallel_tool_use"},
		SettingTools:       {"tools", "tools", "tools"},
		SettingTurns:       {"messages", "input", "messages"},
		SettingSystem:      {"messages", "instructions", "system"},
	}[s]
	switch c.Protocol {
	case Responses:
		return names[1]
	case Messages:
		return names[2]
	}
	return names[0]
}
