package translate

// balance follows a JSON value that comes in pieces, each the inside of a JSON
// string, so far as to know when the value is complete.
type balance struct {
	depth   int
	any     bool // something has come
	nested  bool // it is an object or array
	quoted  bool // inside of a string
	escaped bool // behind a backslash of the value, in a string
	outer   outerEscape
}

// outerEscape follows the escapes of the string that the pieces are the inside
// of; one may be cut in two.
type outerEscape struct {
	state uint8 // 0: none, 1: behind a backslash, 2 to 5: that many digits read, less two
	value rune
}

// next returns the character that c completes, if it does. Characters that the
// value's grammar has no use for are told as 'x'.
func (o *outerEscape) next(c byte) (r byte, ok bool) {
	switch {
	case o.state == 0 && c == '\\':
		o.state = 1
		return 0, false
	case o.state == 0:
		return c, true
	case o.state == 1 && c == 'u':
		o.state, o.value = 2, 0
		return 0, false
	case o.state == 1:
		o.state = 0
		switch c {
		case '"', '\\', '/':
			return c, true
		}
		return ' ', true // \n and the like
	}
	o.value = o.value<<4 | digit(c)
	if o.state++; o.state < 6 {
		return 0, false
	}
	o.state = 0
	if o.value < 0x80 {
		return byte(o.value), true
	}
	return 'x', true
}

func digit(c byte) rune {
	switch {
	case c >= 'a':
		return rune(c-'a'+10) & 15
	case c >= 'A':
		return rune(c-'A'+10) & 15
	}
	return rune(c-'0') & 15
}

func (b *balance) add(text Text) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c != '\\' && b.outer.state == 0 && b.quoted && !b.escaped {
			continue // most of all text; a quote of the value has a backslash before it
		}
		r, ok := b.outer.next(c)
		if !ok {
			continue
		}
		b.char(r)
	}
}

func (b *balance) char(r byte) {
	switch {
	case b.escaped:
		b.escaped = false
	case b.quoted && r == '\\':
		b.escaped = true
	case r == '"':
		b.quoted = !b.quoted
		b.any = true
	case b.quoted:
	case r == '{' || r == '[':
		b.depth++
		b.any, b.nested = true, true
	case r == '}' || r == ']':
		b.depth--
	case r > ' ':
		b.any = true
	}
}

// whole reports whether the value is complete. Only objects and arrays are known
// to be.
func (b *balance) whole() bool {
	return b.nested && b.depth <= 0 && !b.quoted
}

// open reports whether the value breaks off in the middle.
func (b *balance) open() bool { return b.depth > 0 || b.quoted }
