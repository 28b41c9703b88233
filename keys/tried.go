package keys

// Tried remembers what one request has tried on one provider, so that it takes
// every key at most once per cycle and never a key again that it found dead. The
// zero value has tried nothing. It allocates only for providers of more than 128
// keys. It belongs to one request and is not safe for concurrent use.
//
// A request that may go over its keys several times (MAX_KEY_RETRY_CYCLES) calls
// [Tried.NextCycle] when [Pool.Pick] has no more. Then it may use a key again in
// spite of a rest that it set itself.
//
// The leases that were picked with it still use it when they fail; end them before
// it is used for something else.
type Tried struct {
	// Marks the rests of this request's own making; 0 until it made one.
	request uint64

	cycle numbers // keys tried in this cycle
	dead  numbers // keys found dead in any cycle
}

// NextCycle begins another cycle, in which the keys of this one may be tried
// again, but for those found dead. It is false when no such key is left, because
// none was tried or all are dead; another cycle is pointless then.
func (t *Tried) NextCycle() bool {
	again := t.cycle.anyBut(&t.dead)
	t.cycle.clear()
	return again
}

// skips tells whether the key with this number is out of question. A nil t skips none.
func (t *Tried) skips(number int) bool {
	return t != nil && (t.cycle.has(number) || t.dead.has(number))
}

// add notes that the key with this number is tried. A nil t notes nothing.
func (t *Tried) add(number int) {
	if t != nil {
		t.cycle.add(number)
	}
}

// mark returns what marks the request's own rests, 0 if it has none.
func (t *Tried) mark() uint64 {
	if t == nil {
		return 0
	}
	return t.request
}

// sign is mark for a request that sets a rest now. A nil t signs none.
func (t *Tried) sign(s *State) uint64 {
	if t == nil {
		return 0
	}
	if t.request == 0 {
		t.request = s.requests.Add(1)
	}
	return t.request
}

// bury notes that the key with this number is dead. A nil t notes nothing.
func (t *Tried) bury(number int) {
	if t != nil {
		t.dead.add(number)
	}
}

// inlineWords is how many words of a set of numbers need no allocation: 128 numbers.
const inlineWords = 2

// numbers is a set of small numbers, one bit each.
type numbers struct {
	low  [inlineWords]uint64
	high []uint64 // what low has no room for
}

func (n *numbers) has(number int) bool {
	word := n.word(number)
	return word != nil && *word&(1<<(number%64)) != 0
}

func (n *numbers) add(number int) {
	if missing := number/64 + 1 - inlineWords - len(n.high); missing > 0 {
		n.high = append(n.high, make([]uint64, missing)...)
	}
	*n.word(number) |= 1 << (number % 64)
}

// word returns where the bit of number is, nil if there is no room for it yet.
func (n *numbers) word(number int) *uint64 {
	i := number / 64
	if i < inlineWords {
		return &n.low[i]
	}
	if i -= inlineWords; i < len(n.high) {
		return &n.high[i]
	}
	return nil
}

func (n *numbers) clear() {
	clear(n.low[:])
	clear(n.high)
}

// anyBut tells whether n holds a number that other does not.
func (n *numbers) anyBut(other *numbers) bool {
	for number := range 64 * (inlineWords + len(n.high)) {
		if n.has(number) && !other.has(number) {
			return true
		}
	}
	return false
}
