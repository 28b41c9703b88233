package translate

// Target is what is known about the place where a request goes.
type Target struct {
	// Protocol is the one that it is written in there.
	Protocol Protocol
	// Provider names the provider. Opaque reasoning goes back only to the one
	// that it came from.
	Provider string
	// Model is the provider's name of the model.
	Model string
	// Quirks and Capabilities come from the provider and model files.
	Quirks       Quirks
	Capabilities Capabilities
	// ForceStream says that the answer is to be a stream, whatever the request
	// says.
	ForceStream bool
	// RefuseHosted says that a request with a tool that only its own vendor
	// can run is refused. Else the tool is left out, and listed as lost.
	RefuseHosted bool
}

// Quirks are a provider's habits on the wire. They matter only for requests that
// are translated; what is sent in the client's own protocol stays as it is.
type Quirks struct {
	// MaxTokensField is what bounds the answer in Chat Completions:
	// "max_tokens", which most vendors take, or "max_completion_tokens", as
	// OpenAI's newer models want it. Default: max_tokens.
	MaxTokensField string `json:"max_tokens_field"`

	// DeveloperRole says that Chat Completions takes messages of the role
	// developer; else their role becomes system.
	DeveloperRole bool `json:"developer_role"`

	// ReasoningField is the field of an assistant's message in which the
	// provider wants its reasoning back: "reasoning_content", "reasoning" or
	// "reasoning_details". Default: it wants none.
	ReasoningField string `json:"reasoning_field"`

	// OpenAIParameters says that the provider takes the parameters that only
	// OpenAI has: prompt_cache_key, safety_identifier, store, metadata,
	// verbosity, service_tier and the like. Others refuse what they don't know.
	OpenAIParameters bool `json:"openai_parameters"`

	// Parameters are further top-level fields that the provider takes from
	// a client as they are, such as top_k and min_p.
	Parameters []string `json:"parameters"`

	// NoStreamOptions says that the provider refuses stream_options, with
	// which a stream of Chat Completions tells its usage.
	NoStreamOptions bool `json:"no_stream_options"`

	// NoStrict says that the provider refuses "strict" in a tool.
	NoStrict bool `json:"no_strict"`

	// NoReasoningSummary says that the provider refuses reasoning.summary of the
	// Responses API, as OpenAI does to organisations that it has not verified.
	// Nobody can then read along while its models think.
	NoReasoningSummary bool `json:"no_reasoning_summary"`

	// CustomTools says that the provider has OpenAI's custom tools, whose input
	// is text. Elsewhere they become functions with one parameter, "input".
	CustomTools bool `json:"custom_tools"`

	// EmptyContent says that an assistant's message with nothing but tool
	// calls must have the content "" and not null.
	EmptyContent bool `json:"empty_content"`

	// ToolImages says that tool messages of Chat Completions may hold images.
	// Elsewhere these follow in a message of the user.
	ToolImages bool `json:"tool_images"`

	// OwnCallIDs says that the provider wants its own tool call ids back,
	// whatever characters they have.
	OwnCallIDs bool `json:"own_call_ids"`

	// ShortCallIDs says that Chat Completions of this provider takes tool call
	// ids of nine letters and digits only, as Mistral does. Others become a hash
	// of that form, call and result alike.
	ShortCallIDs bool `json:"short_call_ids"`

	// NoUserAfterTool says that a message of the user may not follow on what a
	// tool returned. A word of the assistant then stands between the two.
	NoUserAfterTool bool `json:"no_user_after_tool"`

	// ThoughtSignatures says that the provider signs its tool calls and wants
	// the signature back, as Gemini does in extra_content. A call of another
	// model gets the word instead by which Google does without.
	ThoughtSignatures bool `json:"thought_signatures"`

	// CacheControl says that Chat Completions of this provider knows
	// Anthropic's cache_control in content parts and tools.
	CacheControl bool `json:"cache_control"`

	// AutomaticCache says that the provider caches prompts only when it is told
	// to, and knows cache_control for a whole request of Messages. Requests of
	// the OpenAI protocols, whose users know of caching as something that
	// happens by itself, then ask for it; without, each turn of an agent would
	// be paid for in full.
	AutomaticCache bool `json:"automatic_cache"`

	// WebSearch says that the provider searches the web: for models of Chat
	// Completions with web_search_options, in the Responses API with the tool
	// web_search.
	WebSearch bool `json:"web_search"`

	// DropBetas says that the provider, though it speaks Messages, knows none
	// of Anthropic's betas: the header Anthropic-Beta and the fields that come
	// with it stay here, translated or not.
	DropBetas bool `json:"drop_betas"`
}

