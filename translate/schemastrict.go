package translate

import (
	"bytes"
	"slices"
)

// Bounds of OpenAI's Structured Outputs.
const (
	maxStrictDepth      = 10
	maxStrictProperties = 5000
)

// LooseSchema is the reason why a model is not held to a schema; see
// [Conversation.TooLoose].
const LooseSchema = "OpenAI cannot hold a model to this schema; it is only told it"

// TooLoose reports whether a schema that Anthropic holds its models to is not
// strict enough for OpenAI. What OpenAI's own clients say goes as it is.
func (c *Conversation) TooLoose(schema Value) bool {
	return c.Protocol == Messages && !StrictQualifies(schema)
}

// StrictQualifies reports whether OpenAI takes a schema with strict: every
// object closed (additionalProperties false), every property required, no
// default, no combination but anyOf, and no keyword that it does not know. When
// in doubt it does not: then the model tries to follow the schema anyway, while
// a strict one that is refused fails the request.
func StrictQualifies(schema Value) bool {
	if !hasType(schema.Get("type"), "object") {
		return false
	}
	left := maxStrictProperties
	return strictSchema(schema, 0, &left)
}

// strictSchema checks one schema. depth is that of its objects, left how many
// properties there may still be.
func strictSchema(schema Value, depth int, left *int) bool {
	if !schema.IsObject() || depth > maxStrictDepth {
		return false
	}
	var kind, ref, properties, required Value
	others, closed := 0, false
	for m := schema.Members(); m.Next(); {
		others++
		switch string(m.Name) {
		case "type":
			kind = m.Value
		case "$ref":
			ref = m.Value
		case "properties":
			properties = m.Value
		case "required":
			required = m.Value
		case "additionalProperties":
			closed = m.Value.IsFalse()
		case "items":
			if !strictSchema(m.Value, depth+1, left) {
				return false
			}
		case "anyOf":
			if depth == 0 || !strictList(m.Value, depth+1, left) {
				return false
			}
		case "$defs", "definitions":
			if !strictMembers(m.Value, depth, left) {
				return false
			}
		case "format":
			if string(m.Value.Text()) == "uri" || !answerFormat(m.Value.Text()) {
				return false
			}
		case "title", "description", "$schema", "enum", "const", "pattern", "multipleOf", "minimum", "maximum",
			"exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems", "minLength", "maxLength":
		default:
			return false
		}
	}
	switch {
	case !ref.IsNull():
		return others == 1
	case kind.IsNull():
		return !schema.Get("anyOf").IsNull()
	case hasType(kind, "object"):
		return closed && sameNames(properties, required) && strictMembers(properties, depth+1, left)
	}
	return true
}

func strictList(list Value, depth int, left *int) bool {
	for e := list.Elements(); e.Next(); {
		if !strictSchema(e.Value, depth, left) {
			return false
		}
	}
	return list.IsArray()
}

// strictMembers checks the schemas that are an object's members.
func strictMembers(list Value, depth int, left *int) bool {
	for m := list.Members(); m.Next(); {
		if *left--; *left < 0 || !strictSchema(m.Value, depth, left) {
			return false
		}
	}
	return true
}

// sameNames reports whether required lists all properties and nothing else.
func sameNames(properties, required Value) bool {
	inOrder := true
	var names, wanted []Value
	e := required.Elements()
	for m := properties.Members(); m.Next(); {
		if len(names) == maxStrictProperties {
			return false
		}
		inOrder = inOrder && e.Next() && bytes.Equal(e.Value.Text(), m.Name)
		names = append(names, Value(m.Name))
	}
	if inOrder {
		return !e.Next()
	}
	for e := required.Elements(); e.Next(); {
		if len(wanted) == len(names) {
			return false
		}
		wanted = append(wanted, Value(e.Value.Text()))
	}
	byBytes := func(a, b Value) int { return bytes.Compare(a, b) }
	slices.SortFunc(names, byBytes)
	slices.SortFunc(wanted, byBytes)
	return slices.EqualFunc(names, wanted, sameValue)
}
