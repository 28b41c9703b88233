package rawjson

import (
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// maxDepth is the nesting that [Valid] accepts: more than any real answer has,
// and little enough for readers that recurse.
const maxDepth = 128

// Valid reports whether doc is one JSON value in UTF-8 of at most 128 levels,
// so that parts of it may be spliced into another document.
func Valid(doc []byte) bool {
	return utf8.Valid(doc) && !tooDeep(doc) && gjson.ValidBytes(doc)
}

// tooDeep comes first: gjson recurses.
func tooDeep(doc []byte) bool {
	depth := 0
	for i := 0; i < len(doc); i++ {
		switch doc[i] {
		case '"':
			i = stringEnd(doc, i) - 1
		case '{', '[':
			if depth++; depth > maxDepth {
				return true
			}
		case '}', ']':
			depth--
		}
	}
	return false
}
