package translate

import (
	"bytes"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/strictjson"
)

// AppendAnswerSchema appends a schema as Messages takes it where a model is held
// to one (output_config.format, strict tools). Those know few of the keywords:
// objects must say additionalProperties false, oneOf becomes anyOf, references
// stand alone, and what is not known is told in the description, as Anthropic's
// SDKs do it (schemautil).
func AppendAnswerSchema(dst []byte, schema Value) []byte {
	if !schema.IsObject() {
		return append(dst, `{"type":"object","properties":{},"additionalProperties":false}`...)
	}
	a := answerSchema{refs: newReferences(schema)}
	top := schema
	for range maxRootReferences {
		// The definitions must stay, and a reference has no room for them.
		target := a.refs.target(top.Get("$ref"))
		if !target.IsObject() {
			break
		}
		top = target
	}
	return a.object(dst, top, 0, true)
}

// maxRootReferences bounds how often the root may refer to another schema.
const maxRootReferences = 8

// answerSchema rewrites one schema.
type answerSchema struct {
	refs *references
}

// answerNode are the members of a schema that decide about others.
type answerNode struct {
	kind, ref              Value
	anyOf, oneOf, allOf    Value
	properties, additional Value
	description            Text

	object     bool // it is or may be an object
	dictionary bool // one without properties of its own
	single     bool // allOf has one part, and may as well be anyOf
}

func readAnswerNode(schema Value) answerNode {
	var n answerNode
	for m := schema.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			n.kind = m.Value
		case "$ref":
			n.ref = m.Value
		case "anyOf":
			n.anyOf = m.Value
		case "oneOf":
			n.oneOf = m.Value
		case "allOf":
			n.allOf = m.Value
		case "properties":
			n.properties = m.Value
		case "additionalProperties":
			n.additional = m.Value
		case "description":
			n.description = m.Value.Text()
		}
	}
	n.object = hasType(n.kind, "object") || n.kind.IsNull() && n.properties.IsObject()
	n.dictionary = n.object && n.properties.IsEmpty() && n.additional.IsObject()
	// References are not taken in allOf.
	n.single = n.allOf.Len() == 1 && n.anyOf.IsNull() && n.oneOf.IsNull()
	return n
}

// schema appends a schema. Its depth is that within the root's.
func (a *answerSchema) schema(dst []byte, schema Value, depth int) []byte {
	switch {
	case schema.IsTrue():
		return append(dst, '{', '}')
	case !schema.IsObject() || depth > strictjson.MaxDepth:
		return append(dst, schema...)
	}
	return a.object(dst, schema, depth, false)
}

// object appends a schema that is an object.
func (a *answerSchema) object(dst []byte, schema Value, depth int, top bool) []byte {
	n := readAnswerNode(schema)
	if n.ref.IsString() {
		return appendReference(dst, n)
	}
	if n.allOf.Len() > 1 && a.merges(n.allOf) {
		// Each part would refuse the properties of the others.
		merged := appendMerged(nil, schema, a.refs, false)
		return a.object(dst, merged, depth+1, top)
	}
	w := members{dst: dst}
	if n.object && n.kind.IsNull() {
		w.add("type", []byte(`"object"`))
	}
	var told notes
	for m := schema.Members(); m.Next(); {
		if !m.Value.IsNull() {
			a.member(&w, &told, &n, string(m.Name), m.Value, depth)
		}
	}
	if top {
		a.definitions(&w, depth)
	}
	switch {
	case n.dictionary:
		w.begin("additionalProperties")
		w.dst = a.schema(w.dst, n.additional, depth+1)
	case n.object:
		if n.properties.IsNull() {
			w.add("properties", []byte("{}"))
		}
		w.add("additionalProperties", []byte("false"))
	}
	w.describe(n.description, told)
	return w.end()
}

