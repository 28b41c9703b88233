package strictjson

// scanner walks over one document. Its methods take the offset where a part
// begins and return the offset after that part. They recurse per nesting
// level, hence at most MaxDepth deep.
type scanner struct {
	doc []byte

	// strict refuses what RFC 8259 allows but readers disagree about.
	strict bool

	// members collects the top level when strict is set.
	members []Member

	// escapedNames says that the name of a member has escapes.
	escapedNames bool

	// bare is Member.bare of the top-level member being scanned.
	bare uint32

	names nameTable
}

// reset prepares s for a strict walk that reuses the memory of members.
func (s *scanner) reset(doc []byte, members []Member) {
	if cap(members) > maxKept/memberSize {
		members = nil
	}
	s.doc, s.strict, s.members, s.escapedNames = doc, true, members[:0], false
	s.names.reset()
}

// root scans a document whose value must be an object.
func (s *scanner) root() *Error {
	if tooLong(len(s.doc)) {
		return &Error{Reason: "document of 4 GiB or more"}
	}
	i, err := s.begin()
	if err != nil {
		return err
	}
	if s.doc[i] != '{' {
		return s.unexpected(i, "expected an object")
	}
	if i, err = s.object(i, 1); err != nil {
		return err
	}
	return s.finish(i)
}

// any scans a document whose value may be of any kind.
func (s *scanner) any() *Error {
	i, err := s.begin()
	if err != nil {
		return err
	}
	if i, err = s.value(i, 0); err != nil {
		return err
	}
	return s.finish(i)
}

// begin finds the first byte of the document's value.
func (s *scanner) begin() (int, *Error) {
	i := skipSpace(s.doc, 0)
	if i == len(s.doc) {
		return 0, &Error{Reason: "empty body"}
	}
	if s.doc[i] == 0xEF && len(s.doc) >= i+3 && string(s.doc[i:i+3]) == "\uFEFF" {
		return 0, &Error{Offset: i, Reason: "byte order mark before the document"}
	}
	return i, nil
}

// finish checks that only white space follows the document's value.
func (s *scanner) finish(i int) *Error {
	if i = skipSpace(s.doc, i); i < len(s.doc) {
		return &Error{Offset: i, Reason: "trailing bytes after the document"}
	}
	return nil
}

// value scans the value that begins at i, inside of depth levels.
func (s *scanner) value(i, depth int) (int, *Error) {
	if i >= len(s.doc) {
		return 0, s.unexpected(i, "expected a value")
	}
	switch s.doc[i] {
	case '"':
		i, _, err := s.text(i)
		return i, err
	case '{':
		return s.object(i, depth+1)
	case '[':
		return s.array(i, depth+1)
	case 't':
		return s.literal(i, "true")
	case 'f':
		return s.literal(i, "false")
	case 'n':
		return s.literal(i, "null")
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return s.number(i)
	}
	return 0, s.unexpected(i, "expected a value")
}

// object scans the object whose brace is at i. It is level depth.
func (s *scanner) object(i, depth int) (int, *Error) {
	if depth > MaxDepth {
		return 0, tooDeep(i)
	}
	doc := s.doc
	opened := s.names.mark()
	if i = skipSpace(doc, i+1); i < len(doc) && doc[i] == '}' {
		return i + 1, nil
	}
	for count := 0; ; count++ {
		if count == maxMembers && s.strict {
			return 0, &Error{Offset: i, Reason: "more than 100000 members in one object"}
		}
		var m Member
		var err *Error
		if i, err = s.name(i, opened, &m); err != nil {
			return 0, err
		}
		if depth == 1 {
			s.bare = 0
		}
		if i, err = s.value(i, depth); err != nil {
			return 0, err
		}
		if depth == 1 && s.strict {
			m.End, m.bare = i, s.bare
			s.members = append(s.members, m)
		}
		if i = skipSpace(doc, i); i >= len(doc) {
			return 0, s.unexpected(i, "expected ',' or '}' after a member")
		}
		switch doc[i] {
		case ',':
			i = skipSpace(doc, i+1)
		case '}':
			s.names.rewind(opened)
			return i + 1, nil
		default:
			return 0, s.unexpected(i, "expected ',' or '}' after a member")
		}
	}
}

// name scans a member's name and colon. It returns where the value begins and
// notes in m all but the value's end. opened is the state of the name table
// when the object began.
func (s *scanner) name(i int, opened tableMark, m *Member) (int, *Error) {
	doc := s.doc
	if i >= len(doc) || doc[i] != '"' {
		return 0, s.unexpected(i, "expected a member name in double quotes")
	}
	end, escaped, err := s.text(i)
	if err != nil {
		return 0, err
	}
	m.KeyStart, m.KeyEnd = i+1, end-1
	if s.strict {
		s.escapedNames = s.escapedNames || escaped
		if !s.names.add(doc, opened, m.KeyStart, m.KeyEnd, escaped) {
			return 0, s.duplicate(m.KeyStart, m.KeyEnd)
		}
	}
	if i = skipSpace(doc, end); i >= len(doc) || doc[i] != ':' {
		return 0, s.unexpected(i, "expected ':' after a member name")
	}
	m.Start = skipSpace(doc, i+1)
	return m.Start, nil
}

// array scans the array whose bracket is at i. It is level depth.
func (s *scanner) array(i, depth int) (int, *Error) {
	if depth > MaxDepth {
		return 0, tooDeep(i)
	}
	doc := s.doc
	if i = skipSpace(doc, i+1); i < len(doc) && doc[i] == ']' {
		return i + 1, nil
	}
	for {
		if i < len(doc) && doc[i] != '"' && doc[i] != '{' && doc[i] != '[' {
			s.bare |= 1 << depth // vanishes beyond 31
		}
		var err *Error
		if i, err = s.value(i, depth); err != nil {
			return 0, err
		}
		if i = skipSpace(doc, i); i >= len(doc) {
			return 0, s.unexpected(i, "expected ',' or ']' after an element")
		}
		switch doc[i] {
		case ',':
			i = skipSpace(doc, i+1)
		case ']':
			return i + 1, nil
		default:
			return 0, s.unexpected(i, "expected ',' or ']' after an element")
		}
	}
}

// literal scans word, whose first byte is at i.
func (s *scanner) literal(i int, word string) (int, *Error) {
	for k := 1; k < len(word); k++ {
		if i+k >= len(s.doc) || s.doc[i+k] != word[k] {
			return 0, s.unexpected(i+k, "expected the literal "+word)
		}
	}
	return i + len(word), nil
}

// spaces has a bit for each byte that is white space by RFC 8259.
const spaces = 1<<' ' | 1<<'\t' | 1<<'\n' | 1<<'\r'

// skipSpace returns the offset of the first byte from i on that is not white
// space, or len(doc).
func skipSpace(doc []byte, i int) int {
	for i < len(doc) && doc[i] <= ' ' && spaces>>doc[i]&1 != 0 {
		i++
	}
	return i
}
