// Package rawjson reads and writes JSON without decoding it: a value is the
// bytes in which it stands in its document, a text the inside of its string
// literal, escapes and all. What is taken from one document can so be spliced
// into another without a copy, an allocation or a change of a single byte.
//
// (gjson decodes every string that it passes on the way to the next one: on an
// agent's 120 KB request that costs more than the rest of a translation; see
// BenchmarkWalk.)
//
// Documents must have been checked before, by strictjson or [Valid]. Of one that
// has not, every function returns some part of it or nothing, and none panics.
package rawjson

import (
	"bytes"
	"math"
	"strconv"
)

// Value is one JSON value without white space around it. An empty Value is one
// that is not there.
type Value []byte

// Parse returns the document as a value.
func Parse(doc []byte) Value {
	start, end := 0, len(doc)
	for start < end && doc[start] <= ' ' {
		start++
	}
	for end > start && doc[end-1] <= ' ' {
		end--
	}
	return Value(doc[start:end:end])
}

// IsObject reports whether v is an object.
func (v Value) IsObject() bool { return len(v) > 0 && v[0] == '{' }

// IsArray reports whether v is an array.
func (v Value) IsArray() bool { return len(v) > 0 && v[0] == '[' }

// IsString reports whether v is a string.
func (v Value) IsString() bool { return len(v) > 1 && v[0] == '"' }

// IsNull reports whether v is null or not there.
func (v Value) IsNull() bool { return len(v) == 0 || v[0] == 'n' }

// IsTrue reports whether v is true.
func (v Value) IsTrue() bool { return len(v) > 0 && v[0] == 't' }

// IsFalse reports whether v is false.
func (v Value) IsFalse() bool { return len(v) > 0 && v[0] == 'f' }

// IsNumber reports whether v is a number.
func (v Value) IsNumber() bool {
	return len(v) > 0 && (v[0] == '-' || v[0] >= '0' && v[0] <= '9')
}

// IsEmpty reports whether v says nothing: it is null, not there, or an empty
// array, object or string.
func (v Value) IsEmpty() bool {
	switch {
	case v.IsNull():
		return true
	case v[0] == '{', v[0] == '[':
		return len(bytes.TrimSpace(v[1:])) == 1
	}
	return len(v) == 2 && v[0] == '"'
}

// Text returns the inside of a string, and nil for anything else.
func (v Value) Text() Text {
	if !v.IsString() {
		return nil
	}
	return Text(v[1 : len(v)-1 : len(v)-1])
}

// Int returns a number as an integer, fractions cut off. ok is false for
// anything else.
func (v Value) Int() (n int64, ok bool) {
	if !v.IsNumber() {
		return 0, false
	}
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return n, true
	}
	f, _ := v.Float()
	return int64(min(max(f, math.MinInt64/2), math.MaxInt64/2)), true
}

// Float returns a number. ok is false for anything else.
func (v Value) Float() (f float64, ok bool) {
	if !v.IsNumber() {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil
}

// Get returns the object's first member of that name, which must need no
// escapes; an empty Value if there is none or v is no object.
func (v Value) Get(name string) Value {
	for m := v.Members(); m.Next(); {
		if string(m.Name) == name {
			return m.Value
		}
	}
	return nil
}

// Members iterates over the members of an object:
//
//	for m := v.Members(); m.Next(); {
//		use(m.Name, m.Value)
//	}
//
// Of anything else there are none.
type Members struct {
	// Name is the member's name, escapes as written.
	Name Text
	// Value is its value.
	Value Value

	doc []byte
	at  int
}

// Members starts an iteration over the object's members.
func (v Value) Members() Members {
	if !v.IsObject() {
		return Members{}
	}
	return Members{doc: v, at: 1}
}

// Next goes to the next member. It returns false behind the last.
func (m *Members) Next() bool {
	at := next(m.doc, m.at)
	if at == len(m.doc) || m.doc[at] != '"' {
		return false
	}
	end := valueEnd(m.doc, at)
	m.Name = Value(m.doc[at:end]).Text()
	at = next(m.doc, end)
	end = valueEnd(m.doc, at)
	m.Value, m.at = Value(m.doc[at:end:end]), end
	return at < end
}

// Elements iterates over the elements of an array as [Members] does over the
// members of an object.
type Elements struct {
	// Value is the element.
	Value Value
	// Index is its place, from 0.
	Index int

	doc []byte
	at  int
}

// Elements starts an iteration over the array's elements.
func (v Value) Elements() Elements {
	if !v.IsArray() {
		return Elements{Index: -1}
	}
	return Elements{doc: v, at: 1, Index: -1}
}

// Next goes to the next element. It returns false behind the last.
func (e *Elements) Next() bool {
	at := next(e.doc, e.at)
	end := valueEnd(e.doc, at)
	if at == end {
		return false
	}
	e.Value, e.at = Value(e.doc[at:end:end]), end
	e.Index++
	return true
}

// Len counts the elements of an array.
func (v Value) Len() int {
	n := 0
	for e := v.Elements(); e.Next(); {
		n++
	}
	return n
}

// next returns the place of the next value or name from at on: behind white
// space, commas and colons.
func next(doc []byte, at int) int {
	for at < len(doc) && (doc[at] <= ' ' || doc[at] == ',' || doc[at] == ':') {
		at++
	}
	return at
}

// valueEnd returns the place behind the value that begins at at, and at itself
// where none does.
func valueEnd(doc []byte, at int) int {
	if at >= len(doc) {
		return at
	}
	switch doc[at] {
	case '"':
		return stringEnd(doc, at)
	case '{', '[':
		return nestedEnd(doc, at)
	}
	for i := at; i < len(doc); i++ {
		switch c := doc[i]; {
		case c <= ' ', c == ',', c == ':', c == '}', c == ']', c == '"', c == '{', c == '[':
			return i
		}
	}
	return len(doc)
}

// stringEnd returns the place behind the string whose first quote is at at.
func stringEnd(doc []byte, at int) int {
	n := QuoteEnd(doc[at+1:])
	if n < 0 {
		return len(doc)
	}
	return at + 1 + n + 1
}

// nestedEnd returns the place behind the object or array that begins at at.
func nestedEnd(doc []byte, at int) int {
	depth := 0
	for i := at; i < len(doc); i++ {
		switch doc[i] {
		case '"':
			i = stringEnd(doc, i) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(doc)
}

// QuoteEnd returns the place in b of the first quote that is not escaped, or
// -1. b begins inside a JSON string.
func QuoteEnd(b []byte) int {
	for i := 0; ; i++ {
		n := bytes.IndexByte(b[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		slashes := 0
		for slashes < i && b[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
}
