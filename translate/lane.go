package translate

import "bytes"

// lane is one block that is not finished.
type lane struct {
	key     int
	head    Head
	index   int
	open    bool // the encoder knows of it
	closed  bool // the decoder is done with it
	cut     bool
	balance balance // of a tool's JSON
	unwrap  unwrapper
	wrapped bool
	half    []byte // of a character, see [Text.HalfAtEnd]
	waiting []byte // deltas that came too early
	seal    []byte
	sealer  func() []byte // tells the seal in the end
	cites   []Citation
}

// unsaid reports whether there is nothing yet that a client could use: a tool
// call without a name, a text without words.
func (l *lane) unsaid() bool {
	switch l.head.Kind {
	case KindToolCall:
		return len(l.head.Name) == 0
	case KindText, KindRefusal:
		return len(l.waiting) == 0
	}
	return false
}

// lanes are the blocks that are not finished, in the order in which they began.
type lanes struct {
	list  []lane // those before done are finished
	done  int
	byKey map[int]int // places in list of those that the decoder is not done with
}

// find returns the block of that key that the decoder is not done with, or nil.
func (s *lanes) find(key int) *lane {
	if at, ok := s.byKey[key]; ok {
		return &s.list[at]
	}
	return nil
}

// all returns the blocks that are not finished.
func (s *lanes) all() []lane { return s.list[s.done:] }

// first returns the first of them, nil if there is none.
func (s *lanes) first() *lane {
	if s.done == len(s.list) {
		return nil
	}
	return &s.list[s.done]
}

// add adds a block at the end.
func (s *lanes) add(key int, head Head) {
	if s.byKey == nil {
		s.byKey = make(map[int]int)
	}
	s.byKey[key] = len(s.list)
	s.list = append(s.list, lane{key: key, head: head})
}

// close notes that the decoder is done with a block.
func (s *lanes) close(l *lane) {
	l.closed = true
	delete(s.byKey, l.key)
	if l.sealer != nil {
		l.seal = bytes.Clone(l.sealer())
	}
}

// drop removes the first block, with which the decoder is done.
func (s *lanes) drop() {
	s.list[s.done] = lane{}
	if s.done++; s.done == len(s.list) {
		s.list, s.done = s.list[:0], 0
	}
}
