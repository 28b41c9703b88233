package translate

import "strconv"

// EventKind says what an event is.
type EventKind uint8

// The events of an answer, in the order in which they come:
//
//	Start (Open (Delta | Seal | Cite)* Close)* Usage? Stop End
//
// or any beginning of that, followed by Failed. Blocks are numbered from 0
// without gaps, and never overlap.
const (
	// EventStart begins the answer: Model, Created.
	EventStart EventKind = iota + 1
	// EventOpen begins a block: Index, Head.
	EventOpen
	// EventDelta adds to it: Index, Text.
	EventDelta
	// EventSeal comes once in a thinking block, behind its text: Index, Seal.
	EventSeal
	// EventCite says where what a text block says comes from: Index, Citation.
	EventCite
	// EventClose ends the block: Index. Cut says of a tool call that its input
	// breaks off.
	EventClose
	// EventUsage tells what the answer cost: Usage.
	EventUsage
	// EventStop says why the model stopped: Stop, Sequence.
	EventStop
	// EventEnd ends an answer that is whole.
	EventEnd
	// EventFailed ends one that is not: Err.
	EventFailed
)

// Event is one event of an answer. It and what it refers to are valid until the
// encoder returns.
type Event struct {
	Kind     EventKind
	Index    int
	Head     Head
	Text     Text
	Seal     Value
	Citation Citation
	Cut      bool
	Model    Text
	Created  int64
	Usage    Usage
	Stop     StopReason
	Sequence Text
	Err      *Error
}

// Head is what is known of a block when it begins.
type Head struct {
	// Kind is KindText, KindRefusal, KindThinking or KindToolCall.
	Kind Kind
	// ID, Name, Namespace and Custom are those of a tool call, in the client's
	// words. Its deltas are the input: of a custom tool the text, of any other
	// JSON.
	ID, Name, Namespace Text
	Custom              bool
	// Signature is what the vendor wants back with the call; decoders set it,
	// the ID then carries it.
	Signature Text
	// Hidden says of a thinking block that it has no text, only a seal.
	Hidden bool
}

// Citation tells where something comes from. Fields that are nil are not known.
type Citation struct {
	URL, Title, CitedText Text
	// FileID and Filename are of a file at the vendor's.
	FileID, Filename Text
	// Raw is the citation in its own protocol.
	Raw Value
}

// StopReason is why a model stopped.
type StopReason uint8

// The reasons.
const (
	// StopEnd: it had said everything.
	StopEnd StopReason = iota + 1
	// StopTool: it waits for the results of its tool calls.
	StopTool
	// StopSequence: it wrote a stop sequence.
	StopSequence
	// StopLength: the answer has as many tokens as it may have.
	StopLength
	// StopWindow: the conversation has.
	StopWindow
	// StopPause: it wants to be asked to go on.
	StopPause
	// StopFilter: it refused, or a filter broke it off.
	StopFilter
)

// Asked is what of a request its answer depends on. It holds no part of the
// request's body, which may be megabytes where the answer takes an hour.
type Asked struct {
	// Client and Upstream are the protocols of the two sides.
	Client, Upstream Protocol
	// Provider is named in envelopes.
	Provider string
	// Model is the name that the answer tells; empty: the upstream's.
	Model string
	// Nonce is random, and makes ids: 24 letters or digits.
	Nonce string
	// Now is the time in Unix seconds.
	Now int64
	// InputTokens is an estimate.
	InputTokens int64

	// Stream, IncludeUsage and LegacyFunctions are those of [Settings].
	Stream, IncludeUsage, LegacyFunctions bool
	// Names are the tools that were sent as something else.
	Names []ToolName
	// Echo is that of [Conversation].
	Echo []byte
	// used are the ids that the calls of the answer must not have again.
	used usedIDs

	// Losses are what of the answer could not cross.
	Losses Losses
}

// Asked returns what the answer to the conversation depends on, with copies of
// all that belongs to the conversation. Fields about who asks and who answers
// are left to the caller.
func (c *Conversation) Asked() *Asked {
	return &Asked{
		Client:          c.Protocol,
		Stream:          c.Stream,
		IncludeUsage:    c.IncludeUsage,
		LegacyFunctions: c.LegacyFunctions,
		Names:           append([]ToolName(nil), c.names...),
		Echo:            append([]byte(nil), c.Echo...),
		used:            c.usedIDs(),
	}
}

// nameOf finds a tool by the name under which it was sent.
func (a *Asked) nameOf(sent Text) *ToolName {
	for i := range a.Names {
		if sent.Is(a.Names[i].Sent) {
			return &a.Names[i]
		}
	}
	return nil
}

// AppendID appends an id that is made here: the prefix, the nonce, and n where
// that is not negative.
func (a *Asked) AppendID(dst []byte, prefix string, n int) []byte {
	dst = append(dst, prefix...)
	dst = append(dst, a.Nonce...)
	if n >= 0 {
		dst = strconv.AppendInt(dst, int64(n), 10)
	}
	return dst
}

// AnswerDecoder reads an answer of one protocol. What it finds goes to the
// [Assembler] that it was made with, as soon as it is there. It does not judge
// whether the answer is whole: a [Watcher] does.
type AnswerDecoder interface {
	// Event reads one event of a stream: its name, which may be empty, and its
	// data. The data is a valid JSON object.
	Event(name, data []byte)
	// Whole reads a complete answer, which has passed [CheckAnswer].
	Whole(body []byte)
}

// AnswerEncoder writes an answer in one protocol.
type AnswerEncoder interface {
	// Append appends what the client is sent because of e. For a stream that
	// is whole events, each with the empty line behind it; for a whole answer
	// it is nothing before EventEnd, and then the body. EventFailed is not
	// sent to the encoder of a whole answer.
	Append(dst []byte, e *Event) []byte
}
