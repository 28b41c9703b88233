package translate

import "github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"

// A custom tool is called with text. Where there is none of that kind, it is
// sent as a function with one parameter, "input", and what its format demands
// stands in the description.

// WrappedSchema is the schema of a function that stands for a custom tool.
const WrappedSchema = `{"type":"object","properties":{"input":{"type":"string"}},"required":["input"],"additionalProperties":false}`

// AppendWrappedInput appends what such a function is called with, an object that
// holds the text.
func AppendWrappedInput(dst []byte, text Text) []byte {
	dst = append(dst, `{"input":`...)
	dst = rawjson.AppendText(dst, text)
	return append(dst, '}')
}

// AppendWrappedDescription appends the description of such a function, as the
// inside of a string: the custom tool's own, and the grammar of its input if
// there is one. told says that there is, so that it only asks for what the
// custom tool would have enforced.
func AppendWrappedDescription(dst []byte, t *Tool) (out []byte, told bool) {
	dst = append(dst, t.Description...)
	definition := t.Format.Get("definition").Text()
	if len(definition) == 0 {
		return dst, false
	}
	if len(t.Description) > 0 {
		dst = append(dst, `\n\n`...)
	}
	dst = append(dst, "The input must follow this "...)
	if syntax := t.Format.Get("syntax").Text(); len(syntax) > 0 {
		dst = append(append(dst, syntax...), ' ')
	}
	dst = append(dst, `grammar:\n`...)
	return append(dst, definition...), true
}
