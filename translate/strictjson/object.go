// Package strictjson gives a JSON document one meaning before anything reads
// it. JSON readers disagree about duplicate members, invalid UTF-8, lone
// surrogate escapes and huge numbers; a gateway that checks what one reader
// sees and forwards what another one sees can be talked around. So client
// documents on which readers could disagree are refused.
//
// One pass both checks the document and indexes the members of its top level,
// so that later reads of single members need no second scan.
package strictjson

import "math"

// MaxDepth is the nesting of objects and arrays that Parse and Valid accept.
// The root counts as the first level.
const MaxDepth = 128

// maxMembers is how many members one object of a client's document may have. A
// body of nothing but tiny members would take ten times its size to index.
const maxMembers = 100_000

// maxKept is the size in bytes up to which a reused Object keeps each of its
// tables, so that one hostile document does not stay in memory for good.
const maxKept = 64 << 10

// Member is one member of the top-level object, as byte offsets into the
// document.
type Member struct {
	KeyStart, KeyEnd int // the name between its quotes, escapes as written
	Start, End       int // the value, without surrounding white space

	bare uint32 // a bit for each depth of array that holds a bare element
}

// Bare reports whether an array of that depth in the member's value directly
// holds null, a boolean or a number. The document's root has depth 1, so the
// elements of a member that is an array itself are at depth 2. It spares most
// documents a second look for such elements where only objects make sense.
// Depths above 31 are not told.
func (m Member) Bare(depth int) bool { return m.bare>>depth&1 != 0 }

// memberSize is the size of a Member in bytes on a 64-bit machine.
const memberSize = 40

// Object is the index of one document's top level. The zero value is ready for
// Parse. An Object may be reused and then keeps its memory up to a bound; it
// refers to the last document until the next Parse (Parse(nil) releases it).
// Reading an Object from several goroutines is safe, Parse is not.
type Object struct {
	// Members are the top-level members in the order of the document. They
	// are valid until the next Parse.
	Members []Member

	scan scanner
}

// Parse checks and indexes doc, which must be one JSON object by RFC 8259 in
// UTF-8. It refuses, beyond what the grammar forbids: member names that occur
// twice in one object at any depth (compared after decoding their escapes),
// escapes of lone surrogates, more than MaxDepth levels, more than 100,000
// members in one object, numbers written with more than 1,000 bytes or beyond
// the range of a float64, and a byte order mark. The error is an *Error; the
// Object is empty after it.
//
// The Object keeps a reference to doc, which must not change while it is used.
func (o *Object) Parse(doc []byte) error {
	s := &o.scan
	s.reset(doc, o.Members)
	err := s.root()
	o.Members, s.members = s.members, nil
	s.names.release()
	if err != nil {
		o.Members, s.doc = o.Members[:0], nil
		return err
	}
	return nil
}

// Get returns the raw value of the top-level member with that name and its
// place. Names are compared after decoding their escapes, in exact case.
func (o *Object) Get(key string) (value []byte, m Member, ok bool) {
	doc := o.scan.doc
	for _, m := range o.Members {
		if nameIs(doc[m.KeyStart:m.KeyEnd], key, o.scan.escapedNames) {
			return doc[m.Start:m.End], m, true
		}
	}
	return nil, Member{}, false
}

// nameIs reports whether the raw name, which may have escapes only where
// escapes is set, means key.
func nameIs(raw []byte, key string, escapes bool) bool {
	if !escapes || !hasEscape(raw) {
		return string(raw) == key
	}
	// An escape is longer than what it stands for, but at most six times
	// (\u0041), which spares decoding names that cannot match.
	if len(raw) <= len(key) || len(raw) > 6*len(key) {
		return false
	}
	var buf [64]byte
	return string(appendDecoded(buf[:0], raw)) == key
}

// Reset lets the document go, for an Object that is kept for another.
func (o *Object) Reset() { o.Members, o.scan.doc = o.Members[:0], nil }

// Document returns the document of the last successful Parse, else nil.
func (o *Object) Document() []byte { return o.scan.doc }

// Valid reports whether doc is one JSON value by RFC 8259 in UTF-8, of any
// kind, at most MaxDepth levels deep. It is for documents of others that are
// passed on as they are: duplicate members, lone surrogate escapes and numbers
// of any size are allowed. The error is an *Error.
func Valid(doc []byte) error {
	s := scanner{doc: doc}
	if err := s.any(); err != nil {
		return err
	}
	return nil
}

// tooLong reports whether the offsets of a document of n bytes do not fit into
// the 32 bits that the name table has for each.
func tooLong(n int) bool { return uint64(n) > math.MaxUint32 }
