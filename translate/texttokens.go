package translate

// Tokenizers cut text into words, pieces of long words, groups of digits and
// signs. What each costs on average, in hundredths of a token; fitted to
// Claude's counts of English prose, JSON and code.
const (
	wordCost     = 100 // a word of up to freeLetters letters, with the space before it
	letterCost   = 16  // each letter beyond those
	freeLetters  = 5
	digitsCost   = 70 // a group of digits
	digitCost    = 30 // each digit
	signCost     = 65 // a punctuation mark
	breakCost    = 60 // line ends, and runs of spaces as in indented code
	ideogramCost = 115
	emojiCost    = 250
	foreignCost  = 50 // any other letter beyond ASCII
)

// meterState is what the cost of the next byte of a text depends on.
type meterState uint16

// The states. Those in words are followed by others for each further letter that
// is free, and the first that is not.
const (
	otherState       meterState = iota // behind a sign, or at the start
	digitState                         // behind a digit
	spaceState                         // behind one space
	breakState                         // behind several, or the end of a line
	escapeState                        // behind a backslash
	breakEscapeState                   // behind a backslash behind white space
	codeState                          // behind \u
	codeDState                         // behind \ud
	code3State                         // within an escape: that many digits to go
	code2State
	code1State
	lowerState                           // behind a small letter
	upperState = lowerState + wordStates // behind a capital
	stateCount = upperState + wordStates //
	wordStates = meterState(freeLetters + 1)
)

// A step of the meter is the cost, and below it the next state.
const (
	stateBits = 5
	stateMask = 1<<stateBits - 1
)

// meter says for each state and byte what the byte costs and which state
// follows. It takes the bytes as they come, within escapes and characters of
// several bytes too: without a branch that depends on the text, which no
// processor could foresee, it is four times as fast.
var meter = newMeter()

func newMeter() (m [1 << stateBits][256]uint16) {
	for s := range stateCount {
		for c := range 256 {
			cost, next := s.step(byte(c))
			m[s][c] = uint16(cost)<<stateBits | uint16(next)
		}
	}
	return m
}

// step returns what a byte costs and which state follows it.
func (s meterState) step(c byte) (cost int, next meterState) {
	switch s {
	case escapeState, breakEscapeState:
		return s.escape(c)
	case codeState:
		return codeStart(c)
	case codeDState:
		switch {
		case c >= '8' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'b': // the first half of a pair
			return emojiCost, code2State
		case c <= '7':
			return ideogramCost, code2State
		}
		return 0, code2State
	case code3State, code2State:
		return 0, s + 1
	case code1State:
		return 0, otherState
	}
	switch {
	case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		return s.letter(c < 'a')
	case c >= '0' && c <= '9':
		if s != digitState {
			cost = digitsCost
		}
		return cost + digitCost, digitState
	case c == ' ':
		switch s {
		case spaceState:
			return breakCost, breakState // only the first is part of a word
		case breakState:
			return 0, breakState // what is indented costs no second break
		}
		return 0, spaceState
	case c < ' ':
		return s.lineEnd()
	case c == '\\':
		if s == spaceState || s == breakState {
			return 0, breakEscapeState
		}
		return 0, escapeState
	case c < 0x80:
		return signCost, otherState
	}
	return foreignStart(c), otherState
}

func (s meterState) lineEnd() (cost int, next meterState) {
	if s != spaceState && s != breakState && s != breakEscapeState {
		cost = breakCost
	}
	return cost, breakState
}

// letter adds a letter. A capital after small letters begins a word, as in
// camelCase and in opaque base64.
func (s meterState) letter(upper bool) (cost int, next meterState) {
	length := meterState(0)
	switch {
	case s >= upperState:
		length = s - upperState + 1
	case s >= lowerState && !upper:
		length = s - lowerState + 1
	}
	if length == 0 {
		cost = wordCost
	}
	if length++; length > freeLetters {
		cost += letterCost
		length = wordStates
	}
	if upper {
		return cost, upperState + length - 1
	}
	return cost, lowerState + length - 1
}

// escape adds the second byte of an escape.
func (s meterState) escape(c byte) (cost int, next meterState) {
	switch c {
	case 'n', 'r', 't':
		return s.lineEnd()
	case 'u':
		return 0, codeState
	}
	return signCost, otherState
}

// codeStart adds the first digit of an escaped character, which tells enough of
// it.
func codeStart(c byte) (cost int, next meterState) {
	switch c | 0x20 {
	case '0' | 0x20, '1' | 0x20:
		return foreignCost, code3State
	case '2' | 0x20: // dashes, arrows, dingbats
		return 2 * signCost, code3State
	case 'd':
		return 0, codeDState
	}
	return ideogramCost, code3State
}

// foreignStart returns what a character costs whose first byte is c, or a byte
// of one that is not its first.
func foreignStart(c byte) int {
	switch {
	case c < 0xC0: // not the first
		return 0
	case c == 0xE2:
		return 2 * signCost
	case c >= 0xE3 && c <= 0xED, c == 0xEF:
		return ideogramCost
	case c >= 0xF0 && c <= 0xF4:
		return emojiCost
	}
	return foreignCost
}

// textSize returns the size of the text of a JSON string, which raw holds
// without its quotes and with its escapes, in hundredths of a token.
func textSize(raw []byte) int64 {
	if len(raw) < minSplit {
		return meterText(raw)
	}
	return meterLong(raw)
}

func meterText(raw []byte) int64 {
	var cost int64
	var s uint16
	for _, c := range raw {
		s = meter[s&stateMask][c]
		cost += int64(s >> stateBits)
	}
	return cost
}

// minSplit is how long a text must be to be read at four places at once. The
// three words or escapes that this may cut then do not matter. Of one that is as
// long as minSample only half is read, at those places.
const (
	minSplit  = 256
	minSample = 2 << 10
)

// meterLong reads the quarters of a text at once: each step has to wait for the
// one before, and a processor has time for more.
func meterLong(raw []byte) int64 {
	quarter := len(raw) / 4
	n := quarter
	if len(raw) >= minSample {
		n /= 2
	}
	q0, q1, q2, q3 := raw[:n], raw[quarter:], raw[2*quarter:], raw[3*quarter:]
	q1, q2, q3 = q1[:n], q2[:n], q3[:n]
	var cost int64
	var s0, s1, s2, s3 uint16
	for i := range q0 {
		s0, s1, s2, s3 = meter[s0&stateMask][q0[i]], meter[s1&stateMask][q1[i]], meter[s2&stateMask][q2[i]], meter[s3&stateMask][q3[i]]
		cost += int64(s0>>stateBits) + int64(s1>>stateBits) + int64(s2>>stateBits) + int64(s3>>stateBits)
	}
	return cost * int64(len(raw)) / int64(4*n)
}