// member appends one member of a schema, or notes it.
func (a *answerSchema) member(w *members, told *notes, n *answerNode, name string, value Value, depth int) {
	switch name {
	case "type", "title", "enum", "const", "required", "pattern":
		w.add(name, value)
	case "description", "$defs", "definitions", "$schema", "$id", "$comment", "$anchor":
		// Written elsewhere, or of no meaning here.
	case "properties":
		w.begin(name)
		w.dst = a.properties(w.dst, value, depth+1)
	case "additionalProperties":
		if value.IsObject() && !value.IsEmpty() && !n.dictionary {
			told.add(name, value)
		}
	case "items":
		if !value.IsObject() {
			told.add(name, value)
			return
		}
		w.begin(name)
		w.dst = a.schema(w.dst, value, depth+1)
	case "minItems":
		if count, _ := value.Int(); count > 1 {
			told.add(name, value)
			return
		}
		w.add(name, value)
	case "format":
		if !answerFormat(value.Text()) {
			told.add(name, value)
			return
		}
		w.add(name, value)
	case "anyOf", "oneOf", "allOf":
		a.combination(w, told, n, name, value, depth)
	default:
		told.add(name, value)
	}
}

// combination appends anyOf, oneOf or allOf.
func (a *answerSchema) combination(w *members, told *notes, n *answerNode, name string, list Value, depth int) {
	if !allStand(list) || name == "oneOf" && !n.anyOf.IsNull() {
		told.add(name, list)
		return
	}
	if name == "oneOf" || n.single {
		name = "anyOf"
	}
	w.begin(name)
	w.dst = append(w.dst, '[')
	for e := list.Elements(); e.Next(); {
		if e.Index > 0 {
			w.dst = append(w.dst, ',')
		}
		w.dst = a.schema(w.dst, e.Value, depth+1)
	}
	w.dst = append(w.dst, ']')
}

func (a *answerSchema) properties(dst []byte, list Value, depth int) []byte {
	w := members{dst: dst}
	for m := list.Members(); m.Next(); {
		w.begin(string(m.Name))
		w.dst = a.schema(w.dst, m.Value, depth+1)
	}
	return w.end()
}

// definitions appends those of the root, under the name of today.
func (a *answerSchema) definitions(w *members, depth int) {
	defs, old := a.refs.root.Get("$defs"), a.refs.root.Get("definitions")
	if defs.IsEmpty() && old.IsEmpty() {
		return
	}
	w.begin("$defs")
	all := members{dst: w.dst}
	for _, list := range []Value{defs, old} {
		for m := list.Members(); m.Next(); {
			all.begin(string(m.Name))
			all.dst = a.schema(all.dst, m.Value, depth+2)
		}
	}
	w.dst = all.end()
}

// merges reports whether all parts of an allOf are objects.
func (a *answerSchema) merges(list Value) bool {
	for e := list.Elements(); e.Next(); {
		part := e.Value
		if target := a.refs.target(part.Get("$ref")); len(target) > 0 {
			part = target
		}
		if kind := part.Get("type"); !hasType(kind, "object") && part.Get("properties").IsNull() && part.Get("required").IsNull() {
			return false
		}
	}
	return true
}

// appendReference appends a reference. What describes it goes around it.
func appendReference(dst []byte, n answerNode) []byte {
	ref := n.ref.Text()
	if rest, ok := bytes.CutPrefix(ref, []byte("#/definitions/")); ok {
		ref = append([]byte("#/$defs/"), rest...)
	}
	described := len(n.description) > 0
	if described {
		dst = append(dst, `{"anyOf":[`...)
	}
	dst = append(dst, `{"$ref":`...)
	dst = rawjson.AppendText(dst, ref)
	dst = append(dst, '}')
	if described {
		dst = append(dst, `],"description":`...)
		dst = rawjson.AppendText(dst, n.description)
		dst = append(dst, '}')
	}
	return dst
}

// allStand reports whether each schema of the list means something without what
// stands beside the list: {"required":["a"]} does not.
func allStand(list Value) bool {
	for e := list.Elements(); e.Next(); {
		stands := false
		for m := e.Value.Members(); m.Next(); {
			switch string(m.Name) {
			case "type", "$ref", "enum", "const", "anyOf", "oneOf", "allOf", "properties":
				stands = true
			}
		}
		if !stands {
			return false
		}
	}
	return list.IsArray()
}

// answerFormat reports whether a format of strings is known.
func answerFormat(format Text) bool {
	switch string(format) {
	case "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid":
		return true
	}
	return false
}
