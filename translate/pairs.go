package translate

import (
	"bytes"
	"hash/maphash"
)

// pairs are the tool calls of a conversation with their results.
type pairs struct {
	partners []int32 // of each block: the index of its call or result, or none
	next     []int32 // of each open call: the next one with that hash of its id
	buckets  []bucket
	seed     maphash.Seed
}

// bucket is a list of open calls, in order.
type bucket struct{ first, last int32 }

const none = -1

// Pair finds the result of each tool call, for [Conversation.Partner], and tells
// it what the call was: Custom and, where it has none, Name. A result belongs to
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
				call := p.take(c, b.ID)
				if call == none {
					return unpaired(c.At(t.Index, -1), b.ID, "is the result of a tool call that is not there")
				}
				p.partners[i], p.partners[call] = int32(call), int32(i)
				b.Custom = c.Blocks[call].Custom
				if len(b.Name) == 0 {
					b.Name = c.Blocks[call].Name
				}
			}
		}
	}
	for _, t := range c.Turns {
		for i := t.From; i < t.To; i++ {
			if b := &c.Blocks[i]; b.Kind == KindToolCall && p.partners[i] == none {
				return unpaired(c.At(t.Index, -1), b.ID, "calls a tool whose result is not there")
			}
		}
	}
	return nil
}

// Partner returns the index in Blocks of the result of the call at index i, or of
// the call of the result there; -1 for any other block. [Conversation.Pair] must
// have been called since a block was last added.
func (c *Conversation) Partner(i int) int { return int(c.pairs.partners[i]) }

func (p *pairs) reset(blocks int) {
	if cap(p.partners) > maxReused {
		*p = pairs{}
	}
	buckets := 16
	for buckets < blocks {
		buckets *= 2
	}
	p.partners = filled(p.partners, blocks, none)
	p.next = filled(p.next, blocks, none)
	p.buckets = filled(p.buckets, buckets, bucket{none, none})
	p.seed = maphash.MakeSeed() // so that nobody can choose ids which collide
}

// filled returns s with n elements that are all v.
func filled[E any](s []E, n int, v E) []E {
	if cap(s) < n {
		s = make([]E, n)
	}
	s = s[:n]
	for i := range s {
		s[i] = v
	}
	return s
}

func (p *pairs) bucket(id Text) *bucket {
	return &p.buckets[maphash.Bytes(p.seed, id)&uint64(len(p.buckets)-1)]
}

// open notes a call that has no result yet.
func (p *pairs) open(call int32, id Text) {
	b := p.bucket(id)
	if b.first == none {
		b.first = call
	} else {
		p.next[b.last] = call
	}
	b.last = call
}

// take returns the first open call of that id, which then is not open any more,
// or none.
func (p *pairs) take(c *Conversation, id Text) int {
	b := p.bucket(id)
	before := int32(none)
	for i := b.first; i != none; before, i = i, p.next[i] {
		if !bytes.Equal(c.Blocks[i].ID, id) {
			continue
		}
		if before == none {
			b.first = p.next[i]
		} else {
			p.next[before] = p.next[i]
		}
		if b.last == i {
			b.last = before
		}
		return int(i)
	}
	return none
}

func unpaired(at string, id Text, problem string) *Error {
	e := Refuse(at, problem+` ("`+clip(id.String(), 100)+`")`)
	e.Code = "invalid_value"
	return e
}