// Capabilities are what a model takes. A pointer that is nil, and an empty text
// or list, leave the decision to the next place: route, model file, provider
// file, and then what is said here as the default.
type Capabilities struct {
	// MaxOutputTokens is the most that an answer may have. Clients may ask for
	// more; it is sent where they ask for nothing and the protocol requires a
	// number. Default: 32000 there, and no bound.
	MaxOutputTokens int `json:"max_output_tokens"`

	// Thinking says how the model is asked to think in Messages: "none",
	// "budget", "adaptive", or "both". Default: none.
	Thinking string `json:"thinking"`

	// Efforts are those that the model takes, of none, minimal, low, medium,
	// high, xhigh and max. Default: none is sent.
	Efforts []string `json:"efforts"`

	// Reasons says that an OpenAI model reasons unless it is told not to.
	// Default: true where it has efforts.
	Reasons *bool `json:"reasons"`

	// Sampling says when temperature and top_p may be sent: "always", "one"
	// (either, not both), "not_reasoning" (only while the model does not
	// reason) or "never". Default: always.
	Sampling string `json:"sampling"`

	// ForcedTools says when a tool call may be forced: "always",
	// "not_thinking" (not while it thinks) or "never". Default: always.
	// Messages never allows it while a model thinks on a budget, and forbids
	// it while the model decides how much it thinks only for "never".
	ForcedTools string `json:"forced_tools"`

	// MaxTools is how many tools the model may be given. A translated request
	// with more is refused. Default: what the protocol and its vendor take,
	// which is 128 at OpenAI.
	MaxTools int `json:"max_tools"`

	// Prefill says whether the conversation may end with words of the
	// assistant, which the model then continues; else a translated request
	// that does is refused. Default: true in Messages. In other protocols it
	// passes by default, but the model may begin anew.
	Prefill *bool `json:"prefill"`

	// JSONSchema says whether the model can be held to a JSON schema. Default:
	// true.
	JSONSchema *bool `json:"json_schema"`

	// SystemTurns says whether the role system is taken anywhere between the
	// turns. Default: false in Messages, true in Chat Completions. Where it is
	// not, instructions are sent as marked words of the user, and in Chat
	// Completions those before the conversation as one message.
	SystemTurns *bool `json:"system_turns"`

	// Images and Documents say whether the model can see images and read files.
	// Where it cannot, a translated request tells it that there was one; the
	// text of a text file is sent as such. Default: true.
	Images    *bool `json:"images"`
	Documents *bool `json:"documents"`

	// Stop says whether stop sequences are taken. Default: true.
	Stop *bool `json:"stop"`

	// ToolsWithReasoning says whether functions can be used in Chat
	// Completions while the model reasons. Where it cannot, no effort is
	// asked for. Default: true.
	ToolsWithReasoning *bool `json:"tools_with_reasoning"`
}

// Or fills in what is not set from another place.
func (c Capabilities) Or(d Capabilities) Capabilities {
	if c.MaxOutputTokens == 0 {
		c.MaxOutputTokens = d.MaxOutputTokens
	}
	if c.MaxTools == 0 {
		c.MaxTools = d.MaxTools
	}
	if c.Efforts == nil {
		c.Efforts = d.Efforts
	}
	for _, text := range []struct{ to, from *string }{
		{&c.Thinking, &d.Thinking}, {&c.Sampling, &d.Sampling}, {&c.ForcedTools, &d.ForcedTools},
	} {
		if *text.to == "" {
			*text.to = *text.from
		}
	}
	for _, flag := range []struct{ to, from **bool }{
		{&c.Reasons, &d.Reasons},
		{&c.Prefill, &d.Prefill},
		{&c.JSONSchema, &d.JSONSchema},
		{&c.SystemTurns, &d.SystemTurns},
		{&c.Images, &d.Images},
		{&c.Documents, &d.Documents},
		{&c.Stop, &d.Stop},
		{&c.ToolsWithReasoning, &d.ToolsWithReasoning},
	} {
		if *flag.to == nil {
			*flag.to = *flag.from
		}
	}
	return c
}

// Allows reports what a flag of Capabilities says, or its default.
func Allows(flag *bool, standard bool) bool {
	if flag == nil {
		return standard
	}
	return *flag
}
