package translate

import (
	"bytes"
	"slices"
)

// appendMerged appends a schema of an object without the combinations at its
// root: allOf, a reference, and with alternatives also anyOf and oneOf. What
// they say of properties becomes the root's own.
func appendMerged(dst []byte, schema Value, refs *references, alternatives bool) []byte {
	m := merger{refs: refs, alternatives: alternatives, left: maxMerged}
	shape := m.shape(schema, true)
	lossy := shape.lossy || m.left <= 0
	w := members{dst: dst}
	w.add("type", []byte(`"object"`))
	description := Text(nil)
	var told notes
	for v := schema.Members(); v.Next(); {
		switch name := string(v.Name); name {
		case "type", "properties", "required":
		case "description":
			description = v.Value.Text()
		case "$ref", "allOf":
			if lossy {
				told.add(name, v.Value)
			}
		case "anyOf", "oneOf":
			switch {
			case !alternatives:
				w.add(name, v.Value)
			case lossy || v.Value.Len() > 1:
				told.add(name, v.Value)
			}
		default:
			if !v.Value.IsNull() {
				w.add(name, v.Value)
			}
		}
	}
	if len(description) == 0 {
		description = shape.description
	}
	shape.write(&w)
	w.describe(description, told)
	return w.end()
}

// shape is what a schema says of an object.
type shape struct {
	properties  []property
	required    []Value // names, with their quotes
	description Text
	// lossy says that the schema says more than that.
	lossy bool
}

// property is a property, and the schemas of which it has to match one.
type property struct {
	name    Text
	options []Value
}

// write appends the properties and which of them are required.
func (s *shape) write(w *members) {
	w.begin("properties")
	w.dst = append(w.dst, '{')
	for i, p := range s.properties {
		if i > 0 {
			w.dst = append(w.dst, ',')
		}
		w.dst = append(w.dst, '"')
		w.dst = append(w.dst, p.name...)
		w.dst = append(w.dst, '"', ':')
		if len(p.options) == 1 {
			w.dst = append(w.dst, p.options[0]...)
			continue
		}
		w.dst = append(w.dst, `{"anyOf":`...)
		w.dst = appendArray(w.dst, p.options)
		w.dst = append(w.dst, '}')
	}
	w.dst = append(w.dst, '}')
	if len(s.required) > 0 {
		w.begin("required")
		w.dst = appendArray(w.dst, s.required)
	}
}

func appendArray(dst []byte, elements []Value) []byte {
	dst = append(dst, '[')
	for i, e := range elements {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, e...)
	}
	return append(dst, ']')
}

// maxMerged is how many schemas and properties a merge looks at. Beyond that it
// is incomplete, which ends those that refer to themselves too.
const maxMerged = 4096

// merger reads shapes.
type merger struct {
	refs         *references
	alternatives bool
	left         int
}

// more reports whether another schema or property may be looked at.
func (m *merger) more() bool {
	m.left--
	return m.left > 0
}

// shape reads a schema. top says that its members stay in the result, so that
// nothing that they say is lost.
func (m *merger) shape(schema Value, top bool) shape {
	var s shape
	if !m.more() || !schema.IsObject() {
		s.lossy = true
		return s
	}
	m.properties(&s, schema.Get("properties")) // first: they go before those of others
	for v := schema.Members(); v.Next(); {
		switch string(v.Name) {
		case "properties":
		case "required":
			for e := v.Value.Elements(); e.Next() && m.more(); {
				s.require(e.Value)
			}
		case "description":
			s.description = v.Value.Text()
		case "allOf":
			for e := v.Value.Elements(); e.Next() && m.more(); {
				s.and(m.shape(e.Value, false))
			}
		case "$ref":
			s.and(m.shape(m.refs.target(v.Value), false))
		case "anyOf", "oneOf":
			if m.alternatives {
				s.and(m.either(v.Value))
			} else {
				s.lossy = s.lossy || !top
			}
		case "type":
			s.lossy = s.lossy || !top && !hasType(v.Value, "object")
		case "title", "additionalProperties", "$schema", "$id", "$comment":
			// The union of the properties has more than each one's, and the
			// names of parts mean nothing in it.
		default:
			s.lossy = s.lossy || !top
		}
	}
	return s
}

func (m *merger) properties(s *shape, list Value) {
	for p := list.Members(); p.Next() && m.more(); {
		s.properties = append(s.properties, property{name: p.Name, options: []Value{p.Value}})
	}
}

// either reads the alternatives of an anyOf or oneOf.
func (m *merger) either(list Value) shape {
	var s shape
	begun := false
	for e := list.Elements(); e.Next() && m.more(); {
		if kind := e.Value.Get("type"); !kind.IsNull() && !hasType(kind, "object") {
			continue // no input of a tool matches it
		}
		other := m.shape(e.Value, false)
		if !begun {
			s, begun = other, true
			s.description = nil // it is of one of them
			continue
		}
		s.or(other)
	}
	return s
}

func sameValue(a, b Value) bool { return bytes.Equal(a, b) }

func (s *shape) find(name Text) *property {
	for i := range s.properties {
		if bytes.Equal(s.properties[i].name, name) {
			return &s.properties[i]
		}
	}
	return nil
}

func (s *shape) requires(name Value) bool {
	return slices.ContainsFunc(s.required, func(r Value) bool { return sameValue(r, name) })
}

func (s *shape) require(name Value) {
	if !s.requires(name) {
		s.required = append(s.required, name)
	}
}

// and adds a shape that has to match too. Of a property that both have the first
// one stays.
func (s *shape) and(o shape) {
	s.lossy = s.lossy || o.lossy
	if len(s.description) == 0 {
		s.description = o.description
	}
	for _, p := range o.properties {
		switch own := s.find(p.name); {
		case own == nil:
			s.properties = append(s.properties, p)
		case !slices.EqualFunc(own.options, p.options, sameValue):
			s.lossy = true
		}
	}
	for _, name := range o.required {
		s.require(name)
	}
}

// or adds a shape that may match instead.
func (s *shape) or(o shape) {
	s.lossy = s.lossy || o.lossy
	for _, p := range o.properties {
		own := s.find(p.name)
		if own == nil {
			s.properties = append(s.properties, p)
			continue
		}
		for _, option := range p.options {
			if !slices.ContainsFunc(own.options, func(v Value) bool { return sameValue(v, option) }) {
				own.options = append(own.options, option)
			}
		}
	}
	s.required = slices.DeleteFunc(s.required, func(name Value) bool { return !o.requires(name) })
}
