package translate

import "bytes"

// AppendOpenAISchema appends the schema of a tool's input as OpenAI takes it: its
// root as in [AppendToolSchema], and each array with "items", without which
// OpenAI refuses the request, held to the schema or not. A schema that is good
// already stays byte by byte.
func AppendOpenAISchema(dst []byte, schema Value) []byte {
	if !bytes.Contains(schema, []byte(`"array"`)) || !lacksItems(schema, 0) {
		return AppendToolSchema(dst, schema)
	}
	return appendWithItems(dst, AppendToolSchema(nil, schema), 0)
}

// maxItemsDepth is how deep in a schema arrays are looked for. Each level reads
// again what is in it.
const maxItemsDepth = 64

// lacksItems reports whether some array of a schema does not say what it holds.
func lacksItems(schema Value, depth int) bool {
	if !schema.IsObject() || depth > maxItemsDepth {
		return false
	}
	array, items := false, false
	for m := schema.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			array = hasType(m.Value, "array")
		case "items":
			items = true
		}
		switch holds(m.Name) {
		case oneSchema:
			if lacksItems(m.Value, depth+1) {
				return true
			}
		case listOfSchemas:
			for e := m.Value.Elements(); e.Next(); {
				if lacksItems(e.Value, depth+1) {
					return true
				}
			}
		case namedSchemas:
			for p := m.Value.Members(); p.Next(); {
				if lacksItems(p.Value, depth+1) {
					return true
				}
			}
		}
	}
	return array && !items
}

// appendWithItems appends a schema in which every array says what it holds.
func appendWithItems(dst []byte, schema Value, depth int) []byte {
	if !schema.IsObject() || depth > maxItemsDepth {
		return append(dst, schema...)
	}
	w := members{dst: dst}
	array, items := false, false
	for m := schema.Members(); m.Next(); {
		switch string(m.Name) {
		case "type":
			array = hasType(m.Value, "array")
		case "items":
			items = true
		}
		w.begin(string(m.Name))
		switch kind := holds(m.Name); {
		case kind == oneSchema:
			w.dst = appendWithItems(w.dst, m.Value, depth+1)
		case kind == listOfSchemas && m.Value.IsArray():
			w.dst = append(w.dst, '[')
			for e := m.Value.Elements(); e.Next(); {
				if e.Index > 0 {
					w.dst = append(w.dst, ',')
				}
				w.dst = appendWithItems(w.dst, e.Value, depth+1)
			}
			w.dst = append(w.dst, ']')
		case kind == namedSchemas && m.Value.IsObject():
			named := members{dst: w.dst}
			for p := m.Value.Members(); p.Next(); {
				named.begin(string(p.Name))
				named.dst = appendWithItems(named.dst, p.Value, depth+1)
			}
			w.dst = named.end()
		default:
			w.dst = append(w.dst, m.Value...)
		}
	}
	if array && !items {
		w.add("items", []byte("{}"))
	}
	return w.end()
}

// holding is what a keyword's value is made of.
type holding uint8

const (
	noSchema holding = iota
	oneSchema
	listOfSchemas
	namedSchemas
)

// holds tells where in a schema there are others.
func holds(keyword Text) holding {
	switch string(keyword) {
	case "items", "additionalProperties", "additionalItems", "contains", "not", "if", "then", "else":
		return oneSchema
	case "anyOf", "oneOf", "allOf", "prefixItems":
		return listOfSchemas
	case "properties", "patternProperties", "$defs", "definitions":
		return namedSchemas
	}
	return noSchema
}
