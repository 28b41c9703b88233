package caddymodule

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// parseField reads where a value is in a file: as problems name it, such as
// endpoints.base_url, model_routings[0].model or models["gpt-4.1"].timeout_seconds,
// or as a JSON pointer (RFC 6901), such as /models/gpt-4.1/timeout_seconds. Numbers
// may also stand between dots; "-" means the place behind the last of a list.
func parseField(field string) ([]string, error) {
	if rest, ok := strings.CutPrefix(field, "/"); ok {
		parts := strings.Split(rest, "/")
		for i, part := range parts {
			parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(part)
		}
		return parts, nil
	}
	var parts []string
	for rest := field; rest != ""; {
		if inner, ok := strings.CutPrefix(rest, "["); ok {
			part, behind, err := bracketed(inner)
			if err != nil {
				return nil, fmt.Errorf("the field %q: %w", field, err)
			}
			parts, rest = append(parts, part), behind
		} else {
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			parts, rest = append(parts, rest[:end]), rest[end:]
		}
		if next, ok := strings.CutPrefix(rest, "."); ok {
			if rest = next; rest == "" || rest[0] == '[' || rest[0] == '.' {
				return nil, fmt.Errorf("the field %q has a '.' without a name behind it", field)
			}
		}
	}
	if len(parts) == 0 || parts[0] == "" {
		return nil, fmt.Errorf("the field %q names nothing; write e.g. endpoints.base_url", field)
	}
	return parts, nil
}

// bracketed reads the rest of [0] or of ["name"].
func bracketed(inner string) (part, behind string, err error) {
	if strings.HasPrefix(inner, `"`) {
		quoted, err := strconv.QuotedPrefix(inner)
		if err == nil {
			part, err = strconv.Unquote(quoted)
		}
		if behind, ok := strings.CutPrefix(inner[len(quoted):], "]"); ok && err == nil {
			return part, behind, nil
		}
		return "", "", errors.New(`has a ["..."] that does not end`)
	}
	part, behind, ok := strings.Cut(inner, "]")
	if !ok || part == "" {
		return "", "", errors.New("has a [...] that does not end")
	}
	return part, behind, nil
}

// element is a member of an object or one of a list: where it begins (at its
// key), and where its value is.
type element struct {
	key                string
	begin, value, past int
}

// elementsIn are the members or elements of a value of a text.
func elementsIn(value gjson.Result) []element {
	if !value.IsObject() && !value.IsArray() {
		return nil
	}
	var elements []element
	value.ForEach(func(key, member gjson.Result) bool {
		s := element{key: key.Str, begin: member.Index, value: member.Index, past: member.Index + len(member.Raw)}
		if value.IsObject() {
			s.begin = key.Index
		}
		elements = append(elements, s)
		return true
	})
	return elements
}

// elementNamed finds the member of a value that one part of a field names; -1: there is
// none.
func elementNamed(elements []element, isList bool, part string) int {
	if isList {
		if i, err := strconv.Atoi(part); err == nil && i >= 0 && i < len(elements) {
			return i
		}
		return -1
	}
	for i := range elements {
		if elements[i].key == part {
			return i
		}
	}
	return -1
}

// setField is the text of a JSON file with the value at a field set; objects that
// are not there are made. All else remains as it is written.
func setField(text []byte, field []string, value string) ([]byte, error) {
	at, err := rootOf(text)
	if err != nil {
		return nil, err
	}
	for i, part := range field {
		if at.Type == gjson.Null && i > 0 {
			return splice(text, at.Index, at.Index+len(at.Raw), nested(field[i:], value)), nil
		}
		if !at.IsObject() && !at.IsArray() {
			return nil, fmt.Errorf("%s is neither an object nor a list, so that it has no %q", strings.Join(field[:i], "."), part)
		}
		elements := elementsIn(at)
		n := elementNamed(elements, at.IsArray(), part)
		if n < 0 {
			if at.IsArray() && part != "-" && part != strconv.Itoa(len(elements)) {
				return nil, fmt.Errorf("%s has %d elements, from 0 on, and no %q; \"-\" adds one", strings.Join(field[:i], "."), len(elements), part)
			}
			member := nested(field[i+1:], value)
			if at.IsObject() {
				member = quoteJSON(part) + ": " + member
			}
			return insert(text, at, elements, member), nil
		}
		at = valueAt(text, elements[n])
	}
	return splice(text, at.Index, at.Index+len(at.Raw), value), nil
}

