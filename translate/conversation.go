package translate

import "github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"

// Value and Text are JSON as it stands in its document.
type (
	Value = rawjson.Value
	Text  = rawjson.Text
)

// Conversation is a request in no protocol: what a model is to read, and how it
// is to answer. One protocol's decoder fills it, [Conversation.Fit] adapts it to
// the model that is asked, and another protocol's encoder writes it.
//
// Its texts and values are parts of the request's body, which must outlive it,
// or of memory of its own. A Conversation may be reset and used again; then it
// allocates next to nothing.
type Conversation struct {
	// Protocol is the one that the request was written in.
	Protocol Protocol

	Settings

	// Turns are in order. Two neighbours may have the same role.
	Turns []Turn
	// Blocks are those of all turns, in order.
	Blocks []Block
	// Parts are the contents of tool results, which Blocks refer to.
	Parts []Block
	// Tools are what the model may call.
	Tools []Tool
	// Fields are the request's other top-level members. The encoder decides
	// what its protocol makes of each.
	Fields []Field
	// Losses are what could not cross.
	Losses Losses

	// Echo is what a Responses answer repeats of its request: members of the
	// response object, each followed by a comma. Only the Responses decoder
	// writes it.
	Echo []byte

	names []ToolName
	sent  TextIndex // names that tools are sent under
	pairs pairs
	own   []byte // texts that are not parts of the request
}

// Reset empties the conversation for a request in protocol p. What it held must
// not be used any more.
func (c *Conversation) Reset(p Protocol) {
	clear(c.Blocks)
	clear(c.Parts)
	clear(c.Tools)
	clear(c.Fields)
	clear(c.names)
	clear(c.Losses)
	c.pairs.reset(0)
	c.sent.Reset()
	*c = Conversation{
		Protocol: p,
		Turns:    emptied(c.Turns),
		Blocks:   emptied(c.Blocks),
		Parts:    emptied(c.Parts),
		Tools:    emptied(c.Tools),
		Fields:   emptied(c.Fields),
		Losses:   emptied(c.Losses),
		names:    emptied(c.names),
		sent:     c.sent,
		pairs:    c.pairs,
		Echo:     reusable(c.Echo),
		own:      reusable(c.own),
	}
}

// maxReused is how many elements of each kind a Conversation keeps room for, so
// that one huge request does not stay in memory for good.
const maxReused = 4096

// emptied returns s without its elements, which must have been cleared, or nil
// if keeping its memory would pin too much.
func emptied[E any](s []E) []E {
	if cap(s) > maxReused {
		return nil
	}
	return s[:0]
}

// Role says who speaks.
type Role uint8

// The roles.
const (
	// System turns are instructions, wherever they stand. OpenAI's developer
	// role is one.
	System Role = iota
	// User turns hold what the user says and what tools returned.
	User
	// Assistant turns hold what the model said, thought and called.
	Assistant
)

// Turn is what one side says before the other one does.
type Turn struct {
	Role Role
	// Developer says that a System turn's role was OpenAI's developer.
	Developer bool
	// From and To bound the turn's blocks: Blocks[From:To].
	From, To int
	// Index is the place of the message or item that began the turn in the
	// request's list, for messages about it.
	Index int
}

// BlocksOf returns the blocks of a turn.
func (c *Conversation) BlocksOf(t Turn) []Block { return c.Blocks[t.From:t.To] }

// PartsOf returns what a tool result holds: texts, images, documents and
// references to tools.
func (c *Conversation) PartsOf(b *Block) []Block { return c.Parts[b.From:b.To] }

// BeginTurn starts a turn of the request's message number index. An Assistant
// turn that follows another one at once, with no block of anybody else between
// them, is the same turn where join is set.
func (c *Conversation) BeginTurn(role Role, index int, join bool) *Turn {
	if n := len(c.Turns); join && n > 0 && c.Turns[n-1].Role == role {
		return &c.Turns[n-1]
	}
	at := len(c.Blocks)
	c.Turns = append(c.Turns, Turn{Role: role, From: at, To: at, Index: index})
	return &c.Turns[len(c.Turns)-1]
}

// Add appends a block to the last turn and returns it; it may be changed until
// the next one is added.
func (c *Conversation) Add(b Block) *Block {
	c.Blocks = append(c.Blocks, b)
	c.Turns[len(c.Turns)-1].To = len(c.Blocks)
	return &c.Blocks[len(c.Blocks)-1]
}

// AddPart appends a part to the last block, which must be a tool result.
func (c *Conversation) AddPart(b Block) *Block {
	result := &c.Blocks[len(c.Blocks)-1]
	if result.From == result.To {
		result.From = len(c.Parts)
	}
	c.Parts = append(c.Parts, b)
	result.To = len(c.Parts)
	return &c.Parts[len(c.Parts)-1]
}

// Kind says what a block is.
type Kind uint8

