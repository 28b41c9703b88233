package translate

import (
	"bytes"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// Assembler puts what a decoder finds into the order that every encoder relies
// on: one block after the other, each complete before the next begins, numbered
// from 0. Upstreams may write several blocks at once; all but the first wait,
// and what belongs to the first still passes as it comes.
//
// Blocks are known by keys that the decoder chooses: the index that the upstream
// gives them, mostly. A key may be used again when its block has been closed.
type Assembler struct {
	asked   *Asked
	encoder AnswerEncoder
	out     []byte
	event   Event

	lanes   lanes // only the first is being written
	opened  int   // blocks of the upstream
	count   int   // those of them that have been told
	calls   int   // tool calls among these
	ids     TextIndex
	started bool
	model   []byte
	created int64
	stop    StopReason
	seq     []byte
	broken  *Error
	over    bool // ended or failed
}

// NewAssembler returns an Assembler for one answer.
func NewAssembler(asked *Asked, encoder AnswerEncoder) *Assembler {
	return &Assembler{asked: asked, encoder: encoder}
}

// Take returns what has been written for the client since it was last called. It
// is valid until the next event.
func (a *Assembler) Take() []byte {
	out := a.out
	a.out = a.out[:0]
	return out
}

// Asked returns what the answer depends on.
func (a *Assembler) Asked() *Asked { return a.asked }

func (a *Assembler) emit() {
	a.out = a.encoder.Append(a.out, &a.event)
}

// Start tells what the answer says of itself. Only the first that is known of
// each counts: some vendors repeat it, or begin again in the middle.
func (a *Assembler) Start(model Text, created int64) {
	if len(a.model) == 0 {
		a.model = append(a.model, model...)
	}
	if a.created == 0 {
		a.created = created
	}
}

func (a *Assembler) start() {
	if a.started {
		return
	}
	a.started = true
	model, created := Text(a.model), a.created
	if a.asked.Model != "" {
		model = rawjson.Of(a.asked.Model)
	}
	if created == 0 {
		created = a.asked.Now
	}
	a.event = Event{Kind: EventStart, Model: model, Created: created}
	a.emit()
}

// Has reports whether a block with that key is not finished.
func (a *Assembler) Has(key int) bool { return a.lanes.find(key) != nil }

// Begun reports whether a block has been told.
func (a *Assembler) Begun() bool { return a.count > 0 }

// Calls returns how many tool calls there were.
func (a *Assembler) Calls() int { return a.calls }

// Open begins a block; one of that key that is not finished ends. A tool call
// without a name waits for one; see [Assembler.Rename]. A text is told of when it
// has the first word: clients return empty blocks, which then nobody takes.
func (a *Assembler) Open(key int, head Head) {
	a.Close(key)
	if a.ignores() || !a.Room(a.opened) {
		return
	}
	a.opened++
	if a.lanes.first() != nil || head.Kind == KindToolCall && len(head.Name) == 0 {
		// It has to wait, and then the decoder's memory is gone.
		head.ID, head.Name = bytes.Clone(head.ID), bytes.Clone(head.Name)
		head.Namespace, head.Signature = bytes.Clone(head.Namespace), bytes.Clone(head.Signature)
	}
	a.lanes.add(key, head)
	a.announce()
}

// Rename gives a tool call the name, and id, that it lacked.
func (a *Assembler) Rename(key int, id, name Text) {
	l := a.lanes.find(key)
	if l == nil || l.open || a.ignores() {
		return
	}
	if len(l.head.ID) == 0 {
		l.head.ID = bytes.Clone(id)
	}
	if len(l.head.Name) == 0 {
		l.head.Name = bytes.Clone(name)
	}
	a.announce()
}

// Delta adds text to a block. For a tool call it is JSON, or for a custom tool
// that the upstream knows as such the input itself.
func (a *Assembler) Delta(key int, text Text) {
	l := a.lanes.find(key)
	if l == nil || len(text) == 0 || a.ignores() {
		return
	}
	if l.head.Kind == KindToolCall {
		l.balance.add(text)
	}
	if !l.open {
		l.waiting = append(l.waiting, text...)
		a.announce()
		return
	}
	a.delta(l, text)
}

// Whole reports whether what a tool call has got so far is a complete JSON
// value. The text that a custom tool takes has no such end.
func (a *Assembler) Whole(key int) bool {
	l := a.lanes.find(key)
	return l != nil && !l.head.Custom && l.balance.whole()
}

// Written reports whether a block has got any text.
func (a *Assembler) Written(key int) bool {
	l := a.lanes.find(key)
	return l != nil && l.balance.any
}

// Seal adds what makes a thinking block valid at its vendor: the block as the
// vendor wrote it.
func (a *Assembler) Seal(key int, seal []byte) {
	if l := a.lanes.find(key); l != nil {
		l.seal = append(l.seal[:0], seal...)
	}
}

// SealWith is Seal for a seal that is not known before the block ends, and is
// asked for then.
func (a *Assembler) SealWith(key int, seal func() []byte) {
	if l := a.lanes.find(key); l != nil {
		l.sealer = seal
	}
}

// Cite adds a citation to a text block.
func (a *Assembler) Cite(key int, cite Citation) {
	l := a.lanes.find(key)
	if l == nil || a.ignores() {
		return
	}
	if !l.open {
		l.cites = append(l.cites, Citation{
			URL: bytes.Clone(cite.URL), Title: bytes.Clone(cite.Title), CitedText: bytes.Clone(cite.CitedText),
			FileID: bytes.Clone(cite.FileID), Filename: bytes.Clone(cite.Filename), Raw: bytes.Clone(cite.Raw),
		})
		return
	}
	a.event = Event{Kind: EventCite, Index: l.index, Citation: cite}
	a.emit()
}

// Close ends a block.
func (a *Assembler) Close(key int) {
	if l := a.lanes.find(key); l != nil && !a.ignores() {
		a.lanes.close(l)
		a.announce()
	}
}

// announce writes what need not wait any more.
func (a *Assembler) announce() {
	for l := a.lanes.first(); l != nil; l = a.lanes.first() {
		if !l.open && !a.open(l) || !l.closed {
			return
		}
		a.close(l)
		a.lanes.drop()
	}
}

// open tells the encoder of a block. It returns false if that must wait.
func (a *Assembler) open(l *lane) bool {
	if l.unsaid() {
		l.open, l.index = l.closed, -1 // so far, or for good
		return l.closed
	}
	a.start()
	l.open, l.index = true, a.count
	a.count++
	head := l.head
	if head.Kind == KindToolCall {
		head = a.call(l)
	}
	a.event = Event{Kind: EventOpen, Index: l.index, Head: head}
	a.emit()
	if len(l.waiting) > 0 {
		a.delta(l, l.waiting)
		l.waiting = nil
	}
	for _, cite := range l.cites {
		a.event = Event{Kind: EventCite, Index: l.index, Citation: cite}
		a.emit()
	}
	return true
}

// call tells a tool call in the client's words. One that is the answer becomes
// text: its JSON is the inside of a string already.
func (a *Assembler) call(l *lane) Head {
	head := l.head
	if known := a.asked.nameOf(head.Name); known != nil {
		if known.Answer {
			return Head{Kind: KindText}
		}
		head.Name = rawjson.Of(known.Name)
		if known.Namespace != "" {
			head.Namespace = rawjson.Of(known.Namespace)
		}
		// A custom tool may have been called as one, though it was sent as a
		// function.
		l.wrapped = known.Wrapped && !head.Custom
		head.Custom = known.Custom
	}
	head.ID = a.callID(head)
	a.calls++
	return head
}

// callID is the call's id, or one that is made for it: some vendors send none,
// and some the same for several calls, or again in each answer.
func (a *Assembler) callID(head Head) Text {
	id := AppendCallID(nil, head.ID)
	if len(head.ID) == 0 || a.ids.Find(id) >= 0 || a.asked.used.has(id) {
		id = a.asked.AppendID(id[:0], "call_", a.calls)
	}
	a.ids.Add(id, a.calls)
	if len(head.Signature) > 0 {
		return AppendSignedCallID(nil, id, head.Signature)
	}
	return id
}

// delta passes text of an open block on.
func (a *Assembler) delta(l *lane, text Text) {
	if l.index < 0 {
		return
	}
	if l.wrapped {
		if text = l.unwrap.add(text); len(text) == 0 {
			return
		}
	}
	if len(l.half) > 0 {
		text = append(l.half, text...)
		l.half = nil
	}
	text = text.Paired()
	if n := text.HalfAtEnd(); n > 0 {
		l.half = bytes.Clone(text[len(text)-n:])
		if text = text[:len(text)-n]; len(text) == 0 {
			return
		}
	}
	a.event = Event{Kind: EventDelta, Index: l.index, Text: text}
	a.emit()
}

// close ends the first block.
func (a *Assembler) close(l *lane) {
	if l.index < 0 {
		return
	}
	if l.wrapped {
		if rest := l.unwrap.end(); len(rest) > 0 {
			l.wrapped = false
			a.delta(l, rest)
		}
	}
	if len(l.half) > 0 {
		// Its other half never came.
		a.event = Event{Kind: EventDelta, Index: l.index, Text: Text("\uFFFD")}
		a.emit()
	}
	if l.head.Kind == KindThinking {
		a.event = Event{Kind: EventSeal, Index: l.index, Seal: l.seal}
		a.emit()
	}
	if l.head.Kind == KindToolCall && !l.head.Custom {
		l.cut = l.cut || l.balance.open()
	}
	a.event = Event{Kind: EventClose, Index: l.index, Cut: l.cut}
	a.emit()
}

// closeAll ends whatever is still open. A tool call without any input is one of a
// tool that takes none, unless there were no tokens left for it; and the end of a
// custom tool's text cannot be told from its middle.
func (a *Assembler) closeAll() {
	short := a.stop == StopLength || a.stop == StopWindow
	all := a.lanes.all()
	for i := range all {
		if l := &all[i]; !l.closed {
			l.cut = short && l.head.Kind == KindToolCall && (l.head.Custom || !l.balance.any)
			a.lanes.close(l)
		}
	}
	a.announce()
}

// Stop tells why the model stopped. It is passed on when the answer ends, since
// usage and even content may follow.
func (a *Assembler) Stop(reason StopReason, sequence Text) {
	a.stop = reason
	a.seq = append(a.seq[:0], sequence...)
}

// Lose notes that something of the answer cannot cross.
func (a *Assembler) Lose(param string, action Action, reason string) {
	a.asked.Losses.Add(param, action, reason)
}

// End ends an answer that is whole. One that is broken fails.
func (a *Assembler) End(usage Usage, known bool) {
	if a.broken != nil {
		a.Fail(a.broken)
	}
	if a.over {
		return
	}
	a.closeAll()
	a.start()
	a.over = true
	if known {
		a.event = Event{Kind: EventUsage, Usage: usage}
		a.emit()
	}
	reason := a.stop
	switch {
	case reason == 0 || reason == StopEnd || reason == StopTool:
		// Vendors say either with and without calls; what counts for a client
		// is whether there is something to call.
		if reason = StopEnd; a.calls > 0 {
			reason = StopTool
		}
	}
	a.event = Event{Kind: EventStop, Stop: reason, Sequence: Text(a.seq)}
	a.emit()
	a.event = Event{Kind: EventEnd}
	a.emit()
}

// Fail ends an answer that is not whole. Nothing of a block that is still
// waiting is told any more.
func (a *Assembler) Fail(e *Error) {
	if a.over {
		return
	}
	a.start()
	a.over = true
	a.event = Event{Kind: EventFailed, Err: e}
	a.emit()
}