// rootOf is the whole of a JSON file.
func rootOf(text []byte) (gjson.Result, error) {
	mark := len(text) - len(bytes.TrimPrefix(text, []byte("\xEF\xBB\xBF")))
	if !gjson.ValidBytes(text[mark:]) {
		return gjson.Result{}, errors.New("the file is not JSON, so that no single field can be changed; edit it by hand, or without --set")
	}
	whole := bytes.TrimSpace(text[mark:])
	begin := mark + bytes.Index(text[mark:], whole)
	return valueAt(text, element{value: begin, past: begin + len(whole)}), nil
}

// valueAt is a value of a text, which knows where it is.
func valueAt(text []byte, s element) gjson.Result {
	value := gjson.ParseBytes(text[s.value:s.past])
	value.Index = s.value
	return value
}

// nested is a value inside of objects that are not there yet.
func nested(field []string, value string) string {
	for i := len(field) - 1; i >= 0; i-- {
		if field[i] == "-" || field[i] == "0" {
			value = "[" + value + "]"
		} else {
			value = "{" + quoteJSON(field[i]) + ": " + value + "}"
		}
	}
	return value
}

// insert adds a member behind the last one, written like those that are there: on a
// line of its own, or beside them.
func insert(text []byte, at gjson.Result, elements []element, member string) []byte {
	if len(elements) == 0 {
		if strings.Contains(member, "\n") {
			line := text[bytes.LastIndexByte(text[:at.Index], '\n')+1 : at.Index]
			indent := string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
			member = "\n" + indent + "  " + member + "\n" + indent
		}
		return splice(text, at.Index+1, at.Index+len(at.Raw)-1, member)
	}
	between := ", "
	if before := text[at.Index+1 : elements[0].begin]; bytes.IndexByte(before, '\n') >= 0 {
		between = "," + string(before[bytes.LastIndexByte(before, '\n'):])
	}
	past := elements[len(elements)-1].past
	return splice(text, past, past, between+member)
}

// unsetField is the text of a JSON file without a field. was says that it was there.
func unsetField(text []byte, field []string) (changed []byte, was bool, err error) {
	at, err := rootOf(text)
	if err != nil {
		return nil, false, err
	}
	for i, part := range field {
		elements := elementsIn(at)
		n := elementNamed(elements, at.IsArray(), part)
		if n < 0 {
			return text, false, nil
		}
		if i < len(field)-1 {
			at = valueAt(text, elements[n])
			continue
		}
		switch {
		case n > 0:
			text = splice(text, elements[n-1].past, elements[n].past, "")
		case len(elements) > 1:
			text = splice(text, elements[0].begin, elements[1].begin, "")
		default:
			text = splice(text, at.Index+1, at.Index+len(at.Raw)-1, "")
		}
	}
	return text, true, nil
}

// splice is a text with a part of it replaced.
func splice(text []byte, from, to int, by string) []byte {
	return append(append(append([]byte{}, text[:from]...), by...), text[to:]...)
}

// quoteJSON is a text as JSON.
func quoteJSON(text string) string {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(text) // a string and memory: it does not fail
	return strings.TrimSuffix(b.String(), "\n")
}

// jsonOrText is what somebody writes for a value: JSON where it is some, else a
// text.
func jsonOrText(value string) string {
	if trimmed := strings.TrimSpace(value); gjson.Valid(trimmed) {
		return trimmed
	}
	return quoteJSON(value)
}
