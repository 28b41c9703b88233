package translate

import (
	"bytes"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// noInput is the schema of a tool that takes nothing.
const noInput = `{"type":"object","properties":{}}`

// AppendToolSchema appends the schema of a tool's input as Messages takes it.
// Its root must be of type object and have no oneOf, anyOf or allOf: the
// properties of those become the root's, required as far as all of them say so,
// and what that loses is told in the description. Anything else stays as it is,
// byte by byte, and so does a schema that is good already. No schema at all
// becomes that of an object without properties.
func AppendToolSchema(dst []byte, schema Value) []byte {
	if !schema.IsObject() || schema.IsEmpty() {
		return append(dst, noInput...)
	}
	typed, good := false, true
	for m := schema.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			typed = true
			good = good && string(m.Value) == `"object"`
		case "oneOf", "anyOf", "allOf", "$ref":
			good = false
		default:
			good = good && !m.Value.IsNull()
		}
	}
	switch {
	case !good:
		return appendMerged(dst, schema, newReferences(schema), true)
	case typed:
		return append(dst, schema...)
	}
	dst = append(dst, `{"type":"object",`...)
	return append(dst, schema[1:]...)
}

// maxSearched bounds how many bytes are searched for what the references of a
// schema mean. Schemas are some kilobytes long and have a few dozen references;
// the bound is for those that somebody made to keep the gateway busy.
const maxSearched = 16 << 20

// references finds the parts of a schema that others refer to.
type references struct {
	root Value
	left int // bytes that may be searched
}

func newReferences(root Value) *references { return &references{root: root, left: maxSearched} }

// target returns the schema that a member $ref means, such as "#/$defs/name"; an
// empty Value for any other kind of reference.
func (r *references) target(ref Value) Value {
	path := ref.Text()
	if r.left < len(r.root) || !path.Plain() {
		return nil
	}
	if string(path) == "#" {
		r.left -= len(r.root)
		return r.root
	}
	kind, name, ok := bytes.Cut(path, []byte{'/'})
	if !ok || string(kind) != "#" {
		return nil
	}
	kind, name, ok = bytes.Cut(name, []byte{'/'})
	if !ok || string(kind) != "$defs" && string(kind) != "definitions" || bytes.ContainsAny(name, "/~%") {
		return nil // what is deeper, or escaped, nobody's generator makes
	}
	r.left -= len(r.root)
	return r.root.Get(string(kind)).Get(string(name))
}

// hasType reports whether a schema's type is or includes the one of that name.
func hasType(kind Value, name string) bool {
	if kind.IsArray() {
		for e := kind.Elements(); e.Next(); {
			if string(e.Value.Text()) == name {
				return true
			}
		}
		return false
	}
	return string(kind.Text()) == name
}

// members writes the members of an object one by one.
type members struct {
	dst   []byte
	begun bool
}

// begin appends the name of the next member, behind what separates it from the
// one before.
func (w *members) begin(name string) {
	if w.begun {
		w.dst = append(w.dst, ',')
	} else {
		w.dst = append(w.dst, '{')
		w.begun = true
	}
	w.dst = append(w.dst, '"')
	w.dst = append(w.dst, name...)
	w.dst = append(w.dst, '"', ':')
}

// add appends a member.
func (w *members) add(name string, value []byte) {
	w.begin(name)
	w.dst = append(w.dst, value...)
}

// end closes the object and returns everything.
func (w *members) end() []byte {
	if !w.begun {
		w.dst = append(w.dst, '{')
	}
	return append(w.dst, '}')
}

// maxTold bounds what a description tells of one thing that the schema cannot
// say. A longer text would cost more than it explains.
const maxTold = 2 << 10

// notes are members of a schema that can only be told in its description.
type notes []Field

// add notes a member, unless it is too long to tell.
func (n *notes) add(name string, value Value) {
	if len(value) <= maxTold {
		*n = append(*n, Field{Name: name, Value: value})
	}
}

// describe writes the description, and behind it the notes as
// {minimum: 1, maximum: 9}, if there is anything to write.
func (w *members) describe(description Text, told notes) {
	if len(description) == 0 && len(told) == 0 {
		return
	}
	w.begin("description")
	w.dst = append(w.dst, '"')
	w.dst = append(w.dst, description...)
	for i := range told {
		switch {
		case i > 0:
			w.dst = append(w.dst, ", "...)
		case len(description) > 0:
			w.dst = append(w.dst, `\n\n{`...)
		default:
			w.dst = append(w.dst, '{')
		}
		w.dst = append(w.dst, told[i].Name...)
		w.dst = append(w.dst, ": "...)
		w.dst = rawjson.AppendEscaped(w.dst, told[i].Value)
	}
	if len(told) > 0 {
		w.dst = append(w.dst, '}')
	}
	w.dst = append(w.dst, '"')
}
