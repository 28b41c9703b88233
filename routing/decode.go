package routing

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tidwall/gjson"
)

// decode fills the struct that into points to from the document, by the struct
// tags: json:"name" names a field, and config:"..." may say
//
//	required   the field has to be there
//	seconds    a time.Duration that is written as a number of seconds
//	duration   a time.Duration that is written as such a number or as "1m30s"
//	max=N      a number may not exceed N
//	single     a list of texts; one text may be written without [ ]
//
// The fields of an embedded struct count as the outer one's. Numbers may not be
// negative. Unknown fields are errors. All problems are recorded in d, not just
// the first. encoding/json is no help here: it stops at the first problem, knows
// no lines, and takes "BASE_URL" for "base_url".
func (d *document) decode(into any) {
	root := gjson.ParseBytes(d.text)
	d.object(reflect.ValueOf(into).Elem(), root, "")
}

// rule is what a config tag says.
type rule struct {
	required, seconds, duration, single bool
	max                                 int
}

func parseRule(tag string) rule {
	r := rule{max: math.MaxInt32}
	for part := range strings.SplitSeq(tag, ",") {
		switch name, value, _ := strings.Cut(part, "="); name {
		case "required":
			r.required = true
		case "seconds":
			r.seconds = true
		case "duration":
			r.duration = true
		case "single":
			r.single = true
		case "max":
			r.max, _ = strconv.Atoi(value)
		}
	}
	return r
}

// fieldsOf lists the names that a file may use for the fields of t.
func fieldsOf(t reflect.Type) map[string]reflect.StructField {
	fields := make(map[string]reflect.StructField, t.NumField())
	for _, field := range reflect.VisibleFields(t) {
		if name := field.Tag.Get("json"); name != "" && name != "-" {
			fields[name] = field
		}
	}
	return fields
}

// object decodes a JSON object into a struct.
func (d *document) object(v reflect.Value, r gjson.Result, path string) {
	d.lines[path] = d.lineAt(r.Index)
	if !r.IsObject() {
		d.wrongType(path, "an object", r)
		return
	}
	fields := fieldsOf(v.Type())
	r.ForEach(func(key, value gjson.Result) bool {
		field, known := fields[key.Str]
		if !known {
			d.unknown(path, key, fields)
			return true
		}
		if value.Type != gjson.Null {
			d.value(v.FieldByIndex(field.Index), value, join(path, key.Str), parseRule(field.Tag.Get("config")))
		}
		return true
	})
	d.checkRequired(v.Type(), path)
}

// checkRequired reports required fields that were not decoded.
func (d *document) checkRequired(t reflect.Type, path string) {
	for _, field := range reflect.VisibleFields(t) {
		if !parseRule(field.Tag.Get("config")).required {
			continue
		}
		name := join(path, field.Tag.Get("json"))
		if _, ok := d.lines[name]; !ok {
			d.failAt(name, "is required", exampleOf(name))
		}
	}
}

// value decodes any JSON value but null.
func (d *document) value(v reflect.Value, r gjson.Result, path string, rule rule) {
	d.lines[path] = d.lineAt(r.Index)
	switch target := v.Addr().Interface().(type) {
	case *json.RawMessage:
		*target = json.RawMessage(r.Raw)
		return
	case *Parameters:
		d.parameters(target, r, path)
		return
	case *time.Duration:
		*target = d.time(r, path, rule)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(v.Elem(), r, path, rule)
	case reflect.Struct:
		d.object(v, r, path)
	case reflect.Slice:
		d.list(v, r, path, rule)
	case reflect.Map:
		d.table(v, r, path, rule)
	case reflect.String:
		if r.Type != gjson.String {
			d.wrongType(path, "a text", r)
			return
		}
		v.SetString(r.Str)
	case reflect.Bool:
		if !r.IsBool() {
			d.wrongType(path, "true or false", r)
			return
		}
		v.SetBool(r.Bool())
	case reflect.Int:
		v.SetInt(d.integer(r, path, rule))
	case reflect.Float64:
		v.SetFloat(d.number(r, path, rule))
	default:
		panic("routing: no decoder for " + v.Type().String())
	}
}

// list decodes an array.
func (d *document) list(v reflect.Value, r gjson.Result, path string, rule rule) {
	if rule.single && r.Type == gjson.String {
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		d.value(v.Index(0), r, path+"[0]", rule)
		return
	}
	if !r.IsArray() {
		d.wrongType(path, "a list", r)
		return
	}
	length := int(r.Get("#").Int())
	v.Set(reflect.MakeSlice(v.Type(), length, length))
	i := 0
	r.ForEach(func(_, value gjson.Result) bool {
		element := fmt.Sprintf("%s[%d]", path, i)
		if value.Type == gjson.Null {
			d.lines[element] = d.lineAt(value.Index)
			d.reject(element, "must not be null", "")
		} else {
			d.value(v.Index(i), value, element, rule)
		}
		i++
		return true
	})
}

