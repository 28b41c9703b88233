package load

import (
	"bytes"
	"fmt"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/internal/bench/payload"
)

// tailSize is how much of an answer's end is kept to look for its terminal
// event.
const tailSize = 64

// completeness watches the pieces of one answer go by and tells at the end
// whether all of it came, in order. It counts numbered words rather than
// bytes, because those survive a translation.
type completeness struct {
	words   int  // seen so far in this pass through the text, all in order
	passes  int  // through the text before, each as long as the first
	length  int  // of those, in words
	broken  bool // a word came out of order
	missing int  // digits of the current word that have not arrived
	number  int  // made of the digits that have
	tail    [tailSize]byte
	size    int // of the answer, in bytes
}

// reset prepares for the next answer.
func (c *completeness) reset() { *c = completeness{} }

// add takes the next piece, of any length, and returns how many words it
// completed that had not come before.
func (c *completeness) add(piece []byte) int {
	c.keepTail(piece)
	added := 0
	for len(piece) > 0 {
		if c.missing == 0 {
			i := bytes.IndexByte(piece, payload.Mark)
			if i < 0 {
				break
			}
			piece = piece[i+1:]
			c.missing, c.number = payload.MarkDigits, 0
			continue
		}
		digit := int(piece[0]) - '0'
		piece = piece[1:]
		c.broken = c.broken || digit < 0 || digit > 9
		c.number = c.number*10 + digit
		if c.missing--; c.missing == 0 && c.count() {
			added++
		}
	}
	return added
}

// count counts the word that is complete, and tells whether it is new.
func (c *completeness) count() bool {
	switch {
	case c.number == c.words:
	case c.number == 0 && (c.passes == 0 || c.words == c.length):
		c.passes, c.length, c.words = c.passes+1, c.words, 0
	default:
		c.broken = true
	}
	c.words++
	return c.passes == 0
}

func (c *completeness) keepTail(piece []byte) {
	c.size += len(piece)
	if len(piece) >= tailSize {
		copy(c.tail[:], piece[len(piece)-tailSize:])
		return
	}
	copy(c.tail[:], c.tail[len(piece):])
	copy(c.tail[tailSize-len(piece):], piece)
}

// end is the last part of the answer, at most tailSize long.
func (c *completeness) end() []byte { return c.tail[tailSize-min(c.size, tailSize):] }

// check compares the answer with what it should have been.
func (c *completeness) check(want payload.Completeness) error {
	switch {
	case c.broken:
		return fmt.Errorf("incomplete answer: words out of order after %d of %d", c.words, want.Words)
	case c.words != want.Words || c.passes > 0 && c.length != want.Words:
		return fmt.Errorf("incomplete answer: %d of %d words", c.words, want.Words)
	case c.passes+1 != max(want.Times, 1):
		return fmt.Errorf("incomplete answer: its words came %d of %d times", c.passes+1, max(want.Times, 1))
	case !bytes.Contains(c.end(), []byte(want.End)):
		return fmt.Errorf("incomplete answer: no %s at its end", want.End)
	}
	return nil
}
