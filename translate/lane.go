package translate

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

// lane returns the block of that key that the decoder is not done with.
func (a *Assembler) lane(key int) *lane {
	for i := range a.lanes {
		if a.lanes[i].key == key && !a.lanes[i].closed {
			return &a.lanes[i]
		}
	}
	return nil
}