// table decodes an object whose keys are data.
func (d *document) table(v reflect.Value, r gjson.Result, path string, rule rule) {
	if !r.IsObject() {
		d.wrongType(path, "an object", r)
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	r.ForEach(func(key, value gjson.Result) bool {
		entry := join(path, key.Str)
		if value.Type == gjson.Null {
			return true
		}
		name := reflect.New(v.Type().Key()).Elem()
		if name.Kind() == reflect.Int {
			number, err := strconv.Atoi(key.Str)
			if err != nil || strconv.Itoa(number) != key.Str {
				d.fail(Problem{
					Line: d.lineAt(key.Index), Field: path,
					Message: "has a key that is not an HTTP status" + printable(key.Str), Fix: `write e.g. "429"`,
				})
				return true
			}
			name.SetInt(int64(number))
		} else {
			name.SetString(key.Str)
		}
		element := reflect.New(v.Type().Elem()).Elem()
		d.value(element, value, entry, rule)
		v.SetMapIndex(name, element)
		return true
	})
}

// parameters decodes an object whose values are passed on as they are.
func (d *document) parameters(into *Parameters, r gjson.Result, path string) {
	if !r.IsObject() {
		d.wrongType(path, "an object", r)
		return
	}
	r.ForEach(func(key, value gjson.Result) bool {
		d.lines[join(path, key.Str)] = d.lineAt(value.Index)
		*into = append(*into, Parameter{Name: key.Str, Value: json.RawMessage(value.Raw)})
		return true
	})
}

func (d *document) integer(r gjson.Result, path string, rule rule) int64 {
	if r.Type == gjson.Number && r.Num != math.Trunc(r.Num) {
		d.reject(path, "must be a whole number, not "+r.Raw, "")
		return 0
	}
	return int64(d.number(r, path, rule))
}

func (d *document) number(r gjson.Result, path string, rule rule) float64 {
	switch {
	case r.Type != gjson.Number:
		d.wrongType(path, "a number", r)
	case r.Num < 0:
		d.reject(path, "must not be negative", "")
	case r.Num > float64(rule.max):
		d.reject(path, fmt.Sprintf("must be at most %d", rule.max), "")
	default:
		return r.Num
	}
	return 0
}

// wrongType reports a value of another type than what is wanted. Texts are
// not repeated, since a key may be what stands in the wrong place.
func (d *document) wrongType(path, want string, r gjson.Result) {
	is, fix := "", misplacedFix(path, want)
	switch {
	case r.Type == gjson.String && want == "a number" && isNumber(r.Str),
		r.Type == gjson.String && want == "true or false" && (r.Str == "true" || r.Str == "false"):
		is = "the text " + strconv.Quote(r.Str)
		fix = "write " + strings.TrimSpace(r.Str) + " without quotes"
	case r.Type == gjson.String:
		is = "a text"
		if fix == "" && want == "a list" {
			fix = "put it into [ ]"
		}
	case r.Type == gjson.Number:
		is = "a number"
	case r.IsArray():
		is = "a list"
	case r.IsObject():
		is = "an object"
	default:
		is = r.Raw // true or false
	}
	d.reject(path, "must be "+want+", not "+is, fix)
}

// reject reports a value that cannot be used, so that it is not looked at again.
func (d *document) reject(path, message, fix string) {
	d.rejected[path] = true
	d.failAt(path, message, fix)
}

// isNumber reports whether a text is a number that was put in quotes.
func isNumber(text string) bool {
	number, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return err == nil && len(text) <= 12 && !math.IsInf(number, 0) && !math.IsNaN(number)
}

// unknown reports a key that does not exist, with what may have been meant.
func (d *document) unknown(path string, key gjson.Result, fields map[string]reflect.StructField) {
	p := Problem{Line: d.lineAt(key.Index), Field: path, Message: "unknown key" + printable(key.Str)}
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	if p.Fix = d.hint(path, key.Str, names); p.Fix == "" {
		p.Fix = "known are " + strings.Join(names, ", ")
	}
	d.fail(p)
}

// join appends a key to a field path.
func join(path, key string) string {
	if !plainKey(key) {
		return path + "[" + strconv.Quote(key) + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// plainKey reports whether a key can stand in a field path without quotes.
func plainKey(key string) bool {
	for _, c := range []byte(key) {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return key != ""
}
