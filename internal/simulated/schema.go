package simulated

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// Schemas may require themselves, more than once. These limits end that.
const (
	maxSchemaDepth = 24
	maxSchemaSteps = 20_000
)

// instance returns a JSON value that fulfils a JSON Schema: the required
// properties and nothing else, the first alternative, the smallest array.
// It follows local references; patterns and "not" it does not understand.
func instance(schema gjson.Result) string {
	s := sampler{root: schema}
	s.value(schema, "", 0)
	return string(s.dst)
}

// sampler appends a value for a schema.
type sampler struct {
	root  gjson.Result
	dst   []byte
	steps int // schemas looked at
}

// value appends a value for schema; name is the property that it is for.
func (s *sampler) value(schema gjson.Result, name string, depth int) {
	schema = s.resolve(schema)
	if depth > maxSchemaDepth || !schema.IsObject() {
		s.add("null")
		return
	}
	if v := fixed(schema); v.Exists() {
		s.add(v.Raw)
		return
	}
	switch typeOf(schema) {
	case "object":
		s.object(schema, depth)
	case "array":
		s.array(schema, name, depth)
	case "string":
		s.dst = quote(s.dst, sampleString(schema, name))
	case "integer":
		s.number(schema, true)
	case "number":
		s.number(schema, false)
	case "boolean":
		s.add("true")
	case "null":
		s.add("null")
	default:
		s.untyped(schema, name, depth)
	}
}

func (s *sampler) number(schema gjson.Result, whole bool) {
	n := sampleNumber(schema, whole)
	if math.IsInf(n, 0) || math.IsNaN(n) { // bounds beyond what a float64 holds
		n = 0
	}
	s.dst = strconv.AppendFloat(s.dst, n, 'f', -1, 64)
}

func (s *sampler) add(raw string) { s.dst = append(s.dst, raw...) }

// untyped appends a value for a schema without a type.
func (s *sampler) untyped(schema gjson.Result, name string, depth int) {
	if alternative := s.alternative(schema); alternative.Exists() {
		s.value(alternative, name, depth+1)
		return
	}
	if all := member(schema, "allOf").Array(); len(all) == 1 {
		s.value(all[0], name, depth+1)
		return
	} else if len(all) > 1 {
		s.object(schema, depth)
		return
	}
	s.dst = quote(s.dst, sampleString(schema, name))
}

// alternative returns the first schema of anyOf or oneOf that is not null.
func (s *sampler) alternative(schema gjson.Result) gjson.Result {
	for _, key := range [...]string{"anyOf", "oneOf"} {
		list := member(schema, key).Array()
		for _, a := range list {
			if typeOf(s.resolve(a)) != "null" {
				return a
			}
		}
		if len(list) > 0 {
			return list[0]
		}
	}
	return gjson.Result{}
}

// object appends an object with the required properties of schema and of what
// it is composed of.
func (s *sampler) object(schema gjson.Result, depth int) {
	parts := s.parts(schema, depth)
	var done []string
	s.add("{")
	for _, part := range parts {
		for _, required := range member(part, "required").Array() {
			name := required.String()
			if slices.Contains(done, name) {
				continue
			}
			if len(done) > 0 {
				s.add(",")
			}
			done = append(done, name)
			s.dst = quote(s.dst, name)
			s.add(":")
			s.property(parts, name, depth)
		}
	}
	s.add("}")
}

// parts returns schema itself, everything in its allOf, and its first
// alternative.
func (s *sampler) parts(schema gjson.Result, depth int) []gjson.Result {
	parts := []gjson.Result{schema}
	if depth > maxSchemaDepth {
		return parts
	}
	for _, p := range member(schema, "allOf").Array() {
		parts = append(parts, s.parts(s.resolve(p), depth+1)...)
	}
	if a := s.alternative(schema); a.Exists() {
		parts = append(parts, s.parts(s.resolve(a), depth+1)...)
	}
	return parts
}

func (s *sampler) property(parts []gjson.Result, name string, depth int) {
	for _, part := range parts {
		if p := member(member(part, "properties"), name); p.Exists() {
			s.value(p, name, depth+1)
			return
		}
	}
	s.dst = quote(s.dst, sampleText)
}

// array appends as few items as the schema allows, but one if it describes items.
func (s *sampler) array(schema gjson.Result, name string, depth int) {
	items := member(schema, "items")
	n := int(member(schema, "minItems").Int())
	if n == 0 && items.IsObject() && depth < maxSchemaDepth/2 {
		n = 1
	}
	if most := member(schema, "maxItems"); most.Exists() {
		n = min(n, int(most.Int()))
	}
	prefix := member(schema, "prefixItems").Array()
	s.add("[")
	for i := range min(max(n, len(prefix)), 100) {
		if i > 0 {
			s.add(",")
		}
		switch {
		case i < len(prefix):
			s.value(prefix[i], name, depth+1)
		case items.IsObject():
			s.value(items, name, depth+1)
		default:
			s.dst = quote(s.dst, sampleText)
		}
	}
	s.add("]")
}

// resolve follows references within the schema. What leads nowhere is no schema.
func (s *sampler) resolve(schema gjson.Result) gjson.Result {
	for range maxSchemaDepth {
		if s.steps++; s.steps > maxSchemaSteps {
			break
		}
		ref := member(schema, "$ref")
		if ref.Type != gjson.String {
			return schema
		}
		path, ok := strings.CutPrefix(ref.String(), "#")
		if !ok {
			return gjson.Result{}
		}
		schema = s.root
		for step := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
			if step == "" {
				continue
			}
			step = strings.NewReplacer("~1", "/", "~0", "~").Replace(step)
			schema = member(schema, step)
		}
	}
	return gjson.Result{}
}

// fixed returns a value that the schema itself names, if there is one.
func fixed(schema gjson.Result) gjson.Result {
	if v := member(schema, "const"); v.Exists() {
		return v
	}
	for _, key := range [...]string{"enum", "examples"} {
		if list := member(schema, key).Array(); len(list) > 0 {
			return list[0]
		}
	}
	return member(schema, "default")
}

// typeOf returns the type of a schema: its first one that is not null, what its
// keywords imply, or "".
func typeOf(schema gjson.Result) string {
	t := member(schema, "type")
	if t.IsArray() {
		list := t.Array()
		for _, one := range list {
			if one.Str != "null" {
				return one.Str
			}
		}
		if len(list) > 0 {
			return "null"
		}
	}
	switch {
	case t.Str != "":
		return t.Str
	case member(schema, "properties").Exists():
		return "object"
	case member(schema, "items").Exists(), member(schema, "prefixItems").Exists():
		return "array"
	}
	return ""
}

// member returns a member of an object by its exact name, which gjson's paths
// cannot promise for names with dots or stars.
func member(object gjson.Result, name string) (out gjson.Result) {
	if !object.IsObject() {
		return gjson.Result{}
	}
	object.ForEach(func(key, v gjson.Result) bool {
		if key.Str != name {
			return true
		}
		out = v
		return false
	})
	return out
}
