package translate

import (
	"bytes"
	"hash/maphash"
)

// TextIndex finds texts again, each with a number, as fast among many as among
// few. Those who choose the texts cannot make it slow. It refers to the texts
// that it gets. The zero TextIndex is empty.
type TextIndex struct {
	entries []indexed
	heads   []int32 // by hash: 1 + the last entry that has it; as many as a power of two
	seed    maphash.Seed
}

type indexed struct {
	text   Text
	hash   uint64
	number int32
	next   int32 // 1 + the next entry of the same head, 0 behind the last
}

const fewestHeads = 16

// Add notes a number for a text that has none yet, and returns the one that the
// text has then.
func (x *TextIndex) Add(t Text, number int) int {
	if len(x.entries) == len(x.heads) {
		x.grow()
	}
	hash := maphash.Bytes(x.seed, t)
	if e := x.entry(hash, t); e != nil {
		return int(e.number)
	}
	x.entries = append(x.entries, indexed{text: t, hash: hash, number: int32(number)})
	x.link(len(x.entries) - 1)
	return number
}

// Find returns the number of a text, or -1.
func (x *TextIndex) Find(t Text) int {
	if len(x.entries) == 0 {
		return -1
	}
	if e := x.entry(maphash.Bytes(x.seed, t), t); e != nil {
		return int(e.number)
	}
	return -1
}

// Len returns how many texts there are.
func (x *TextIndex) Len() int { return len(x.entries) }

// Reset empties x, for use with other texts.
func (x *TextIndex) Reset() {
	if len(x.heads) > maxReused {
		*x = TextIndex{}
		return
	}
	clear(x.entries)
	clear(x.heads)
	x.entries = x.entries[:0]
}

func (x *TextIndex) entry(hash uint64, t Text) *indexed {
	for n := *x.head(hash); n > 0; {
		e := &x.entries[n-1]
		if e.hash == hash && bytes.Equal(e.text, t) {
			return e
		}
		n = e.next
	}
	return nil
}

func (x *TextIndex) head(hash uint64) *int32 { return &x.heads[hash&uint64(len(x.heads)-1)] }

// link puts entry i under its head.
func (x *TextIndex) link(i int) {
	e := &x.entries[i]
	head := x.head(e.hash)
	e.next, *head = *head, int32(i+1)
}

// grow makes room for twice as many texts.
func (x *TextIndex) grow() {
	if x.heads == nil {
		x.seed = maphash.MakeSeed()
	}
	x.heads = make([]int32, max(fewestHeads, 2*len(x.heads)))
	for i := range x.entries {
		x.link(i)
	}
}