// The kinds of blocks.
const (
	// KindText is text that is read or written: Text.
	KindText Kind = iota + 1
	// KindRefusal is what the model said instead of an answer: Text.
	KindRefusal
	// KindThinking is reasoning: Text as far as it is shown, Seal and Sealer
	// as far as only its issuer can read it.
	KindThinking
	// KindImage is a picture: Source.
	KindImage
	// KindDocument is a file to read: Source, Name (its title or file name),
	// Context.
	KindDocument
	// KindToolCall is a call of a tool that the client runs: ID, Name,
	// Namespace, Custom, Input.
	KindToolCall
	// KindToolResult is what such a call returned: ID, Name where the protocol
	// tells it, Custom, Failed, and parts.
	KindToolResult
	// KindToolReference names a tool that a search for tools found: Name. It
	// is a part of a tool result.
	KindToolReference
	// KindHosted is a tool call that the vendor itself ran, or its result, in
	// the history: Type, Raw. Others cannot read it, and go on without.
	KindHosted
	// KindForeign is anything else, without which the conversation would be
	// another one: Type, Raw.
	KindForeign
)

// Block is one piece of a turn.
type Block struct {
	Kind Kind
	// Custom marks the call of a tool whose input is text and not JSON, and
	// its result.
	Custom bool
	// Failed says of a tool result that it is an error.
	Failed bool
	// Cited says that the client wants the block cited.
	Cited bool
	// Cache is the breakpoint for the prompt cache behind the block.
	Cache Cache
	// From and To bound the parts of a tool result: Parts[From:To].
	From, To int

	Text      Text
	ID        Text
	Name      Text
	Namespace Text
	Input     Input
	Source    Source
	Context   Text

	// Sealer and Seal are opaque reasoning out of an envelope of this gateway:
	// which provider it came from, and the block as that provider wrote it.
	// Seal may be empty where there is nothing but the text to give back.
	Sealer string
	Seal   Value

	// Type and Raw are the block in its own protocol; set for KindHosted and
	// KindForeign.
	Type Text
	Raw  Value
}

// Source is where the bytes of an image or a document are. Exactly one of
// Base64, Plain, URL and FileID is not nil.
type Source struct {
	// MediaType is such as image/png; nil where nobody says.
	MediaType Text
	Base64    Text
	// Plain is the text of a text document.
	Plain  Text
	URL    Text
	FileID Text
	// Detail is OpenAI's wish for the resolution of an image.
	Detail Text
}

// Cache is how long a prompt cache is to keep what stands before a breakpoint.
type Cache uint8

// The lifetimes that the protocols know.
const (
	CacheNone Cache = iota
	Cache5m
	Cache1h
)

// Input is what a tool is called with: one of its fields, the other is nil.
type Input struct {
	// JSON is an object.
	JSON Value
	// Text is the inside of a string: of JSON for most tools, and for a custom
	// tool of anything.
	Text Text
}

// ToolKind says how a tool is called.
type ToolKind uint8

// The kinds of tools.
const (
	// FunctionTool takes a JSON object by a schema.
	FunctionTool ToolKind = iota
	// CustomTool takes text, maybe by a grammar.
	CustomTool
	// HostedTool is one that the vendor runs, or whose schema it trained in.
	HostedTool
)

// Tool is a tool that the model may call.
type Tool struct {
	Kind        ToolKind
	Name        Text
	Namespace   Text
	Description Text
	// Schema is the JSON schema of a function's input; empty: it takes none.
	Schema Value
	Strict Flag
	// Format is how a custom tool's input is written, in the form of the
	// Responses API: {"type":"grammar","syntax":...,"definition":...}.
	Format Value
	// Examples are inputs to learn from.
	Examples Value
	Cache    Cache
	// Type names a hosted tool, such as web_search_20250305.
	Type Text
	// Raw is the tool in its own protocol. What is an option of the request in
	// Chat Completions, a search of the web, is in that of the Responses API.
	Raw Value
	// Index is its place in the request's list.
	Index int
}

// Offline reports whether a search of the web is to find only what its vendor keeps
// of it, and not to go there. Only the Responses API can promise that.
func (t *Tool) Offline() bool { return t.Raw.Get("external_web_access").IsFalse() }

// Field is a member of the request that has no place of its own here.
type Field struct {
	// Name is its name in the protocol that the request was written in.
	Name  string
	Value Value
}

// Flag is a setting that may also not be there.
type Flag uint8

// The states of a Flag.
const (
	Unset Flag = iota
	Off
	On
)

// FlagOf reads a boolean.
func FlagOf(v Value) Flag {
	switch {
	case v.IsTrue():
		return On
	case v.IsFalse():
		return Off
	}
	return Unset
}

// Own copies text into memory of the conversation.
func (c *Conversation) Own(text ...[]byte) []byte {
	start := len(c.own)
	for _, t := range text {
		c.own = append(c.own, t...)
	}
	return c.own[start:len(c.own):len(c.own)]
}

// OwnString is Own for strings that need escapes.
func (c *Conversation) OwnString(s string) Text {
	start := len(c.own)
	c.own = rawjson.AppendEscaped(c.own, s)
	return Text(c.own[start:len(c.own):len(c.own)])
}
