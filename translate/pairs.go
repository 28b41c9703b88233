package translate

import (
	"slices"
	"strconv"
)

// pairs are the tool calls of a conversation with their results.
type pairs struct {
	ids   TextIndex // of calls, with their places in calls
	calls []sameCalls
	links []link // of each block
}

// sameCalls are the calls of one id.
type sameCalls struct {
	first, last int32 // of those that have no result yet: indexes of blocks, or none
	count       int32
}

// link is what is known of a call or result.
type link struct {
	partner int32 // the index of its result or call, or none
	next    int32 // of a call: the next one of its id that has no result yet, or none
	repeats int32 // how many calls before it have its id
}

const none = -1

// Pair finds the result of each tool call, for [Conversation.Partner], and tells
// it what the call was: Custom and, where it has none, Name. Calls without an id,
// of clients that send none, get one. A result belongs to
// the first call of its id before it that has none yet, since some vendors use an
// id again in a later turn. Every protocol refuses a result without a call and a
// call without a result; the error names the message.
//
// Encoders call it before they write anything.
func (c *Conversation) Pair() *Error {
	p := &c.pairs
	p.reset(len(c.Blocks))
	for _, t := range c.Turns {
		for i := t.From; i < t.To; i++ {
			switch b := &c.Blocks[i]; b.Kind {
			case KindToolCall:
				p.open(int32(i), b.ID)
			case KindToolResult:
				call := p.take(b.ID)
				if call == none {
					return unpaired(c.At(t.Index, -1), b.ID, "is the result of a tool call that is not there")
				}
				p.links[i].repeats = p.links[call].repeats
				p.links[i].partner, p.links[call].partner = call, int32(i)
				b.Custom = c.Blocks[call].Custom
				if len(b.Name) == 0 {
					b.Name = c.Blocks[call].Name
				}
				if len(b.ID) == 0 {
					b.ID = c.OwnString("call_n" + strconv.Itoa(int(call)))
					c.Blocks[call].ID = b.ID
				}
			}
		}
	}
	for _, t := range c.Turns {
		for i := t.From; i < t.To; i++ {
			if b := &c.Blocks[i]; b.Kind == KindToolCall && p.links[i].partner == none {
				return unpaired(c.At(t.Index, -1), b.ID, "calls a tool whose result is not there")
			}
		}
	}
	return nil
}

// Partner returns the index in Blocks of the result of the call at index i, or of
// the call of the result there; -1 for any other block. [Conversation.Pair] must
// have been called since a block was last added.
func (c *Conversation) Partner(i int) int { return int(c.pairs.links[i].partner) }

// Repeats returns how many calls before the one at index i, or before that of the
// result there, have its id. [Conversation.Pair] must have been called since a
// block was last added.
func (c *Conversation) Repeats(i int) int { return int(c.pairs.links[i].repeats) }

func (p *pairs) reset(blocks int) {
	p.ids.Reset()
	p.calls, p.links = emptied(p.calls), slices.Grow(emptied(p.links), blocks)
	for range blocks {
		p.links = append(p.links, link{partner: none, next: none})
	}
}

// open notes a call that has no result yet.
func (p *pairs) open(call int32, id Text) {
	n := p.ids.Add(id, len(p.calls))
	if n == len(p.calls) {
		p.calls = append(p.calls, sameCalls{first: none})
	}
	same := &p.calls[n]
	p.links[call].repeats = same.count
	same.count++
	if same.first == none {
		same.first = call
	} else {
		p.links[same.last].next = call
	}
	same.last = call
}

// take returns the first open call of that id, which then is not open any more,
// or none.
func (p *pairs) take(id Text) int32 {
	n := p.ids.Find(id)
	if n < 0 || p.calls[n].first == none {
		return none
	}
	same := &p.calls[n]
	call := same.first
	same.first = p.links[call].next
	return call
}

func unpaired(at string, id Text, problem string) *Error {
	e := Refuse(at, problem+` ("`+clip(id.String(), 100)+`")`)
	e.Code = "invalid_value"
	return e
}
