package translate

import (
	"unsafe"

	"github.com/tidwall/gjson"

	"github.com/caddy-llm-proxy/caddy-llm-proxy/translate/rawjson"
)

// view returns b as a string without copying it. The string aliases b: whoever
// keeps it beyond the call must clone it.
func view(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

// parse reads doc without copying it, so what is true of [view] is true of the
// result and of everything got from it.
func parse(doc []byte) gjson.Result { return gjson.Parse(view(doc)) }

// wholeObject reports whether doc is one JSON object from its first to its
// last brace. Of a valid object it is true, of any proper prefix of one it is
// false, which is all that telling a cut event from a whole one takes.
func wholeObject(doc []byte) bool {
	if len(doc) == 0 || doc[0] != '{' {
		return false
	}
	depth := 0
	for i := 0; i < len(doc); i++ {
		switch doc[i] {
		case '"':
			n := rawjson.QuoteEnd(doc[i+1:])
			if n < 0 {
				return false
			}
			i += 1 + n
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i == len(doc)-1
			}
		}
	}
	return false
}

// appendStringOrNull appends null for an empty s.
func appendStringOrNull(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return rawjson.AppendString(dst, s)
}
